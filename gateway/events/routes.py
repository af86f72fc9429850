"""The routes of events and webhook endpoints."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Response, status
from sse_starlette import EventSourceResponse

from standing.gateway.access.audit import AuditedRoute
from standing.gateway.access.dependencies import LOOKING_UP, STORAGE, ActingAdmin, Admin, AnyRole, Platform
from standing.gateway.events import schemas as d
from standing.gateway.events.deliveries import DeliveryQueues
from standing.gateway.events.endpoints import Endpoints, TooManyEndpoints
from standing.gateway.events.log import EventLog
from standing.gateway.events.streams import Streams
from standing.gateway.events.wakeups import Wakeups
from standing.gateway.storage.database import Storage
from standing.ledger.errors import InvalidValue, NotFound, Overloaded
from standing.ledger.service.api_keys import MissingKey, WrongRole, key_in_force
from standing.ledger.service.injection import provided
from standing.ledger.service.problems import BODY_TOO_LARGE, responses

TAG = {"name": "events", "description": "What changed, as a list, a stream, or webhooks."}

router = APIRouter(route_class=AuditedRoute, tags=["events"])

Log = Annotated[EventLog, Depends(provided(EventLog))]
EndpointsDep = Annotated[Endpoints, Depends(provided(Endpoints))]
Queues = Annotated[DeliveryQueues, Depends(provided(DeliveryQueues))]
StorageDep = Annotated[Storage, Depends(provided(Storage))]
WakeupsDep = Annotated[Wakeups, Depends(provided(Wakeups))]

_ENDPOINT = responses(*LOOKING_UP, NotFound, STORAGE)
_ACTED = responses(*LOOKING_UP, InvalidValue, NotFound, STORAGE)


@router.get(
    "/v1/events",
    summary="Events, a page at a time",
    responses=responses(*LOOKING_UP, STORAGE),
)
async def get_events(
    log: Log,
    storage: StorageDep,
    _caller: AnyRole,
    after: d.After = 0,
    limit: d.Limit = 100,
    binding: d.BindingFilter = None,
) -> d.EventList:
    """The events after a position, in order. Events are kept for the number of days in the settings."""
    only = bytes.fromhex(binding[2:]) if binding is not None else None
    events = await storage.reading(log.page, after, limit, only)
    oldest, newest = await storage.reading(log.ends)
    return d.EventList(
        events=[d.EventDocument.of(event) for event in events],
        # `after` can be beyond the newest event only if an older database was restored.
        next_after=events[-1].position if events else min(after, newest),
        oldest=oldest,
    )


@router.get(
    "/v1/events/stream",
    summary="Events as they occur (server-sent events)",
    response_class=EventSourceResponse,
    responses=responses(*LOOKING_UP, Overloaded, STORAGE)
    | {
        status.HTTP_200_OK: {
            "description": "`id` is the position, `event` the type, `data` the event as JSON. A comment comes where "
            "nothing else does. `event: gap` says that events between `after` and `oldest` may no longer be kept",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    },
)
async def stream_events(
    streams: Annotated[Streams, Depends(provided(Streams))],
    _caller: Platform,
    may_listen: Annotated[Callable[[], bool], Depends(key_in_force)],
    last_event_id: d.LastEventId = None,
    after: d.AfterOrNow = None,
) -> EventSourceResponse:
    """Streams from now on, or from the position in `Last-Event-ID`, which takes precedence over `after`.

    The stream ends by itself after a while, and soon after its key was removed or got another role: reconnect with the
    last position, as every EventSource does.
    """
    resumed = int(last_event_id) if last_event_id else after
    return await streams.open(resumed, may_listen)


@router.post(
    "/v1/webhook-endpoints",
    summary="Add a webhook endpoint",
    status_code=status.HTTP_201_CREATED,
    responses=responses(*LOOKING_UP, BODY_TOO_LARGE, InvalidValue, TooManyEndpoints, STORAGE),
)
async def post_endpoint(
    body: d.EndpointBody, endpoints: EndpointsDep, storage: StorageDep, wakeups: WakeupsDep, _caller: ActingAdmin
) -> d.NewSecret:
    """Later events are sent there, signed according to Standard Webhooks. The secret is shown only once."""
    types = [kind.value for kind in body.types] if body.types is not None else None
    made = await storage.writing(endpoints.create, body.url, types)
    wakeups.wake()
    return d.NewSecret.of_new(made)


@router.get(
    "/v1/webhook-endpoints",
    summary="All webhook endpoints",
    responses=responses(MissingKey, WrongRole, STORAGE),
)
async def get_endpoints(endpoints: EndpointsDep, storage: StorageDep, _caller: Admin) -> d.EndpointList:
    """Without their secrets. An endpoint that no vault secret decrypts is left out and named in the log."""
    found = await storage.reading(endpoints.all)
    return d.EndpointList(endpoints=[d.EndpointDocument.of(endpoint) for endpoint in found])


@router.get(
    "/v1/webhook-endpoints/{endpoint}",
    summary="One webhook endpoint and the state of its queue",
    responses=_ENDPOINT,
)
async def get_endpoint(
    endpoint: d.EndpointId, endpoints: EndpointsDep, queues: Queues, storage: StorageDep, _caller: Admin
) -> d.EndpointStatus:
    """How many events are waiting, were delivered, and were abandoned after three days."""
    found = await storage.reading(endpoints.find, endpoint)
    return d.EndpointStatus.of_state(found, await storage.reading(queues.state, endpoint))


@router.delete(
    "/v1/webhook-endpoints/{endpoint}",
    summary="Remove a webhook endpoint",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=_ACTED,
)
async def delete_endpoint(
    endpoint: d.EndpointId, endpoints: EndpointsDep, storage: StorageDep, wakeups: WakeupsDep, _caller: ActingAdmin
) -> Response:
    """Nothing more is sent there. Its queue is deleted; the events themselves are kept."""
    await storage.writing(endpoints.delete, endpoint)
    wakeups.wake()
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.post(
    "/v1/webhook-endpoints/{endpoint}/rotate-secret",
    summary="A new secret for a webhook endpoint",
    responses=_ACTED,
)
async def rotate_secret(
    endpoint: d.EndpointId, endpoints: EndpointsDep, storage: StorageDep, _caller: ActingAdmin
) -> d.NewSecret:
    """For one day, messages are signed with both the old and the new secret."""
    rotated = await storage.writing(endpoints.rotate, endpoint)
    return d.NewSecret.of_new(rotated)


@router.post(
    "/v1/webhook-endpoints/{endpoint}/enable",
    summary="Enable a webhook endpoint again",
    responses=_ACTED,
)
async def enable_endpoint(
    endpoint: d.EndpointId, endpoints: EndpointsDep, storage: StorageDep, wakeups: WakeupsDep, _caller: ActingAdmin
) -> d.EndpointDocument:
    """For an endpoint that was disabled because it answered 410. Events since then are sent now."""
    enabled = await storage.writing(endpoints.enable, endpoint)
    wakeups.wake()
    return d.EndpointDocument.of(enabled)


@router.post(
    "/v1/webhook-endpoints/{endpoint}/replay",
    summary="Send events to a webhook endpoint again",
    responses=responses(*LOOKING_UP, BODY_TOO_LARGE, InvalidValue, NotFound, STORAGE),
)
async def replay(
    endpoint: d.EndpointId,
    body: d.ReplayBody,
    queues: Queues,
    storage: StorageDep,
    wakeups: WakeupsDep,
    _caller: ActingAdmin,
) -> d.ReplayAnswer:
    """One event, or all after a position, whether delivered before or not. Ids stay the same."""
    if (body.event is None) == (body.after is None):
        raise InvalidValue("event", "missing, or given together with after", "either event or after, not both")
    if body.event is not None:
        count = await storage.writing(queues.replay_event, endpoint, body.event)
    else:
        assert body.after is not None  # exactly one of the two is set
        count = await storage.writing(queues.replay_after, endpoint, body.after)
    wakeups.wake()
    return d.ReplayAnswer(events=count)
