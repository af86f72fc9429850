"""Answers about evidence, with what OpenAPI says about them."""

from typing import Any, Literal

from pydantic import BaseModel, Field


class EvidenceKeyDocument(BaseModel):
    """The public key of evidence, as a JWK (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    alg: Literal["EdDSA"]
    use: Literal["sig"]


class EvidenceFile(BaseModel):
    """Evidence of one decision, as `standing-gateway verify` takes it."""

    evidence: str = Field(description="JWS, EdDSA")
    key: EvidenceKeyDocument = Field(description="For convenience; a verifier gets it from /v1/evidence-key itself")
    block: dict[str, Any] | None = Field(description="The block, as its node told it; with a proof only")
    proof: dict[str, Any] | None = Field(description="eth_getProof's answer, where it was asked for and can be had")
    no_proof_because: str | None
