"""The node's routes: they parse, call one function and map the result."""

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path, Request, Response, status

from standing.ledger.attestations.binding_protocol import MAX_TIME_MS, BindingAnswer, BindingRequest, Hex32
from standing.ledger.errors import Conflict, InvalidValue, NotFound, Overloaded
from standing.ledger.service.api_keys import Caller, MissingKey, WrongRole, require
from standing.ledger.service.problems import BODY_TOO_LARGE, MALFORMED, responses
from standing.node.accounts.changes import FeedEntry, FeedReceipt
from standing.node.bindings.off_boarding import PlatformOffBoarded
from standing.node.bindings.regranting import RegrantRequest
from standing.node.bindings.routes import TOO_MANY, UNPARSED
from standing.node.bindings.service import AlreadyBound
from standing.node.feed.service import EntryDiffers, FeedOutOfOrder, FeedTaken
from standing.node.publishing.trail import BindingTrail, ChangeTrail
from standing.node.storage.database import DatabaseUnavailable
from standing.node.storage.leadership import Standby

if TYPE_CHECKING:
    from standing.node.app import Node

TAGS = [
    {"name": "core", "description": "For the core banking system: say what changed."},
    {"name": "platforms", "description": "For payment platforms: bind an account, end a binding."},
    {"name": "operation", "description": "For who runs the node."},
]

router = APIRouter(responses=responses(Standby, DatabaseUnavailable))

Core = Annotated[Caller, Depends(require("core"))]
CoreOrOperator = Annotated[Caller, Depends(require("core", "operator"))]
Platform = Annotated[Caller, Depends(require("platform"))]
PlatformOrOperator = Annotated[Caller, Depends(require("platform", "operator"))]
AsOfMs = Annotated[int, Path(ge=0, le=MAX_TIME_MS, description="The entry's as_of_ms")]
BindingId = Annotated[Hex32, Path(description="The binding's id: 0x and 64 hexadecimal digits")]

_ALWAYS = (MissingKey, WrongRole, MALFORMED)


def _node(request: Request) -> "Node":
    node: Node = request.app.state.node
    return node


def _platform_of(caller: Caller) -> str:
    assert caller.platform is not None  # settings refuse a platform's key without one
    return caller.platform


@router.post(
    "/v1/feed",
    tags=["core"],
    summary="Say what changed, up to a time",
    responses=responses(
        *_ALWAYS, UNPARSED, BODY_TOO_LARGE, FeedOutOfOrder, EntryDiffers, FeedTaken, InvalidValue, Overloaded
    ),
)
def post_feed(entry: FeedEntry, request: Request, _caller: Core) -> FeedReceipt:
    """Takes one feed entry in: `as_of_ms` and zero or more changes.

    It is durable when this answers. It may be sent again: the same content gets the same answer. An entry without
    changes says that nothing changed up to its time; without any entry, the bank falls silent on the ledger. What is
    too much for one call is sent in parts, see `part` and `complete`.
    """
    return _node(request).feed.push(entry)


@router.get(
    "/v1/feed/{as_of_ms}",
    tags=["core"],
    summary="Where an entry's changes are",
    responses=responses(*_ALWAYS, NotFound),
)
def get_feed(as_of_ms: AsOfMs, request: Request, _caller: CoreOrOperator) -> ChangeTrail:
    """The hops of a feed entry on its way to the ledger."""
    return _node(request).trail.entry(as_of_ms)


@router.post(
    "/v1/bindings",
    tags=["platforms"],
    summary="Verify who holds an account, and bind it",
    responses=responses(
        *_ALWAYS, UNPARSED, BODY_TOO_LARGE, Conflict, AlreadyBound, InvalidValue, TOO_MANY, PlatformOffBoarded
    ),
)
def post_binding(body: BindingRequest, request: Request, caller: Platform) -> BindingAnswer:
    """Answers `granted` with a grant, `refused` with each field that does not match, or that a micro-deposit comes.

    The same request id with the same content gets the same answer again, so a lost answer can be asked for.
    """
    return _node(request).bindings.bind(_platform_of(caller), body)


@router.delete(
    "/v1/bindings/{binding}",
    tags=["platforms"],
    summary="End a binding",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(*_ALWAYS, NotFound),
)
def delete_binding(binding: BindingId, request: Request, caller: Platform) -> Response:
    """Ends a binding of the calling platform; one that has ended already stays so."""
    _node(request).bindings.unbind(_platform_of(caller), bytes.fromhex(binding[2:]))
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.post(
    "/v1/bindings/{binding}/regrant",
    tags=["platforms"],
    summary="Replace a binding by a new one with a new key",
    responses=responses(*_ALWAYS, UNPARSED, BODY_TOO_LARGE, NotFound, Conflict, PlatformOffBoarded, Overloaded),
)
def post_regrant(body: RegrantRequest, binding: BindingId, request: Request, caller: Platform) -> BindingAnswer:
    """Ends the binding and grants another of the same account, under the newest version of the bank's secret."""
    return _node(request).regranting.regrant(_platform_of(caller), bytes.fromhex(binding[2:]), body)


@router.get(
    "/v1/bindings/{binding}/trail",
    tags=["platforms", "operation"],
    summary="Where a binding's attestations are",
    responses=responses(*_ALWAYS, NotFound),
)
def get_binding_trail(binding: BindingId, request: Request, caller: PlatformOrOperator) -> BindingTrail:
    """The newest attestations of a binding with their hops; a platform sees its own bindings only."""
    return _node(request).trail.binding(caller.platform, bytes.fromhex(binding[2:]))
