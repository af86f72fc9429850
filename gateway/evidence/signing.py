"""Evidence: the basis of a decision, signed by the gateway, so that a third party can check it later.

It is a compact JWS (RFC 7515) with EdDSA over Ed25519 (RFC 8037). The payload is JSON, described in
`gateway.evidence.claims`. The key is given as a JWK, whose `kid` is its thumbprint (RFC 7638).
`gateway.evidence.verification` verifies it.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from jwt import get_unverified_header
from jwt.algorithms import OKPAlgorithm

from standing.gateway.bindings.bound import Bound
from standing.gateway.decisions.basis import Basis
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Question
from standing.gateway.decisions.rules import Decision
from standing.gateway.evidence.claims import FORM, tag_commitments
from standing.ledger.attestations.publication import Domain
from standing.ledger.chain.codec import Record
from standing.ledger.service.private_files import write_private
from standing.ledger.service.settings import SettingsError

_ALGORITHM = "EdDSA"
#: Commitments are the same for every decision on a binding until its tags change.
_commitments = lru_cache(maxsize=20_000)(tag_commitments)
#: The `typ` of the JWS's header.
TYPE = "standing-evidence"


class EvidenceSigner:
    """Signs the evidence of one platform's decisions on one ledger. Thread-safe.

    `older`: the public keys of evidence that was signed before the key was replaced.
    """

    def __init__(
        self, key: Ed25519PrivateKey, *, platform: str, domain: Domain, older: Sequence[Ed25519PublicKey] = ()
    ) -> None:
        self._key = key
        self._fixed = {"form": FORM, "platform": platform, "contract": domain.contract, "chain_id": domain.chain_id}
        self._keys = [_jwk(each) for each in (key.public_key(), *older)]
        header = {"alg": _ALGORITHM, "kid": self.jwk["kid"], "typ": TYPE}
        self._header = _base64(json.dumps(header, separators=(",", ":")).encode()) + b"."
        self._policies: tuple[Policy | None, dict[str, Any]] = (None, {})

    @property
    def jwk(self) -> dict[str, str]:
        """The public key, as `GET /v1/evidence-key` returns it."""
        return self._keys[0]

    @property
    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """All public keys as a JWK set (RFC 7517), those of earlier evidence included."""
        return {"keys": self._keys}

    def jwk_of(self, jws: str) -> dict[str, str] | None:
        """The public key that a JWS names; None where it is not in the settings any more."""
        kid = get_unverified_header(jws).get("kid")
        return next((key for key in self._keys if key["kid"] == kid), None)

    def sign(
        self,
        transaction_id: str,
        question: Question,
        currency: str,
        bound: Bound,
        decision: Decision,
        basis: Basis,
    ) -> str:
        """The compact JWS of one decision. It holds the transaction's id as a digest only (SHA-256)."""
        seen, policy = basis.seen, basis.policy
        claims = self._fixed | {
            "binding": "0x" + bound.binding.hex(),
            "bank": bound.bank,
            "transaction_sha256": transaction_digest(transaction_id),
            "kind": question.kind.value,
            "amount_minor": question.amount_minor,
            "currency": currency,
            "block_number": seen.block_number if seen is not None else None,
            "block_hash": "0x" + seen.block_hash.hex() if seen is not None and seen.block_hash is not None else None,
            "record": _record_claims(seen.record) if seen is not None else None,
            "publication": decision.publication,
            "watermark_ms": decision.watermark_ms,
            "staleness_ms": decision.staleness_ms,
            "expected_tags": _commitments(bound.binding, bound.key, bound.tags),
            "ended": basis.ended,
            "floor": basis.floor,
            "used_day_minor": basis.used.day_minor,
            "used_month_minor": basis.used.month_minor,
            "used_year_minor": basis.used.year_minor,
            "day": basis.day.isoformat(),
            "time_zone": bound.zone.key,
            "policy": self._policy_claims(policy)
            | {"max_staleness_ms": policy.max_staleness_ms(question.amount_minor, question.currency)},
            "held_by": decision.hold.rule if decision.hold is not None else None,
            "outcome": decision.outcome.value,
            "reason": decision.reason.value if decision.reason is not None else None,
            "decided_at_ms": basis.decided_at_ms,
        }
        signed = self._header + _base64(orjson.dumps(claims, option=orjson.OPT_SORT_KEYS))
        return (signed + b"." + _base64(self._key.sign(signed))).decode()

    def _policy_claims(self, policy: Policy) -> dict[str, Any]:
        """The claims that are the same for every transaction under one policy."""
        known, stated = self._policies
        if known is not policy:  # a policy is frozen; its version is slow to compute
            stated = {
                "version": policy.version,
                "ahead_allowance_ms": policy.ahead_allowance_ms,
                "when_silent": policy.when_silent,
                "identity": policy.identity.model_dump(),
            }
            self._policies = (policy, stated)
        return stated


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    public: dict[str, Any] = OKPAlgorithm.to_jwk(key, as_dict=True)
    thumbprint = json.dumps({name: public[name] for name in ("crv", "kty", "x")}, separators=(",", ":"))
    kid = _base64(sha256(thumbprint.encode()).digest()).decode()
    return {"kty": public["kty"], "crv": public["crv"], "x": public["x"], "kid": kid, "alg": _ALGORITHM, "use": "sig"}


def _base64(raw: bytes) -> bytes:
    """As in JOSE: base64url without padding (RFC 7515, section 2)."""
    return urlsafe_b64encode(raw).rstrip(b"=")


def _record_claims(record: Record) -> dict[str, Any]:
    return {
        "publication": record.publication,
        "tag_and_head": "0x" + record.tag_and_head.hex(),
        "tail": "0x" + record.tail.hex(),
        "watermark_ms": record.watermark_ms,
        "suspended": record.suspended,
    }


def transaction_digest(transaction_id: str) -> str:
    """SHA-256 of a transaction's id, in hexadecimal."""
    return sha256(transaction_id.encode()).hexdigest()


def read_evidence_keys(signing: Path, older: Sequence[Path]) -> tuple[Ed25519PrivateKey, list[Ed25519PublicKey]]:
    """The signing key, and the public keys of earlier evidence. Raises: SettingsError."""
    return load_evidence_key(signing), [_older_key(path) for path in older]


def load_evidence_key(path: Path) -> Ed25519PrivateKey:
    """The signing key of a PEM file. Raises: SettingsError, never showing the content."""
    field = f"evidence_key_file: {path}"
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SettingsError(f"{field}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{field} is not an unencrypted private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"{field} holds another kind of key; allowed: Ed25519")
    return key


def _older_key(path: Path) -> Ed25519PublicKey:
    """The public key of a PEM file. Raises: SettingsError."""
    field = f"older_evidence_key_files: {path}"
    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"{field}: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(f"{field} is not a public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsError(f"{field} holds another kind of key; allowed: Ed25519")
    return key


def new_evidence_key(path: Path) -> None:
    """Write a fresh signing key to a new file that only its owner may read. Raises: SettingsError."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(path, pem.decode())
