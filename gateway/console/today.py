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
from standing.ledger.service.console.visits import VisitDep

router = APIRouter()

_HOUR_MS = 3_600_000
_HOURS = 24
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Figures:
    """Decisions of the last hours: by outcome and reason, most frequent first, and by hour and outcome."""

    reasons: list[tuple[str, str | None, int]]
    hours: list[dict[str, int]]

    @property
    def total(self) -> int:
        return sum(count for _, _, count in self.reasons)


def figures(storage: Storage, since_ms: int) -> Figures:
    """The decisions of the 24 hours from a time on. Raises: StorageUnavailable."""
    table = schema.decisions.c
    hour = (table.decided_at_ms - since_ms) // _HOUR_MS
    query = (
        select(hour.label("hour"), table.outcome, table.reason, func.count().label("count"))
        .where(table.decided_at_ms >= since_ms)
        .group_by(hour, table.outcome, table.reason)
    )
    hours: list[dict[str, int]] = [{} for _ in range(_HOURS)]
    reasons: dict[tuple[str, str | None], int] = {}
    with storage.read() as connection:
        for row in connection.execute(query):
            counted: int = row._mapping["count"]
            of_hour = hours[min(int(row.hour), _HOURS - 1)]
            of_hour[row.outcome] = of_hour.get(row.outcome, 0) + counted
            reasons[row.outcome, row.reason] = reasons.get((row.outcome, row.reason), 0) + counted
    sorted_reasons = sorted(((*key, count) for key, count in reasons.items()), key=lambda each: -each[2])
    return Figures(sorted_reasons, hours)


@router.get("/today")
async def today_page(visited: VisitDep, gateway: GatewayDep) -> Response:
    """The last 24 hours."""
    now_ms = gateway.clock.now_ms()
    since_ms = now_ms - _HOURS * _HOUR_MS
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
