"""The page of the last 24 hours: decisions by outcome and reason, latency, refused requests, and snapshot errors."""

from dataclasses import dataclass

from fastapi import APIRouter
from sqlalchemy import func, select
from starlette.responses import Response

from standing.gateway.console.charts import HEIGHT, WIDTH, stacked_bars
from standing.gateway.console.exposure import exposure
from standing.gateway.console.visits import GatewayDep
from standing.gateway.decisions.rules import Outcome
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.clock import HOUR_MS
from standing.ledger.service.console.visits import VisitDep

router = APIRouter()

_HOURS = 24
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Figures:
    """Decisions of the last hours, most frequent first, and by hour and outcome.

    `reasons`: outcome, reason, whether it is the outcome of a closed review, and how many. The outcome of a decision
    whose review is closed is that of the review.
    """

    reasons: list[tuple[str, str | None, bool, int]]
    hours: list[dict[str, int]]

    @property
    def total(self) -> int:
        return sum(count for *_, count in self.reasons)


def figures(storage: Storage, since_ms: int) -> Figures:
    """The decisions of the 24 hours from a time on. Raises: StorageUnavailable."""
    table, reviewed = schema.decisions.c, schema.reviews.c
    hour = (table.decided_at_ms - since_ms) // HOUR_MS
    query = (
        select(
            hour.label("hour"), table.outcome, table.reason, reviewed.outcome.label("reviewed"), func.count().label("n")
        )
        .select_from(schema.decisions.outerjoin(schema.reviews, reviewed.transaction_id == table.transaction_id))
        .where(table.decided_at_ms >= since_ms)
        .group_by(hour, table.outcome, table.reason, reviewed.outcome)
    )
    hours: list[dict[str, int]] = [{} for _ in range(_HOURS)]
    reasons: dict[tuple[str, str | None, bool], int] = {}
    with storage.read() as connection:
        for row in connection.execute(query):
            outcome, of_hour = row.reviewed or row.outcome, hours[min(int(row.hour), _HOURS - 1)]
            of_hour[outcome] = of_hour.get(outcome, 0) + row.n
            key = (outcome, row.reason, row.reviewed is not None)
            reasons[key] = reasons.get(key, 0) + row.n
    sorted_reasons = sorted(((*key, count) for key, count in reasons.items()), key=lambda each: -each[3])
    return Figures(sorted_reasons, hours)


@router.get("/today")
async def today_page(visited: VisitDep, gateway: GatewayDep) -> Response:
    """The last 24 hours."""
    now_ms = gateway.clock.now_ms()
    since_ms = now_ms - _HOURS * HOUR_MS
    zones = {bank.bic: bank.zone for bank in gateway.banks}
    counted = await gateway.storage.reading(figures, gateway.storage, since_ms)
    return visited.page(
        "today.html",
        figures=counted,
        bars=stacked_bars(counted.hours, [outcome.value for outcome in Outcome]),
        exposure=await gateway.storage.reading(exposure, gateway.storage, zones, since_ms),
        shown=_SHOWN,
        since_ms=since_ms,
        now_ms=now_ms,
        half_ms=gateway.meters.decided_within_ms(50),
        most_ms=gateway.meters.decided_within_ms(99),
        refused=gateway.meters.refused_count,
        width=WIDTH,
        height=HEIGHT,
    )
