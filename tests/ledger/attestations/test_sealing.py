"""Sealing: only the platform's key opens terms, in their own place only. Vectors are written out for other writers."""

import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from hypothesis import given
from hypothesis import strategies as st

from standing.ledger.attestations.identity import IdDocument, canonical_identity
from standing.ledger.attestations.sealing import derive_binding_key, identity_tags, key_commitment, seal, unseal
from standing.ledger.attestations.terms import Terms
from standing.ledger.errors import InvalidValue, TermsUnreadable
from tests.ledger.attestations.test_terms import TERMS, VECTOR

_SECRET = b"\x11" * 32
_BINDING = bytes(range(32))
_KEY = bytes.fromhex("6b67d37ee7cdb3c084b3cf6f4ec480f73533c3206988d4c84b46ef63a72915b0")
_IDENTITY = canonical_identity("张伟", IdDocument("NIDN", "CN", "11010519491231002X"), "+86 138 0013 8000")
_PLACE: dict[str, Any] = {
    "key": _KEY,
    "bank": "YUNXCNB0",
    "binding": _BINDING,
    "publication": 7,
    "effective_at_ms": 1_767_225_599_000,
}
_TAG = bytes.fromhex("ce3484159cb3013a1bd64c0d4b0f6845")
_SEALED = bytes.fromhex("8cda36cc7a557867ec12ba2f8dec4ce5f7c17336c55ef41dd610c77fd307429a")


def test_vector_binding_key() -> None:
    assert derive_binding_key(_SECRET, _BINDING, "jinqiao-pay") == _KEY
    # HKDF-SHA256 written out (RFC 5869), one block: extract with the binding as salt, expand with the label.
    extracted = hmac.digest(_BINDING, _SECRET, "sha256")
    assert hmac.digest(extracted, b"standing/binding/v1jinqiao-pay\x01", "sha256") == _KEY


def test_vector_identity_tags() -> None:
    assert identity_tags(_BINDING, _KEY, _IDENTITY).pack().hex() == "1b9499981b548fd568230b53"
    extracted = hmac.digest(_BINDING, _KEY, "sha256")
    identity_key = hmac.digest(extracted, b"standing/identity/v1\x01", "sha256")
    phone = hmac.digest(identity_key, b"phone\x1f+8613800138000", "sha256")
    assert identity_tags(_BINDING, _KEY, _IDENTITY).phone == phone[:4]


def test_vector_sealed_terms() -> None:
    assert seal(Terms.unpack(VECTOR), **_PLACE) == (_TAG, _SEALED)
    nonce = (7).to_bytes(6, "big") + bytes(6)
    context = b"YUNXCNB0\0\0\0" + _BINDING + (7).to_bytes(6, "big") + (1_767_225_599_000).to_bytes(6, "big")
    assert AESGCMSIV(_KEY).encrypt(nonce, VECTOR, context) == _SEALED + _TAG


def test_vector_key_commitment() -> None:
    expected = "1c91e6e6c023207cebd08c25174523913ea5c14d8b9f08b1470638de5f45248d"
    assert key_commitment(_BINDING, _KEY).hex() == expected


@given(TERMS)
def test_what_is_sealed_opens_in_its_own_place(terms: Terms) -> None:
    tag, sealed = seal(terms, **_PLACE)
    assert (len(tag), len(sealed)) == (16, 32)
    assert unseal(tag, sealed, **_PLACE) == terms


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"key": b"\x01" * 32},
        {"bank": "HAIYCNS0001"},
        {"binding": b"\x01" * 32},
        {"publication": 8},
        {"effective_at_ms": 1_767_225_599_001},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_record_moved_to_another_place_does_not_open(elsewhere: dict[str, Any]) -> None:
    with pytest.raises(TermsUnreadable):
        unseal(_TAG, _SEALED, **{**_PLACE, **elsewhere})


@given(st.integers(0, 48 * 8 - 1))
def test_a_record_with_any_bit_flipped_does_not_open(bit: int) -> None:
    flipped = bytearray(_TAG + _SEALED)
    flipped[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(TermsUnreadable):
        unseal(bytes(flipped[:16]), bytes(flipped[16:]), **_PLACE)


def test_two_bindings_of_one_account_look_unrelated() -> None:
    other = b"\xaa" * 32
    other_key = derive_binding_key(_SECRET, other, "jinqiao-pay")
    assert identity_tags(other, other_key, _IDENTITY) != identity_tags(_BINDING, _KEY, _IDENTITY)


def test_another_platform_has_another_key_for_the_same_binding() -> None:
    assert derive_binding_key(_SECRET, _BINDING, "other-pay") != _KEY


@pytest.mark.parametrize(("secret", "binding"), [(b"\x11" * 31, _BINDING), (_SECRET, b"\x01" * 31)])
def test_a_short_secret_or_a_wrong_binding_is_refused(secret: bytes, binding: bytes) -> None:
    with pytest.raises(InvalidValue):
        derive_binding_key(secret, binding, "jinqiao-pay")


@pytest.mark.parametrize("place", [{"publication": 2**48}, {"effective_at_ms": 2**48}, {"publication": -1}])
def test_a_place_that_the_ledger_cannot_hold_is_refused(place: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        seal(Terms.unpack(VECTOR), **{**_PLACE, **place})
