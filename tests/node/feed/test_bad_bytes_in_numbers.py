"""A bad byte in an account number never makes it the number of another account, nor a word in its place one of its own,
whatever the source."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from standing.ledger.attestations.terms import Status
from standing.node.feed.drop_file import FileName
from standing.node.feed.file_load import FileLoader
from standing.node.feed.file_report import FileRejected, FileReport
from standing.node.feed.profile import Profile
from standing.node.feed.profile_values import Translator
from tests.node.feed.view_passes import GO, read_pass, unstated, view_source
from tests.node.node_tools import SqlCore, account, core_as_of_ms, feed_of, grant_of, status_on_ledger
from tests.world import Bank, wait_until, world

#: Without its bad byte, the number of account 4 is that of account 3.
NUMBER, OTHER = "7300000000031", "730000000003"
ROWS = [*(account(index) for index in range(4)), account(4, number=NUMBER)]
#: How a source may write it: a byte that is no UTF-8, half a character of CSV or of JSON, or a word for no number.
BAD = {
    "csv, a byte": b"730000000003\xff",
    "csv, half a character": b"730000000003\xe4\xb8",
    "csv, a surrogate": b"7300000\xed\xa0\x8000003",
    "jsonl, a byte": b"730000000003\xff",
    "jsonl, half a pair": rb"730000\ud800000003",
    "jsonl, the mark itself": rb"730000000003\udcff",
    "jsonl, an escaped byte": rb"\udc80730000000003",
    "csv, a word": b"NULL",
    "jsonl, a word": b"(null)",
}
_COLUMNS = {name: name for name in ROWS[0]}


def _content(form: str, rows: list[dict[str, Any]], bad: bytes) -> bytes:
    """A file of rows, the number of the last of which is the bad one."""
    marked = [*rows[:-1], {**rows[-1], "number": "BAD"}]
    if form == "jsonl":
        lines = [json.dumps(row) for row in marked]
    else:
        lines = [",".join(_COLUMNS), *(",".join(str(row.get(name, "")) for name in _COLUMNS) for row in marked)]
    return "".join(f"{line}\n" for line in lines).encode().replace(b"BAD", bad)


def _load(bank: Bank, folder: Path, kind: Any, name: str, content: bytes, profile: Profile | None) -> FileReport:
    form: Literal["csv", "jsonl"] = "jsonl" if name.startswith("jsonl") else "csv"
    as_of_ms = bank.clock.advance(1_000)
    path = folder / f"{as_of_ms}.{form}"
    path.write_bytes(content)
    loader = FileLoader(feed_of(bank, lambda _: None), bank.node.database, bank.secrets.vault(), profile=profile)
    return loader.load(path, FileName(kind, as_of_ms, form), lambda _a, _b: None, GO)


def _profile(name: str) -> Profile:
    return Profile.model_validate({"format": name.split(",", maxsplit=1)[0], "columns": _COLUMNS})


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bank, list[dict[str, Any]]]]:
    """A bank for all cases of files, and the grants of its accounts. A full file states all of them again."""
    with world(tmp_path_factory.mktemp("bound")) as made:
        bank = made.start_bank()
        bank.change(*ROWS)
        yield bank, [grant_of(bank.bind(row)) for row in ROWS]


@pytest.mark.parametrize("profiled", [False, True], ids=["no profile", "profile"])
@pytest.mark.parametrize("name", BAD)
def test_a_freeze_on_a_line_whose_number_has_a_bad_byte_is_not_lost(
    bound: tuple[Bank, list[dict[str, Any]]], tmp_path: Path, name: str, profiled: bool
) -> None:
    bank, grants = bound
    profile = _profile(name) if profiled else None
    form = name.split(",", maxsplit=1)[0]
    _load(bank, tmp_path, "full", name, _content(form, ROWS, NUMBER.encode()), profile)
    wait_until(lambda: status_on_ledger(bank, grants[4]) == Status.ACTIVE)
    frozen = [*ROWS[:-1], {**ROWS[-1], "status": "frozen"}]
    report = _load(bank, tmp_path, "full", name, _content(form, frozen, BAD[name]), profile)
    assert (report.outcome, report.lines_without_account, report.missing, report.unstated) == ("loaded", 1, 1, 1)
    assert [each.number for each in unstated(bank)] == [NUMBER]
    wait_until(lambda: status_on_ledger(bank, grants[4]) == Status.UNSTATED)
    assert status_on_ledger(bank, grants[3]) == Status.ACTIVE, "the account whose number is left is not meant"


@pytest.mark.parametrize("profiled", [False, True], ids=["no profile", "profile"])
@pytest.mark.parametrize("name", BAD)
def test_a_file_of_changes_with_a_bad_byte_in_a_number_is_rejected(
    bound: tuple[Bank, list[dict[str, Any]]], tmp_path: Path, name: str, profiled: bool
) -> None:
    bank, _ = bound
    profile = _profile(name) if profiled else None
    form = name.split(",", maxsplit=1)[0]
    loaded = _load(bank, tmp_path, "full", name, _content(form, ROWS, NUMBER.encode()), profile)
    with pytest.raises(FileRejected) as caught:
        _load(bank, tmp_path, "changes", name, _content(form, ROWS[2:], BAD[name]), profile)
    assert caught.value.report.lines_without_account == 1
    assert (core_as_of_ms(bank), unstated(bank)) == (loaded.as_of_ms, [])


def test_a_bad_byte_in_the_number_that_a_line_replaces_unstates_no_third_account(bank: Bank, tmp_path: Path) -> None:
    full = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    _load(bank, tmp_path, "full", "jsonl", full, None)
    change = json.dumps({**account(7), "replaces": "730000000003\udcff"}).encode() + b"\n"
    _load(bank, tmp_path, "changes", "jsonl", change, None)
    assert [each.number for each in unstated(bank)] == [account(7)["number"]]


@pytest.mark.parametrize("on_bad_change", ["refuse", "unstate"])
def test_a_push_with_half_a_character_in_a_number_is_refused(bank: Bank, on_bad_change: str) -> None:
    bank.change(*ROWS)
    at_ms = bank.clock.advance(1_000)
    change = {"number": "730000000003\ud800", "status": "frozen", "effective_at_ms": at_ms}
    body = json.dumps({"as_of_ms": at_ms, "changes": [change], "on_bad_change": on_bad_change})
    headers = {"Authorization": f"Bearer {bank.core_key}", "Content-Type": "application/json"}
    answer = httpx.post(bank.url + "/v1/feed", content=body, headers=headers, timeout=30)
    assert answer.status_code == 422, answer.text
    assert unstated(bank) == []


@pytest.mark.parametrize("byte", ["80", "E4", "FF"])
def test_a_row_of_a_view_whose_number_has_a_bad_byte_unstates_the_account_without_a_row(
    bank: Bank, core: SqlCore, byte: str
) -> None:
    if not core.url.startswith("sqlite"):
        pytest.skip("only SQLite stores text that is not in the database's encoding")
    core.put(bank.clock.now_ms(), *ROWS)
    source = view_source(bank, core)
    read_pass(bank, core, source)
    grants = [grant_of(bank.bind(row)) for row in ROWS]
    core.run(
        f"UPDATE core_accounts SET number = CAST(X'{OTHER.encode().hex()}{byte}' AS TEXT), status = 'frozen',"
        f" changed_ms = {bank.clock.advance(10)} WHERE number = '{NUMBER}'"
    )
    read_pass(bank, core, source)
    wait_until(lambda: status_on_ledger(bank, grants[4]) == Status.UNSTATED)
    assert [each.number for each in unstated(bank)] == [NUMBER]
    assert status_on_ledger(bank, grants[3]) == Status.ACTIVE


@pytest.mark.parametrize("code", [0xD800, 0xDBFF, 0xDC80, 0xDCFF, 0xDFFF])
def test_a_profile_reads_no_value_that_was_no_text_in_its_source(code: int) -> None:
    sign = chr(code)
    columns: Any = {"number": "a", "holder_name": "b"}
    record, problems = Translator(Profile(columns=columns)).record({"a": f"7300{sign}0001", "b": f"王{sign}小云"})
    assert (record, [each.field for each in problems]) == ({}, ["number", "holder_name"])


@pytest.mark.parametrize("code", [0xD7FF, 0xE000, 0x20BB7])
def test_a_character_beside_the_surrogates_is_text(code: int) -> None:
    sign = chr(code)
    columns: Any = {"number": "a", "holder_name": "b"}
    record, problems = Translator(Profile(columns=columns)).record({"a": "73000001", "b": f"王{sign}"})
    assert (record["holder_name"], problems) == (f"王{sign}", [])
