"""The page of a bank's score card: its staleness, its publications, and this gateway's records."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from standing.gateway.console.charts import HEIGHT, WIDTH, age_chart, stacked_bars
from standing.gateway.console.visits import GatewayDep
from standing.gateway.warning.scorecard import Period
from standing.ledger.clock import HOUR_MS
from standing.ledger.service.console.visits import VisitDep

router = APIRouter()

Bic = Annotated[str, Path(pattern="^[A-Z0-9]{8}([A-Z0-9]{3})?$")]
#: How many hours one bar of publications covers.
_HOURS_A_BAR = {Period.DAY: 1, Period.WEEK: 6, Period.MONTH: 24}


@router.get("/banks/{bic}")
async def scorecard_page(
    bic: Bic, visited: VisitDep, gateway: GatewayDep, period: Annotated[Period, Query()] = Period.WEEK
) -> Response:
    """One bank in a day, a week or a month."""
    now_ms = gateway.clock.now_ms()
    bank = gateway.banks.find(bic)
    card = await gateway.warning.score_cards.of(bic, period, now_ms)
    hours = await gateway.warning.score_cards.hours(bic, period, now_ms)
    ends_ms = card.from_ms + period.hours * HOUR_MS
    ages = {start_ms: hour.worst_age_ms for start_ms, hour in hours.items() if sum(hour.age_time_ms)}
    step = _HOURS_A_BAR[period]
    publications: list[dict[str, int]] = [{"changes": 0, "heartbeats": 0} for _ in range(period.hours // step)]
    for start_ms, hour in hours.items():
        bar = publications[(start_ms - card.from_ms) // (step * HOUR_MS)]
        bar["heartbeats"] += hour.heartbeats
        bar["changes"] += hour.publications - hour.heartbeats
    return visited.page(
        "scorecard.html",
        bank=bank,
        card=card,
        periods=list(Period),
        chart=age_chart(
            ages, begins_ms=card.from_ms, ends_ms=ends_ms, step_ms=HOUR_MS, bound_ms=card.ledger.silent_over_ms
        ),
        bars=stacked_bars(publications, ("changes", "heartbeats")),
        decisions=sorted(
            (
                (outcome, None if reason == "none" else reason, count)
                for outcome, reasons in card.own.decisions.items()
                for reason, count in reasons.items()
            ),
            key=lambda each: -each[2],
        ),
        ends_ms=min(ends_ms, now_ms),
        width=WIDTH,
        height=HEIGHT,
    )
