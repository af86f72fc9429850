"""The routes of bindings: verify and bind, micro-deposits, resync, unbind, off-board."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response, status

from standing.ledger.attestations.binding_protocol import (
    PLATFORM_PATTERN,
    BindingAnswer,
    BindingRequest,
    DepositConfirmation,
    Hex32,
)
from standing.ledger.attestations.certificate import CertificateDocument, CertificateRequest
from standing.ledger.errors import Conflict, InvalidValue, NotFound, Overloaded
from standing.ledger.service.api_keys import Caller, MissingKey, WrongRole, require
from standing.ledger.service.injection import provided
from standing.ledger.service.json_bodies import StrictJsonRoute
from standing.ledger.service.problems import BODY_TOO_LARGE, MALFORMED, Documented, responses
from standing.node.bindings.certificates import Certificates, NotInGoodStanding
from standing.node.bindings.granting import AlreadyBound
from standing.node.bindings.off_boarding import OffBoarding, OffBoardings, PlatformOffBoarded
from standing.node.bindings.regranting import Regranting, RegrantRequest
from standing.node.bindings.resync import Resync, ResyncAnswer
from standing.node.bindings.service import Bindings
from standing.node.bindings.turns import in_turn
from standing.node.publishing.agreement import LedgerAgreement, SignerReplaced
from standing.node.publishing.trail import BindingTrail, Trail
from standing.node.storage.leadership import STORE_DOWN

TOO_MANY = Documented(status.HTTP_429_TOO_MANY_REQUESTS, "too-many-attempts", "Too many attempts for now")

PLATFORMS_TAG = {"name": "platforms", "description": "For payment platforms: bind an account, end a binding."}

router = APIRouter(route_class=StrictJsonRoute, responses=responses(*STORE_DOWN))

Platform = Annotated[Caller, Depends(in_turn("platform"))]
PlatformOrOperator = Annotated[Caller, Depends(in_turn("platform", "operator"))]
Operator = Annotated[Caller, Depends(require("operator"))]
DepositId = Annotated[Hex32, Path(description="The micro-deposit's id: 0x and 64 hexadecimal digits")]
BindingId = Annotated[Hex32, Path(description="The binding's id: 0x and 64 hexadecimal digits")]
PlatformId = Annotated[str, Path(pattern=PLATFORM_PATTERN, description="The platform's id")]

BindingsDep = Annotated[Bindings, Depends(provided(Bindings))]
AgreementDep = Annotated[LedgerAgreement, Depends(provided(LedgerAgreement))]
OffBoardingsDep = Annotated[OffBoardings, Depends(provided(OffBoardings))]

_ALWAYS = (MissingKey, WrongRole, MALFORMED)
_GRANTING = (*_ALWAYS, BODY_TOO_LARGE, Conflict, PlatformOffBoarded, *STORE_DOWN, SignerReplaced)


@router.post(
    "/v1/micro-deposits/{deposit}/confirm",
    tags=["platforms"],
    summary="Confirm the amount of a micro-deposit",
    responses=responses(*_GRANTING, NotFound, AlreadyBound, InvalidValue),
)
def post_confirmation(
    deposit: DepositId,
    body: DepositConfirmation,
    bindings: BindingsDep,
    agreement: AgreementDep,
    caller: Platform,
) -> BindingAnswer:
    """Answers `granted` with the grant, or `refused` with the number of attempts left.

    Sending the right amount again returns the same grant, in case an answer was lost.
    """
    agreement.require_signer()
    return bindings.confirm(_platform_of(caller), bytes.fromhex(deposit[2:]), body.amount_minor)


@router.post(
    "/v1/bindings/{binding}/resync",
    tags=["platforms", "operation"],
    summary="Publish a binding's current terms again",
    responses=responses(*_ALWAYS, NotFound, TOO_MANY),
)
def post_resync(
    binding: BindingId, resync: Annotated[Resync, Depends(provided(Resync))], caller: PlatformOrOperator
) -> ResyncAnswer:
    """For a record that cannot be decrypted or is in doubt. A platform resyncs its own bindings
    only, at a bounded rate."""
    return resync.resync(caller.platform, bytes.fromhex(binding[2:]))


@router.post(
    "/v1/platforms/{platform}/off-board",
    tags=["operation"],
    summary="End all bindings of a platform",
    status_code=status.HTTP_202_ACCEPTED,
    responses=responses(*_ALWAYS),
)
def post_off_boarding(platform: PlatformId, off_boardings: OffBoardingsDep, _caller: Operator) -> OffBoarding:
    """From now on the platform is granted nothing, and its bindings end in batches. Repeat the request to see the
    progress."""
    return off_boardings.begin(platform)


@router.get(
    "/v1/platforms/{platform}/off-board",
    tags=["operation"],
    summary="The progress of an off-boarding",
    responses=responses(*_ALWAYS, NotFound),
)
def get_off_boarding(platform: PlatformId, off_boardings: OffBoardingsDep, _caller: Operator) -> OffBoarding:
    """`finished_at_ms` is null while bindings are left to end."""
    return off_boardings.state(platform)


def _platform_of(caller: Caller) -> str:
    assert caller.platform is not None  # settings refuse a platform's key without one
    return caller.platform


@router.post(
    "/v1/bindings",
    tags=["platforms"],
    summary="Verify an account's holder and bind the account",
    responses=responses(*_GRANTING, AlreadyBound, InvalidValue, TOO_MANY),
)
def post_binding(
    body: BindingRequest, bindings: BindingsDep, agreement: AgreementDep, caller: Platform
) -> BindingAnswer:
    """Answers `granted` with a grant, `refused` with each field that does not match, or announces a micro-deposit.

    The same request id with the same content returns the same answer, in case an answer was lost.
    """
    agreement.require_signer()
    return bindings.bind(_platform_of(caller), body)


@router.delete(
    "/v1/bindings/{binding}",
    tags=["platforms"],
    summary="End a binding",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(*_ALWAYS, NotFound),
)
def delete_binding(binding: BindingId, bindings: BindingsDep, caller: Platform) -> Response:
    """Ends a binding of the calling platform. A binding that has ended stays ended."""
    bindings.unbind(_platform_of(caller), bytes.fromhex(binding[2:]))
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.post(
    "/v1/bindings/{binding}/regrant",
    tags=["platforms"],
    summary="Replace a binding with a new one under a new key",
    responses=responses(*_GRANTING, NotFound, TOO_MANY, Overloaded),
)
def post_regrant(
    body: RegrantRequest,
    binding: BindingId,
    regranting: Annotated[Regranting, Depends(provided(Regranting))],
    agreement: AgreementDep,
    caller: Platform,
) -> BindingAnswer:
    """Ends the binding and grants another of the same account, under the newest version of the bank's secret.

    A platform may do so as often as it may ask for bindings."""
    agreement.require_signer()
    return regranting.regrant(_platform_of(caller), bytes.fromhex(binding[2:]), body)


@router.post(
    "/v1/bindings/{binding}/certificate",
    tags=["platforms"],
    summary="Certify that a binding's account is currently in good standing",
    responses=responses(*_ALWAYS, BODY_TOO_LARGE, NotFound, NotInGoodStanding, TOO_MANY),
)
def post_certificate(
    body: CertificateRequest,
    binding: BindingId,
    certificates: Annotated[Certificates, Depends(provided(Certificates))],
    caller: Platform,
) -> CertificateDocument:
    """Signed by the bank, for one challenge and two minutes; anyone can verify it. A platform's own bindings only, at a
    bounded rate."""
    challenge = bytes.fromhex(body.challenge[2:])
    return CertificateDocument.of(certificates.issue(_platform_of(caller), bytes.fromhex(binding[2:]), challenge))


@router.get(
    "/v1/bindings/{binding}/trail",
    tags=["platforms", "operation"],
    summary="The trail of a binding's attestations",
    responses=responses(*_ALWAYS, NotFound),
)
def get_binding_trail(
    binding: BindingId, trail: Annotated[Trail, Depends(provided(Trail))], caller: PlatformOrOperator
) -> BindingTrail:
    """The newest attestations of a binding with their hops; a platform sees its own bindings only."""
    return trail.binding(caller.platform, bytes.fromhex(binding[2:]))
