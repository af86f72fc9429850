"""Routes for who runs the gateway, and for who checks it: figures, status, the last reconciliation, evidence."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, status

from standing.gateway.access.dependencies import KEYED, STORAGE, AnyRole, Staff, gateway_of
from standing.gateway.decisions import schemas as d
from standing.gateway.evidence.verification.proof import questions, read_claims
from standing.gateway.following.reconcile import last_run
from standing.gateway.following.reconcile_report import to_html
from standing.gateway.ledger_reading.nodes import LedgerNodes
from standing.gateway.metrics import CONTENT_TYPE, exposition
from standing.gateway.operations.schemas import EvidenceFile, ReportDocument, StatusDocument
from standing.gateway.operations.service import banks_now, gauges, status_document, stored_now
from standing.ledger.errors import InvalidValue, LedgerUnreachable, NotFound, Overloaded
from standing.ledger.service.problems import MALFORMED, responses

router = APIRouter()


@router.get(
    "/metrics",
    tags=["operation"],
    summary="Figures for Prometheus",
    response_class=Response,
    responses={
        status.HTTP_200_OK: {
            "content": {"text/plain": {"schema": {"type": "string"}}},
            "description": "Prometheus' text format",
        }
    },
)
async def metrics(request: Request) -> Response:
    """Counts of this process, and figures of the moment: a scrape reads the ledger once. Nothing in them names an
    account, a user or a transaction."""
    gateway = gateway_of(request)
    return Response(exposition(gateway.operation.meters, await gauges(gateway)), media_type=CONTENT_TYPE)


@router.get(
    "/v1/status",
    tags=["operation"],
    summary="The gateway on one screen",
    responses=responses(*KEYED),
)
async def get_status(request: Request, _caller: AnyRole) -> StatusDocument:
    """What `standing-gateway status` shows. Asks the database and the ledger now."""
    gateway = gateway_of(request)
    trouble = await gateway.trouble()
    document = status_document(gateway, trouble, await banks_now(gateway), await stored_now(gateway))
    return StatusDocument.model_validate(document)


@router.get(
    "/v1/reconciliation",
    tags=["operation"],
    summary="The last reconciliation",
    responses=responses(*KEYED, NotFound, STORAGE),
)
async def get_reconciliation(request: Request, _caller: Staff) -> ReportDocument:
    """Which active bindings can no longer work and what their users can do; where ledger and follower are apart."""
    return ReportDocument.model_validate(await _last_report(request))


@router.get(
    "/v1/reconciliation.html",
    tags=["operation"],
    summary="The last reconciliation, as a page",
    response_class=Response,
    responses=responses(*KEYED, NotFound, STORAGE)
    | {
        status.HTTP_200_OK: {
            "content": {"text/html": {"schema": {"type": "string"}}},
            "description": "One page, with nothing from elsewhere",
        }
    },
)
async def get_reconciliation_page(request: Request, _caller: Staff) -> Response:
    """As /v1/reconciliation, to look at."""
    return Response(to_html(await _last_report(request)), media_type="text/html")


async def _last_report(request: Request) -> dict[str, Any]:
    gateway = gateway_of(request)
    found = await gateway.storage.reading(last_run, gateway.storage)
    if found is None:
        raise NotFound("reconciliation: none was made yet; allowed: after the first, see reconcile_every_minutes")
    report: dict[str, Any] = json.loads(found)
    return report


@router.get(
    "/v1/decisions/{transaction_id}/evidence",
    tags=["decisions"],
    summary="A decision's evidence, to be verified without this gateway",
    responses=responses(*KEYED, MALFORMED, NotFound, Overloaded, STORAGE),
)
async def get_evidence(
    transaction_id: d.TransactionId,
    request: Request,
    _caller: AnyRole,
    proof: Annotated[
        bool, Query(description="With a storage proof, which verifies offline. Ask soon: nodes prune")
    ] = False,
) -> EvidenceFile:
    """What `standing-gateway verify` takes."""
    gateway = gateway_of(request)
    jws = json.loads(await gateway.desk.find(transaction_id))["evidence"]
    found: dict[str, Any] = {"block": None, "proof": None, "no_proof_because": None}
    if proof:
        try:
            found |= await _prove(gateway.reader.nodes, jws)
        except (LedgerUnreachable, InvalidValue) as error:
            found["no_proof_because"] = str(error)
    key = d.EvidenceKeyDocument.model_validate(gateway.evidence.jwk)
    return EvidenceFile(evidence=jws, key=key, **found)


async def _prove(nodes: LedgerNodes, jws: str) -> dict[str, Any]:
    """Block and proof, both of one node. Raises: LedgerUnreachable where no node gives them; InvalidValue."""
    asked = questions(read_claims(jws))
    failure = LedgerUnreachable("no ledger node can be asked")
    for node in nodes.usable():
        try:
            found = {name: await node.endpoint.call(method, params) for name, (method, params) in asked.items()}
        except LedgerUnreachable as error:
            failure = error  # it may do for reads all the same
            continue
        if all(isinstance(value, dict) for value in found.values()):
            return found
        failure = LedgerUnreachable(f"{node.name} gives no proof of that block")
    raise failure
