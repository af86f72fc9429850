"""The banks page: each bank's staleness, now and over the last day; live by server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sse_starlette import EventSourceResponse
from starlette.responses import Response

from standing.gateway.bindings.banks import Bank, NodeCalls
from standing.gateway.console.charts import HEIGHT, WIDTH, AgeChart, age_chart
from standing.gateway.console.visits import GatewayDep
from standing.gateway.following import bank_ages
from standing.gateway.operations.service import BankState, GatewayStatus
from standing.ledger.errors import Overloaded
from standing.ledger.service.console.visits import VisitDep
from standing.ledger.service.injection import provided

router = APIRouter()

StatusDep = Annotated[GatewayStatus, Depends(provided(GatewayStatus))]

_DAY_MS = 24 * 3_600_000
_STEP_MS = 5 * 60_000
#: All open pages share one read of the ledger per this interval.
_LOOK_EVERY_S = 2.0
_MAX_STREAMS = 50


@dataclass(frozen=True, slots=True)
class BankView:
    """A bank as the page shows it; `state` is None where the ledger cannot be read."""

    bank: Bank
    state: BankState | None
    chart: AgeChart
    calls: NodeCalls


class Pulse:
    """The banks' states for all open pages, read only while a page is open, once for all of them."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._looked_at_s = float("-inf")
        self._states: list[BankState] | None = None
        self.watching = 0

    async def states(self, status: GatewayStatus) -> list[BankState] | None:
        """The states, at most a few seconds old; None where the ledger cannot be read."""
        async with self._lock:
            now_s = asyncio.get_running_loop().time()
            if now_s - self._looked_at_s >= _LOOK_EVERY_S / 2:
                self._states, self._looked_at_s = await status.banks(), now_s
            return self._states


def _pulse(request: Request) -> Pulse:
    if not hasattr(request.app.state, "pulse"):
        request.app.state.pulse = Pulse()
    pulse: Pulse = request.app.state.pulse
    return pulse


PulseDep = Annotated[Pulse, Depends(_pulse)]


@router.get("/banks")
async def banks_page(visited: VisitDep, gateway: GatewayDep, status: StatusDep) -> Response:
    """All banks, with the last day of each."""
    now_ms = gateway.clock.now_ms()
    begins_ms = now_ms - _DAY_MS
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
async def stream(request: Request, visited: VisitDep, status: StatusDep, pulse: PulseDep) -> EventSourceResponse:
    """The banks' staleness, every two seconds, until the session ends; an open stream does not keep the session
    alive.

    Raises: Overloaded.
    """
    if pulse.watching >= _MAX_STREAMS:
        raise Overloaded(f"{_MAX_STREAMS} pages of the banks are open already", 5)
    sessions, token = visited.console.sessions, request.cookies[visited.console.session_cookie]

    async def messages() -> AsyncIterator[dict[str, Any]]:
        pulse.watching += 1
        try:
            while await sessions.find(token, touch=False) is not None:
                states = await pulse.states(status)
                told = {
                    each.bank.bic: {"watermark_ms": each.watermark_ms, "staleness_ms": each.staleness_ms}
                    for each in states or ()
                }
                yield {"event": "banks", "data": json.dumps(told)}
                await asyncio.sleep(_LOOK_EVERY_S)
            yield {"event": "end", "data": ""}
        finally:
            pulse.watching -= 1

    return EventSourceResponse(messages())
