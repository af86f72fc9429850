"""The routes of decisions: decide, look up, list, capture, void, refund, review."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response, status

from standing.gateway.access.audit import AuditedRoute, check_reason
from standing.gateway.access.dependencies import (
    LOOKING_UP,
    PROBLEMS,
    STORAGE,
    Acting,
    AnyRole,
    Staff,
)
from standing.gateway.access.routes import AuditDep
from standing.gateway.decisions import schemas as d
from standing.gateway.decisions.batch import batch_answer
from standing.gateway.decisions.examples import DECISION_REQUEST_EXAMPLES
from standing.gateway.decisions.reviews import Reviews
from standing.gateway.decisions.rules import Outcome
from standing.gateway.decisions.search import DecisionFilter, DecisionSearch, Page
from standing.gateway.decisions.service import DecisionService
from standing.gateway.decisions.usage import State
from standing.gateway.errors import (
    AlreadyReviewed,
    AlreadySettled,
    BankNotServed,
    NothingReserved,
    NotInReview,
    ReservationExpired,
    ReviewNotApprovable,
)
from standing.gateway.events.wakeups import Wakeups
from standing.ledger.errors import Conflict, InvalidValue, LedgerUnreachable, NotFound, Overloaded
from standing.ledger.service.injection import provided
from standing.ledger.service.problem_language import asked_for
from standing.ledger.service.problems import BODY_TOO_LARGE, responses

TAG = {"name": "decisions", "description": "Decide on payments and withdrawals by the bank's newest attestation."}

DECISIONS_PATH = "/v1/decisions"
BATCH_PATH = "/v1/decisions:batch"

router = APIRouter(route_class=AuditedRoute, tags=["decisions"])

Decisions = Annotated[DecisionService, Depends(provided(DecisionService))]
SearchDep = Annotated[DecisionSearch, Depends(provided(DecisionSearch))]

_JSON = "application/json"


_LISTED: dict[int | str, dict[str, Any]] = {
    status.HTTP_200_OK: {"model": d.DecisionList, "description": "A page of decisions"}
}


def _binding(stated: str | None) -> bytes | None:
    return bytes.fromhex(stated[2:]) if stated is not None else None


def _page(page: Page) -> Response:
    cursor = json.dumps(page.next).encode()
    body = b'{"decisions":[' + b",".join(page.documents) + b'],"next":' + cursor + b"}"
    return Response(body, media_type=_JSON)


def _decision_answer(description: str) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI description of an answer that the service has already written as JSON."""
    return {
        status.HTTP_200_OK: {
            "model": d.DecisionDocument,
            "description": description,
        }
    }


@router.post(
    DECISIONS_PATH,
    summary="Decide on a transaction",
    response_model=None,
    responses=responses(
        *LOOKING_UP, BODY_TOO_LARGE, InvalidValue, NotFound, Conflict, BankNotServed, Overloaded, STORAGE
    )
    | _decision_answer("The decision: approve, decline or review"),
)
async def post_decision(
    body: Annotated[d.DecisionBody, Body(openapi_examples=DECISION_REQUEST_EXAMPLES)],
    decisions: Decisions,
    _caller: Acting,
) -> Response:
    """Reads the ledger after the request arrived, and decides by 15 checks in the order of the reasons' precedence.

    An approved transaction reserves its amount within the bank's limits: capture it or void it later. The same id with
    the same body gets the same answer again; with another body, 409. If the ledger is unreachable, the outcome is
    review with `ledger_unreachable`.
    """
    return Response(await decisions.decide(body.transaction()), media_type=_JSON)


@router.post(
    BATCH_PATH,
    summary="Decide on up to 500 transactions",
    response_model=None,
    responses=responses(*LOOKING_UP, BODY_TOO_LARGE, InvalidValue, Overloaded, STORAGE)
    | {status.HTTP_200_OK: {"model": d.BatchAnswer, "description": "A decision or a problem for each, in order"}},
)
async def post_decisions(body: d.BatchBody, decisions: Decisions, request: Request, _caller: Acting) -> Response:
    """Decides one by one, in this order, and faster than single calls. Each is recorded separately: a batch is not
    atomic.

    An item that cannot be decided has a problem instead. Safe to repeat as a whole: a decided transaction gets the same
    answer.
    """
    transactions = [each.transaction() for each in body.decisions]
    answers = await decisions.decide_all(transactions)
    return Response(batch_answer(answers, PROBLEMS, asked_for(request.scope)), media_type=_JSON)


@router.get(
    DECISIONS_PATH,
    summary="Decisions, newest first",
    response_model=None,
    responses=responses(*LOOKING_UP, NotFound, STORAGE) | _LISTED,
)
async def get_decisions(
    search: SearchDep,
    _caller: AnyRole,
    user_id: d.UserFilter = None,
    binding: d.BindingFilter = None,
    account_of: d.AccountFilter = None,
    outcome: d.OutcomeFilter = None,
    reason: d.ReasonFilter = None,
    since_ms: d.Since = None,
    until_ms: d.Until = None,
    cursor: d.Cursor = None,
    limit: d.Limit = 50,
) -> Response:
    """A page of the decisions that match all filters, each with the current state of its reservation and review.

    An unknown user or binding is 404, not an empty list.
    """
    wanted = DecisionFilter(
        user_id=user_id,
        binding=_binding(binding),
        account_of=_binding(account_of),
        outcome=outcome,
        reason=reason,
        since_ms=since_ms,
        until_ms=until_ms,
    )
    return _page(await search.listed(wanted, limit=limit, cursor=cursor))


@router.get(
    "/v1/reviews",
    summary="The review queue, oldest first",
    response_model=None,
    responses=responses(*LOOKING_UP, NotFound, STORAGE) | _LISTED,
)
async def get_reviews(
    search: SearchDep,
    _caller: AnyRole,
    user_id: d.UserFilter = None,
    binding: d.BindingFilter = None,
    reason: d.ReasonFilter = None,
    cursor: d.Cursor = None,
    limit: d.Limit = 50,
) -> Response:
    """Decisions that await review by staff: close each with `POST /v1/decisions/{transaction_id}/review`."""
    wanted = DecisionFilter(user_id=user_id, binding=_binding(binding), reason=reason)
    return _page(await search.open_reviews(wanted, limit=limit, cursor=cursor))


@router.get(
    "/v1/decisions/{transaction_id}",
    summary="A decision with the current state of its reservation",
    response_model=None,
    responses=responses(*LOOKING_UP, NotFound, Overloaded, STORAGE) | _decision_answer("The decision as it was made"),
)
async def get_decision(transaction_id: d.TransactionId, decisions: Decisions, _caller: AnyRole) -> Response:
    """The decision as it was made, with the current state of its reservation and review."""
    return Response(await decisions.find(transaction_id), media_type=_JSON)


_SETTLING = (
    *LOOKING_UP,
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
    summary="Capture the reservation of an approved transaction, or a part of it",
    response_model=None,
    responses=responses(*_SETTLING, ReservationExpired) | _decision_answer("Captured"),
)
async def capture(
    transaction_id: d.TransactionId, decisions: Decisions, _caller: Acting, body: d.CaptureBody | None = None
) -> Response:
    """The transaction took place: its amount stays counted, and what is not captured is released.

    Repeating it with the same amount changes nothing. After a void, or with another amount, 409. After the
    reservation's expiry 409 `reservation-expired`: another payment may have reserved the amount since.
    """
    amount_minor = body.amount_minor if body is not None else None
    return Response(await decisions.settle(transaction_id, State.CAPTURED, amount_minor), media_type=_JSON)


@router.post(
    "/v1/decisions/{transaction_id}/void",
    summary="Void the reservation of an approved transaction",
    response_model=None,
    responses=responses(*_SETTLING) | _decision_answer("Voided, or expired before"),
)
async def void(transaction_id: d.TransactionId, decisions: Decisions, _caller: Acting) -> Response:
    """The transaction will not take place: its amount is released for the day of its reservation. After a capture,
    409."""
    return Response(await decisions.settle(transaction_id, State.VOIDED), media_type=_JSON)


@router.post(
    "/v1/decisions/{transaction_id}/refunds",
    summary="Record a refund of a captured transaction",
    response_model=None,
    responses=responses(*_SETTLING, Conflict) | _decision_answer("Recorded"),
)
async def refund(
    transaction_id: d.TransactionId, body: d.RefundBody, decisions: Decisions, _caller: Acting
) -> Response:
    """Money was paid back: its amount is released for the day of the reservation, not for today.

    Several refunds are possible, up to the captured amount. The same `refund_id` again changes nothing.
    """
    return Response(await decisions.refund(transaction_id, body.refund_id, body.amount_minor), media_type=_JSON)


@router.post(
    "/v1/decisions/{transaction_id}/review",
    summary="Close a review: approve or decline the transaction",
    response_model=None,
    responses=responses(
        *LOOKING_UP,
        BODY_TOO_LARGE,
        InvalidValue,
        NotFound,
        NotInReview,
        AlreadyReviewed,
        ReviewNotApprovable,
        BankNotServed,
        LedgerUnreachable,
        Overloaded,
        STORAGE,
    )
    | _decision_answer("Closed"),
)
async def close_review(
    transaction_id: d.TransactionId,
    body: d.ReviewBody,
    reviews: Annotated[Reviews, Depends(provided(Reviews))],
    wakeups: Annotated[Wakeups, Depends(provided(Wakeups))],
    audit: AuditDep,
    caller: Staff,
) -> Response:
    """Staff can override the platform's own rules, such as a risk hold, but never the bank.

    For an approval, the ledger is read again: if the bank does not allow the transaction now, 409
    `review-not-approvable`. An approved transaction reserves its amount for today. The platform receives the event
    `decision.reviewed`. The same outcome again changes nothing.
    """
    async with audit.act(caller, "close_review", transaction_id, check_reason(body.reason)):
        closed = await reviews.close(transaction_id, Outcome(body.outcome), caller.name)
    wakeups.wake()
    return Response(closed, media_type=_JSON)
