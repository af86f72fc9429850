"""The routes of bindings: bind, look up, end."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from standing.gateway.access.audit import AuditedRoute
from standing.gateway.access.dependencies import (
    GRANT_ODD,
    HELD,
    LOOKING_UP,
    NODE_DOWN,
    NODE_ODD,
    STORAGE,
    TOO_MANY,
    Acting,
    AnyRole,
)
from standing.gateway.access.schemas import LocalizedText
from standing.gateway.bindings import schemas as d
from standing.gateway.bindings.flow import BindingFlow
from standing.gateway.bindings.outcome_messages import DEPOSIT_ASKED, GRANTED, LOOKS_MISTYPED, refusal
from standing.gateway.bindings.outcomes import DepositAsked, Granted, LooksMistyped, Outcome, Refused
from standing.gateway.bindings.service import Bindings
from standing.gateway.errors import AlreadyBound, BankNotServed, BankNotUsable
from standing.ledger.errors import Conflict, InvalidValue, LedgerMismatch, LedgerUnreachable, NotFound, Overloaded
from standing.ledger.service.injection import provided
from standing.ledger.service.problems import BODY_TOO_LARGE, responses

TAG = {"name": "bindings", "description": "Bind accounts to users, look them up, end them."}

router = APIRouter(route_class=AuditedRoute, tags=["bindings"])

BindingsDep = Annotated[Bindings, Depends(provided(Bindings))]
FlowDep = Annotated[BindingFlow, Depends(provided(BindingFlow))]

#: The problems that may prevent a binding, however it is requested.
BINDING = (
    *LOOKING_UP,
    BODY_TOO_LARGE,
    InvalidValue,
    Conflict,
    AlreadyBound,
    BankNotUsable,
    HELD,
    TOO_MANY,
    GRANT_ODD,
    NODE_ODD,
    NODE_DOWN,
    LedgerUnreachable,
    LedgerMismatch,
    Overloaded,
    STORAGE,
)


def bind_answer(outcome: Outcome, response: Response) -> d.BindAnswer:
    """The answer to a request to bind; 201 if it made a binding, else 200."""
    response.status_code = status.HTTP_200_OK
    match outcome:
        case LooksMistyped():
            hints = [d.HintDocument.of(hint) for hint in outcome.hints]
            return d.BindAnswer(
                outcome="looks_mistyped", binding=None, hints=hints, message=LocalizedText.of(LOOKS_MISTYPED)
            )
        case Refused():
            return d.BindAnswer(
                outcome="refused",
                binding=None,
                mismatches=list(outcome.mismatches),
                matches=[d.MatchDocument.of(match) for match in outcome.matches],
                hints=[d.HintDocument.of(hint) for hint in outcome.hints],
                tries_left=outcome.tries_left,
                message=LocalizedText.of(refusal(outcome.mismatches)),
            )
        case DepositAsked():
            deposit = d.DepositDocument(currency=outcome.currency, expires_at_ms=outcome.expires_at_ms)
            matches = [d.MatchDocument.of(match) for match in outcome.matches]
            return d.BindAnswer(
                outcome="micro_deposit",
                binding=None,
                matches=matches,
                micro_deposit=deposit,
                message=LocalizedText.of(DEPOSIT_ASKED),
            )
        case Granted():
            if outcome.created:
                response.status_code = status.HTTP_201_CREATED
            return d.BindAnswer(
                outcome="granted",
                binding="0x" + outcome.stored.binding.hex(),
                number_masked=outcome.stored.number_masked,
                created_at_ms=outcome.stored.created_at_ms,
                usable_since_ms=outcome.stored.usable_since_ms,
                message=LocalizedText.of(GRANTED),
            )


@router.post(
    "/v1/bindings",
    summary="Bind an account to a user",
    status_code=status.HTTP_201_CREATED,
    responses=responses(*BINDING)
    | {
        status.HTTP_201_CREATED: {"description": "Granted: the binding is made"},
        status.HTTP_200_OK: {
            "model": d.BindAnswer,
            "description": "Refused by the bank, with what does not match; or first a micro-deposit; or something "
            "looks mistyped; or granted to the same request before",
        },
    },
)
async def post_binding(body: d.BindBody, flow: FlowDep, response: Response, _caller: Acting) -> d.BindAnswer:
    """Asks the bank whether the user holds the account, and stores the grant.

    If something in the claim looks mistyped, the answer contains hints: the bank is not asked, and no attempt is
    counted. The same claim with `as_written` is sent to the bank, which knows all its numbers.

    Safe to repeat with the same `request_id` and content after a lost answer. Nothing is stored unless the grant is
    signed by the bank's signer on the ledger.
    """
    outcome = await flow.bind(body.bank, body.user_id, body.request(), as_written=body.as_written)
    return bind_answer(outcome, response)


@router.get(
    "/v1/bindings",
    summary="A user's bindings",
    responses=responses(*LOOKING_UP, NotFound, Overloaded, STORAGE),
)
async def get_bindings(user_id: d.UserId, bindings: BindingsDep, _caller: AnyRole) -> d.BindingList:
    """All bindings of one user, newest first, at most 500, without the state of the accounts."""
    found = await bindings.of_user(user_id)
    return d.BindingList(bindings=[d.BindingDocument.of(stored) for stored in found])


@router.get(
    "/v1/bindings/{binding}",
    summary="One binding with its current attestation",
    responses=responses(*LOOKING_UP, NotFound, BankNotServed, LedgerUnreachable, Overloaded, STORAGE),
)
async def get_binding(binding: d.BindingId, bindings: BindingsDep, _caller: AnyRole) -> d.LiveBindingDocument:
    """Reads the ledger for this request and opens the terms. The answer never comes from stored state."""
    live = await bindings.live(bytes.fromhex(binding[2:]))
    return d.LiveBindingDocument.of_live(live)


@router.delete(
    "/v1/bindings/{binding}",
    summary="End a binding",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(*LOOKING_UP, InvalidValue, NotFound, BankNotServed, Overloaded, NODE_ODD, NODE_DOWN, STORAGE),
)
async def delete_binding(binding: d.BindingId, bindings: BindingsDep, _caller: Acting) -> Response:
    """Ends the binding here first, permanently, and then at the bank.

    If the bank's node cannot be reached, the answer is 503 `bank-node-unreachable`. The binding has nevertheless ended
    here, and no decision on it approves. Repeat the call until the answer is 204, so that it ends at the bank too.
    """
    await bindings.end(bytes.fromhex(binding[2:]))
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.post(
    "/v1/bindings:confirm",
    summary="Confirm the amount of a micro-deposit",
    status_code=status.HTTP_201_CREATED,
    responses=responses(*BINDING, NotFound)
    | {
        status.HTTP_201_CREATED: {"description": "Granted: the binding is made"},
        status.HTTP_200_OK: {
            "model": d.BindAnswer,
            "description": "Refused, such as for another amount, with how many tries are left; or granted before",
        },
    },
)
async def confirm_binding(body: d.ConfirmBody, flow: FlowDep, response: Response, _caller: Acting) -> d.BindAnswer:
    """The user states the small amount that was received. The bank grants the binding, or answers that the amount is
    wrong."""
    outcome = await flow.confirm(body.bank, body.user_id, body.request_id, body.amount_minor)
    return bind_answer(outcome, response)
