"""The routes of early warning."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, status

from standing.gateway.access.audit import AuditedRoute, check_reason
from standing.gateway.access.dependencies import KEYED, LOOKING_UP, STORAGE, ActingAdmin, AnyRole, Staff
from standing.gateway.access.routes import AuditDep
from standing.gateway.bindings.schemas import PendingDocument, UserPath
from standing.gateway.bindings.service import Bindings
from standing.gateway.warning import schemas as d
from standing.gateway.warning.check_up import CheckUps
from standing.gateway.warning.scorecard import Period, ScoreCards
from standing.gateway.warning.scoring import Scoring
from standing.gateway.warning.warning_outcomes import Warnings
from standing.ledger.attestations.binding_protocol import Hex32
from standing.ledger.clock import MAX_CALENDAR_MS
from standing.ledger.errors import InvalidValue, NotFound, Overloaded
from standing.ledger.service.injection import provided
from standing.ledger.service.json_bodies import StrictJsonRoute
from standing.ledger.service.problems import BODY_TOO_LARGE, responses

router = APIRouter(route_class=StrictJsonRoute)
#: For routes that change something; audited.
acting_router = APIRouter(route_class=AuditedRoute)

ScoringDep = Annotated[Scoring, Depends(provided(Scoring))]


@router.get(
    "/v1/banks/{bic}/scorecard",
    tags=["banks"],
    summary="How a bank performed in a day, a week or a month",
    responses=responses(*LOOKING_UP, InvalidValue, STORAGE),
)
async def get_scorecard(
    bic: Annotated[str, Path(min_length=8, max_length=32, description="BIC (ISO 9362)", examples=["BKCHCNBJ"])],
    cards: Annotated[ScoreCards, Depends(provided(ScoreCards))],
    _caller: AnyRole,
    period: Annotated[Period, Query(description="Whole hours; the last one may be incomplete")] = Period.WEEK,
    until_ms: Annotated[
        int | None, Query(ge=1, le=MAX_CALENDAR_MS, description="The end of the period; default: now")
    ] = None,
) -> d.ScoreCardDocument:
    """The ledger's part is the same at every gateway that followed the bank for the whole period."""
    return d.ScoreCardDocument.of(await cards.of(bic, period, until_ms))


@router.get(
    "/v1/users/{user_id}/check-up",
    tags=["bindings"],
    summary="Which of a user's bindings may fail at their next use, and what the user can do",
    responses=responses(*LOOKING_UP, NotFound, Overloaded, STORAGE),
)
async def get_check_up(
    user_id: UserPath, check_ups: Annotated[CheckUps, Depends(provided(CheckUps))], _caller: AnyRole
) -> d.CheckUpDocument:
    """Reads the ledger for this request. A sign is a reason to check; no decision depends on it."""
    found = await check_ups.of_user(user_id)
    return d.CheckUpDocument(
        accounts=[d.CheckedDocument.of(each) for each in found.accounts],
        lapsing=[PendingDocument.of(each) for each in found.lapsing],
        predicted=found.opted_out_at_ms is None,
    )


@router.put(
    "/v1/users/{user_id}/prediction",
    tags=["bindings"],
    summary="Opt a user out of predictions, or in again",
    responses=responses(*LOOKING_UP, BODY_TOO_LARGE, InvalidValue, NotFound, STORAGE),
)
async def put_prediction(
    user_id: UserPath,
    body: d.PredictionBody,
    check_ups: Annotated[CheckUps, Depends(provided(CheckUps))],
    audit: AuditDep,
    caller: AnyRole,
) -> d.PredictionDocument:
    """After an opt-out, nothing about the user's bindings is learned, scored or reported, and existing scores are
    deleted. The check-up's plain signs remain: they are not predictions. Every call is audited."""
    async with audit.act(caller, "set_prediction", user_id, check_reason(body.reason)):
        since_ms = await check_ups.set_opted_out(user_id, not body.predicted)
    return d.PredictionDocument(predicted=since_ms is None, left_out_at_ms=since_ms)


@router.get(
    "/v1/bindings/{binding}/warnings",
    tags=["bindings"],
    summary="A binding's warnings, and the outcome of each",
    responses=responses(*LOOKING_UP, NotFound, STORAGE),
)
async def get_warnings(
    binding: Annotated[Hex32, Path(description="The binding's id")],
    bindings: Annotated[Bindings, Depends(provided(Bindings))],
    warnings: Annotated[Warnings, Depends(provided(Warnings))],
    _caller: AnyRole,
) -> d.WarnedList:
    """Each `binding.at_risk` with the first use after it that failed for a named reason, or for another one."""
    stored = await bindings.find(bytes.fromhex(binding[2:]))
    return d.WarnedList(warnings=[d.WarnedDocument.of(each) for each in await warnings.of(stored.binding)])


@router.get(
    "/v1/scoring",
    tags=["operation"],
    summary="The state of scoring",
    responses=responses(*KEYED, STORAGE),
)
async def get_scoring(scoring: ScoringDep, _caller: Staff) -> d.ScoringDocument:
    """The last run, and what the model has learned."""
    return d.ScoringDocument.of(await scoring.state(), scoring)


@acting_router.post(
    "/v1/scoring",
    tags=["operation"],
    summary="Score the bindings now",
    status_code=status.HTTP_202_ACCEPTED,
    responses=responses(*KEYED, InvalidValue, STORAGE),
)
async def run_scoring(scoring: ScoringDep, _caller: ActingAdmin) -> d.ScoringDocument:
    """A run starts within seconds, in the gateway process that makes the scheduled ones. It has ended once `last`
    began at `asked_at_ms` or later and has ended. A request during a run leads to another one."""
    return d.ScoringDocument.of(await scoring.ask(), scoring)
