"""A spreadsheet keeps 15 digits of a number and writes zeros for the rest: such numbers are nobody's, or another's."""

from pathlib import Path
from typing import Any, Literal

import pytest

from standing.node.feed.drop_file import FileName
from standing.node.feed.file_check import FileCheck
from standing.node.feed.file_report import FileReport
from standing.node.feed.profile_draft import draft_profile
from tests.node.node_tools import account
from tests.world import Bank

NUMBERS = ["6222020200112345678", "6222020200198765432", "6222020200155512349"]
PEOPLE = ["110105194912310022", "422201198003050024", "110105198001011234"]


def _rounded(number: str) -> str:
    """As a spreadsheet writes it in a column of numbers without decimals."""
    return number[:15] + "0" * (len(number) - 15)


def _check(
    bank: Bank,
    path: Path,
    rows: list[dict[str, Any]],
    *,
    stored: bool = True,
    kind: Literal["full", "changes"] = "full",
) -> FileReport:
    columns = list(rows[0])
    lines = [",".join(columns), *(",".join(str(row[name]) for name in columns) for row in rows)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    database = bank.node.database if stored else None
    check = FileCheck(database, bank.secrets.vault(), page_size=2, max_bytes=100_000)
    return check.check(path, FileName(kind, bank.clock.now_ms(), "csv"), lambda _a, _b: None)


def _book() -> list[dict[str, Any]]:
    return [
        account(index, number=number, id_document_number=person)
        for index, (number, person) in enumerate(zip(NUMBERS, PEOPLE, strict=True))
    ]


def test_a_file_whose_account_numbers_were_rounded_is_rejected(bank: Bank, tmp_path: Path) -> None:
    """Loaded, it would open accounts of nobody, and leave a frozen account active."""
    bank.feed(*_book())
    rows = [{**row, "number": _rounded(row["number"]), "status": "frozen"} for row in _book()]
    report = _check(bank, tmp_path / "book.csv", rows)
    assert report.outcome == "rejected"
    assert ("number", "rounded by a spreadsheet: zeros after the 15th digit of each") in [
        (problem.field, problem.problem) for problem in report.problems
    ]


@pytest.mark.parametrize("stored", [True, False])
def test_a_file_whose_document_numbers_were_rounded_is_rejected(bank: Bank, tmp_path: Path, stored: bool) -> None:
    bank.feed(*_book())
    rows = [{**row, "id_document_number": _rounded(row["id_document_number"])} for row in _book()]
    report = _check(bank, tmp_path / "book.csv", rows, stored=stored)
    assert (report.outcome, report.problems[0].field) == ("rejected", "id_document_number")


def test_numbers_that_end_in_zeros_at_a_bank_that_has_such_are_not_rounded(bank: Bank, tmp_path: Path) -> None:
    """A bank may end each number with a sub-account 0000: its first file is taken, and so is each with known ones."""
    rows = [{**row, "number": _rounded(row["number"])} for row in _book()]
    assert _check(bank, tmp_path / "first.csv", rows).outcome == "valid"
    bank.feed(*rows[:1])
    assert _check(bank, tmp_path / "next.csv", rows).outcome == "valid"


@pytest.mark.parametrize("other", ["6222020200112345678", "62220202001123456", "6222020200112340001"])
def test_a_single_number_with_other_digits_shows_that_none_is_rounded(bank: Bank, tmp_path: Path, other: str) -> None:
    bank.feed(account(9))
    rows = [{**row, "number": _rounded(row["number"])} for row in _book()[:2]]
    assert _check(bank, tmp_path / "book.csv", [*rows, {**_book()[2], "number": other}]).outcome == "valid"


def test_documents_of_zeros_alone_stand_for_none_and_are_not_rounded(bank: Bank, tmp_path: Path) -> None:
    rows = [{**row, "id_document_number": "0" * 18} for row in _book()]
    assert _check(bank, tmp_path / "book.csv", rows).outcome == "valid"


def test_a_draft_leaves_a_column_of_rounded_numbers_open(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text(
        "账号,证件号码,状态\n" + "".join(f"{_rounded(each)},1,正常\n" for each in NUMBERS), encoding="utf-8"
    )
    drafted = draft_profile(path)
    assert 'number = "?"' in drafted
    assert "has a spreadsheet rounded them" in drafted
