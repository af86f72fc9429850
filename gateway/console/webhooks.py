"""The webhooks page: endpoints, their queues, the last deliveries, and sending again. For admin keys."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Query
from sqlalchemy import Row, select
from starlette.responses import RedirectResponse, Response

from standing.gateway.composition import Gateway
from standing.gateway.console.find import Done
from standing.gateway.console.visits import AdminDep, GatewayDep, ReasonDep
from standing.gateway.events.deliveries import QueueState
from standing.gateway.events.endpoints import Endpoint
from standing.gateway.storage import schema
from standing.ledger.attestations.numbers import visible
from standing.ledger.errors import InvalidValue
from standing.ledger.service.console.pages import PATH
from standing.ledger.service.console.visits import ActDep
from standing.ledger.service.console.words import Words

router = APIRouter()

EndpointId = Annotated[str, Path(pattern="^we_[0-9a-f]{20}$")]
_SHOWN = 20
_MAX_POSITION = 2**63 - 1


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint, the state of its queue, and its last deliveries, newest first."""

    endpoint: Endpoint
    queue: QueueState
    deliveries: list[Row[Any]]


@router.get("/webhooks")
async def webhooks_page(
    visited: AdminDep, gateway: GatewayDep, done: Annotated[str, Query(max_length=40)] = ""
) -> Response:
    """All endpoints. Their URLs may contain tokens, so this page is for admin keys. `done`: any but a replay is
    ignored."""
    views = await gateway.storage.reading(_views, gateway)
    return visited.page("webhooks.html", views=views, replayed=done == Done.REPLAYED, result=told)


def told(words: Words, result: str | None) -> str:
    """The result of an attempt to deliver: the answer's status, or why there was none."""
    if result is None:
        return "–"
    return words.named("result", result, result.replace("http_", "HTTP "))


@router.post("/webhooks/{endpoint}/replay")
async def replay(
    endpoint: EndpointId,
    visited: ActDep,
    _admin: AdminDep,
    gateway: GatewayDep,
    reason: ReasonDep,
    event: Annotated[str, Form(max_length=36)] = "",
    after: Annotated[str, Form(max_length=19)] = "",
) -> Response:
    """Send one event again, or all after a position."""
    queues, following = gateway.following.queues, gateway.following
    event, after = event.strip(), visible(after).strip()
    if bool(event) == bool(after):
        raise InvalidValue("event", "missing, or given together with after", "either event or after, not both")
    async with gateway.audit.act(visited.caller, "replay", endpoint, reason):
        if event:
            await gateway.storage.writing(queues.replay_event, endpoint, event)
        else:
            await gateway.storage.writing(queues.replay_after, endpoint, _position(after))
    following.wakeups.wake()
    return RedirectResponse(f"{PATH}/webhooks?done={Done.REPLAYED.value}", status_code=303)


def _position(stated: str) -> int:
    if not stated.isascii() or not stated.isdigit() or int(stated) > _MAX_POSITION:
        raise InvalidValue("after", "not a position", f"0 to {_MAX_POSITION}, as the list of deliveries shows them")
    return int(stated)


def _views(gateway: Gateway) -> list[EndpointView]:
    following = gateway.following
    return [
        EndpointView(each, following.queues.state(each.id), _last(gateway, each.id))
        for each in following.endpoints.all()
    ]


def _last(gateway: Gateway, endpoint: str) -> list[Row[Any]]:
    table, events = schema.webhook_deliveries, schema.events
    query = (
        select(table, events.c.id, events.c.type)
        .join(events, events.c.position == table.c.position)
        .where(table.c.endpoint == endpoint)
        .order_by(table.c.position.desc())
        .limit(_SHOWN)
    )
    with gateway.storage.read() as connection:
        return list(connection.execute(query))
