"""The routes of evidence: the public key, the file that verifies a decision, and a case that is handed over."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from standing.gateway.access.audit import check_reason
from standing.gateway.access.dependencies import KEYED, LOOKING_UP, STORAGE, Admin, AnyRole
from standing.gateway.access.routes import AuditDep
from standing.gateway.bindings.service import Bindings
from standing.gateway.decisions.schemas import TransactionId
from standing.gateway.decisions.service import DecisionService
from standing.gateway.errors import BankNotServed
from standing.gateway.evidence.schemas import (
    CaseFile,
    EvidenceFile,
    EvidenceKeyDocument,
    ExportBody,
)
from standing.gateway.evidence.signing import EvidenceSigner
from standing.gateway.evidence.verification.proof import questions, read_claims
from standing.gateway.ledger_reading.nodes import LedgerNodes
from standing.gateway.ledger_reading.reader import Reader
from standing.ledger.attestations.binding_protocol import KeylessGrantDocument
from standing.ledger.attestations.grant import KeylessGrant
from standing.ledger.attestations.sealing import key_commitment
from standing.ledger.errors import InvalidValue, LedgerUnreachable, NotFound, Overloaded
from standing.ledger.service.injection import provided
from standing.ledger.service.json_bodies import StrictJsonRoute
from standing.ledger.service.problems import BODY_TOO_LARGE, MALFORMED, responses

router = APIRouter(route_class=StrictJsonRoute)

_WITHOUT_PROOF: dict[str, Any] = {"block": None, "proof": None, "no_proof_because": None}

SignerDep = Annotated[EvidenceSigner, Depends(provided(EvidenceSigner))]


@router.get("/v1/evidence-key", tags=["operation"], summary="The public key of evidence")
async def get_evidence_key(signer: SignerDep) -> EvidenceKeyDocument:
    """Verifies the JWS in `evidence`. No API key is needed, so that third parties can verify too."""
    return EvidenceKeyDocument.model_validate(signer.jwk)


@router.get(
    "/v1/decisions/{transaction_id}/evidence",
    tags=["decisions"],
    summary="A decision's evidence, to be verified without this gateway",
    responses=responses(*KEYED, MALFORMED, NotFound, Overloaded, STORAGE),
)
async def get_evidence(
    transaction_id: TransactionId,
    decisions: Annotated[DecisionService, Depends(provided(DecisionService))],
    reader: Annotated[Reader, Depends(provided(Reader))],
    signer: SignerDep,
    _caller: AnyRole,
    proof: Annotated[
        bool, Query(description="Include a storage proof, for offline verification. Request it soon: nodes prune")
    ] = False,
) -> EvidenceFile:
    """The input of `standing-gateway verify`."""
    jws = json.loads(await decisions.find(transaction_id))["evidence"]
    found: dict[str, Any] = await _proof_or_why_not(reader.nodes, jws) if proof else _WITHOUT_PROOF
    return EvidenceFile(evidence=jws, key=_key_of(signer, jws), **found)


@router.post(
    "/v1/decisions/{transaction_id}/export",
    tags=["decisions"],
    summary="Export a decision: its evidence with proof, the bank's grant and, on request, the binding's key",
    responses=responses(*LOOKING_UP, BODY_TOO_LARGE, InvalidValue, NotFound, BankNotServed, Overloaded, STORAGE),
)
async def export_evidence(
    transaction_id: TransactionId,
    body: ExportBody,
    decisions: Annotated[DecisionService, Depends(provided(DecisionService))],
    bindings: Annotated[Bindings, Depends(provided(Bindings))],
    reader: Annotated[Reader, Depends(provided(Reader))],
    signer: SignerDep,
    audit: AuditDep,
    caller: Admin,
) -> CaseFile:
    """For an arbiter, a bank or a court to verify without this gateway. Always audited.

    The key decrypts every record of the binding, including those before and after this decision: status, permissions
    and limits. It decrypts no other binding, and records contain no name, document or phone.
    """
    action = "export_evidence_with_key" if body.with_key else "export_evidence"
    async with audit.act(caller, action, transaction_id, check_reason(body.reason)):
        jws = json.loads(await decisions.find(transaction_id))["evidence"]
        claims = read_claims(jws)
        row, bound = await bindings.row(claims.binding_id), await bindings.bound(claims.binding_id)
        grant = KeylessGrant(
            bank=claims.bank,
            binding=claims.binding_id,
            platform=claims.platform,
            granted_at_ms=row.granted_at_ms,
            key_commitment=key_commitment(claims.binding_id, bound.key),
            signature=row.grant_signature,
        )
        return CaseFile(
            evidence=jws,
            key=_key_of(signer, jws),
            grant=KeylessGrantDocument.of(grant),
            binding_key="0x" + bound.key.hex() if body.with_key else None,
            **await _proof_or_why_not(reader.nodes, jws),
        )


def _key_of(signer: EvidenceSigner, jws: str) -> EvidenceKeyDocument | None:
    jwk = signer.jwk_of(jws)
    return EvidenceKeyDocument.model_validate(jwk) if jwk is not None else None


async def _proof_or_why_not(nodes: LedgerNodes, jws: str) -> dict[str, Any]:
    try:
        return _WITHOUT_PROOF | await _prove(nodes, jws)
    except (LedgerUnreachable, InvalidValue) as error:
        return _WITHOUT_PROOF | {"no_proof_because": str(error)}


async def _prove(nodes: LedgerNodes, jws: str) -> dict[str, Any]:
    """Block and proof, both from one node. Raises: LedgerUnreachable where no node gives them; InvalidValue."""
    calls = questions(read_claims(jws))
    failure = LedgerUnreachable("no ledger node can be used")
    for node in nodes.usable():
        try:
            found = {name: await node.endpoint.call(method, params) for name, (method, params) in calls.items()}
        except LedgerUnreachable as error:
            failure = error  # the node may still be good for reads
            continue
        if all(isinstance(value, dict) for value in found.values()):
            return found
        failure = LedgerUnreachable(f"{node.name} gives no proof of that block")
    raise failure
