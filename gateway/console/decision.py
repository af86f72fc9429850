"""The decision page: its fifteen checks, its evidence verified line by line, and the evidence as a file."""

import asyncio
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Query
from pydantic import AfterValidator
from starlette.responses import RedirectResponse, Response

from standing.gateway.composition import Gateway
from standing.gateway.console.find import Done, bank_name
from standing.gateway.console.lookups import Lookups
from standing.gateway.console.visits import GatewayDep, ReasonDep
from standing.gateway.decisions.messages import LIMIT_OF
from standing.gateway.decisions.rules import CHECKS, LAST_CHECK, Outcome
from standing.gateway.evidence.routes import get_evidence
from standing.gateway.evidence.verification.case import VerifierInputs, parse_evidence
from standing.gateway.evidence.verification.run import Report, verify
from standing.gateway.ledger_reading.nodes import LedgerNodes
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.connection import parse_address
from standing.ledger.errors import LedgerUnreachable
from standing.ledger.service.console.pages import PATH, segment, unsegmented
from standing.ledger.service.console.visits import ActDep, VisitDep

router = APIRouter()

TransactionId = Annotated[str, Path(pattern="^~?[A-Za-z0-9._:-]{1,64}$"), AfterValidator(unsegmented)]

#: A verification makes many calls to the ledger; concurrent ones would slow down the hot path.
_ONE_AT_A_TIME = asyncio.Semaphore(1)
_TIMEOUT_S = 5.0


@router.get("/decisions/{transaction_id}")
async def decision_page(
    transaction_id: TransactionId,
    visited: VisitDep,
    gateway: GatewayDep,
    done: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """The decision, check by check. `done`: "reviewed" right after a review was closed; anything else is ignored."""
    values = await _values(gateway, transaction_id)
    reviewed = done == Done.REVIEWED and (values["decision"]["review"] or {}).get("state") == "closed"
    return visited.page("decision.html", report=None, unverified=None, reviewed=reviewed, **values)


@router.get("/decisions/{transaction_id}/verification")
async def verification(transaction_id: TransactionId, visited: VisitDep, gateway: GatewayDep) -> Response:
    """The same page, with the evidence verified against the ledger now."""
    values = await _values(gateway, transaction_id)
    report, unverified = None, None
    try:
        async with _ONE_AT_A_TIME:
            report = await asyncio.to_thread(_verify, gateway, values["raw"], values["key"])
    except LedgerUnreachable as error:
        unverified = str(error)
    return visited.page("decision.html", report=report, unverified=unverified, reviewed=False, **values)


@router.get("/decisions/{transaction_id}/evidence.json")
async def download(transaction_id: TransactionId, visited: VisitDep, gateway: GatewayDep) -> Response:
    """The evidence, with a storage proof where a node still provides one: the file that `standing-gateway verify`
    reads."""
    reader, signer = gateway.reader, gateway.evidence
    assert isinstance(reader.nodes, LedgerNodes)
    file = await get_evidence(transaction_id, gateway.decisions, reader, signer, visited.caller, proof=True)
    name = "evidence-" + transaction_id.replace(":", "-") + ".json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(file.model_dump_json(indent=1), media_type="application/json", headers=headers)


@router.post("/decisions/{transaction_id}/review")
async def close_review(
    transaction_id: TransactionId,
    visited: ActDep,
    gateway: GatewayDep,
    reason: ReasonDep,
    outcome: Annotated[Literal["approve", "decline"], Form()],
) -> Response:
    """Close a review. To approve, the ledger is read again: staff cannot overrule the bank."""
    async with gateway.audit.act(visited.caller, "close_review", transaction_id, reason):
        await gateway.reviews.close(transaction_id, Outcome(outcome), visited.caller.name)
    gateway.following.wakeups.wake()
    return RedirectResponse(f"{PATH}/decisions/{segment(transaction_id)}?done={Done.REVIEWED.value}", status_code=303)


async def _values(gateway: Gateway, transaction_id: str) -> dict[str, Any]:
    raw = await gateway.decisions.find(transaction_id)
    decision = json.loads(raw)
    binding = bytes.fromhex(decision["binding"][2:])
    stored = await gateway.bindings.find(binding)
    bank = gateway.banks.get(stored.bank)
    failed = CHECKS.get(decision["reason"] or "")
    limit = LIMIT_OF.get(decision["reason"])
    return {
        "decision": decision,
        "raw": raw,
        "key": (await gateway.bindings.bound(binding)).key if bank is not None else None,
        "stored": stored,
        "bank_name": bank_name(gateway, stored.bank),
        "zone": bank.zone if bank is not None else None,
        "closed_by": await Lookups(gateway.storage).closed_by(transaction_id),
        "failed": failed,
        "allowed_minor": decision["remaining"][limit] if limit and decision["remaining"] else None,
        "checks": [(number, _state(number, failed, decision["reason"])) for number in range(1, LAST_CHECK + 1)],
    }


def _state(number: int, failed: int | None, reason: str | None) -> str:
    if reason is None:
        return "passed"
    if failed is None:
        return "unknown"  # a reason unknown to this page
    return "passed" if number < failed else "failed" if number == failed else "not-reached"


def _verify(gateway: Gateway, raw: bytes, key: bytes | None) -> Report:
    contract = parse_address(gateway.settings.ledger_contract, "ledger_contract")
    client = LedgerClient(gateway.settings.all_ledger_urls, contract, timeout_s=_TIMEOUT_S)
    means = VerifierInputs(gateway_key=gateway.evidence.jwks, contract=contract, binding_key=key, policy=None)
    return verify(parse_evidence(raw), means, client)
