"""The 42 bytes of terms: each value has one encoding, and nothing else decodes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standing.ledger.attestations.limits import Limits, stated
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, NO_LIMIT
from standing.ledger.attestations.terms import NOT_STATED, IdentityTags, Status, Terms
from standing.ledger.clock import MAX_CALENDAR_MS
from standing.ledger.errors import InvalidValue, TermsUnreadable

_LIMITS = st.integers(0, MAX_AMOUNT_MINOR).map(stated) | st.just(NO_LIMIT)
_TAGS = st.binary(min_size=9, max_size=9).map(IdentityTags.unpack)
TERMS = st.builds(
    Terms,
    status=st.sampled_from(Status),
    debit_allowed=st.booleans(),
    credit_allowed=st.booleans(),
    currency=st.sampled_from([156, 840, 344, 392, 978]),
    effective_at_ms=st.integers(0, MAX_CALENDAR_MS),
    limits=st.builds(Limits, *[_LIMITS] * 6),
    tags=_TAGS,
    account_class=st.integers(0, 3),
    organisation=st.booleans(),
)
#: Frozen, credit only, class II, a person, CNY, since 2025-12-31 23:59:59 UTC; debits of 5,000.00 a transaction and
#: 10,000.00 a day, no month's limit, 200,000.00 a year; credits of 10,000.00 a day and 200,000.00 a year. The tags are
#: those of `test_sealing`, without a phone.
VECTOR = bytes.fromhex("4c009c019b76daa41800f4240001e84800ffffffff2625a00001e848002625a0001b94991b548f000000")


def test_the_packed_layout_matches_the_documentation() -> None:
    terms = Terms.unpack(VECTOR)
    assert terms.status is Status.FROZEN
    assert (terms.debit_allowed, terms.credit_allowed) == (False, True)
    assert (terms.account_class, terms.organisation) == (2, False)
    assert terms.currency == 156
    assert terms.effective_at_ms == 1_767_225_599_000
    assert terms.limits == Limits(500_000, 1_000_000, NO_LIMIT, 20_000_000, 1_000_000, 20_000_000)
    assert terms.tags == IdentityTags(b"\x1b\x94\x99", b"\x1b\x54\x8f", NOT_STATED)
    assert terms.pack() == VECTOR


@given(TERMS)
def test_packed_terms_unpack_to_the_same_terms(terms: Terms) -> None:
    assert Terms.unpack(terms.pack()) == terms


@given(st.binary(min_size=42, max_size=42))
def test_any_42_bytes_are_refused_or_are_a_unique_encoding(raw: bytes) -> None:
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
        pytest.param(_with(0, b"\x0c"), id="status 0"),
        pytest.param(_with(1, b"\0\0"), id="currency 0"),
        pytest.param(_with(3, b"\xff" * 6), id="a time past the calendar's end"),
        pytest.param(_with(9, b"\xff\xff\xff\xfe"), id="one below none stated: above the largest amount"),
        pytest.param(_with(9, b"\x00\x00\x00\x21"), id="1 × 10, which is 10 × 1"),
        pytest.param(VECTOR[:41], id="41 bytes"),
        pytest.param(VECTOR + b"\0", id="43 bytes"),
    ],
)
def test_malformed_terms_are_refused(raw: bytes) -> None:
    with pytest.raises(TermsUnreadable):
        Terms.unpack(raw)


@pytest.mark.parametrize("field", ["name", "id_document", "phone"])
def test_a_tag_of_another_size_never_shifts_the_tags_after_it(field: str) -> None:
    with pytest.raises(InvalidValue, match=f"tags.{field}"):
        replace(IdentityTags(b"nam", b"doc", b"pho"), **{field: b"four"})


@pytest.mark.parametrize(
    "changed",
    [{"account_class": 4}, {"account_class": -1}, {"effective_at_ms": -1}, {"effective_at_ms": MAX_CALENDAR_MS + 1}],
)
def test_a_field_out_of_range_cannot_be_packed(changed: dict[str, int]) -> None:
    with pytest.raises(InvalidValue, match=next(iter(changed))):
        replace(Terms.unpack(VECTOR), **changed)  # type: ignore[arg-type]
