"""The routes for what a binding needs after the first question: a micro-deposit's amount, a resync, an off-boarding."""

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Path, Request, status

from standing.ledger.attestations.binding_protocol import PLATFORM_PATTERN, BindingAnswer, DepositConfirmation, Hex32
from standing.ledger.errors import Conflict, InvalidValue, NotFound, Overloaded
from standing.ledger.service.api_keys import Caller, MissingKey, WrongRole, require
from standing.ledger.service.problems import BODY_TOO_LARGE, MALFORMED, Documented, responses
from standing.node.bindings.off_boarding import OffBoarding, PlatformOffBoarded
from standing.node.bindings.resync import ResyncAnswer
from standing.node.bindings.service import AlreadyBound
from standing.node.storage.database import DatabaseUnavailable
from standing.node.storage.leadership import Standby

if TYPE_CHECKING:
    from standing.node.app import Node

TOO_MANY = Documented(status.HTTP_429_TOO_MANY_REQUESTS, "too-many-attempts", "Too many attempts for now")
UNPARSED = Documented(status.HTTP_400_BAD_REQUEST, "http-bad-request", "The body cannot be parsed")

router = APIRouter(responses=responses(Standby, DatabaseUnavailable))

Platform = Annotated[Caller, Depends(require("platform"))]
PlatformOrOperator = Annotated[Caller, Depends(require("platform", "operator"))]
Operator = Annotated[Caller, Depends(require("operator"))]
DepositId = Annotated[Hex32, Path(description="The micro-deposit's id: 0x and 64 hexadecimal digits")]
BindingId = Annotated[Hex32, Path(description="The binding's id: 0x and 64 hexadecimal digits")]
PlatformId = Annotated[str, Path(pattern=PLATFORM_PATTERN, description="The platform's id")]

_ALWAYS = (MissingKey, WrongRole, MALFORMED)


def _node(request: Request) -> "Node":
    node: Node = request.app.state.node
    return node


@router.post(
    "/v1/micro-deposits/{deposit}/confirm",
    tags=["platforms"],
    summary="Name the amount that was paid in",
    responses=responses(
        *_ALWAYS, UNPARSED, BODY_TOO_LARGE, NotFound, Conflict, AlreadyBound, InvalidValue, PlatformOffBoarded
    ),
)
def post_confirmation(
    deposit: DepositId, body: DepositConfirmation, request: Request, caller: Platform
) -> BindingAnswer:
    """Answers `granted` with the grant, or `refused` with how many tries are left.

    The right amount again gets the same grant again, so a lost answer can be asked for.
    """
    assert caller.platform is not None  # settings refuse a platform's key without one
    return _node(request).bindings.confirm(caller.platform, bytes.fromhex(deposit[2:]), body.amount_minor)


@router.post(
    "/v1/bindings/{binding}/resync",
    tags=["platforms", "operation"],
    summary="Publish a binding's present terms again",
    responses=responses(*_ALWAYS, NotFound, TOO_MANY),
)
def post_resync(binding: BindingId, request: Request, caller: PlatformOrOperator) -> ResyncAnswer:
    """For a record that does not open, or is doubted. A platform resyncs its own bindings only, at a bounded rate."""
    return _node(request).resync.resync(caller.platform, bytes.fromhex(binding[2:]))


@router.post(
    "/v1/platforms/{platform}/off-board",
    tags=["operation"],
    summary="End all bindings of a platform",
    status_code=status.HTTP_202_ACCEPTED,
    responses=responses(*_ALWAYS, Overloaded),
)
def post_off_boarding(platform: PlatformId, request: Request, _caller: Operator) -> OffBoarding:
    """From now on the platform is granted nothing; its bindings end in batches. Asked again, it says how far it is."""
    return _node(request).off_boardings.begin(platform)


@router.get(
    "/v1/platforms/{platform}/off-board",
    tags=["operation"],
    summary="How far an off-boarding is",
    responses=responses(*_ALWAYS, NotFound),
)
def get_off_boarding(platform: PlatformId, request: Request, _caller: Operator) -> OffBoarding:
    """`finished_at_ms` is null while bindings are left to end."""
    return _node(request).off_boardings.state(platform)
