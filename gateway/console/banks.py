"""The banks page: each bank's staleness, now and over the last day; live by server-sent events."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sse_starlette import EventSourceResponse
from starlette.responses import Response

from standing.gateway.bindings.banks import Bank, NodeCalls
from standing.gateway.console.charts import HEIGHT, WIDTH, AgeChart, age_chart
from standing.gateway.console.pulse import Pulse
from standing.gateway.console.visits import GatewayDep
from standing.gateway.following import bank_ages
from standing.gateway.operations.service import BankStatus, GatewayStatus
from standing.ledger.clock import DAY_MS
from standing.ledger.service.console.visits import ConsoleDep, VisitDep
from standing.ledger.service.injection import provided

router = APIRouter()

StatusDep = Annotated[GatewayStatus, Depends(provided(GatewayStatus))]

_STEP_MS = 5 * 60_000


@dataclass(frozen=True, slots=True)
class BankView:
    """A bank as the page shows it; `state` is None where the ledger cannot be read."""

    bank: Bank
    state: BankStatus | None
    chart: AgeChart
    calls: NodeCalls


def _pulse(request: Request, status: StatusDep, gateway: GatewayDep) -> Pulse:
    if not hasattr(request.app.state, "pulse"):
        request.app.state.pulse = Pulse(status.banks, gateway.sessions.open_ones)
    pulse: Pulse = request.app.state.pulse
    return pulse


PulseDep = Annotated[Pulse, Depends(_pulse)]


@router.get("/banks")
async def banks_page(visited: VisitDep, gateway: GatewayDep, status: StatusDep) -> Response:
    """All banks, with the last day of each."""
    now_ms = gateway.clock.now_ms()
    begins_ms = now_ms - DAY_MS
    states = {each.bank.bic: each for each in await status.banks() or ()}
    ages = await gateway.storage.reading(bank_ages.since, gateway.storage, begins_ms)
    bound_ms = gateway.decisions.policy.widest_staleness_ms
    views = []
    for bank in gateway.banks:
        of_bank = {each.minute_ms: each.worst_age_ms for each in ages.get(bank.bic, ())}
        chart = age_chart(of_bank, begins_ms=begins_ms, ends_ms=now_ms, step_ms=_STEP_MS, bound_ms=bound_ms)
        views.append(BankView(bank, states.get(bank.bic), chart, gateway.nodes.calls(bank)))
    return visited.page(
        "banks.html", views=views, bound_ms=bound_ms, begins_ms=begins_ms, now_ms=now_ms, width=WIDTH, height=HEIGHT
    )


@router.get("/banks/stream")
async def stream(request: Request, console: ConsoleDep, pulse: PulseDep) -> EventSourceResponse:
    """The banks' staleness, every two seconds, until the session ends. Neither an open stream nor opening it again
    keeps the session alive; without a session, the stream ends at once, and its page with it.

    Raises: Overloaded.
    """
    token = request.cookies.get(console.session_cookie, "")
    signed_in = await console.sessions.find(token, touch=False) is not None
    if signed_in:
        pulse.check_room()

    async def messages() -> AsyncIterator[dict[str, Any]]:
        if signed_in:
            async for text in pulse.texts(token):
                yield {"event": "banks", "data": text}
        yield {"event": "end", "data": ""}

    return EventSourceResponse(messages())
