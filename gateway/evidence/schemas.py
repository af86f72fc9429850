"""Answers about evidence, with their OpenAPI descriptions."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from standing.gateway.access.audit import MAX_REASON
from standing.ledger.attestations.binding_protocol import Hex32, KeylessGrantDocument


class EvidenceKeyDocument(BaseModel):
    """The public key of evidence, as a JWK (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    alg: Literal["EdDSA"]
    use: Literal["sig"]


class EvidenceFile(BaseModel):
    """Evidence of one decision, as `standing-gateway verify` reads it."""

    evidence: str = Field(description="JWS, EdDSA")
    key: EvidenceKeyDocument | None = Field(
        description="For convenience; a verifier should get it from /v1/evidence-key, while it is in use. Null if an "
        "earlier key has signed, which is not in the gateway's settings any more"
    )
    block: dict[str, Any] | None = Field(description="The block, as its node returned it; with a proof only")
    proof: dict[str, Any] | None = Field(description="The result of eth_getProof, if requested and available")
    no_proof_because: str | None


class ExportBody(BaseModel):
    """Why a case is exported, and whether with the binding's key."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "Dispute 4711"}]})

    reason: str = Field(max_length=MAX_REASON, description="3 to 300 characters; kept in the audit")
    with_key: bool = Field(
        False,
        strict=True,
        description="Include the binding's key, which decrypts all of its records, earlier and later ones too",
    )


class CaseFile(EvidenceFile):
    """Evidence with the bank's grant and, on request, the binding's key, as `standing-gateway verify` reads it."""

    grant: KeylessGrantDocument
    binding_key: Hex32 | None = Field(description="Only if requested. A secret of bank and platform")

    def __repr__(self) -> str:  # the key must not reach a log by accident
        return f"CaseFile(binding={self.grant.binding!r})"
