"""Somebody who has only the documentation can verify a grant, open a record and compare a tag.

Each formula is read from the page, computed with the standard library alone, and compared with what Standing makes.
"""

import hmac
import re
from hashlib import sha256
from pathlib import Path

import pytest
from eth_utils import keccak

from standing.gateway.evidence.claims import tag_commitments
from standing.ledger.attestations.grant import make_grant
from standing.ledger.attestations.identity import IdDocument, canonical_identity
from standing.ledger.attestations.publication import LocalSigner, recover
from standing.ledger.attestations.sealing import derive_binding_key, identity_tags, key_commitment

_PAGE = (Path(__file__).parents[1] / "docs" / "ARCHITECTURE.md").read_text()
_SECRET, _BINDING, _PLATFORM = bytes(range(32)), bytes(range(32, 64)), "jinqiao-pay"


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\x01", "sha256")


def _label(name: str) -> bytes:
    """The label in the line of the page that begins with `name`."""
    line = re.search(rf'^{name} .*?"(standing/[a-z-]+/v1)"', _PAGE, re.MULTILINE)
    assert line is not None, f"{name} is not documented"
    return line[1].encode()


def _type(name: str) -> bytes:
    """The EIP-712 type `name` of the page."""
    line = re.search(rf"^{name}\(.*\)$", _PAGE, re.MULTILINE)
    assert line is not None, f"{name} is not documented"
    return line[0].encode()


@pytest.fixture(scope="module")
def key() -> bytes:
    return _hkdf(_SECRET, _BINDING, _label("binding key") + _PLATFORM.encode())


def test_a_binding_key_and_its_commitment_are_as_documented(key: bytes) -> None:
    assert key == derive_binding_key(_SECRET, _BINDING, _PLATFORM)
    assert sha256(_label("key commitment") + _BINDING + key).digest() == key_commitment(_BINDING, key)


def test_identity_tags_and_their_commitments_are_as_documented(key: bytes) -> None:
    document = IdDocument("NIDN", "CN", "310101197606149886")
    tags = identity_tags(_BINDING, key, canonical_identity("Zhang San", document, "13800138000"))
    identity_key = _hkdf(key, _BINDING, _label("identity key"))
    committing_key = _hkdf(key, _BINDING, _label("expected tag"))
    commitments = tag_commitments(_BINDING, key, tags)
    values = {"name": "zhangsan", "id_document": "nidn:cn:310101197606149886", "phone": "+8613800138000"}
    for field, value in values.items():
        assert f"`{value}`" in _PAGE, "the page shows the form of each field"
        tag = hmac.digest(identity_key, f"{field}\x1f{value}".encode(), "sha256")[:3]
        assert tag == getattr(tags, field)
        commitment = hmac.digest(committing_key, field.encode() + b"\x1f" + tag, "sha256")[:16]
        assert "0x" + commitment.hex() == commitments[field]


def test_a_grants_signature_is_as_documented(key: bytes) -> None:
    signer = LocalSigner(bytes(31) + b"\x07")
    grant = make_grant(
        signer, bank="BKCHCNBJ", binding=_BINDING, platform=_PLATFORM, granted_at_ms=1_767_225_600_000, binding_key=key
    )
    named = re.search(r'`\{name: "(Standing Grant)", version: "(1)"\}`', _PAGE)
    assert named is not None, "the domain is not documented"
    domain = keccak(
        keccak(text="EIP712Domain(string name,string version)") + keccak(text=named[1]) + keccak(text=named[2])
    )
    content = keccak(
        keccak(_type("Grant"))
        + b"BKCHCNBJ".ljust(32, b"\0")
        + _BINDING
        + keccak(text=_PLATFORM)
        + sha256(_label("key commitment") + _BINDING + key).digest()
        + grant.granted_at_ms.to_bytes(32, "big")
    )
    assert recover(keccak(b"\x19\x01" + domain + content), grant.signature) == signer.address
