"""Feed files: claimed once, taken in whole or not at all, moved away with a report; a full file is a reconciliation."""

import csv
import hashlib
import json
import os
import signal
import threading
import tracemalloc
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from sqlalchemy import select
from typer.testing import CliRunner

from localnet import LocalNet
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.attestations.terms import Status
from standing.ledger.chain import governance
from standing.ledger.clock import SystemClock
from standing.ledger.service.serve import served
from standing.node.cli import app as command_line
from standing.node.fault_points import PART_FAULT_POINTS, no_faults
from standing.node.feed import file_load
from standing.node.feed.comparison import compare_states
from standing.node.feed.drop_file import parse_name
from standing.node.feed.drop_folder import DropFolder
from standing.node.feed.file_lines import read_lines
from standing.node.feed.file_load import FileLoader
from standing.node.feed.file_report import FileRejected
from standing.node.feed.settings import DropFolderSettings
from standing.node.storage import schema
from tests.node.node_tools import Killed, account, die_at, feed_of, grant_of, settings_on_disk, status_on_ledger, writes
from tests.world import ACCOUNT, GUARDIAN, PLATFORM, REGISTRAR, Bank, Chain, World, wait_until

_GO = threading.Event()


@pytest.fixture
def bank(a_world: World) -> Bank:
    return a_world.start_bank()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drop"
    made.mkdir()
    return made


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y%m%dT%H%M%S}.{ms % 1000:03d}Z"


def _write(
    folder: Path, kind: str, as_of_ms: int, *rows: Mapping[str, Any], form: str = "jsonl", checksum: bool = False
) -> str:
    """Put a file into the folder, as a core should: written elsewhere first. Returns: its name."""
    name = f"{kind}-{_time(as_of_ms)}.{form}"
    draft = folder / f".{name}"
    with draft.open("w", newline="", encoding="utf-8") as file:
        if form == "jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        else:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    if checksum:
        (folder / f"{name}.sha256").write_text(hashlib.sha256(draft.read_bytes()).hexdigest())
    draft.rename(folder / name)
    return name


def _drop(bank: Bank, folder: Path, faults: Any = no_faults, **settings: Any) -> DropFolder:
    feed = feed_of(bank, faults)
    stated = DropFolderSettings(path=folder, **settings)
    vault = bank.secrets.vault()
    loader = FileLoader(feed, bank.node.database, vault, page_size=stated.page_size, max_bytes=stated.max_bytes)
    return DropFolder(stated, loader, feed, faults)


def _report(folder: Path, where: str, name: str) -> dict[str, Any]:
    assert (folder / where / name).exists(), sorted(str(path) for path in folder.rglob("*"))
    report: dict[str, Any] = json.loads((folder / where / f"{name}.report.json").read_text())
    return report


def _as_of_ms(bank: Bank) -> int:
    core_as_of_ms: int = bank.get("/v1/status").json()["core_as_of_ms"]
    return core_as_of_ms


def _entries(bank: Bank) -> list[Any]:
    with bank.node.database.read() as connection:
        return list(connection.execute(select(schema.feed_entries).order_by(schema.feed_entries.c.as_of_ms)))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_bank_that_can_only_write_files_reaches_the_ledger(a_world: World, folder: Path, form: str) -> None:
    bank = a_world.start_bank(drop_folder={"path": folder, "poll_ms": 50})
    name = _write(folder, "full", a_world.clock.advance(10), ACCOUNT, account(1), form=form)
    wait_until((folder / "done" / name).exists)
    grant = grant_of(bank.bind())
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
    frozen_ms = a_world.clock.advance(1_000)
    change = {"number": ACCOUNT["number"], "status": "frozen", "debit_allowed": "FALSE"}
    _write(folder, "changes", frozen_ms, change, form=form)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == frozen_ms)
    answer = bank.post("/v1/feed", bank.core_key, json={"as_of_ms": frozen_ms + 1, "changes": []})
    assert answer.json()["type"] == "urn:standing:problem:feed-taken"


def test_a_full_file_tells_differences_only_and_never_closes_what_is_missing_from_it(bank: Bank, folder: Path) -> None:
    drop = _drop(bank, folder)
    stated = [account(index) for index in range(5)]
    _write(folder, "full", bank.clock.advance(10), *stated, account(7, status="closed"))
    drop.step(_GO)
    grants = [grant_of(bank.bind(one)) for one in stated]
    second_ms = bank.clock.advance(1_000)
    # Account 4 is missing; 7 is too, and was closed; 2 is frozen.
    name = _write(folder, "full", second_ms, stated[0], stated[1], {**stated[2], "status": "frozen"}, stated[3])
    drop.step(_GO)
    report = _report(folder, "done", name)
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
    pytest.param({"currency": "CNX"}, "currency", id="no such currency"),
    pytest.param({"status": "asleep"}, "status", id="an unknown status"),
    pytest.param({"debit_allowed": "maybe"}, "debit_allowed", id="no boolean"),
    pytest.param({"transaction_limit_minor": "1,000"}, "transaction_limit_minor", id="a limit with a comma"),
    pytest.param({"daily_limit_minor": -1}, "daily_limit_minor", id="a negative limit"),
    pytest.param({"holder_name": "··"}, "holder_name", id="a name without letters"),
    pytest.param({"id_document_country": None}, "id_document", id="a part of a document"),
    pytest.param({"status": None}, "number", id="a new account without a status"),
    pytest.param({"number": account(0)["number"]}, "number", id="an account twice"),
    pytest.param({"unbind": "jinqiao-pay"}, "unbind", id="an unbinding in a full file"),
    pytest.param({"effective_at_ms": 2**48 - 1}, "effective_at_ms", id="a time after the file's own"),
    pytest.param({"colour": "red"}, "colour", id="an unknown field"),
]


@pytest.mark.long
@pytest.mark.parametrize(("wrong", "field"), BAD_LINES)
def test_one_bad_line_is_named_by_line_and_field_and_makes_its_account_unstated_and_no_other(
    bank: Bank, folder: Path, wrong: Mapping[str, Any], field: str
) -> None:
    rows = [account(index) for index in range(12)]
    rows[7] = {**rows[7], **wrong}
    name = _write(folder, "full", bank.clock.advance(10), *rows)
    _drop(bank, folder, page_size=5).step(_GO)
    report = _report(folder, "done", name)
    assert (8, field) in [(problem["line"], problem["field"]) for problem in report["problems"]]
    assert (report["bad_lines"], report["untold_lines"]) == (1 + (field == "number" and "number" in wrong), 0)
    written = (folder / "done" / f"{name}.report.json").read_text()
    assert rows[7]["number"] not in written
    assert ACCOUNT["holder_name"] not in written
    assert [entry.as_of_ms for entry in _entries(bank)] == [report["as_of_ms"]]
    claim = account(0 if rows[7]["number"] == account(0)["number"] else 7)
    assert "cannot say" in bank.bind(claim).json()["mismatches"][0]["problem"]
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
    pytest.param("jsonl", _jsonl(_GOOD, "[]"), "line", id="no object"),
    pytest.param("jsonl", _jsonl('{"number": "1234", "number": "12345"}'), "line", id="a name twice"),
    pytest.param("jsonl", _jsonl(" " * 70_000), "line", id="a line without end"),
    pytest.param("jsonl", b'{"number": "\xff"}\n', "number", id="not UTF-8"),
    pytest.param("jsonl", _jsonl("[" * 60_000), "line", id="nested without end"),
    pytest.param("csv", _jsonl(_HEADER), "file", id="only a header"),
    pytest.param("csv", f"{_HEADER}\n".encode("utf-16"), "file", id="UTF-16, and no profile says so"),
    pytest.param("csv", _jsonl("number,colour", "1234,red"), "header", id="an unknown column"),
    pytest.param("csv", _jsonl("status", "active"), "header", id="no column of numbers"),
    pytest.param("csv", _jsonl("number,number", "1,2"), "header", id="a column twice"),
    pytest.param("csv", _jsonl("number,status", "7300000001"), "line", id="too few cells"),
    pytest.param("csv", _jsonl("number,status", '73"1",active'), "number", id="a quote in the middle"),
    pytest.param("csv", _jsonl("number,status", '"73000'), "line", id="a quote without end"),
    pytest.param("csv", b"number,status\n7300\xff,active\n", "number", id="CSV that is not UTF-8"),
]


@pytest.mark.long
@pytest.mark.parametrize(("form", "content", "field"), BAD_FILES)
def test_a_file_that_is_none_is_rejected_with_the_reason(
    bank: Bank, folder: Path, form: str, content: bytes, field: str
) -> None:
    name = f"full-{_time(bank.clock.advance(10))}.{form}"
    (folder / name).write_bytes(content)
    _drop(bank, folder).step(_GO)
    where = "done" if _GOOD.encode() in content and not content.endswith(b"}") else "rejected"
    assert field in [problem["field"] for problem in _report(folder, where, name)["problems"]]
    assert len(_entries(bank)) == (where == "done")


@pytest.mark.parametrize("more", ["," * 8_000_000, ',"\n"' * 2_000_000], ids=["one line", "many lines"])
def test_a_csv_record_without_end_is_refused_before_it_is_in_memory(folder: Path, more: str) -> None:
    path = folder / "changes-20260101T000000Z.csv"
    path.write_text(f"number,status\n7300000001{more}\n")
    tracemalloc.start()
    lines = list(read_lines(path, "csv"))
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lines[0].problems[0].problem == "too long"
    assert all(line.problems for line in lines), "none of it is taken for a record"
    assert len(lines) <= 1_000, "where all is broken, reading ends"
    assert most_bytes < 1_000_000


def test_a_full_file_may_state_a_lost_card_before_the_one_that_took_its_place(bank: Bank, folder: Path) -> None:
    bank.feed(ACCOUNT)
    grant = grant_of(bank.bind())
    file_ms = bank.clock.advance(1_000)
    lost = {**ACCOUNT, "status": "lost", "effective_at_ms": file_ms - 100}
    anew = {**account(1), "replaces": ACCOUNT["number"], "status": "frozen", "effective_at_ms": file_ms - 200}
    name = _write(folder, "full", file_ms, lost, anew)
    _drop(bank, folder, page_size=1).step(_GO)
    assert _report(folder, "done", name)["changes"] == 2
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)


@pytest.mark.long
@pytest.mark.parametrize("known", [True, False], ids=["known before", "stated in the same file"])
def test_a_card_issued_anew_before_the_last_word_is_unstated_and_the_rest_of_the_file_counts(
    bank: Bank, folder: Path, known: bool
) -> None:
    last_ms = bank.feed(*([ACCOUNT] if known else []))
    file_ms = bank.clock.advance(1_000)
    rows = [
        {**(ACCOUNT if not known else account(2)), "effective_at_ms": file_ms - 1},
        {**account(1), "replaces": ACCOUNT["number"], "effective_at_ms": last_ms},
    ]
    name = _write(folder, "changes", file_ms, *rows)
    _drop(bank, folder, page_size=1).step(_GO)
    report = _report(folder, "done", name)
    problem = report["problems"][0]
    assert (problem["line"], problem["field"], report["unstated"]) == (2, "effective_at_ms", 1)
    assert len(_entries(bank)) == 2


@pytest.mark.long
@pytest.mark.parametrize(
    ("anew", "field"),
    [
        pytest.param({"replaces": account(1)["number"]}, "replaces", id="in its own place"),
        pytest.param({"effective_at_ms": -400}, "effective_at_ms", id="changed before its predecessor's last word"),
    ],
)
def test_a_line_that_the_feed_would_refuse_makes_its_account_unstated(
    bank: Bank, folder: Path, anew: Mapping[str, Any], field: str
) -> None:
    bank.feed(ACCOUNT, account(1))
    file_ms = bank.clock.advance(1_000)
    rows = [
        {"number": ACCOUNT["number"], "status": "lost", "effective_at_ms": file_ms - 100},
        # It counts from its predecessor's loss, whatever it says itself.
        {"number": account(1)["number"], "replaces": ACCOUNT["number"], "effective_at_ms": file_ms - 500},
        {"number": account(1)["number"], "status": "frozen", **anew},
    ]
    if "effective_at_ms" in anew:
        rows[2]["effective_at_ms"] = file_ms + anew["effective_at_ms"]
    name = _write(folder, "changes", file_ms, *rows)
    _drop(bank, folder, page_size=1).step(_GO)
    report = _report(folder, "done", name)
    problem = report["problems"][0]
    assert (problem["line"], problem["field"], report["unstated"]) == (3, field, 1)
    assert bank.get("/v1/status").json()["unstated_accounts"] == 1


def test_a_card_that_came_and_was_issued_anew_between_two_files_needs_no_second_description(
    bank: Bank, folder: Path
) -> None:
    bank.feed(ACCOUNT)
    new = {"number": account(2)["number"], "status": "active", "replaces": account(1)["number"]}
    name = _write(folder, "changes", bank.clock.advance(1_000), account(1), {**account(1), "status": "lost"}, new)
    _drop(bank, folder, page_size=1).step(_GO)
    assert _report(folder, "done", name)["changes"] == 3
    assert grant_of(bank.bind(account(2)))


def test_a_full_file_named_in_a_time_zone_ahead_gets_in_by_no_door(bank: Bank, folder: Path) -> None:
    bank.feed(ACCOUNT)
    name = _write(folder, "full", bank.clock.now_ms() + 8 * 3_600_000, {**ACCOUNT, "status": "frozen"})
    loader = FileLoader(feed_of(bank, no_faults), bank.node.database, bank.secrets.vault())
    for reconcile in (True, False):
        with pytest.raises(FileRejected) as rejected:
            loader.load(folder / name, parse_name(name), lambda _read, _of: None, _GO, reconcile=reconcile)
        assert "in UTC" in rejected.value.report.problems[0].problem


def test_a_file_longer_than_the_settings_allow_is_rejected_and_a_shorter_one_taken_in(
    a_world: World, folder: Path
) -> None:
    bank = a_world.start_bank(drop_folder={"path": folder, "poll_ms": 50, "max_bytes": 1_024})
    long = _write(folder, "full", a_world.clock.advance(10), *(account(index) for index in range(12)))
    short = _write(folder, "full", a_world.clock.advance(10), account(1))
    wait_until((folder / "done" / short).exists)
    problem = _report(folder, "rejected", long)["problems"][0]
    assert (problem["field"], problem["allowed"]) == ("file", "1 to 1024 bytes")
    assert len(_entries(bank)) == 1


def test_a_file_of_changes_with_no_line_says_that_nothing_changed(bank: Bank, folder: Path) -> None:
    first_ms = bank.feed(ACCOUNT)
    # Else the clock could move on before this is signed, and stand still before the next heartbeat is due.
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == first_ms)
    as_of_ms = bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    (folder / f"changes-{_time(as_of_ms)}.csv").write_text("number,status\n")
    _drop(bank, folder).step(_GO)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == as_of_ms)


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["accounts.csv", "full-20261301T000000Z.csv", "full-20260101T000000.csv", "FULL.jsonl"]
)
def test_a_file_whose_name_says_no_time_is_rejected(bank: Bank, folder: Path, name: str) -> None:
    (folder / name).write_text(_GOOD + "\n")
    _drop(bank, folder).step(_GO)
    assert _report(folder, "rejected", name)["problems"][0]["field"] == "file name"


@pytest.mark.long
@pytest.mark.parametrize("name", ["报表.csv".encode("gbk"), b"x" * 250 + b".csv"], ids=["no UTF-8", "too long"])
@pytest.mark.parametrize("require_checksum", [False, True])
def test_a_file_with_a_name_that_nobody_expects_holds_up_no_other(
    bank: Bank, folder: Path, name: bytes, require_checksum: bool
) -> None:
    (folder / os.fsdecode(name)).write_text(_GOOD + "\n")
    good = _write(folder, "full", bank.clock.advance(10), account(1), checksum=True)
    _drop(bank, folder, require_checksum=require_checksum).step(_GO)
    assert _report(folder, "done", good)["changes"] == 1
    rejected = [json.loads(path.read_text()) for path in (folder / "rejected").glob("*.report.json")]
    assert [report["problems"][0]["field"] for report in rejected] == ["file name"] * (not require_checksum)
    assert not list((folder / "working").iterdir())


def test_a_file_that_is_still_being_written_is_left_alone(bank: Bank, folder: Path) -> None:
    name = f"full-{_time(bank.clock.advance(10))}.jsonl"
    for unfinished in (f".{name}", f"{name}.part", f"{name}.tmp"):
        (folder / unfinished).write_text("half")
    _drop(bank, folder).step(_GO)
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == sorted(
        [f".{name}", f"{name}.part", f"{name}.tmp"]
    )


def test_a_file_older_than_what_was_said_already_is_rejected(bank: Bank, folder: Path) -> None:
    last_ms = bank.feed(ACCOUNT)
    name = _write(folder, "changes", last_ms, {"number": ACCOUNT["number"], "status": "frozen"})
    _drop(bank, folder).step(_GO)
    assert "not after" in _report(folder, "rejected", name)["problems"][0]["problem"]
    assert _as_of_ms(bank) == last_ms


@pytest.mark.long
@pytest.mark.parametrize(
    ("stated", "where"),
    [
        pytest.param(lambda content: hashlib.sha256(content).hexdigest(), "done", id="right"),
        pytest.param(lambda _: "0" * 64, "rejected", id="wrong"),
        pytest.param(lambda _: "none", "rejected", id="none at all"),
    ],
)
def test_a_checksum_beside_the_file_must_be_the_files(bank: Bank, folder: Path, stated: Any, where: str) -> None:
    drop = _drop(bank, folder, require_checksum=True)
    name = _write(folder, "full", bank.clock.advance(10), ACCOUNT)
    drop.step(_GO)
    assert (folder / name).exists(), "it waits for its checksum"
    (folder / f"{name}.sha256").write_text(f"{stated((folder / name).read_bytes())}  {name}\n")
    drop.step(_GO)
    _report(folder, where, name)
    assert (folder / where / f"{name}.sha256").exists()
    assert (_as_of_ms(bank) > 0) == (where == "done")


@pytest.mark.long
@pytest.mark.parametrize("point", ["file_reported", "file_checksum_moved"])
def test_a_file_with_a_wrong_checksum_stays_rejected_for_that_even_if_the_node_is_killed_meanwhile(
    bank: Bank, folder: Path, point: str
) -> None:
    name = _write(folder, "full", bank.clock.advance(10), ACCOUNT)
    (folder / f"{name}.sha256").write_text("0" * 64)
    with pytest.raises(Killed):
        _drop(bank, folder, die_at(point)).step(_GO)
    _drop(bank, folder).step(_GO)
    assert "not that of the file" in _report(folder, "rejected", name)["problems"][0]["problem"]
    assert (folder / "rejected" / f"{name}.sha256").exists()
    assert not list((folder / "working").iterdir())
    assert _entries(bank) == []


def test_files_are_taken_in_by_their_own_time_and_not_by_when_they_came(bank: Bank, folder: Path) -> None:
    first_ms, second_ms, third_ms = (bank.clock.advance(10) for _ in range(3))
    _write(folder, "changes", third_ms, {"number": ACCOUNT["number"], "status": "active"})
    _write(folder, "changes", second_ms, {"number": ACCOUNT["number"], "status": "frozen"})
    _write(folder, "full", first_ms, ACCOUNT)
    _drop(bank, folder).step(_GO)
    assert [entry.as_of_ms for entry in _entries(bank)] == [first_ms, second_ms, third_ms]
    assert len(list((folder / "done").glob("*.jsonl"))) == 3


_FILE_POINTS = [point for point in PART_FAULT_POINTS if point.startswith("file_")]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["full", "changes"])
@pytest.mark.parametrize(
    ("point", "times"),
    [(point, 1) for point in [*_FILE_POINTS, "feed_committed"]] + [("feed_committed", 2), ("feed_committed", 3)],
)
def test_killed_at_any_step_of_a_file_nothing_is_lost_and_nothing_told_twice(
    bank: Bank, folder: Path, kind: str, point: str, times: int
) -> None:
    stated = [account(index) for index in range(25)]
    _write(folder, "full", bank.clock.advance(10), *stated)
    _drop(bank, folder).step(_GO)
    grants = [grant_of(bank.bind(stated[index])) for index in (0, 9, 10, 24)]
    frozen_ms = bank.clock.advance(1_000)
    if kind == "full":
        frozen = [{**one, "status": "frozen"} for one in stated]
        name = _write(folder, kind, frozen_ms, *frozen, checksum=True)
    else:
        # The first account changes twice: taken up again, it must not go back.
        twice = {"number": stated[0]["number"], "status": "lost"}
        frozen = [{"number": one["number"], "status": "frozen"} for one in stated]
        name = _write(folder, kind, frozen_ms, twice, *frozen, checksum=True)
    with pytest.raises(Killed):
        _drop(bank, folder, die_at(point, times), page_size=10, require_checksum=True).step(_GO)
    _drop(bank, folder, page_size=10, require_checksum=True).step(_GO)
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == frozen_ms)
    assert [status_on_ledger(bank, grant) for grant in grants] == [Status.FROZEN] * 4
    assert [writes(bank, grant) for grant in grants] == [2 + (kind == "changes"), 2, 2, 2]
    report = _report(folder, "done", name)
    assert report["changes"] == 25 + (kind == "changes")
    assert report["attestations"] == 4 + (kind == "changes")
    assert [entry.complete for entry in _entries(bank)] == [True, True]
    assert not list((folder / "working").iterdir())


@pytest.mark.long
def test_beside_another_source_a_full_file_mends_drift_and_moves_no_watermark(bank: Bank, folder: Path) -> None:
    stated = [account(index) for index in range(4)]
    bank.feed(*stated)
    grants = [grant_of(bank.bind(one)) for one in stated]
    drop = _drop(bank, folder, role="reconcile")
    file_ms = bank.clock.advance(1_000)
    # The live feed missed that 1 is frozen. It told that 2 is lost, after the file was written.
    name = _write(folder, "full", file_ms, stated[0], {**stated[1], "status": "frozen"}, stated[2])
    drop.step(_GO)
    assert (folder / name).exists(), "until the feed has spoken up to its time, the file could only be early"
    last_ms = bank.feed({"number": stated[2]["number"], "status": "lost"})
    drop.step(_GO)
    report = _report(folder, "done", name)
    assert (report["changes"], report["changed_since"], report["missing"]) == (1, 1, 1)
    wait_until(lambda: status_on_ledger(bank, grants[1]) == Status.FROZEN)
    assert status_on_ledger(bank, grants[2]) == Status.LOST
    assert _as_of_ms(bank) == last_ms
    # The live feed goes on, about the account that was mended as well.
    bank.change({"number": stated[1]["number"], "status": "active"})
    assert status_on_ledger(bank, grants[1]) == Status.ACTIVE


@pytest.mark.long
def test_what_the_other_source_says_while_a_file_is_compared_is_not_undone(
    bank: Bank, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.feed(ACCOUNT, account(1), account(2))
    grant = grant_of(bank.bind())
    file_ms = bank.clock.advance(1_000)
    stated = {**ACCOUNT, "daily_limit_minor": 7}, {**account(1), "daily_limit_minor": 7}, account(2)
    name = _write(folder, "full", file_ms, *stated)
    bank.feed()

    def compare(*told: Any) -> Any:
        found = compare_states(*told)
        bank.feed({"number": ACCOUNT["number"], "status": "frozen"})
        return found

    monkeypatch.setattr(file_load, "compare_states", compare)
    _drop(bank, folder, role="reconcile").step(_GO)
    report = _report(folder, "done", name)
    assert (report["changes"], report["changed_since"]) == (1, 1)
    bank.heartbeat()
    assert status_on_ledger(bank, grant) == Status.FROZEN


def test_a_file_of_changes_beside_another_source_is_rejected(bank: Bank, folder: Path) -> None:
    last_ms = bank.feed(ACCOUNT)
    name = _write(folder, "changes", last_ms, {"number": ACCOUNT["number"], "status": "frozen"})
    _drop(bank, folder, role="reconcile").step(_GO)
    assert "full files only" in _report(folder, "rejected", name)["problems"][0]["allowed"]


def test_a_full_outbox_makes_the_file_wait_and_a_stop_ends_the_wait(a_world: World, folder: Path) -> None:
    bank = a_world.start_bank(max_waiting=1)
    bank.feed(ACCOUNT)
    a_world.chain.down = True
    assert bank.bind().json()["outcome"] == "granted"
    name = _write(folder, "changes", bank.clock.advance(10), {"number": ACCOUNT["number"], "status": "frozen"})
    stop = threading.Event()
    drop = _drop(bank, folder)
    thread = threading.Thread(target=drop.step, args=(stop,))
    thread.start()
    wait_until((folder / "working" / name).exists)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert (folder / "working" / name).exists()
    a_world.chain.down = False
    wait_until(lambda: bank.get("/v1/status").json()["waiting"] == 0)
    _drop(bank, folder).step(_GO)
    _report(folder, "done", name)


def test_a_folder_that_is_gone_is_trouble_that_passes(a_world: World, folder: Path) -> None:
    folder.rmdir()
    bank = a_world.start_bank(drop_folder={"path": folder, "poll_ms": 50})
    trouble = wait_until(lambda: bank.get("/v1/status").json()["worker_troubles"])
    assert "drop_folder" in trouble[0]
    folder.mkdir()
    wait_until(lambda: not bank.get("/v1/status").json()["worker_troubles"])


@pytest.mark.long
@pytest.mark.parametrize("point", _FILE_POINTS)
def test_a_node_killed_by_the_system_while_it_takes_a_file_in_goes_on_with_it(tmp_path: Path, point: str) -> None:
    with ExitStack() as stack:
        chain = Chain(SystemClock())
        net = LocalNet(tmp_path, PLATFORM, ledger_url=stack.enter_context(served(chain.app)))
        stack.callback(net.stop)
        address = LocalSigner(REGISTRAR).address
        net.contract = governance.deploy(
            net.ledger_url, REGISTRAR, governor=address, registrar=address, guardian=LocalSigner(GUARDIAN).address
        )
        folder = tmp_path / "drop"
        folder.mkdir()
        bank = net.add_bank("YUNXCNB0", "Yunxi", drop_folder={"path": str(folder), "poll_ms": 50})
        process = net.start_bank(bank, {"STANDING_NODE_FAULT_POINT": point})
        stated = [account(index) for index in range(3)]
        name = _write(folder, "full", SystemClock().now_ms(), *stated, checksum=True)
        assert process.wait_for_end(20) == -signal.SIGKILL
        net.start_bank(bank)
        wait_until((folder / "done" / name).exists)
        answer = httpx.get(bank.url + "/v1/status", headers={"Authorization": f"Bearer {bank.core_key}"}, timeout=20)
        assert answer.json()["core_as_of_ms"] > 0
        assert _report(folder, "done", name)["changes"] == 3


def test_feed_check_judges_a_file_without_a_node_and_writes_nothing(folder: Path) -> None:
    good = _write(folder, "changes", 1_767_225_600_000, {"number": ACCOUNT["number"], "status": "frozen"}, form="csv")
    bad = _write(folder, "full", 1_767_225_600_001, {**ACCOUNT, "status": "cold"})
    before = sorted(folder.rglob("*"))
    assert CliRunner().invoke(command_line, ["feed", "check", str(folder / good), "--json"]).exit_code == 0
    told = CliRunner().invoke(command_line, ["feed", "check", str(folder / bad), "--json"])
    assert told.exit_code == 1
    assert '"field": "status"' in told.output
    assert '"line": 1' in told.output
    assert sorted(folder.rglob("*")) == before


@pytest.mark.long
def test_a_file_sent_by_hand_is_taken_in_and_what_follows_is_published_by_the_running_node(
    bank: Bank, folder: Path, tmp_path: Path
) -> None:
    config = tmp_path / "node.toml"
    config.write_text(tomli_w.dumps(settings_on_disk(bank, tmp_path)))

    def run(command: str, name: str, *options: str) -> Any:
        return CliRunner().invoke(
            command_line, ["feed", command, str(folder / name), "-c", str(config), "--json", *options]
        )

    first = _write(folder, "full", bank.clock.advance(10), account(1), account(2))
    assert run("send", first).exit_code == 0
    grant = grant_of(bank.bind(account(1)))
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
    unknown = _write(folder, "changes", bank.clock.advance(10), {"number": account(3)["number"], "status": "frozen"})
    judged = run("check", unknown)
    assert (judged.exit_code, '"line": 1' in judged.output) == (0, True), judged.output
    assert '"unstated": 1' in run("send", unknown).output
    bank.change()
    drifted = {**account(1), "status": "frozen"}
    nightly = _write(folder, "full", bank.clock.advance(0), drifted, account(2))
    mended = run("send", nightly, "--reconcile")
    assert (mended.exit_code, '"changes": 1' in mended.output) == (0, True), mended.output
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    assert sorted(path.name for path in folder.iterdir()) == sorted([first, unknown, nightly]), "they stay there"


@pytest.mark.long
@pytest.mark.parametrize("command", ["check", "send"])
def test_by_hand_no_file_is_taken_that_is_longer_than_the_settings_allow(
    bank: Bank, folder: Path, tmp_path: Path, command: str
) -> None:
    config = tmp_path / "node.toml"
    bounded = {"drop_folder": {"path": str(folder), "role": "reconcile", "max_bytes": 1_024}}
    config.write_text(tomli_w.dumps(settings_on_disk(bank, tmp_path) | bounded))
    long = _write(folder, "full", bank.clock.advance(10), *(account(index) for index in range(12)))
    told = CliRunner().invoke(command_line, ["feed", command, str(folder / long), "-c", str(config), "--json"])
    assert (told.exit_code, '"allowed": "1 to 1024 bytes"' in told.output) == (1, True), told.output
    assert _entries(bank) == []
