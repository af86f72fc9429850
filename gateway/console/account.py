"""The account page: its current state, its limits, the trail of its changes, its decisions, and what staff can do."""

import asyncio
import json
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Query
from sqlalchemy import Row
from starlette.responses import RedirectResponse, Response

from standing.gateway.accounts.health import Health
from standing.gateway.bindings.schemas import LiveBindingDocument
from standing.gateway.bindings.service import LiveBinding
from standing.gateway.composition import Gateway
from standing.gateway.console.find import Done, bank_name, view_of
from standing.gateway.console.limits import limits_of
from standing.gateway.console.lookups import Lookups
from standing.gateway.console.visits import GatewayDep, ReasonDep
from standing.gateway.decisions.messages import NOT_SERVED, of_account
from standing.gateway.decisions.search import CURSOR_PATTERN
from standing.gateway.errors import BankNotServed
from standing.gateway.support.hops import HopName
from standing.gateway.support.trail import BindingTrail
from standing.gateway.support.trail_text import HOP_NAMES, REMEDIES, remedy
from standing.ledger.attestations.binding_protocol import Hex32
from standing.ledger.attestations.identity import IDENTITY_FIELDS
from standing.ledger.errors import LedgerUnreachable, Overloaded
from standing.ledger.service.console.pages import HOME, PATH
from standing.ledger.service.console.visits import ActDep, VisitDep
from standing.ledger.service.console.words import Words

router = APIRouter()

Binding = Annotated[Hex32, Path()]
#: Any day that the form may name: decisions are recorded in milliseconds since 1970.
_FIRST_DAY, _LAST_DAY = date(1970, 1, 2), date(9000, 1, 1)
HoldId = Annotated[str, Path(pattern="^h_[0-9a-f]{24}$")]
#: How many of the newest warnings the page shows.
_WARNINGS = 2
#: How many of the newest decisions it shows; a page of their own has the others.
_DECISIONS = 20
#: Hops that a resync can help with: the bank's node sends missing changes again, or signs the current state.
_RESYNC_HELPS = (HopName.SIGNED, HopName.SUBMITTED, HopName.IN_BLOCK)


#: The messages of fields that may change, by the fields' names in events.
_FIELDS = {
    **{field: f"identity-{field}" for field in IDENTITY_FIELDS},
    "transaction_limit_minor": "limit-transaction",
    "daily_limit_minor": "limit-day",
    "monthly_limit_minor": "limit-month",
    "yearly_limit_minor": "limit-year",
    "daily_credit_limit_minor": "limit-credit-day",
    "yearly_credit_limit_minor": "limit-credit-year",
}


@router.get("/accounts/{binding}")
async def account_page(
    binding: Binding, visited: VisitDep, gateway: GatewayDep, done: Annotated[str, Query(max_length=40)] = ""
) -> Response:
    """Reads the ledger and asks the bank's node for this page. `done`: a member of Done; any other is ignored."""
    values = await _values(gateway, bytes.fromhex(binding[2:]))
    # Anybody can write an address: it must not claim an end that did not happen.
    confirmed = done in set(Done) - {Done.REPLAYED, Done.REVIEWED} and (
        done != Done.ENDED or values["stored"].ended_at_ms is not None
    )
    return visited.page("account.html", done=done if confirmed else None, **values)


@router.get("/accounts/{binding}/decisions")
async def decisions_page(
    binding: Binding,
    visited: VisitDep,
    gateway: GatewayDep,
    cursor: Annotated[str | None, Query(alias="before", pattern=CURSOR_PATTERN, max_length=80)] = None,
    day: Annotated[date | None, Query(ge=_FIRST_DAY, le=_LAST_DAY)] = None,
) -> Response:
    """All decisions on the account, newest first. `before`: the next page begins after this decision; `day`: the page
    begins with the newest of this day of the bank, or before it."""
    stored = await gateway.bindings.find(bytes.fromhex(binding[2:]))
    bank = gateway.banks.get(stored.bank)
    zone = bank.zone if bank is not None else None
    if day is not None:
        ends = datetime.combine(day + timedelta(days=1), time(), zone or visited.words.zone)
        cursor = f"{int(ends.timestamp()) * 1000}~-"  # no id is less than a dash
    decisions, older = await Lookups(gateway.storage).decisions_of(
        stored.binding, gateway.clock.now_ms(), cursor=cursor
    )
    return visited.page(
        "decisions.html",
        stored=stored,
        binding=binding,
        bank_name=bank_name(gateway, stored.bank),
        zone=zone,
        decisions=decisions,
        older=older,
        day=day,
    )


@router.post("/accounts/{binding}/resync")
async def resync(binding: Binding, visited: ActDep, gateway: GatewayDep, reason: ReasonDep) -> Response:
    """Ask the bank to publish the account's current state again."""
    async with gateway.audit.act(visited.caller, "resync", binding, reason):
        queued = await gateway.binding_flow.resync(bytes.fromhex(binding[2:]))
    return _back(binding, Done.RESYNC_QUEUED if queued else Done.RESYNC_ON_ITS_WAY)


@router.post("/accounts/{binding}/end")
async def end(binding: Binding, visited: ActDep, gateway: GatewayDep, reason: ReasonDep) -> Response:
    """End the binding, so that the user can bind the account again with current details."""
    async with gateway.audit.act(visited.caller, "delete_binding", binding, reason):
        await gateway.bindings.end(bytes.fromhex(binding[2:]))
    return _back(binding, Done.ENDED)


@router.post("/holds/{hold_id}/lift")
async def lift(
    hold_id: HoldId,
    visited: ActDep,
    gateway: GatewayDep,
    reason: ReasonDep,
    binding: Annotated[str, Form(pattern="^(0x[0-9a-f]{64})?$")] = "",
) -> Response:
    """Lift a hold before it expires."""
    async with gateway.audit.act(visited.caller, "lift_hold", hold_id, reason):
        await gateway.holds.lift(hold_id, visited.caller.name)
    return _back(binding, Done.HOLD_LIFTED)


def _back(binding: str, done: Done) -> Response:
    page = f"{PATH}/accounts/{binding}" if binding else HOME
    return RedirectResponse(f"{page}?done={done.value}", status_code=303)


async def _values(gateway: Gateway, binding: bytes) -> dict[str, Any]:
    stored = await gateway.bindings.find(binding)
    lookups = Lookups(gateway.storage)
    view, live, trail, (decisions, older), holds, warnings = await asyncio.gather(
        view_of(gateway, stored),
        _live(gateway, binding),
        _trail(gateway, binding),
        lookups.decisions_of(binding, gateway.clock.now_ms(), limit=_DECISIONS),
        gateway.holds.listed(binding=binding),
        gateway.warning.warnings.of(binding, _WARNINGS),
    )
    document = LiveBindingDocument.of_live(live) if live is not None else None
    limits = []
    # An ended account allows nothing: its limits are all zero, and would read as the bank's.
    if live is not None and live.terms is not None and view.condition.health is not Health.ENDED:
        bound = await gateway.bindings.bound(binding)
        limits = await limits_of(gateway.storage, bound, live.terms, live.read_at_ms)
    now_ms = gateway.clock.now_ms()
    advice = remedy(trail) if trail is not None else None
    troubles = [REMEDIES[trouble] for trouble in trail.troubles] if trail is not None else []
    bank = gateway.banks.get(stored.bank)
    return {
        "stored": stored,
        "binding": "0x" + binding.hex(),
        "bank_name": bank_name(gateway, stored.bank),
        "zone": bank.zone if bank is not None else None,
        "view": view,
        "message": of_account(view.condition.reason) if view.bank is not None else NOT_SERVED,
        "live": document,
        "limits": limits,
        "trail": trail,
        "remedy": advice,
        "hop_names": HOP_NAMES,
        "changes": await _changes(gateway, binding, trail),
        "told": _told,
        "troubles": [trouble for trouble in troubles if trouble != advice],
        "resync_helps": trail is not None and trail.stalled in _RESYNC_HELPS,
        "decisions": decisions,
        "older": older,
        "warnings": warnings,
        "holds": [hold for hold in holds if hold.lifted_at_ms is None and hold.ends_at_ms > now_ms],
        "max_staleness_ms": gateway.policy.widest_staleness_ms,
    }


async def _changes(gateway: Gateway, binding: bytes, trail: BindingTrail | None) -> dict[int, list[Row[Any]]]:
    """The events about the trail's changes, by publication; none about a change that the follower has not seen yet."""
    found: dict[int, list[Row[Any]]] = {}
    numbers = [change.publication for change in trail.changes if change.publication] if trail is not None else []
    for row in await Lookups(gateway.storage).events_on(binding, numbers) if numbers else ():
        found.setdefault(row.publication, []).append(row)
    return found


def _told(words: Words, event: Row[Any]) -> str:
    """What an event says has changed, in words."""
    told = words.named("changed", event.type.removeprefix("binding."))
    fields = [words(_FIELDS[field]) for field in json.loads(event.data).get("fields", ()) if field in _FIELDS]
    return words("labelled", label=told, value=words.listed(fields)) if fields else told


async def _live(gateway: Gateway, binding: bytes) -> LiveBinding | None:
    try:
        return await gateway.bindings.live(binding)
    except (LedgerUnreachable, Overloaded, BankNotServed):
        return None  # the page says that the ledger cannot be read now


async def _trail(gateway: Gateway, binding: bytes) -> BindingTrail | None:
    try:
        return await gateway.trails.of(binding)
    except BankNotServed:
        return None  # the bank is no longer in the settings
