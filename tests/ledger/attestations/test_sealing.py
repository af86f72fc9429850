"""Sealing: only the platform's key opens terms, only in their own place. The vectors serve other implementations."""

import hmac
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from hypothesis import given
from hypothesis import strategies as st

from standing.ledger.attestations.identity import IdDocument, canonical_identity
from standing.ledger.attestations.sealing import derive_binding_key, identity_tags, key_commitment, seal, unseal
from standing.ledger.attestations.terms import NOT_STATED, Terms
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
}
_TAG_AND_HEAD = bytes.fromhex("d7dd822af7ced68282706c74eeca0a700cd42f477d77af6ef92f")
_TAIL = bytes.fromhex("679b3783055933c8ead0ca38dda8f7897211ecfff5646bf1bf8ce04e82a844ae")


def test_the_binding_key_matches_the_published_vector() -> None:
    assert derive_binding_key(_SECRET, _BINDING, "jinqiao-pay") == _KEY
    # HKDF-SHA256 written out (RFC 5869), one block: extract with the binding as salt, expand with the label.
    extracted = hmac.digest(_BINDING, _SECRET, "sha256")
    assert hmac.digest(extracted, b"standing/binding/v1jinqiao-pay\x01", "sha256") == _KEY


def test_the_identity_tags_match_the_published_vector() -> None:
    assert identity_tags(_BINDING, _KEY, _IDENTITY).pack().hex() == "1b94991b548f68230b"
    extracted = hmac.digest(_BINDING, _KEY, "sha256")
    identity_key = hmac.digest(extracted, b"standing/identity/v1\x01", "sha256")
    phone = hmac.digest(identity_key, b"phone\x1f+8613800138000", "sha256")
    assert identity_tags(_BINDING, _KEY, _IDENTITY).phone == phone[:3]


def test_an_unstated_field_has_the_zero_tag() -> None:
    tags = identity_tags(_BINDING, _KEY, replace(_IDENTITY, phone=""))
    assert tags == replace(identity_tags(_BINDING, _KEY, _IDENTITY), phone=NOT_STATED)


def test_a_stated_field_never_has_the_tag_of_an_unstated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One value in 2^24 would have it, and a change of that field would never be compared."""
    monkeypatch.setattr(hmac, "digest", lambda *_: bytes(32))
    assert identity_tags(_BINDING, _KEY, replace(_IDENTITY, phone="")).pack().hex() == "000001000001000000"


def test_the_sealed_terms_match_the_published_vector() -> None:
    assert seal(Terms.unpack(VECTOR), **_PLACE) == (_TAG_AND_HEAD, _TAIL)
    nonce = (7).to_bytes(6, "big") + bytes(6)
    context = b"YUNXCNB0\0\0\0" + _BINDING + (7).to_bytes(6, "big")
    assert AESGCMSIV(_KEY).encrypt(nonce, VECTOR, context) == _TAG_AND_HEAD[16:] + _TAIL + _TAG_AND_HEAD[:16]


def test_the_key_commitment_matches_the_published_vector() -> None:
    expected = "1c91e6e6c023207cebd08c25174523913ea5c14d8b9f08b1470638de5f45248d"
    assert key_commitment(_BINDING, _KEY).hex() == expected


@given(TERMS)
def test_sealed_terms_open_in_their_own_place(terms: Terms) -> None:
    tag_and_head, tail = seal(terms, **_PLACE)
    assert (len(tag_and_head), len(tail)) == (26, 32)
    assert unseal(tag_and_head, tail, **_PLACE) == terms


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"key": b"\x01" * 32},
        {"key": b"\x01" * 31},
        {"bank": "HAIYCNS0001"},
        {"binding": b"\x01" * 32},
        {"publication": 8},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_record_moved_to_another_place_does_not_open(elsewhere: dict[str, Any]) -> None:
    with pytest.raises(TermsUnreadable):
        unseal(_TAG_AND_HEAD, _TAIL, **{**_PLACE, **elsewhere})


@given(st.integers(0, 58 * 8 - 1))
def test_a_record_with_any_bit_flipped_does_not_open(bit: int) -> None:
    flipped = bytearray(_TAG_AND_HEAD + _TAIL)
    flipped[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(TermsUnreadable):
        unseal(bytes(flipped[:26]), bytes(flipped[26:]), **_PLACE)


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


@pytest.mark.parametrize("place", [{"publication": 2**48}, {"publication": -1}])
def test_a_place_that_the_ledger_cannot_hold_is_refused(place: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        seal(Terms.unpack(VECTOR), **{**_PLACE, **place})
