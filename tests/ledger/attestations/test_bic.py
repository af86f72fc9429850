"""A bank's BIC: people may spell it in many ways, the ledger in exactly one."""

import pytest

from standing.ledger.attestations.bic import bic_to_bytes11, bytes11_to_bic, parse_bic
from standing.ledger.errors import InvalidValue


@pytest.mark.parametrize("text", ["YUNXCNB0", "yunxcnb0", " YUNX CNB0 ", "YUNXCNB0XXX", "yunx cn b0 xxx"])
def test_all_spellings_of_a_bic_have_one_canonical_form(text: str) -> None:
    assert parse_bic(text) == "YUNXCNB0"
    assert bic_to_bytes11(text) == b"YUNXCNB0\0\0\0"


@pytest.mark.parametrize(
    "text",
    [
        *("", "YUNXCNB", "YUNXCNB00", "YUNXZZB0", "1UNXCNB0", "YUNXCNB0" * 5, "YUNXCNB0" + " " * 25, "ＹUNXCNB0"),
        *("YUNXCNB\uff10", "YUNX\u2003CNB0", "YUNXCNB0\u2010"),  # its digits, spaces and dashes are ASCII's
    ],
)
def test_a_malformed_bic_is_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_bic(text)
    assert (caught.value.field, caught.value.problem) == ("bank", "not a BIC")
    assert "8 or 11 characters" in caught.value.allowed


@pytest.mark.parametrize("bic", ["YUNXCNB0", "HAIYCNS0001"])
def test_the_ledgers_form_of_a_bic_decodes_to_the_same_bic(bic: str) -> None:
    assert bytes11_to_bic(bic_to_bytes11(bic)) == bic


@pytest.mark.parametrize(
    "raw",
    [
        b"yunxcnb0\0\0\0",
        b"YUNXCNB0   ",
        b"YUNXCNB0XXX",
        b" YUNXCNB0\0\0",
        b"YUN XCNB0\0\0",
        b"YUNXCNB-0\0\0",
        b"YUNXCNB0\n\0\0",
        b"\0YUNXCNB0\0\0",
        b"YUNXCNB0\0\0",
        b"\xffUNXCNB0\0\0\0",
    ],
)
def test_a_look_alike_bic_on_the_ledger_does_not_pass_for_the_real_bank(raw: bytes) -> None:
    with pytest.raises(InvalidValue):
        bytes11_to_bic(raw)
