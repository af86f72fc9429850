"""The routes of evidence: the public key, and the file that verifies a decision."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from standing.gateway.access.dependencies import KEYED, STORAGE, AnyRole
from standing.gateway.decisions.schemas import TransactionId
from standing.gateway.decisions.service import DecisionService
from standing.gateway.evidence.schemas import EvidenceFile, EvidenceKeyDocument
from standing.gateway.evidence.signing import EvidenceSigner
from standing.gateway.evidence.verification.proof import questions, read_claims
from standing.gateway.ledger_reading.nodes import LedgerNodes
from standing.gateway.ledger_reading.reader import Reader
from standing.ledger.errors import InvalidValue, LedgerUnreachable, NotFound, Overloaded
from standing.ledger.service.injection import provided
from standing.ledger.service.json_bodies import StrictJsonRoute
from standing.ledger.service.problems import MALFORMED, responses

router = APIRouter(route_class=StrictJsonRoute)

SignerDep = Annotated[EvidenceSigner, Depends(provided(EvidenceSigner))]


@router.get("/v1/evidence-key", tags=["operation"], summary="The public key of evidence")
async def get_evidence_key(signer: SignerDep) -> EvidenceKeyDocument:
    """Verifies the JWS in `evidence`. No API key is needed: a third party may check too."""
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
        bool, Query(description="With a storage proof, which verifies offline. Ask soon: nodes prune")
    ] = False,
) -> EvidenceFile:
    """What `standing-gateway verify` takes."""
    jws = json.loads(await decisions.find(transaction_id))["evidence"]
    found: dict[str, Any] = {"block": None, "proof": None, "no_proof_because": None}
    if proof:
        try:
            found |= await _prove(reader.nodes, jws)
        except (LedgerUnreachable, InvalidValue) as error:
            found["no_proof_because"] = str(error)
    key = EvidenceKeyDocument.model_validate(signer.jwk)
    return EvidenceFile(evidence=jws, key=key, **found)


async def _prove(nodes: LedgerNodes, jws: str) -> dict[str, Any]:
    """Block and proof, both from one node. Raises: LedgerUnreachable where no node gives them; InvalidValue."""
    asked = questions(read_claims(jws))
    failure = LedgerUnreachable("no ledger node can be asked")
    for node in nodes.usable():
        try:
            found = {name: await node.endpoint.call(method, params) for name, (method, params) in asked.items()}
        except LedgerUnreachable as error:
            failure = error  # the node may still be good for reads
            continue
        if all(isinstance(value, dict) for value in found.values()):
            return found
        failure = LedgerUnreachable(f"{node.name} gives no proof of that block")
    raise failure
