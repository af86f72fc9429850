"""Files as cores write them, read by their profile: learned from the file, edited, checked, sent."""

import csv
import io
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from typer.testing import CliRunner

from standing.ledger.attestations.terms import Status
from standing.ledger.errors import InvalidValue
from standing.node.cli import app as command_line
from standing.node.feed.file_lines import Line, read_lines
from standing.node.feed.profile import ENCODINGS, Profile, read_profile
from standing.node.feed.profile_draft import draft_profile
from standing.node.feed.profile_values import Translator
from tests.node.node_tools import grant_of, settings_on_disk, status_on_ledger
from tests.world import ACCOUNT, Bank, wait_until

#: A book as a core writes it: Chinese headings, states in words, yuan with separators. All of it is invented.
HEADING = "账号,户名,证件类型,证件号码,手机号,账户状态,币种,单笔限额(元),日限额(元)"
BOOK = (
    HEADING,
    '11050137001000000771,王小云,居民身份证,310101197606149886,13800138000,正常,人民币,"50,000.00","200,000.00"',
    "11050137001000000772,陈阿大,居民身份证,310101197606149886,13900139000,正常,人民币,,",
    '11050137001000000773,买买提●吐尔逊,护照,E12345678,13700137000,冻结,人民币,10000.00,"10,000.00"',
)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "核心导出.csv"
    path.write_bytes(("\r\n".join(BOOK) + "\r\n").encode("gb18030"))
    return path


def _run(*arguments: str) -> Any:
    return CliRunner().invoke(command_line, ["feed", *arguments], env={"COLUMNS": "160"})


def _filled_in(draft: str) -> tuple[str, int]:
    """The draft as completed by the bank's engineer, and the number of lines edited."""
    lines = draft.splitlines()
    edited = [line.replace('"?"', '"none"') for line in lines]
    return "\n".join(edited), sum(old != new for old, new in zip(lines, edited, strict=True))


def test_a_profile_of_a_cores_export_can_be_drafted_edited_checked_and_used(
    bank: Bank, book: Path, tmp_path: Path
) -> None:
    config = tmp_path / "node.toml"
    config.write_text(tomli_w.dumps(settings_on_disk(bank, tmp_path)))
    profile = tmp_path / "core.toml"
    assert _run("learn", str(book), "-o", str(profile)).exit_code == 0
    as_of = datetime.fromtimestamp(bank.clock.advance(10) / 1000, UTC).isoformat()
    given_file = (str(book), "--profile", str(profile), "--as-of", as_of)
    unfinished = _run("check", *given_file)
    assert unfinished.exit_code == 1, "a draft lists what it could not determine, and is not a valid profile"
    text, edits = _filled_in(profile.read_text())
    assert edits == 2
    profile.write_text(text)
    checked = _run("check", *given_file)
    assert (checked.exit_code, "can be imported" in checked.output) == (0, True), checked.output
    sent = _run("send", *given_file, "-c", str(config), "--json")
    assert sent.exit_code == 0, sent.output
    assert (json.loads(sent.stdout)["new_accounts"], json.loads(sent.stdout)["lines"]) == (3, 3)
    claim = {**ACCOUNT, "number": "11050137001000000771", "number_type": "account"}
    grant = grant_of(bank.bind({**claim, "holder_name": "王小云", "phone": "13800138000"}))
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)


def test_a_check_counts_what_a_profile_makes_of_the_states(book: Path, tmp_path: Path) -> None:
    """A word that was filled in wrongly is seen by its count before any of it is published."""
    profile = tmp_path / "core.toml"
    assert _run("learn", str(book), "-o", str(profile)).exit_code == 0
    text, _ = _filled_in(profile.read_text())
    given_file = (str(book), "--profile", str(profile), "--as-of", "2026-01-01T02:00:00+08:00")
    profile.write_text(text)
    report = json.loads(_run("check", *given_file, "--json").stdout)
    assert (report["states"], report["frozen_may_pay"]) == ({"active": 2, "frozen": 1}, 0)
    before, debits, after = text.partition("[profile.words.debit_allowed]")
    profile.write_text(before + debits + after.replace('"冻结" = false', '"冻结" = true', 1))
    assert json.loads(_run("check", *given_file, "--json").stdout)["frozen_may_pay"] == 1
    assert "active 2, frozen 1" in _run("check", *given_file).output


def test_feed_check_prints_a_table_or_json_and_never_a_value(book: Path, tmp_path: Path) -> None:
    profile = tmp_path / "core.toml"
    profile.write_text(_filled_in(draft_profile(book))[0])
    bad = BOOK[1].replace("正常", "休眠中").replace("50,000.00", "五万")
    book.write_bytes(("\r\n".join([*BOOK, bad.replace("771", "779")]) + "\r\n").encode("gb18030"))
    given_file = (str(book), "--profile", str(profile), "--as-of", "2026-01-01T02:00:00+08:00")
    table = _run("check", *given_file)
    report = json.loads(_run("check", *given_file, "--json").stdout)
    assert {(each["line"], each["field"]) for each in report["problems"]} >= {
        (5, "status"),
        (5, "debit_allowed"),
        (5, "transaction_limit_minor"),
    }
    for shown in (table.output, json.dumps(report, ensure_ascii=False)):
        assert not any(value in shown for value in ("休眠中", "五万", "王小云", "11050137001000000779", "13800138000"))
    assert "transaction_limit_minor" in table.output
    assert (report["outcome"], report["bad_lines"], report["unstated"]) == ("valid", 1, 1)
    assert table.exit_code == 0, "the other lines can be loaded"


@pytest.mark.parametrize("delimiter", [",", "|"])
def test_two_stray_quotes_do_not_join_their_lines_into_one_account(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "changes-20260101T000000Z.csv"
    lines = ["number,holder_name,status", '7399999991,"李娜,active', '7399999992,王伟",frozen', "7399999993,王芳,lost"]
    path.write_text("".join(line.replace(",", delimiter) + "\n" for line in lines))
    columns: Any = {"number": "number", "status": "status", "holder_name": "holder_name"}
    first, second, third = read_lines(path, "csv", Profile(delimiter=delimiter, columns=columns))
    assert (first.number, first.record, len(first.problems)) == (2, {}, 1)
    assert (second.record["number"], second.record["status"]) == ("7399999992", "frozen")
    assert (third.record["number"], third.record["status"], third.problems) == ("7399999993", "lost", ())
    joined = Profile(delimiter=delimiter, multiline=True, columns=columns)
    assert [line.record["status"] for line in read_lines(path, "csv", joined)] == ["frozen", "lost"]


def test_a_misplaced_quote_spoils_only_its_own_line(tmp_path: Path) -> None:
    path = tmp_path / "changes-20260101T000000Z.csv"
    path.write_text('number,holder_name\n7300000001,"a"b\n7300000002,b\n7300000003,"c\n7300000004,d\n')
    lines = list(read_lines(path, "csv"))
    assert [(line.number, bool(line.problems)) for line in lines] == [(2, True), (3, False), (4, True), (5, False)]


def _row(profile: dict[str, Any], **cells: Any) -> tuple[dict[str, Any], list[str]]:
    columns = {"number": "number", **{name: name for name in cells}}
    record, problems = Translator(Profile(columns=columns, **profile)).record({"number": "7300000001", **cells})
    return record, [each.field for each in problems]


AMOUNTS = [
    ({"unit": "major", "thousands": ","}, "CNY", "50,000.00", 5_000_000),
    ({"unit": "major", "thousands": ",", "decimal": "."}, "CNY", "1,23,456.7", 12_345_670),
    ({"unit": "major", "thousands": ".", "decimal": ","}, "EUR", "1.234,5", 123_450),
    ({"unit": "major"}, "JPY", "5000", 5_000),
    ({"unit": "major"}, "JPY", "5000.00", 5_000),
    ({"unit": "major"}, "KWD", "1.234", 1_234),
    ({"unit": "major"}, "CNY", "５０", 5_000),
    ({"unit": "major"}, "CNY", Decimal("0.01"), 1),
    ({"unit": "major"}, "CNY", 0.29, 29),
    ({"unit": "minor"}, "CNY", "5000", 5_000),
    ({"unit": "major"}, "CNY", "1.005", None),
    ({"unit": "major"}, "JPY", "0.5", None),
    ({"unit": "major", "thousands": ","}, "CNY", "1,5", None),
    ({"unit": "major"}, "CNY", "-1", None),
    ({"unit": "major"}, "CNY", "6.22E+18", None),
    ({"unit": "major"}, "CNY", float("nan"), None),
    ({"unit": "major"}, "CNY", True, None),
    ({"unit": "major"}, "CNX", "1", None),
    ({"unit": "minor"}, "CNY", "9" * 20, None),
    ({"unit": "minor"}, "CNY", "500.00", None),
    ({"unit": "minor", "decimal": ","}, "CNY", "500,0", None),
    ({"unit": "minor", "thousands": ","}, "CNY", "50,000", 50_000),
    ({"unit": "minor"}, "CNY", Decimal("500.00"), 500),
    *(
        ({"unit": "major", "thousands": profiled, "decimal": ","}, "EUR", f"50{written}000,00", 5_000_000)
        for profiled in (" ", "\u00a0", "\u202f")
        for written in (" ", "\u00a0", "\u202f")
    ),
    ({"unit": "major", "decimal": "．"}, "CNY", "1.5", 150),
    # Fifty thousand, or fifty with three decimals; only where nothing else can be meant is it read.
    ({"unit": "major"}, "EUR", "50.000", None),
    ({"unit": "major"}, "EUR", "1.500", None),
    ({"unit": "major"}, "JPY", "５０．０００", None),
    ({"unit": "major", "decimal": ","}, "EUR", "50,000", None),
    ({"unit": "major", "thousands": ".", "decimal": ","}, "EUR", "50.000", 5_000_000),
    ({"unit": "major"}, "KWD", "50.000", 50_000),
    ({"unit": "major"}, "EUR", "50.00", 5_000),
    ({"unit": "major"}, "EUR", "50.0000", 5_000),
    ({"unit": "major"}, "EUR", "5000.000", 500_000),
    ({"unit": "major"}, "EUR", "0.500", 50),
    ({"unit": "major"}, "EUR", Decimal("50.000"), 5_000),
    # A database's four decimals, by a profile whose point separates thousands.
    ({"unit": "major", "thousands": ".", "decimal": ","}, "EUR", "1000.0000", None),
    ({"unit": "minor", "thousands": ","}, "CNY", "50,0000", None),
    ({"unit": "major", "thousands": ","}, "CNY", "1,0000,0000", 10_000_000_000),
]


@pytest.mark.parametrize(("amounts", "currency", "written", "minor"), AMOUNTS)
def test_amounts_are_read_in_the_profiles_format(
    amounts: dict[str, str], currency: str, written: Any, minor: int | None
) -> None:
    record, problems = _row({"amounts": amounts}, currency=currency, daily_limit_minor=written)
    assert record.get("daily_limit_minor") == minor
    assert ("daily_limit_minor" in problems or "currency" in problems) == (minor is None)


def test_mapped_values_constants_empty_cells_and_padding_are_read() -> None:
    profile = {
        "words": {"status": {"正常": "active"}, "debit_allowed": {"是": True}, "currency": {"人民币": "CNY"}},
        "constants": {"number_type": "account"},
        "empty": {"daily_limit_minor": "none"},
    }
    cells = {"status": "正常\u3000 ", "debit_allowed": "是", "currency": "156", "daily_limit_minor": "  ", "phone": " "}
    record, problems = _row(profile, **cells)
    assert problems == []
    assert record == {
        "number": "7300000001",
        "number_type": "account",
        "status": "active",
        "debit_allowed": True,
        "currency": "CNY",
        "daily_limit_minor": "none",
    }
    assert _row({"words": {"status": {"正常": "active"}}}, status="不明")[1] == ["status"]


def test_an_unknown_currency_is_one_problem_whatever_the_number_of_limits() -> None:
    limits = {"transaction_limit_minor": "50.00", "daily_limit_minor": "100.00"}
    assert _row({"amounts": {"unit": "major"}}, currency="XYZ", **limits)[1] == ["currency"]


def test_numbers_of_a_banks_own_for_currencies_are_not_taken_for_those_of_iso() -> None:
    profile = {"words": {"currency": {"01": "CNY", "14": "USD"}}}
    assert _row(profile, currency="14")[0]["currency"] == "USD"
    assert _row(profile, currency="12") == ({"number": "7300000001"}, ["currency"])
    assert _row(profile, currency="826")[0]["currency"] == "GBP"
    assert _row({}, currency="12")[0]["currency"] == "DZD"


def test_codes_that_differ_only_in_case_keep_their_own_meanings() -> None:
    words = {"status": {"A": "active", "a": "frozen", "Ｃ": "closed", "正常": "active"}}
    read = {word: _row({"words": words}, status=word) for word in ("A", "a", "ａ", "c", "正常 ")}
    assert [record.get("status") for record, _ in read.values()] == ["active", "frozen", None, "closed", "active"]
    assert read["ａ"][1] == ["status"], "it could be either"


def test_a_number_of_two_columns_is_none_where_one_is_empty() -> None:
    translator = Translator(Profile(columns={"number": ["branch", "account"], "holder_name": ["given", "family"]}))
    record, problems = translator.record({"branch": "0101", "account": "1234567", "given": "", "family": "Suharto"})
    assert (record, problems) == ({"number": "0101 1234567", "holder_name": "Suharto"}, [])
    for empty in ("branch", "account"):
        row = {"branch": "0101", "account": "1234567", "given": "A", "family": "B", empty: " "}
        record, problems = translator.record(row)
        assert ("number" in record, [each.field for each in problems]) == (False, ["number"])


BAD_PROFILES = [
    ({"columns": {}}, "number"),
    ({"columns": {"number": "a", "colour": "b"}}, "colour"),
    ({"columns": {"number": "a"}, "constants": {"number": "1"}}, "number"),
    ({"columns": {"number": "a", "status": "b"}, "words": {"status": {"x": "asleep"}}}, "words.status.x"),
    ({"columns": {"number": "a", "status": "b"}, "words": {"status": {"x": "?"}}}, "words.status.x"),
    ({"columns": {"number": "a"}, "constants": {"daily_limit_minor": "much"}}, "daily_limit_minor"),
    ({"columns": {"number": "a"}, "times": {"zone": "Mars"}}, "zone"),
    ({"columns": {"number": "a"}, "times": {"zone": "?"}}, "zone"),
    ({"columns": {"number": "a"}, "times": {"form": "yesterday"}}, "form"),
    *(
        ({"columns": {"number": "a"}, "times": {"form": form}}, "times.form")
        for form in (
            "%Y-%m-%d %H:%m:%S",
            "%Y%Y%m%d",
            "%Y-%m",
            "%m-%d",
            "%d %H:%M",
            "%H:%M:%S",
            "%Y%m%d %Q",
            "%Y%m%d%",
            "%s",
        )
    ),
    ({"columns": {"number": "a"}, "encoding": "big5"}, "encoding"),
    ({"columns": {"number": 1}}, "columns.number"),
    ({"columns": {"number": "a"}, "heading": False}, "columns.number"),
    ({"columns": {"number": "a"}, "delimiter": '"'}, "delimiter"),
    ({"columns": {"number": "a"}, "amounts": {"thousands": "."}}, "thousands"),
    ({"columns": {"number": "a"}, "amounts": {"thousands": "．"}}, "thousands"),
    ({"columns": {"number": "a"}, "amounts": {"thousands": "²"}}, "thousands"),
    ({"columns": {"number": "a"}, "amounts": {"thousands": "?", "decimal": "?"}}, "thousands, decimal: still"),
    ({"columns": {"number": "a"}, "amounts": {"decimal": "?"}}, "decimal: still"),
    ({"columns": {"number": "a"}, "ignored": ["b", "?"]}, "ignored: still"),
    ({"columns": {"number": "a"}, "ignored": ["b", "a"]}, "ignored: a: read as well"),
]


@pytest.mark.parametrize(("stated", "named"), BAD_PROFILES)
def test_a_wrong_profile_is_refused_by_the_name_of_the_setting(
    stated: dict[str, Any], named: str, tmp_path: Path
) -> None:
    with pytest.raises(ValidationError, match=named.replace(".", r"\.")):
        Profile.model_validate(stated)
    path = tmp_path / "core.toml"
    path.write_text(tomli_w.dumps({"profile": stated}))
    with pytest.raises(InvalidValue):
        read_profile(path)


def test_a_file_without_a_header_is_read_by_column_number(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_bytes("\r\n".join(BOOK[1:]).encode("gb18030"))
    draft = draft_profile(path)
    assert "final_line_break = false" in draft
    (tmp_path / "core.toml").write_text(_filled_in(draft)[0])
    profile = read_profile(tmp_path / "core.toml")
    assert (profile.columns["number"], profile.columns["holder_name"], profile.columns["status"]) == (1, 2, 6)
    assert [line.record["number"][-3:] for line in read_lines(path, "csv", profile)] == ["771", "772", "773"]


@pytest.mark.long
@settings(deadline=None)  # files are written
@given(
    cells=st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=2, max_size=4),
    encoding=st.sampled_from([name for name in ENCODINGS if name != "utf-16"]),
)
def test_any_cell_content_is_read_back_unchanged_except_on_lines_without_values(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str], encoding: Any
) -> None:
    path = tmp_path_factory.mktemp("any") / "book.csv"
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["number", "holder_name"], *([cell, cell] for cell in cells)])
    path.write_bytes(text.getvalue().encode(encoding))
    columns: Any = {"number": "number", "holder_name": "holder_name"}
    profile = Profile(encoding=encoding, multiline=True, columns=columns)
    read: list[Line] = list(read_lines(path, "csv", profile))
    stated = [cell for cell in map(_trimmed, cells) if cell is not None and not re.fullmatch(r"[-+=|_\s]+", cell)]
    assert [line.record.get("number") for line in read] == stated
    assert not any(line.problems for line in read)


def _trimmed(cell: str) -> str | None:
    padding = "".join(map(chr, range(0x110000 - 0x100000)))
    padding = "".join(each for each in padding if each.isspace() and each not in "\x1c\x1d\x1e\x1f")
    return cell.strip(padding + "\x00\x1a\u200b\ufeff") or None


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        (
            "账号,客户类型,户名,账户状态,账户类别,日支出限额(元),月累计限额(元),年累计支出限额(元),日累计入账限额(元),年累计入账限额(元)",
            ("个人", "对公", "正常", "II类户", "III类"),
        ),
        (
            "ACCOUNT NO,CUSTOMER TYPE,HOLDER NAME,STATUS,ACCOUNT CLASS,DAILY LIMIT,MONTHLY LIMIT,YEARLY LIMIT,"
            "DAILY CREDIT LIMIT,YEARLY CREDIT LIMIT",
            ("Individual", "Corporate", "Active", "Class II", "3"),
        ),
    ],
    ids=["chinese", "english"],
)
def test_a_drafted_profile_reads_holder_kind_class_and_every_limit(
    heading: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    person, organisation, active, second, third = words
    caps = '"10,000.00",50000.00,200000.00,"10,000.00",200000.00'
    book = tmp_path / "book.csv"
    lines = [heading]
    lines += [f"1105013700100000077{i},{person},王小云,{active},{second},{caps}" for i in range(3)]
    lines += [f"11050137001000000781,{organisation},杭州示例科技有限公司,{active},{third},{caps}"]
    book.write_text("\n".join(lines) + "\n", encoding="utf-8")
    edited, _ = _filled_in(draft_profile(book))
    (tmp_path / "profile.toml").write_text(edited.replace('currency = "none"', 'currency = "CNY"'), encoding="utf-8")
    profile = read_profile(tmp_path / "profile.toml")
    first, *_, last = read_lines(book, "csv", profile)
    limits = ("daily", "monthly", "yearly", "daily_credit", "yearly_credit")
    assert [int(first.record[f"{name}_limit_minor"]) for name in limits] == [
        *(1_000_000, 5_000_000, 20_000_000),
        *(1_000_000, 20_000_000),
    ]
    assert [(line.record["holder_kind"], str(line.record["account_class"])) for line in (first, last)] == [
        ("person", "2"),
        ("organisation", "3"),
    ]
