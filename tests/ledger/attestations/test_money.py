"""Currencies: withdrawn ones stay known but open no new account."""

import pytest
from iso4217 import Currency

from standing.ledger.attestations.money import check_in_use, currency_code, currency_number
from standing.ledger.errors import InvalidValue


@pytest.mark.parametrize(
    ("code", "number"), [("BGN", 975), ("HRK", 191), ("SLL", 694), ("ZWL", 932), ("DEM", 276), ("CSD", 891)]
)
def test_a_withdrawn_currency_keeps_its_number_and_opens_no_account(code: str, number: int) -> None:
    assert (currency_number(code), currency_code(number)) == (number, code)
    with pytest.raises(InvalidValue, match="withdrawn"):
        check_in_use(code)


def test_a_currency_number_that_was_reused_is_one_currency_under_both_codes() -> None:
    assert currency_number("ANG") == currency_number("XCG") == 532
    assert currency_code(532) == "XCG"


def test_every_currency_in_use_reads_back_as_itself() -> None:
    for currency in Currency:
        if currency.number is not None:
            if currency.code not in {"XXX", "XTS"}:
                check_in_use(currency.code)
            assert currency_code(currency_number(currency.code)) == currency.code


@pytest.mark.parametrize("code", ["RMB", "cny", "", "XYZ"])
def test_a_code_that_never_was_a_currency_is_refused(code: str) -> None:
    with pytest.raises(InvalidValue, match="not a currency"):
        currency_number(code)


@pytest.mark.parametrize("code", ["XXX", "XTS"])
def test_a_code_for_no_currency_or_for_tests_opens_no_account(code: str) -> None:
    with pytest.raises(InvalidValue, match="currency: not a currency"):
        check_in_use(code)
    assert currency_code(currency_number(code)) == code, "what was recorded in it stays readable"
