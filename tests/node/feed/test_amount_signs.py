"""Which signs of a file's amounts a drafted profile takes for thousands, and which for decimals."""

import tomllib
from pathlib import Path

import pytest

from standing.ledger.errors import InvalidValue
from standing.node.feed.profile import read_profile
from standing.node.feed.profile_draft import draft_profile

#: Per amount: its currency, and the text; then unit, thousands and decimal of the draft.
DRAFTS = [
    ([("EUR", "50.000"), ("EUR", "1.500"), ("EUR", "500")], "?", ".", ","),
    ([("BRL", "1.500.000"), ("BRL", "50.000")], "?", ".", ","),
    ([("EUR", "50.000"), ("EUR", "1.500")], "?", "?", "?"),
    ([("", "50.000"), ("", "1.500")], "?", "?", "?"),
    ([("EUR", "50.000"), ("EUR", "1.500,00")], "major", ".", ","),
    ([("EUR", "50.000"), ("EUR", "500,5")], "major", ".", ","),
    ([("EUR", "50.00"), ("EUR", "1.50")], "major", "", "."),
    ([("CNY", "50000.0000"), ("CNY", "1.5000")], "major", "", "."),
    ([("CNY", "50000.000"), ("CNY", "500.000")], "major", "", "."),
    ([("CNY", "0.500"), ("CNY", "500.000")], "major", "", "."),
    ([("CNY", "50,000.000"), ("CNY", "500.000")], "major", ",", "."),
    ([("KWD", "50.000"), ("KWD", "1.500")], "major", "", "."),
    ([("TND", "50,000"), ("TND", "1,500")], "major", "", ","),
    ([("EUR", "50,000"), ("EUR", "1,500")], "?", ",", "."),
    ([("CNY", "50,000.00"), ("CNY", "500.00")], "major", ",", "."),
    ([("CHF", "50'000.00"), ("CHF", "500.00")], "major", "'", "."),
    ([("CHF", "50\u2019000.00"), ("CHF", "500.00")], "major", "\u2019", "."),
    ([("SAR", "٥٠\u066c٠٠٠\u066b٠٠"), ("SAR", "٥٠٠\u066b٠٠")], "major", "\u066c", "\u066b"),
    ([("CNY", "50000"), ("CNY", "500")], "?", "", "."),
    ([("JPY", "50000"), ("VND", "500")], "major", "", "."),
    ([("VND", "50.000.000"), ("VND", "5.000.000")], "major", ".", ","),
]


def _draft(folder: Path, amounts: list[tuple[str, str]], heading: str = "DAILY LIMIT") -> str:
    path = folder / "book.csv"
    lines = [f"1105013700100000077{index};active;{code};{text}\n" for index, (code, text) in enumerate(amounts)]
    path.write_text(f"ACCOUNT NO;STATUS;CURRENCY;{heading}\n" + "".join(lines), encoding="utf-8")
    return draft_profile(path)


@pytest.mark.parametrize(("amounts", "unit", "thousands", "decimal"), DRAFTS)
def test_a_draft_takes_a_sign_for_decimals_only_where_the_amounts_show_it(
    tmp_path: Path, amounts: list[tuple[str, str]], unit: str, thousands: str, decimal: str
) -> None:
    drafted = tomllib.loads(_draft(tmp_path, amounts))["profile"]["amounts"]
    assert drafted == {"unit": unit, "thousands": thousands, "decimal": decimal}


def test_a_heading_with_the_unit_leaves_the_signs_open(tmp_path: Path) -> None:
    drafted = tomllib.loads(_draft(tmp_path, [("CNY", "50.000")], "日限额(元)".replace("日限额", "DAILY LIMIT")))
    assert drafted["profile"]["amounts"] == {"unit": "major", "thousands": "?", "decimal": "?"}


@pytest.mark.parametrize("amounts", [DRAFTS[0][0], DRAFTS[2][0], DRAFTS[13][0]])
def test_a_draft_with_open_signs_cannot_be_used_unread(tmp_path: Path, amounts: list[tuple[str, str]]) -> None:
    path = tmp_path / "core.toml"
    path.write_text(_draft(tmp_path, amounts), encoding="utf-8")
    with pytest.raises(InvalidValue, match=r"profile\.amounts"):
        read_profile(path)
