"""The routes of early warning."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from standing.gateway.access.dependencies import LOOKING_UP, STORAGE, AnyRole
from standing.gateway.warning import schemas as d
from standing.gateway.warning.scorecard import Period, ScoreCards
from standing.ledger.clock import MAX_CALENDAR_MS
from standing.ledger.errors import InvalidValue
from standing.ledger.service.injection import provided
from standing.ledger.service.json_bodies import StrictJsonRoute
from standing.ledger.service.problems import responses

router = APIRouter(route_class=StrictJsonRoute)


@router.get(
    "/v1/banks/{bic}/scorecard",
    tags=["banks"],
    summary="How a bank has done in a day, a week or a month",
    responses=responses(*LOOKING_UP, InvalidValue, STORAGE),
)
async def get_scorecard(
    bic: Annotated[str, Path(min_length=8, max_length=32, description="BIC (ISO 9362)", examples=["BKCHCNBJ"])],
    cards: Annotated[ScoreCards, Depends(provided(ScoreCards))],
    _caller: AnyRole,
    period: Annotated[Period, Query(description="Whole hours, of which the last may still run")] = Period.WEEK,
    until_ms: Annotated[
        int | None, Query(ge=1, le=MAX_CALENDAR_MS, description="The end of the period; now where it is not stated")
    ] = None,
) -> d.ScoreCardDocument:
    """The ledger's part is the same at every gateway that followed the bank all the period."""
    return d.ScoreCardDocument.of(await cards.of(bic, period, until_ms))
