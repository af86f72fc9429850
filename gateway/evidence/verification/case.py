"""The input of a verification: the evidence, and the means to check it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_typing import ChecksumAddress

from standing.gateway.decisions.policy import Policy
from standing.gateway.evidence.claims import EvidenceClaims
from standing.gateway.evidence.signing import transaction_digest
from standing.ledger.attestations.grant import Grant, KeylessGrant
from standing.ledger.errors import InvalidValue

_MAX_BYTES = 4 * 1024 * 1024
_ALLOWED = "a JWS, or JSON that holds one as `evidence`, such as a decision as the gateway answered it"

#: Fields that a decision's answer shares with its claims verbatim.
_DECISION_FIELDS = (
    "binding",
    "kind",
    "amount_minor",
    "currency",
    "outcome",
    "reason",
    "staleness_ms",
    "block_number",
    "publication",
    "watermark_ms",
    "policy",
    "decided_at_ms",
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A file of evidence: the JWS, and optionally a block and a storage proof, as nodes return them.

    `beside`: the rest of the file, which nobody has signed. Where it is a decision, it must agree with the claims.
    """

    jws: str
    block: Mapping[str, Any] | None = None
    proof: Mapping[str, Any] | None = None
    beside: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VerifierInputs:
    """A verifier's own inputs, beside the evidence.

    `gateway_key`: the gateway's public key as a JWK, or a JWK set of all that it used; obtained from the gateway, not
    from the evidence. `binding_key` opens the terms; `grant` is the bank's signed statement that it is the right key;
    `policy` is the platform's whole policy.
    """

    gateway_key: Mapping[str, Any]
    contract: ChecksumAddress
    binding_key: bytes | None = None
    grant: Grant | KeylessGrant | None = None
    policy: Policy | None = None

    @property
    def key(self) -> bytes | None:
        """The key to open the terms with."""
        return self.binding_key or (self.grant.binding_key if isinstance(self.grant, Grant) else None)

    def __repr__(self) -> str:  # the key must not reach a log by accident
        return f"VerifierInputs(contract={self.contract!r})"


def parse_evidence(raw: bytes) -> Evidence:
    """Parse a file of evidence. Raises: InvalidValue."""
    if len(raw) > _MAX_BYTES:
        raise InvalidValue("evidence", f"larger than {_MAX_BYTES} bytes", _ALLOWED)
    try:
        text = raw.decode().strip()
        document = json.loads(text) if text.startswith("{") else {"evidence": text}
    except (ValueError, RecursionError) as error:
        raise InvalidValue("evidence", "not readable", _ALLOWED) from error
    jws = document.get("evidence")
    if not isinstance(jws, str) or jws.count(".") != 2:
        raise InvalidValue("evidence", "no JWS in it", _ALLOWED)
    block, proof = document.get("block"), document.get("proof")
    return Evidence(
        jws, block if isinstance(block, dict) else None, proof if isinstance(proof, dict) else None, document
    )


def differing_fields(beside: Mapping[str, Any], claims: EvidenceClaims) -> list[str]:
    """The fields in which a decision differs from the claims that came with it."""
    signed = claims.model_dump(mode="json") | {"policy": claims.policy.version}
    differing = [name for name in _DECISION_FIELDS if name in beside and beside[name] != signed[name]]
    stated_id = beside.get("transaction_id")
    if stated_id is not None and transaction_digest(str(stated_id)) != claims.transaction_sha256:
        differing.insert(0, "transaction_id")
    return differing
