"""The gateway's routes: they parse, call one function and map the result."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response, status

from standing.gateway.access.audit import AuditedRoute
from standing.gateway.access.dependencies import (
    GRANT_ODD,
    HELD,
    LOOKING_UP,
    NODE_DOWN,
    NODE_ODD,
    PROBLEMS,
    STORAGE,
    TOO_MANY,
    UNPARSED,
    Acting,
    AnyRole,
    gateway_of,
)
from standing.gateway.bindings.flow import DepositAsked, Granted, Outcome, Refused
from standing.gateway.decisions import schemas as d
from standing.gateway.decisions.batch import batch_answer
from standing.gateway.decisions.examples import DECISION_REQUEST_EXAMPLES
from standing.gateway.decisions.usage import State
from standing.gateway.errors import (
    AlreadyBound,
    AlreadySettled,
    BankNotServed,
    BankNotUsable,
    NothingReserved,
    ReservationExpired,
)
from standing.ledger.errors import Conflict, InvalidValue, LedgerUnreachable, NotFound, Overloaded
from standing.ledger.service.api_keys import MissingKey, WrongRole
from standing.ledger.service.problems import BODY_TOO_LARGE, responses

TAGS = [
    {"name": "bindings", "description": "Bind accounts to users, look them up, end them."},
    {"name": "decisions", "description": "Decide on payments and withdrawals by the bank's word of this moment."},
    {"name": "banks", "description": "The banks, and how lately each has spoken."},
    {"name": "operation", "description": "For who runs the gateway, and for who checks its evidence."},
]

DECISIONS_PATH = "/v1/decisions"
BATCH_PATH = "/v1/decisions:batch"

router = APIRouter(route_class=AuditedRoute)


_JSON = "application/json"
#: What may stand against a binding, however it is asked for.
BINDING = (
    *LOOKING_UP,
    UNPARSED,
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
    Overloaded,
    STORAGE,
)


def bind_answer(outcome: Outcome, response: Response) -> d.BindAnswer:
    """What became of a request to bind; 201 where a binding was made just now, else 200."""
    response.status_code = status.HTTP_200_OK
    match outcome:
        case Refused():
            return d.BindAnswer(outcome="refused", binding=None, mismatches=list(outcome.mismatches))
        case DepositAsked():
            deposit = d.DepositDocument(currency=outcome.currency, expires_at_ms=outcome.expires_at_ms)
            return d.BindAnswer(outcome="micro_deposit", binding=None, micro_deposit=deposit)
        case Granted():
            if outcome.created:
                response.status_code = status.HTTP_201_CREATED
            return d.BindAnswer(
                outcome="granted",
                binding="0x" + outcome.stored.binding.hex(),
                number_masked=outcome.stored.number_masked,
                created_at_ms=outcome.stored.created_at_ms,
            )


def _decision_answer(description: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's view of an answer that the desk has already written as JSON."""
    return {
        status.HTTP_200_OK: {
            "model": d.DecisionDocument,
            "description": description,
        }
    }


@router.post(
    "/v1/bindings",
    tags=["bindings"],
    summary="Bind an account to a user",
    status_code=status.HTTP_201_CREATED,
    responses=responses(*BINDING)
    | {
        status.HTTP_201_CREATED: {"description": "Granted: the binding is made"},
        status.HTTP_200_OK: {
            "model": d.BindAnswer,
            "description": "Refused by the bank, with what does not match; or first a micro-deposit; or granted to the "
            "same request before",
        },
    },
)
async def post_binding(body: d.BindBody, request: Request, response: Response, _caller: Acting) -> d.BindAnswer:
    """Asks the bank whether the user holds the account, and stores what it grants.

    Safe to ask again with the same `request_id` and content after a lost answer. Nothing is stored unless the grant is
    the bank's own, by the signer that the ledger holds for it.
    """
    outcome = await gateway_of(request).binding_flow.bind(body.bank, body.user_id, body.request())
    return bind_answer(outcome, response)


@router.get(
    "/v1/bindings",
    tags=["bindings"],
    summary="A user's bindings",
    responses=responses(*LOOKING_UP, Overloaded, STORAGE),
)
async def get_bindings(user_id: d.UserId, request: Request, _caller: AnyRole) -> d.BindingList:
    """All bindings of one user, newest first, at most 500. Says nothing about the state of the accounts."""
    found = await gateway_of(request).bindings.of_user(user_id)
    return d.BindingList(bindings=[d.BindingDocument.of(stored) for stored in found])


@router.get(
    "/v1/bindings/{binding}",
    tags=["bindings"],
    summary="One binding, with the bank's word on it now",
    responses=responses(*LOOKING_UP, NotFound, BankNotServed, LedgerUnreachable, Overloaded, STORAGE),
)
async def get_binding(binding: d.BindingId, request: Request, _caller: AnyRole) -> d.LiveBindingDocument:
    """Reads the ledger for this request and opens the terms. No state is ever answered from what was stored."""
    live = await gateway_of(request).bindings.live(bytes.fromhex(binding[2:]))
    return d.LiveBindingDocument.of_live(live)


@router.delete(
    "/v1/bindings/{binding}",
    tags=["bindings"],
    summary="End a binding",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=responses(*LOOKING_UP, InvalidValue, NotFound, BankNotServed, Overloaded, NODE_ODD, NODE_DOWN, STORAGE),
)
async def delete_binding(binding: d.BindingId, request: Request, _caller: Acting) -> Response:
    """Ends it here first, for good, then tells the bank.

    Where the bank cannot be told now the answer is 503 `bank-node-unreachable`: the binding has ended here all the
    same, and no decision on it approves. Ask again until the answer is 204, so that the bank knows it too.
    """
    await gateway_of(request).bindings.end(bytes.fromhex(binding[2:]))
    return Response(status_code=status.HTTP_204_NO_CONTENT)


@router.post(
    DECISIONS_PATH,
    tags=["decisions"],
    summary="Decide on a transaction",
    response_model=None,
    responses=responses(
        *LOOKING_UP, UNPARSED, BODY_TOO_LARGE, InvalidValue, NotFound, Conflict, BankNotServed, Overloaded, STORAGE
    )
    | _decision_answer("The decision: approve, decline or review"),
)
async def post_decision(
    body: Annotated[d.DecisionBody, Body(openapi_examples=DECISION_REQUEST_EXAMPLES)],
    request: Request,
    _caller: Acting,
) -> Response:
    """Reads the ledger after the request arrived, and decides by 15 checks whose order is the reasons' precedence.

    An approved payment reserves its amount of the daily limit: capture it or void it later. The same id with the same
    body gets the same answer again; with another body, 409. With the ledger out of reach the outcome is review, with
    `ledger_unreachable`.
    """
    return Response(await gateway_of(request).desk.decide(body.transaction()), media_type=_JSON)


@router.post(
    BATCH_PATH,
    tags=["decisions"],
    summary="Decide on up to 500 transactions",
    response_model=None,
    responses=responses(*LOOKING_UP, UNPARSED, BODY_TOO_LARGE, InvalidValue, Overloaded, STORAGE)
    | {status.HTTP_200_OK: {"model": d.BatchAnswer, "description": "A decision or a problem for each, in order"}},
)
async def post_decisions(body: d.BatchBody, request: Request, _caller: Acting) -> Response:
    """As one by one, in this order, and faster. Each is decided and recorded for itself: there is no all or nothing.

    An item that cannot be decided has its problem in its place. Safe to ask again as a whole: what was decided is
    answered as it was.
    """
    transactions = [each.transaction() for each in body.decisions]
    answers = await gateway_of(request).desk.decide_all(transactions)
    return Response(batch_answer(answers, PROBLEMS), media_type=_JSON)


@router.get(
    "/v1/decisions/{transaction_id}",
    tags=["decisions"],
    summary="A decision, with its reservation as it is now",
    response_model=None,
    responses=responses(*LOOKING_UP, NotFound, Overloaded, STORAGE) | _decision_answer("The decision as it was made"),
)
async def get_decision(transaction_id: d.TransactionId, request: Request, _caller: AnyRole) -> Response:
    """What was decided, and on what it rested."""
    return Response(await gateway_of(request).desk.find(transaction_id), media_type=_JSON)


_SETTLING = (
    *LOOKING_UP,
    UNPARSED,
    BODY_TOO_LARGE,
    InvalidValue,
    NotFound,
    NothingReserved,
    AlreadySettled,
    Overloaded,
    STORAGE,
)


@router.post(
    "/v1/decisions/{transaction_id}/capture",
    tags=["decisions"],
    summary="Capture what an approved payment reserved, or a part of it",
    response_model=None,
    responses=responses(*_SETTLING, ReservationExpired) | _decision_answer("Captured"),
)
async def capture(
    transaction_id: d.TransactionId, request: Request, _caller: Acting, body: d.CaptureBody | None = None
) -> Response:
    """The payment went through: its amount stays used of the day, and what is not captured is given back.

    Asking again with the same amount changes nothing; after a void, or another amount, 409; past the reservation's
    expiry 409 `reservation-expired`: what it held may be another payment's by now.
    """
    amount_minor = body.amount_minor if body is not None else None
    return Response(
        await gateway_of(request).desk.settle(transaction_id, State.CAPTURED, amount_minor), media_type=_JSON
    )


@router.post(
    "/v1/decisions/{transaction_id}/void",
    tags=["decisions"],
    summary="Void what an approved payment reserved",
    response_model=None,
    responses=responses(*_SETTLING) | _decision_answer("Voided, or expired before"),
)
async def void(transaction_id: d.TransactionId, request: Request, _caller: Acting) -> Response:
    """The payment will not happen: its amount goes back to the day it was reserved on. After a capture, 409."""
    return Response(await gateway_of(request).desk.settle(transaction_id, State.VOIDED), media_type=_JSON)


@router.post(
    "/v1/decisions/{transaction_id}/refunds",
    tags=["decisions"],
    summary="Note a refund of a captured payment",
    response_model=None,
    responses=responses(*_SETTLING, Conflict) | _decision_answer("Noted"),
)
async def refund(transaction_id: d.TransactionId, body: d.RefundBody, request: Request, _caller: Acting) -> Response:
    """Money was paid back: it goes back to the day that the payment was reserved on, whatever day it is now.

    Several refunds are possible, up to what was captured. The same `refund_id` again changes nothing.
    """
    desk = gateway_of(request).desk
    return Response(await desk.refund(transaction_id, body.refund_id, body.amount_minor), media_type=_JSON)


@router.get(
    "/v1/banks",
    tags=["banks"],
    summary="The banks, and how lately each has spoken",
    responses=responses(MissingKey, WrongRole, LedgerUnreachable, Overloaded),
)
async def get_banks(request: Request, _caller: AnyRole) -> d.BankList:
    """Reads the ledger for this request."""
    return d.BankList(
        banks=[
            d.BankDocument(
                bic=state.bank.bic,
                name=state.bank.name,
                time_zone=state.bank.zone.key,
                watermark_ms=state.watermark_ms,
                staleness_ms=state.staleness_ms,
                suspended=state.suspended,
                within_widest_bound=state.within_widest_bound,
                block_number=state.block_number,
            )
            for state in await gateway_of(request).bank_states()
        ]
    )


@router.get("/v1/evidence-key", tags=["operation"], summary="The public key of evidence")
async def get_evidence_key(request: Request) -> d.EvidenceKeyDocument:
    """Verifies the JWS in `evidence`. Needs no key: a third party may check too."""
    return d.EvidenceKeyDocument.model_validate(gateway_of(request).evidence.jwk)


@router.get("/healthz", tags=["operation"], summary="The process is up")
async def healthz() -> d.Health:
    """Says nothing about the ledger or the database."""
    return d.Health(ok=True)


@router.get(
    "/readyz",
    tags=["operation"],
    summary="Fit for work, or why not",
    responses={status.HTTP_503_SERVICE_UNAVAILABLE: {"model": d.Health, "description": "Not fit for work"}},
)
async def readyz(request: Request, response: Response) -> d.Health:
    """Asks the database and the ledger now."""
    trouble = await gateway_of(request).trouble()
    if trouble is not None:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return d.Health(ok=trouble is None, reason=trouble)
