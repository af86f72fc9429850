"""The 32 bytes of terms: one encoding for each value, and nothing else decodes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, NO_LIMIT
from standing.ledger.attestations.terms import IdentityTags, Status, Terms
from standing.ledger.errors import InvalidValue, TermsUnreadable

_LIMITS = st.integers(0, MAX_AMOUNT_MINOR) | st.just(NO_LIMIT)
_TAGS = st.binary(min_size=12, max_size=12).map(IdentityTags.unpack)
TERMS = st.builds(
    Terms,
    status=st.sampled_from(Status),
    debit_allowed=st.booleans(),
    credit_allowed=st.booleans(),
    currency=st.sampled_from([156, 840, 344, 392, 978]),
    transaction_limit_minor=_LIMITS,
    daily_limit_minor=_LIMITS,
    tags=_TAGS,
)
#: Frozen, credit only, CNY, 5,000.00 a transaction, no daily limit stated; the tags are of `test_sealing`.
VECTOR = bytes.fromhex("0202009c000000000007a120ffffffffffffffff1b9499981b548fd568230b53")


def test_the_layout_is_the_documented_one() -> None:
    terms = Terms.unpack(VECTOR)
    assert terms.status is Status.FROZEN
    assert (terms.debit_allowed, terms.credit_allowed) == (False, True)
    assert terms.currency == 156
    assert terms.transaction_limit_minor == 500_000
    assert terms.daily_limit_minor == NO_LIMIT
    assert terms.tags == IdentityTags(b"\x1b\x94\x99\x98", b"\x1b\x54\x8f\xd5", b"\x68\x23\x0b\x53")
    assert terms.pack() == VECTOR


@given(TERMS)
def test_what_is_packed_is_what_comes_back(terms: Terms) -> None:
    assert Terms.unpack(terms.pack()) == terms


@given(st.binary(min_size=32, max_size=32))
def test_any_32_bytes_either_are_refused_or_have_no_other_encoding(raw: bytes) -> None:
    try:
        terms = Terms.unpack(raw)
    except TermsUnreadable:
        return
    assert terms.pack() == raw


def _with(at: int, new: bytes) -> bytes:
    return VECTOR[:at] + new + VECTOR[at + len(new) :]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(_with(0, b"\0"), id="status 0"),
        pytest.param(_with(0, b"\x07"), id="a status after the last"),
        pytest.param(_with(1, b"\x04"), id="an unknown permission bit"),
        pytest.param(_with(2, b"\0\0"), id="currency 0"),
        pytest.param(_with(4, b"\x80" + bytes(7)), id="a limit between the largest amount and none stated"),
        pytest.param(_with(12, b"\xff" * 7 + b"\xfe"), id="one below none stated"),
        pytest.param(VECTOR[:31], id="31 bytes"),
        pytest.param(VECTOR + b"\0", id="33 bytes"),
    ],
)
def test_what_is_no_terms_is_refused(raw: bytes) -> None:
    with pytest.raises(TermsUnreadable):
        Terms.unpack(raw)


@pytest.mark.parametrize("limit_minor", [-1, MAX_AMOUNT_MINOR + 1, NO_LIMIT - 1])
def test_a_limit_out_of_range_cannot_be_stated(limit_minor: int) -> None:
    tags = IdentityTags(bytes(4), bytes(4), bytes(4))
    with pytest.raises(InvalidValue, match="daily_limit_minor"):
        Terms(Status.ACTIVE, True, True, 156, 0, limit_minor, tags)
