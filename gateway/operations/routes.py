"""Routes for operators: probes, metrics, status, banks, the last reconciliation."""

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response, status

from standing.gateway.access.audit import AuditedRoute
from standing.gateway.access.dependencies import KEYED, STORAGE, ActingAdmin, AnyRole, Staff
from standing.gateway.access.schemas import LocalizedText
from standing.gateway.composition import Gateway
from standing.gateway.following.reconcile import last_run
from standing.gateway.following.reconcile_report import to_html
from standing.gateway.metrics import CONTENT_TYPE, exposition
from standing.gateway.operations import schemas as d
from standing.gateway.operations.service import GatewayStatus
from standing.gateway.settings import GatewaySettings
from standing.gateway.storage.database import Storage
from standing.gateway.warning.schemas import VerdictDocument
from standing.gateway.warning.scorecard import ScoreCards
from standing.ledger.errors import InvalidValue, LedgerUnreachable, NotFound, Overloaded
from standing.ledger.service.api_keys import MissingKey, WrongRole
from standing.ledger.service.command_language import in_language_of
from standing.ledger.service.injection import provided
from standing.ledger.service.json_bodies import StrictJsonRoute
from standing.ledger.service.problems import responses
from standing.ledger.service.reloading import PATH, Reloader, SettingsState

TAGS = [
    {"name": "banks", "description": "The banks, and how lately each has spoken."},
    {"name": "operation", "description": "For those who run the gateway, and those who check its evidence."},
]

router = APIRouter(route_class=StrictJsonRoute)
#: For routes that change something; audited.
acting_router = APIRouter(route_class=AuditedRoute)

Status = Annotated[GatewayStatus, Depends(provided(GatewayStatus))]
StorageDep = Annotated[Storage, Depends(provided(Storage))]


@router.get(
    "/metrics",
    tags=["operation"],
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        status.HTTP_200_OK: {
            "content": {"text/plain": {"schema": {"type": "string"}}},
            "description": "Prometheus' text format",
        }
    },
)
async def metrics(gateway: Annotated[Gateway, Depends(provided(Gateway))], now: Status) -> Response:
    """Counters of this process and current gauges. Each scrape reads the ledger once.

    No metric names an account, a user or a transaction.
    """
    return Response(exposition(gateway.meters, await now.gauges()), media_type=CONTENT_TYPE)


@router.get(
    "/v1/status",
    tags=["operation"],
    summary="The state of the gateway",
    responses=responses(*KEYED),
)
async def get_status(now: Status, _caller: AnyRole) -> d.StatusDocument:
    """What `standing-gateway status` shows. Queries the database and the ledger for this request."""
    return d.StatusDocument.model_validate(await now.document())


@router.get(
    "/v1/reconciliation",
    tags=["operation"],
    summary="The last reconciliation",
    responses=responses(*KEYED, NotFound, STORAGE),
)
async def get_reconciliation(storage: StorageDep, _caller: Staff) -> d.ReportDocument:
    """Which active bindings are no longer usable, what their users can do, and where ledger and follower differ."""
    return d.ReportDocument.model_validate(await _last_report(storage))


@router.get(
    "/v1/reconciliation.html",
    tags=["operation"],
    summary="The last reconciliation, as an HTML page",
    response_class=Response,
    responses=responses(*KEYED, NotFound, STORAGE)
    | {
        status.HTTP_200_OK: {
            "content": {"text/html": {"schema": {"type": "string"}}},
            "description": "One page, with nothing from elsewhere",
        }
    },
)
async def get_reconciliation_page(storage: StorageDep, _caller: Staff) -> Response:
    """As /v1/reconciliation, as HTML."""
    return Response(to_html(await _last_report(storage)), media_type="text/html")


async def _last_report(storage: Storage) -> dict[str, Any]:
    found = await storage.reading(last_run, storage)
    if found is None:
        raise NotFound("reconciliation: none has run yet; allowed: after the first run, see reconcile_every_minutes")
    report: dict[str, Any] = json.loads(found)
    return report


@router.get(
    "/v1/banks",
    tags=["banks"],
    summary="The banks and the staleness of each",
    responses=responses(MissingKey, WrongRole, LedgerUnreachable, Overloaded, STORAGE),
)
async def get_banks(
    now: Status, cards: Annotated[ScoreCards, Depends(provided(ScoreCards))], _caller: AnyRole
) -> d.BankList:
    """Reads the ledger for this request."""
    paces = await cards.verdicts()
    return d.BankList(
        banks=[
            d.BankDocument(
                bic=state.bank.bic,
                name=LocalizedText.of(state.bank.name),
                time_zone=state.bank.zone.key,
                watermark_ms=state.watermark_ms,
                staleness_ms=state.staleness_ms,
                suspended=state.suspended,
                within_widest_bound=state.within_widest_bound,
                block_number=state.block_number,
                pace=VerdictDocument.of(paces.get(state.bank.bic)),
            )
            for state in await now.bank_states()
        ]
    )


@acting_router.post(
    PATH,
    tags=["operation"],
    summary="Reload the settings",
    responses=responses(*KEYED, InvalidValue, STORAGE),
)
async def reload_settings(
    reloader: Annotated[Reloader[GatewaySettings], Depends(provided(Reloader))], _caller: ActingAdmin
) -> SettingsState:
    """As SIGHUP: the new API keys, banks and policy apply from now on, and no request is lost.

    `needs_restart` names other changes, which need a restart. Invalid settings are rejected as a whole. All workers of
    one `serve --workers` reload, the one that answers first; a gateway on another machine must be reloaded separately.
    """
    return await asyncio.to_thread(reloader.reload_everywhere)


@router.get("/healthz", tags=["operation"], summary="The process is up")
async def healthz() -> d.ProbeDocument:
    """Does not check the ledger or the database."""
    return d.ProbeDocument(ok=True)


@router.get(
    "/readyz",
    tags=["operation"],
    summary="Whether the gateway is ready, or why not",
    responses={status.HTTP_503_SERVICE_UNAVAILABLE: {"model": d.ProbeDocument, "description": "Not ready"}},
)
async def readyz(now: Status, request: Request, response: Response) -> d.ProbeDocument:
    """Writes to the database and reads the ledger for this request. `reason` is in Chinese if `Accept-Language`
    prefers it."""
    trouble = await now.trouble()
    if trouble is not None:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return d.ProbeDocument(ok=trouble is None, reason=trouble and in_language_of(request.scope, trouble))
