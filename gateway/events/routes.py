"""The routes of events, webhook endpoints and the trail: they parse, call one function and map the result."""

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response, status
from sse_starlette import EventSourceResponse

from standing.gateway.access.audit import AuditedRoute
from standing.gateway.access.dependencies import LOOKING_UP, STORAGE, ActingAdmin, Admin, AnyRole, Platform, gateway_of
from standing.gateway.errors import BankNotServed
from standing.gateway.events import schemas as d
from standing.gateway.events.endpoints import TooManyEndpoints
from standing.ledger.errors import InvalidValue, NotFound, Overloaded
from standing.ledger.service.api_keys import MissingKey, WrongRole
from standing.ledger.service.problems import BODY_TOO_LARGE, responses

if TYPE_CHECKING:
    from standing.gateway.following.assembly import Following

TAGS = [
    {"name": "events", "description": "What changed, as a list, a stream, or webhooks."},
    {"name": "support", "description": "Why something stands still, and what to do."},
]

router = APIRouter(route_class=AuditedRoute)

_ENDPOINT = responses(*LOOKING_UP, NotFound, STORAGE)
_ACTED = responses(*LOOKING_UP, InvalidValue, NotFound, STORAGE)


def _following(request: Request) -> "Following":
    return gateway_of(request).following


@router.get(
    "/v1/events",
    tags=["events"],
    summary="Events, a page at a time",
    responses=responses(*LOOKING_UP, STORAGE),
)
async def get_events(
    request: Request, _caller: AnyRole, after: d.After = 0, limit: d.Limit = 100, binding: d.BindingFilter = None
) -> d.EventList:
    """The events after a position, in order. An event is kept for the days that the settings say."""
    log, storage = _following(request).log, gateway_of(request).storage
    only = bytes.fromhex(binding[2:]) if binding is not None else None
    events = await storage.reading(log.page, after, limit, only)
    oldest, newest = await storage.reading(log.ends)
    return d.EventList(
        events=[d.EventDocument.of(event) for event in events],
        # Nobody has seen more than there is, unless the database is an older one, restored.
        next_after=events[-1].position if events else min(after, newest),
        oldest=oldest,
    )


@router.get(
    "/v1/events/stream",
    tags=["events"],
    summary="Events as they come (server-sent events)",
    response_class=EventSourceResponse,
    responses=responses(*LOOKING_UP, Overloaded, STORAGE)
    | {
        status.HTTP_200_OK: {
            "description": "`id` is the position, `event` the type, `data` the event as JSON. A comment comes where "
            "nothing else does. `event: gap` says that events between `after` and `oldest` are no longer kept",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def stream_events(
    request: Request, _caller: Platform, last_event_id: d.LastEventId = None, after: d.AfterOrNow = None
) -> EventSourceResponse:
    """From now on; or on from the position in `Last-Event-ID`, which goes before `after`. The stream ends by itself
    after a while: come again with the last position, as every EventSource does."""
    resumed = int(last_event_id) if last_event_id else after
    return await _following(request).streams.open(resumed)


@router.post(
    "/v1/webhook-endpoints",
    tags=["events"],
    summary="Add a webhook endpoint",
    status_code=status.HTTP_201_CREATED,
    responses=responses(*LOOKING_UP, BODY_TOO_LARGE, InvalidValue, TooManyEndpoints, STORAGE),
)
async def post_endpoint(body: d.EndpointBody, request: Request, _caller: ActingAdmin) -> d.NewSecret:
    """Events from now on are sent there, signed as Standard Webhooks says. The secret is shown only now."""
    following = _following(request)
    types = [kind.value for kind in body.types] if body.types is not None else None
    made = await gateway_of(request).storage.writing(following.endpoints.create, body.url, types)
    following.wakeups.wake()
    return d.NewSecret.of_new(made)


@router.get(
    "/v1/webhook-endpoints",
    tags=["events"],
    summary="All webhook endpoints",
    responses=responses(MissingKey, WrongRole, STORAGE),
)
async def get_endpoints(request: Request, _caller: Admin) -> d.EndpointList:
    """Without their secrets. One that no secret of the vault opens is left out; the log names it."""
    found = await gateway_of(request).storage.reading(_following(request).endpoints.all)
    return d.EndpointList(endpoints=[d.EndpointDocument.of(endpoint) for endpoint in found])


@router.get(
    "/v1/webhook-endpoints/{endpoint}",
    tags=["events"],
    summary="One webhook endpoint, and how its queue stands",
    responses=_ENDPOINT,
)
async def get_endpoint(endpoint: d.EndpointId, request: Request, _caller: Admin) -> d.EndpointStatus:
    """How many events wait for it, were taken, and were given up after three days."""
    following, storage = _following(request), gateway_of(request).storage
    found = await storage.reading(following.endpoints.find, endpoint)
    return d.EndpointStatus.of_state(found, await storage.reading(following.queues.state, endpoint))


@router.delete(
    "/v1/webhook-endpoints/{endpoint}",
    tags=["events"],
    summary="Remove a webhook endpoint",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=_ACTED,
)
async def delete_endpoint(endpoint: d.EndpointId, request: Request, _caller: ActingAdmin) -> Response:
    """Nothing more is sent there; what waits for it is forgotten, the events themselves are not."""
    following = _following(request)
    await gateway_of(request).storage.writing(following.endpoints.delete, endpoint)
    following.wakeups.wake()
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.post(
    "/v1/webhook-endpoints/{endpoint}/rotate-secret",
    tags=["events"],
    summary="A new secret for a webhook endpoint",
    responses=_ACTED,
)
async def rotate_secret(endpoint: d.EndpointId, request: Request, _caller: ActingAdmin) -> d.NewSecret:
    """For a day messages are signed with both secrets, the old and the new."""
    rotated = await gateway_of(request).storage.writing(_following(request).endpoints.rotate, endpoint)
    return d.NewSecret.of_new(rotated)


@router.post(
    "/v1/webhook-endpoints/{endpoint}/enable",
    tags=["events"],
    summary="Send to a webhook endpoint again",
    responses=_ACTED,
)
async def enable_endpoint(endpoint: d.EndpointId, request: Request, _caller: ActingAdmin) -> d.EndpointDocument:
    """After it was switched off by its own 410; what came meanwhile is sent now."""
    following = _following(request)
    enabled = await gateway_of(request).storage.writing(following.endpoints.enable, endpoint)
    following.wakeups.wake()
    return d.EndpointDocument.of(enabled)


@router.post(
    "/v1/webhook-endpoints/{endpoint}/replay",
    tags=["events"],
    summary="Send events to a webhook endpoint again",
    responses=responses(*LOOKING_UP, BODY_TOO_LARGE, InvalidValue, NotFound, STORAGE),
)
async def replay(endpoint: d.EndpointId, body: d.ReplayBody, request: Request, _caller: ActingAdmin) -> d.ReplayAnswer:
    """One event, or all after a position, delivered before or not. Ids stay the same."""
    following, storage = _following(request), gateway_of(request).storage
    if (body.event is None) == (body.after is None):
        raise InvalidValue("event", "none, or beside after", "either event or after")
    if body.event is not None:
        count = await storage.writing(following.queues.replay_event, endpoint, body.event)
    else:
        assert body.after is not None  # one of the two is there
        count = await storage.writing(following.queues.replay_after, endpoint, body.after)
    following.wakeups.wake()
    return d.ReplayAnswer(events=count)


@router.get(
    "/v1/bindings/{binding}/trail",
    tags=["support"],
    summary="Where a binding's changes are, and what stands still",
    responses=responses(*LOOKING_UP, NotFound, BankNotServed, STORAGE),
)
async def get_trail(binding: d.BindingPath, request: Request, _caller: AnyRole) -> d.TrailDocument:
    """Asks the ledger, the bank's node and this gateway's own records. Answers also where the first two do not: it says
    so, and what is known without them."""
    return d.TrailDocument.of(await _following(request).trails.of(bytes.fromhex(binding[2:])))
