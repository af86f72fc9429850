"""Feed files: claimed once, loaded whole or not at all, moved away with a report; a full file is a reconciliation."""

import json
import os
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from standing.ledger.attestations.terms import Status
from standing.node.fault_points import no_faults
from standing.node.feed.drop_file import parse_name
from standing.node.feed.file_lines import read_lines
from standing.node.feed.file_load import FileLoader
from standing.node.feed.file_report import FileRejected
from tests.node.feed.dropped_files import GOING, drop_folder, file_time, report_of, write_file
from tests.node.node_tools import account, core_as_of_ms, feed_entries, feed_of, grant_of, status_on_ledger, writes
from tests.world import ACCOUNT, Bank, World, wait_until


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_bank_that_can_only_write_files_gets_published(a_world: World, folder: Path, form: str) -> None:
    bank = a_world.start_bank(drop_folder={"path": folder, "poll_ms": 50})
    name = write_file(folder, "full", a_world.clock.advance(10), ACCOUNT, account(1), form=form)
    wait_until((folder / "done" / name).exists)
    grant = grant_of(bank.bind())
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
    frozen_ms = a_world.clock.advance(1_000)
    change = {"number": ACCOUNT["number"], "status": "frozen", "debit_allowed": "FALSE"}
    write_file(folder, "changes", frozen_ms, change, form=form)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == frozen_ms)
    answer = bank.post("/v1/feed", bank.core_key, json={"as_of_ms": frozen_ms + 1, "changes": []})
    assert answer.json()["type"] == "urn:standing:problem:feed-taken"


def test_a_full_file_publishes_only_differences_and_never_closes_missing_accounts(bank: Bank, folder: Path) -> None:
    drop = drop_folder(bank, folder)
    stated = [account(index) for index in range(5)]
    write_file(folder, "full", bank.clock.advance(10), *stated, account(7, status="closed"))
    drop.step(GOING)
    grants = [grant_of(bank.bind(one)) for one in stated]
    second_ms = bank.clock.advance(1_000)
    # Accounts 4 and 7 are missing, and 7 was closed before; 2 is frozen.
    name = write_file(folder, "full", second_ms, stated[0], stated[1], {**stated[2], "status": "frozen"}, stated[3])
    drop.step(GOING)
    report = report_of(folder, "done", name)
    assert (report["lines"], report["changes"], report["missing"]) == (4, 1, 1)
    assert report["missing_accounts"] == [
        {"number_masked": "********0004", "status": "active", "bindings": 1},
    ]
    wait_until(lambda: status_on_ledger(bank, grants[2]) == Status.FROZEN)
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == second_ms)
    assert status_on_ledger(bank, grants[4]) == Status.ACTIVE
    assert [writes(bank, grant) for grant in grants] == [1, 1, 2, 1, 1]


BAD_LINES = [
    pytest.param({"currency": "CNX"}, "currency", id="unknown currency"),
    pytest.param({"status": "asleep"}, "status", id="an unknown status"),
    pytest.param({"debit_allowed": "maybe"}, "debit_allowed", id="not a boolean"),
    pytest.param({"transaction_limit_minor": "1,000"}, "transaction_limit_minor", id="a limit with a comma"),
    pytest.param({"daily_limit_minor": -1}, "daily_limit_minor", id="a negative limit"),
    pytest.param({"holder_name": "··"}, "holder_name", id="a name without letters"),
    pytest.param({"id_document_country": None}, "id_document", id="a part of a document"),
    pytest.param({"status": None}, "status", id="an account without a status"),
    pytest.param({"number": account(0)["number"]}, "number", id="an account twice"),
    pytest.param({"unbind": "jinqiao-pay"}, "unbind", id="an unbinding in a full file"),
    pytest.param({"effective_at_ms": 2**48 - 1}, "effective_at_ms", id="a time after the file's own"),
    pytest.param({"colour": "red"}, "colour", id="an unknown field"),
]


@pytest.mark.long
@pytest.mark.parametrize(("wrong", "field"), BAD_LINES)
def test_a_bad_line_is_named_by_line_and_field_and_unstates_only_its_account(
    bank: Bank, folder: Path, wrong: Mapping[str, Any], field: str
) -> None:
    rows = [account(index) for index in range(12)]
    rows[7] = {**rows[7], **wrong}
    name = write_file(folder, "full", bank.clock.advance(10), *rows)
    drop_folder(bank, folder, page_size=5).step(GOING)
    report = report_of(folder, "done", name)
    assert (8, field) in [(problem["line"], problem["field"]) for problem in report["problems"]]
    assert (report["bad_lines"], report["lines_without_account"]) == (1 + (field == "number" and "number" in wrong), 0)
    written = (folder / "done" / f"{name}.report.json").read_text()
    assert rows[7]["number"] not in written
    assert ACCOUNT["holder_name"] not in written
    assert [entry.as_of_ms for entry in feed_entries(bank)] == [report["as_of_ms"]]
    claim = account(0 if rows[7]["number"] == account(0)["number"] else 7)
    assert "cannot state" in bank.bind(claim).json()["mismatches"][0]["problem"]
    assert grant_of(bank.bind(account(1)))
    assert bank.get("/v1/status").json()["unstated_accounts"] == 1


def _jsonl(*lines: str) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


_GOOD = json.dumps(account(1))


_HEADER = ",".join(account(1))


BAD_FILES = [
    pytest.param("jsonl", b"", "file", id="empty"),
    pytest.param("jsonl", _GOOD.encode(), "file", id="cut short in its last line"),
    pytest.param("jsonl", _jsonl(_GOOD, "{"), "line", id="not JSON"),
    pytest.param("jsonl", _jsonl(_GOOD, "[]"), "line", id="not an object"),
    pytest.param("jsonl", _jsonl('{"number": "1234", "number": "12345"}'), "line", id="a name twice"),
    pytest.param("jsonl", _jsonl(" " * 70_000), "line", id="a line without end"),
    pytest.param("jsonl", b'{"number": "\xff"}\n', "number", id="not UTF-8"),
    pytest.param("jsonl", _jsonl("[" * 60_000), "line", id="nested without end"),
    pytest.param("csv", _jsonl(_HEADER), "file", id="only a header"),
    pytest.param("csv", f"{_HEADER}\n".encode("utf-16"), "file", id="UTF-16 without a profile"),
    pytest.param("csv", f"{_HEADER}\r7399999999,1\r".encode(), "file", id="lines that end with CR alone"),
    pytest.param("csv", _jsonl("number,colour", "1234,red"), "header", id="an unknown column"),
    pytest.param("csv", _jsonl("status", "active"), "header", id="no number column"),
    pytest.param("csv", _jsonl("number,number", "1,2"), "header", id="a column twice"),
    pytest.param("csv", _jsonl("number,status", "7300000001"), "line", id="too few cells"),
    pytest.param("csv", _jsonl("number,status", '73"1",active'), "number", id="a quote in the middle"),
    pytest.param("csv", _jsonl("number,status", '"73000'), "line", id="a quote without end"),
    pytest.param("csv", b"number,status\n7300\xff,active\n", "number", id="CSV that is not UTF-8"),
]


@pytest.mark.long
@pytest.mark.parametrize(("form", "content", "field"), BAD_FILES)
def test_a_malformed_file_is_rejected_with_the_reason(
    bank: Bank, folder: Path, form: str, content: bytes, field: str
) -> None:
    name = f"full-{file_time(bank.clock.advance(10))}.{form}"
    (folder / name).write_bytes(content)
    drop_folder(bank, folder).step(GOING)
    where = "done" if _GOOD.encode() in content and not content.endswith(b"}") else "rejected"
    assert field in [problem["field"] for problem in report_of(folder, where, name)["problems"]]
    assert len(feed_entries(bank)) == (where == "done")


def test_a_heading_that_is_repeated_within_a_file_is_no_account(tmp_path: Path) -> None:
    path = tmp_path / "pages.csv"
    page = "number,status\n{},active\n"
    path.write_text(page.format("1111") + page.format("2222") + page.format("3333"))
    lines = list(read_lines(path, "csv"))
    assert [(line.number, line.record["number"], line.problems) for line in lines] == [
        (2, "1111", ()),
        (4, "2222", ()),
        (6, "3333", ()),
    ]


@pytest.mark.parametrize("more", ["," * 8_000_000, ',"\n"' * 2_000_000], ids=["one line", "many lines"])
def test_an_endless_csv_record_is_refused_before_it_fills_memory(folder: Path, more: str) -> None:
    path = folder / "changes-20260101T000000Z.csv"
    path.write_text(f"number,status\n7300000001{more}\n")
    tracemalloc.start()
    lines = list(read_lines(path, "csv"))
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lines[0].problems[0].problem == "too long"
    assert all(line.problems for line in lines), "no part of it is read as a record"
    assert len(lines) <= 1_000, "reading stops if every line is broken"
    assert most_bytes < 1_000_000


def test_a_full_file_may_list_a_lost_card_before_its_replacement(bank: Bank, folder: Path) -> None:
    bank.feed(ACCOUNT)
    grant = grant_of(bank.bind())
    file_ms = bank.clock.advance(1_000)
    lost = {**ACCOUNT, "status": "lost", "effective_at_ms": file_ms - 100}
    replacement = {**account(1), "replaces": ACCOUNT["number"], "status": "frozen", "effective_at_ms": file_ms - 200}
    name = write_file(folder, "full", file_ms, lost, replacement)
    drop_folder(bank, folder, page_size=1).step(GOING)
    assert report_of(folder, "done", name)["changes"] == 2
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)


@pytest.mark.long
@pytest.mark.parametrize("known", [True, False], ids=["known before", "stated in the same file"])
def test_a_replacement_card_dated_before_the_last_entry_is_unstated_and_the_rest_of_the_file_counts(
    bank: Bank, folder: Path, known: bool
) -> None:
    last_ms = bank.feed(*([ACCOUNT] if known else []))
    file_ms = bank.clock.advance(1_000)
    rows = [
        {**(ACCOUNT if not known else account(2)), "effective_at_ms": file_ms - 1},
        {**account(1), "replaces": ACCOUNT["number"], "effective_at_ms": last_ms},
    ]
    name = write_file(folder, "changes", file_ms, *rows)
    drop_folder(bank, folder, page_size=1).step(GOING)
    report = report_of(folder, "done", name)
    problem = report["problems"][0]
    assert (problem["line"], problem["field"], report["unstated"]) == (2, "effective_at_ms", 1)
    assert len(feed_entries(bank)) == 2


@pytest.mark.long
@pytest.mark.parametrize(
    ("replacement", "field"),
    [
        pytest.param({"replaces": account(1)["number"]}, "replaces", id="replaces itself"),
        pytest.param({"effective_at_ms": -400}, "effective_at_ms", id="changed before its predecessor's last change"),
    ],
)
def test_a_line_that_the_feed_would_refuse_makes_its_account_unstated(
    bank: Bank, folder: Path, replacement: Mapping[str, Any], field: str
) -> None:
    bank.feed(ACCOUNT, account(1))
    file_ms = bank.clock.advance(1_000)
    rows = [
        {"number": ACCOUNT["number"], "status": "lost", "effective_at_ms": file_ms - 100},
        # It counts from its predecessor's loss, whatever time it states itself.
        {"number": account(1)["number"], "replaces": ACCOUNT["number"], "effective_at_ms": file_ms - 500},
        {"number": account(1)["number"], "status": "frozen", **replacement},
    ]
    if "effective_at_ms" in replacement:
        rows[2]["effective_at_ms"] = file_ms + replacement["effective_at_ms"]
    name = write_file(folder, "changes", file_ms, *rows)
    drop_folder(bank, folder, page_size=1).step(GOING)
    report = report_of(folder, "done", name)
    problem = report["problems"][0]
    assert (problem["line"], problem["field"], report["unstated"]) == (3, field, 1)
    assert bank.get("/v1/status").json()["unstated_accounts"] == 1


def test_a_card_issued_and_replaced_between_two_files_is_accepted(bank: Bank, folder: Path) -> None:
    bank.feed(ACCOUNT)
    new = {"number": account(2)["number"], "status": "active", "replaces": account(1)["number"]}
    name = write_file(folder, "changes", bank.clock.advance(1_000), account(1), {**account(1), "status": "lost"}, new)
    drop_folder(bank, folder, page_size=1).step(GOING)
    assert report_of(folder, "done", name)["changes"] == 3
    assert grant_of(bank.bind(account(2)))


def test_a_full_file_named_with_a_future_time_is_refused_on_every_path(bank: Bank, folder: Path) -> None:
    bank.feed(ACCOUNT)
    name = write_file(folder, "full", bank.clock.now_ms() + 8 * 3_600_000, {**ACCOUNT, "status": "frozen"})
    loader = FileLoader(feed_of(bank, no_faults), bank.node.database, bank.secrets.vault())
    for reconcile in (True, False):
        with pytest.raises(FileRejected) as rejected:
            loader.load(folder / name, parse_name(name), lambda _read, _of: None, GOING, reconcile=reconcile)
        assert "in UTC" in rejected.value.report.problems[0].problem


def test_a_file_over_the_size_setting_is_rejected_and_a_shorter_one_is_loaded(a_world: World, folder: Path) -> None:
    bank = a_world.start_bank(drop_folder={"path": folder, "poll_ms": 50, "max_bytes": 1_024})
    long = write_file(folder, "full", a_world.clock.advance(10), *(account(index) for index in range(12)))
    short = write_file(folder, "full", a_world.clock.advance(10), account(1))
    wait_until((folder / "done" / short).exists)
    problem = report_of(folder, "rejected", long)["problems"][0]
    assert (problem["field"], problem["allowed"]) == ("file", "1 to 1024 bytes")
    assert len(feed_entries(bank)) == 1


def test_an_empty_file_of_changes_states_that_nothing_changed(bank: Bank, folder: Path) -> None:
    first_ms = bank.feed(ACCOUNT)
    # Otherwise the clock could advance before this is signed, and then stop before the next heartbeat is due.
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == first_ms)
    as_of_ms = bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    (folder / f"changes-{file_time(as_of_ms)}.csv").write_text("number,status\n")
    drop_folder(bank, folder).step(GOING)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == as_of_ms)


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["accounts.csv", "full-20261301T000000Z.csv", "full-20260101T000000.csv", "FULL.jsonl"]
)
def test_a_file_without_a_time_in_its_name_is_rejected(bank: Bank, folder: Path, name: str) -> None:
    (folder / name).write_text(_GOOD + "\n")
    drop_folder(bank, folder).step(GOING)
    assert report_of(folder, "rejected", name)["problems"][0]["field"] == "file name"


@pytest.mark.long
@pytest.mark.parametrize("name", ["报表.csv".encode("gbk"), b"x" * 250 + b".csv"], ids=["not UTF-8", "too long"])
@pytest.mark.parametrize("require_checksum", [False, True])
def test_a_file_with_an_unexpected_name_does_not_block_others(
    bank: Bank, folder: Path, name: bytes, require_checksum: bool
) -> None:
    (folder / os.fsdecode(name)).write_text(_GOOD + "\n")
    good = write_file(folder, "full", bank.clock.advance(10), account(1), checksum=True)
    drop_folder(bank, folder, require_checksum=require_checksum).step(GOING)
    assert report_of(folder, "done", good)["changes"] == 1
    rejected = [json.loads(path.read_text()) for path in (folder / "rejected").glob("*.report.json")]
    assert [report["problems"][0]["field"] for report in rejected] == ["file name"] * (not require_checksum)
    assert not list((folder / "working").iterdir())


def test_a_file_still_being_written_is_left_alone(bank: Bank, folder: Path) -> None:
    name = f"full-{file_time(bank.clock.advance(10))}.jsonl"
    for unfinished in (f".{name}", f"{name}.part", f"{name}.tmp"):
        (folder / unfinished).write_text("half")
    drop_folder(bank, folder).step(GOING)
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == sorted(
        [f".{name}", f"{name}.part", f"{name}.tmp"]
    )


def test_a_file_older_than_the_last_entry_is_rejected(bank: Bank, folder: Path) -> None:
    last_ms = bank.feed(ACCOUNT)
    name = write_file(folder, "changes", last_ms, {"number": ACCOUNT["number"], "status": "frozen"})
    drop_folder(bank, folder).step(GOING)
    assert "not after" in report_of(folder, "rejected", name)["problems"][0]["problem"]
    assert core_as_of_ms(bank) == last_ms
