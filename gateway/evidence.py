"""Evidence: what a decision rested on, signed by the gateway, so that a third party can check it later.

A compact JWS (RFC 7515) with EdDSA over Ed25519 (RFC 8037). The payload is JSON, as `EvidenceSigner.sign` makes it;
the key is told as a JWK, whose `kid` is its thumbprint (RFC 7638).
"""

import json
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt import PyJWS
from jwt.algorithms import OKPAlgorithm

from gateway.decision import Bound, Decision, Question
from ledger.publication import Domain
from ledger.service.settings import SettingsError, write_private

_ALGORITHM = "EdDSA"
_TYPE = "standing-evidence"


class EvidenceSigner:
    """Signs the evidence of one platform's decisions on one ledger. Thread-safe."""

    def __init__(self, key: Ed25519PrivateKey, *, platform: str, domain: Domain) -> None:
        self._key = key
        self._jws = PyJWS(algorithms=[_ALGORITHM])
        self._fixed = {"platform": platform, "contract": domain.contract, "chain_id": domain.chain_id}
        public: dict[str, Any] = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        thumbprint = json.dumps({name: public[name] for name in ("crv", "kty", "x")}, separators=(",", ":"))
        self._kid = urlsafe_b64encode(sha256(thumbprint.encode()).digest()).rstrip(b"=").decode()
        self._jwk = {"kty": public["kty"], "crv": public["crv"], "x": public["x"]}
        self._jwk |= {"kid": self._kid, "alg": _ALGORITHM, "use": "sig"}

    @property
    def jwk(self) -> dict[str, str]:
        """The public key, as `GET /v1/evidence-key` tells it."""
        return self._jwk

    def sign(
        self,
        transaction_id: str,
        question: Question,
        currency: str,
        bound: Bound,
        decision: Decision,
        *,
        block_number: int | None,
        decided_at_ms: int,
    ) -> str:
        """The compact JWS of one decision. The transaction's id is in it as a digest only (SHA-256)."""
        claims = self._fixed | {
            "binding": "0x" + bound.binding.hex(),
            "bank": bound.bank,
            "transaction_sha256": transaction_digest(transaction_id),
            "kind": question.kind.value,
            "amount_minor": question.amount_minor,
            "currency": currency,
            "publication": decision.publication,
            "block_number": block_number,
            "watermark_ms": decision.watermark_ms,
            "staleness_ms": decision.staleness_ms,
            "outcome": decision.outcome.value,
            "reason": decision.reason.value if decision.reason is not None else None,
            "decided_at_ms": decided_at_ms,
        }
        payload = json.dumps(claims, separators=(",", ":"), sort_keys=True).encode()
        return self._jws.encode(payload, self._key, _ALGORITHM, headers={"typ": _TYPE, "kid": self._kid})


def transaction_digest(transaction_id: str) -> str:
    """SHA-256 of a transaction's id, in hexadecimal."""
    return sha256(transaction_id.encode()).hexdigest()


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


def new_evidence_key(path: Path) -> None:
    """Write a fresh signing key to a new file that only its owner may read. Raises: SettingsError."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(path, pem.decode())
