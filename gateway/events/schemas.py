"""Bodies and answers of events and webhooks, with their OpenAPI descriptions."""

from typing import Annotated, Any

from fastapi import Header, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from standing.gateway.events.deliveries import QueueState
from standing.gateway.events.endpoints import Endpoint
from standing.gateway.events.log import MAX_PAGE
from standing.gateway.events.types import EventType, LoggedEvent
from standing.ledger.attestations.binding_protocol import Hex32

_BINDING = "0x4f2d8a6c1be09d73a5c4e8f7061b2d3c9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b"
_EVENT_ID = "evt_5f0c1e7a9b3d2468ace013579bdf0246"
_MAX_POSITION = 2**63 - 1

Position = Annotated[int, Field(ge=0, le=_MAX_POSITION)]
EndpointId = Annotated[str, Path(pattern="^we_[0-9a-f]{20}$", description="The endpoint's id")]
After = Annotated[int, Query(ge=0, le=_MAX_POSITION, description="Only events after this position; 0 for all")]
AfterOrNow = Annotated[
    int | None, Query(ge=0, le=_MAX_POSITION, description="As Last-Event-ID, for the first connection")
]
LastEventId = Annotated[
    str | None,
    Header(max_length=18, pattern="^[0-9]*$", description="The position of the last event that was received"),
]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]

EVENT_EXAMPLE: dict[str, Any] = {
    "id": _EVENT_ID,
    "position": 1767240000120,
    "type": "binding.frozen",
    "timestamp": "2026-01-01T03:59:59.580Z",
    "data": {
        "bank": "BKCHCNBJ",
        "binding": _BINDING,
        "publication": 311,
        "block_number": 1207,
        "observed_at_ms": 1_767_240_000_120,
        "status": "frozen",
        "previous_status": "active",
        "fields": ["status", "debit_allowed"],
        "effective_at_ms": 1_767_239_999_580,
    },
}


class EventData(BaseModel):
    """What an event is about. Fields may be added; ignore those that you do not know."""

    model_config = ConfigDict(extra="allow")

    bank: str = Field(examples=["BKCHCNBJ"])
    binding: str | None = Field(description="null: the event is about the bank as a whole")
    publication: int | None
    block_number: int | None = Field(description="null: the event is not about a block")
    observed_at_ms: int


class EventDocument(BaseModel):
    """One event, the same by webhook, stream and list. It reports that something changed; decisions still read the
    ledger at the moment of payment."""

    model_config = ConfigDict(json_schema_extra={"examples": [EVENT_EXAMPLE]})

    id: str = Field(description="Permanent id of the event: use it to ignore duplicates")
    position: int = Field(
        description="Increases with the log; for a binding, that is the ledger's order. There are gaps"
    )
    type: EventType
    timestamp: str = Field(description="When it took effect, ISO 8601, UTC")
    data: EventData

    @classmethod
    def of(cls, event: LoggedEvent) -> "EventDocument":
        return cls.model_validate(event.document())


class EventList(BaseModel):
    """A page of events, in order. Ask again with `after` = `next_after` until the page is empty."""

    events: list[EventDocument]
    next_after: int
    oldest: int = Field(description="From this position on, every event is kept; 0 for an empty log")


class EndpointBody(BaseModel):
    """Where to send events."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"url": "https://hooks.example.com/standing", "types": ["binding.frozen"]}]},
    )

    url: str = Field(min_length=8, max_length=2_000, description="https, without a user part")
    types: list[EventType] | None = Field(None, max_length=64, description="Only these; null for all")


class ReplayBody(BaseModel):
    """Which events to send again: one by its id, or all after a position."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"event": _EVENT_ID}, {"after": 1767240000000}]}
    )

    event: str | None = Field(None, pattern="^evt_[0-9a-f]{32}$")
    after: Position | None = None


class ReplayAnswer(BaseModel):
    """How many events will be sent again; types that the endpoint does not subscribe to are left out."""

    events: int


class QueueDocument(BaseModel):
    """The state of an endpoint's queue. `unqueued`: events in the log that do not fit into it yet."""

    pending: int
    delivered: int
    given_up: int
    unqueued: int
    last_result: str | None = Field(description="Of the newest attempt", examples=["http_200", "timeout"])

    @classmethod
    def of(cls, state: QueueState) -> "QueueDocument":
        return cls(
            pending=state.pending,
            delivered=state.delivered,
            given_up=state.given_up,
            unqueued=state.unqueued,
            last_result=state.last_result,
        )


class EndpointDocument(BaseModel):
    """An endpoint."""

    id: str = Field(examples=["we_0f1e2d3c4b5a69788796"])
    url: str = Field(examples=["https://hooks.example.com/standing"])
    types: list[EventType] | None
    created_at_ms: int
    disabled_at_ms: int | None = Field(description="When the endpoint was disabled")
    disabled_reason: str | None = Field(description="http_410: the endpoint answered that it is gone")

    @classmethod
    def of(cls, endpoint: Endpoint) -> "EndpointDocument":
        return cls.model_validate(_values(endpoint))


class EndpointStatus(EndpointDocument):
    """An endpoint, with the state of its queue."""

    queue: QueueDocument

    @classmethod
    def of_state(cls, endpoint: Endpoint, state: QueueState) -> "EndpointStatus":
        return cls.model_validate({**_values(endpoint), "queue": QueueDocument.of(state)})


class NewSecret(EndpointDocument):
    """An endpoint with its secret, which is shown only once."""

    secret: str = Field(description="whsec_…, for a Standard Webhooks library", examples=["whsec_…"])

    @classmethod
    def of_new(cls, endpoint: Endpoint) -> "NewSecret":
        return cls.model_validate({**_values(endpoint), "secret": endpoint.secrets[0]})


class EndpointList(BaseModel):
    """All endpoints, oldest first."""

    endpoints: list[EndpointDocument]


def _values(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "types": endpoint.types,
        "created_at_ms": endpoint.created_at_ms,
        "disabled_at_ms": endpoint.disabled_at_ms,
        "disabled_reason": endpoint.disabled_reason,
    }


BindingFilter = Annotated[Hex32 | None, Query(description="Only this binding's events")]
