"""A limit in four bytes: exact if possible, never rounded up, and ordered like the amounts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standing.ledger.attestations.limits import (
    LIMIT_FIELDS,
    NO_LIMITS,
    NOTHING,
    Limits,
    decode_limit,
    encode_limit,
    stated,
)
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, NO_LIMIT
from standing.ledger.errors import InvalidValue

_MANTISSA_MAX = 2**27 - 1
_AMOUNTS = st.integers(0, MAX_AMOUNT_MINOR) | st.builds(
    lambda mantissa, exponent, off: min(max(mantissa * 10**exponent + off, 0), MAX_AMOUNT_MINOR),
    st.integers(0, _MANTISSA_MAX + 10),
    st.integers(0, 12),
    st.integers(-10, 10),
)


@pytest.mark.parametrize(
    ("limit_minor", "encoded", "meant_minor"),
    [
        (0, "00000000", 0),
        (1, "00000020", 1),
        (1_000_000, "01e84800", 1_000_000),  # 10,000.00, a class II account's daily limit
        (_MANTISSA_MAX, "ffffffe0", _MANTISSA_MAX),
        (_MANTISSA_MAX + 1, "ffffffe0", _MANTISSA_MAX),
        (134_217_729, "ffffffe0", _MANTISSA_MAX),
        (134_217_730, hex(13_421_773 * 32 + 1)[2:].zfill(8), 134_217_730),
        (134_217_731, hex(13_421_773 * 32 + 1)[2:].zfill(8), 134_217_730),
        (NO_LIMIT, "ffffffff", NO_LIMIT),
    ],
)
def test_limits_encode_as_the_published_vectors_say(limit_minor: int, encoded: str, meant_minor: int) -> None:
    assert decode_limit(encode_limit(limit_minor)) == meant_minor
    assert stated(limit_minor) == meant_minor
    assert encode_limit(limit_minor).hex() == encoded


@given(_AMOUNTS)
def test_a_limit_is_rounded_down_to_the_nearest_amount_that_can_be_encoded(limit_minor: int) -> None:
    meant_minor = stated(limit_minor)
    assert meant_minor <= limit_minor
    assert decode_limit(encode_limit(limit_minor)) == meant_minor
    for exponent in range(13):
        nearest_minor = min(limit_minor // 10**exponent, _MANTISSA_MAX) * 10**exponent
        assert nearest_minor <= meant_minor


@given(_AMOUNTS, _AMOUNTS)
def test_encoding_preserves_the_order_of_amounts(one_minor: int, other_minor: int) -> None:
    lower, higher = sorted((one_minor, other_minor))
    assert stated(lower) <= stated(higher)


@given(st.binary(min_size=4, max_size=4))
def test_any_four_bytes_are_refused_or_are_a_unique_encoding(raw: bytes) -> None:
    try:
        limit_minor = decode_limit(raw)
    except InvalidValue:
        return
    assert encode_limit(limit_minor) == raw


def test_an_amount_is_read_in_its_shortest_form_only() -> None:
    shortest, longer = 13_421_773 << 5 | 1, 13_421_772 << 5 | 1  # 134,217,720 needs no exponent
    assert decode_limit(shortest.to_bytes(4, "big")) == 134_217_730
    with pytest.raises(InvalidValue, match="shortest form"):
        decode_limit(longer.to_bytes(4, "big"))


def test_limits_round_correctly_at_every_exponent_boundary() -> None:
    """Every amount around each change of the exponent."""
    for exponent in range(12):
        edge_minor = _MANTISSA_MAX * 10**exponent
        for limit_minor in range(max(0, edge_minor - 25), min(edge_minor + 25, MAX_AMOUNT_MINOR) + 1):
            meant_minor = stated(limit_minor)
            exact = any(
                limit_minor % 10**tried == 0 and limit_minor // 10**tried <= _MANTISSA_MAX for tried in range(13)
            )
            assert (meant_minor == limit_minor) == exact
            assert decode_limit(encode_limit(limit_minor)) == meant_minor <= limit_minor


@pytest.mark.parametrize("limit_minor", [-1, MAX_AMOUNT_MINOR + 1, NO_LIMIT - 1, NO_LIMIT + 1])
@pytest.mark.parametrize("field", LIMIT_FIELDS)
def test_a_limit_out_of_range_cannot_be_encoded(field: str, limit_minor: int) -> None:
    with pytest.raises(InvalidValue, match=field):
        Limits(**{name: limit_minor if name == field else 0 for name in LIMIT_FIELDS})


def test_no_limit_and_a_limit_of_zero_are_distinguished() -> None:
    assert NO_LIMITS.pack() == b"\xff" * 24
    assert NOTHING.pack() == bytes(24)
