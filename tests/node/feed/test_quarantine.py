"""An invalid change makes its account unstated and affects nothing else, by file and by push."""

import csv
import io
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w

from standing.ledger.attestations.terms import Status
from standing.node.feed.drop_file import FileName
from standing.node.feed.file_load import FileLoader
from standing.node.feed.file_report import FileRejected, FileReport
from tests.node.feed.view_passes import GO, unstated
from tests.node.node_tools import (
    Killed,
    account,
    core_as_of_ms,
    die_at,
    feed_of,
    grant_of,
    status_on_ledger,
    terms_on_ledger,
    writes,
)
from tests.world import Bank, World, wait_until


def _load(bank: Bank, folder: Path, kind: Any, rows: list[dict[str, Any]], **options: Any) -> FileReport:
    """Load a file of rows, some time later."""
    as_of_ms = bank.clock.advance(1_000)
    path = folder / f"{as_of_ms}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    loader = FileLoader(feed_of(bank, lambda _: None), bank.node.database, bank.secrets.vault(), **options)
    return loader.load(path, FileName(kind, as_of_ms, "jsonl"), lambda _a, _b: None, GO)


def test_a_bad_line_unstates_a_bound_account_until_a_corrected_line_arrives(bank: Bank, tmp_path: Path) -> None:
    rows = [account(index) for index in range(5)]
    _load(bank, tmp_path, "full", rows)
    grants = [grant_of(bank.bind(row)) for row in rows]
    wait_until(lambda: all(status_on_ledger(bank, grant) == Status.ACTIVE for grant in grants))
    stated = terms_on_ledger(bank, grants[2])
    assert stated is not None
    bad = [*rows[:2], {**rows[2], "status": "asleep"}, *rows[3:]]
    report = _load(bank, tmp_path, "full", bad)
    assert (report.outcome, report.bad_lines, report.unstated, report.missing) == ("loaded", 1, 1, 0)
    assert [(each.line, each.field) for each in report.problems] == [(3, "status")]
    wait_until(lambda: status_on_ledger(bank, grants[2]) == Status.UNSTATED)
    terms = terms_on_ledger(bank, grants[2])
    assert terms is not None
    assert (terms.debit_allowed, terms.credit_allowed) == (False, False), "an unstated account allows nothing"
    assert terms.limits == stated.limits, "or platforms report that each limit changed, and changed back"
    assert bank.get("/v1/status").json()["unstated_accounts"] == 1
    (listed,) = unstated(bank)
    assert (listed.number, listed.known, "status:" in listed.problem) == (rows[2]["number"], True, True)
    assert core_as_of_ms(bank) == report.as_of_ms
    # However often it is repeated, it is published once.
    _load(bank, tmp_path, "full", bad)
    assert writes(bank, grants[2]) == 2
    _load(bank, tmp_path, "full", rows)
    wait_until(lambda: status_on_ledger(bank, grants[2]) == Status.ACTIVE)
    assert unstated(bank) == []
    assert [writes(bank, grant) for grant in grants] == [1, 1, 3, 1, 1]


def test_a_name_that_is_no_text_makes_only_its_account_unstated(bank: Bank, tmp_path: Path) -> None:
    rows = [account(index) for index in range(5)]
    _load(bank, tmp_path, "full", rows)
    damaged = {"stat\ud800": "frozen", **{name: value for name, value in rows[2].items() if name != "status"}}
    report = _load(bank, tmp_path, "full", [*rows[:2], damaged, *rows[3:]])
    assert [(each.line, each.field) for each in report.problems] == [(3, "line")]
    assert [each.number for each in unstated(bank)] == [rows[2]["number"]]


def test_every_field_of_a_bad_change_must_be_stated_again(bank: Bank, tmp_path: Path) -> None:
    _load(bank, tmp_path, "full", [account(1), account(2)])
    grant = grant_of(bank.bind(account(1)))
    number = account(1)["number"]
    # The line froze the account and gave an invalid limit: the freeze must not be lost.
    _load(bank, tmp_path, "changes", [{"number": number, "status": "frozen", "daily_limit_minor": "much"}])
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNSTATED)
    _load(bank, tmp_path, "changes", [{"number": number, "daily_limit_minor": 5}])
    assert unstated(bank)[0].fields == ("status",)
    wait_until(lambda: writes(bank, grant) == 3)
    assert status_on_ledger(bank, grant) == Status.UNSTATED
    _load(bank, tmp_path, "changes", [{"number": number, "status": "frozen"}])
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    assert unstated(bank) == []


def test_an_account_never_stated_validly_cannot_be_bound_and_the_answer_says_why(bank: Bank, tmp_path: Path) -> None:
    _load(bank, tmp_path, "full", [account(1), {**account(2), "currency": "CNX"}])
    refused = bank.bind(account(2)).json()
    assert (refused["outcome"], refused["mismatches"][0]["field"]) == ("refused", "account")
    assert "cannot state the account's status" in refused["mismatches"][0]["problem"]
    assert bank.bind(account(3)).json()["mismatches"][0]["problem"] == "no such account"
    _load(bank, tmp_path, "changes", [account(2)])
    assert grant_of(bank.bind(account(2)))


def test_a_full_file_with_an_unattributable_line_unstates_missing_accounts(bank: Bank, tmp_path: Path) -> None:
    rows = [account(index) for index in range(6)]
    _load(bank, tmp_path, "full", [*rows, account(7, status="closed")])
    grants = [grant_of(bank.bind(row)) for row in rows]
    # A spreadsheet made one number 6.22E+18; account 5 is missing, and so is the closed one.
    report = _load(bank, tmp_path, "full", [*rows[:5], {**rows[5], "number": "6.22E+18"}])
    assert (report.outcome, report.lines_without_account, report.missing, report.unstated) == ("loaded", 1, 1, 1)
    wait_until(lambda: status_on_ledger(bank, grants[5]) == Status.UNSTATED)
    assert [status_on_ledger(bank, grant) for grant in grants[:5]] == [Status.ACTIVE] * 5
    assert [each.number for each in unstated(bank)] == [rows[5]["number"]]
    _load(bank, tmp_path, "full", rows)
    wait_until(lambda: status_on_ledger(bank, grants[5]) == Status.ACTIVE)


def test_a_file_of_changes_with_an_unattributable_line_is_rejected(bank: Bank, tmp_path: Path) -> None:
    spoken_ms = _load(bank, tmp_path, "full", [account(1)]).as_of_ms
    with pytest.raises(FileRejected) as caught:
        _load(bank, tmp_path, "changes", [account(2), {"number": "6.22E+18", "status": "frozen"}])
    assert caught.value.report.problems[0].line == 2
    assert core_as_of_ms(bank) == spoken_ms


@pytest.mark.parametrize("order", [1, -1], ids=["bad line first", "good line first"])
def test_an_account_on_a_bad_and_a_good_line_is_unstated(bank: Bank, tmp_path: Path, order: int) -> None:
    rows = [account(1, status="frozen"), account(2)]
    _load(bank, tmp_path, "full", rows)
    grant = grant_of(bank.bind(account(1)))
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    twice = [account(1, status="judicial hold"), account(1, status="active")][::order]
    report = _load(bank, tmp_path, "full", [*twice, account(2)])
    assert (report.bad_lines, [each.number for each in unstated(bank)]) == (2, [account(1)["number"]])
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNSTATED)
    bank.wait_until_published()
    before = writes(bank, grant)
    _load(bank, tmp_path, "full", [*twice, account(2)])
    bank.wait_until_published()
    assert (status_on_ledger(bank, grant), writes(bank, grant)) == (Status.UNSTATED, before)


@pytest.mark.parametrize("field", ["yearly_limit_minor", "monthly_limit_minor", "daily_credit_limit_minor"])
def test_an_unreadable_limit_stays_unstated_until_that_limit_is_stated(bank: Bank, tmp_path: Path, field: str) -> None:
    _load(bank, tmp_path, "full", [account(1, **{field: 20_000_000})])
    grant = grant_of(bank.bind(account(1)))
    number = account(1)["number"]
    _load(bank, tmp_path, "changes", [{"number": number, field: "20,000"}])
    assert unstated(bank)[0].fields == (field,)
    # Neither another value nor a whole state that leaves the limit out vouches for the old, higher one.
    _load(bank, tmp_path, "changes", [{"number": number, "status": "active"}])
    _load(bank, tmp_path, "full", [account(1)])
    assert unstated(bank)[0].fields == (field,)
    _load(bank, tmp_path, "changes", [{"number": number, field: 20_000}])
    assert unstated(bank) == []
    bank.wait_until_published()
    assert status_on_ledger(bank, grant) == Status.ACTIVE
    terms = terms_on_ledger(bank, grant)
    assert terms is not None
    assert getattr(terms.limits, field) == 20_000


def test_a_change_that_cannot_be_understood_still_ends_the_bindings_it_names(bank: Bank, tmp_path: Path) -> None:
    _load(bank, tmp_path, "full", [account(1)])
    grant = grant_of(bank.bind(account(1)))
    number = account(1)["number"]
    _load(bank, tmp_path, "changes", [{"number": number, "unbind": [grant["platform"]], "daily_limit_minor": "much"}])
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)
    _load(bank, tmp_path, "changes", [{"number": number, "daily_limit_minor": 5}])
    assert unstated(bank) == []
    assert status_on_ledger(bank, grant) == Status.UNBOUND


@pytest.mark.parametrize("push", [True, False], ids=["push", "file"])
def test_a_successor_that_cannot_be_understood_unstates_the_account_that_it_replaces(
    bank: Bank, tmp_path: Path, push: bool
) -> None:
    _load(bank, tmp_path, "full", [account(1)])
    grant = grant_of(bank.bind(account(1)))
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
    successor = account(2, replaces=account(1)["number"], replaced_bindings="end", status="weird")
    if push:
        body = {"as_of_ms": bank.clock.advance(1_000), "on_bad_change": "unstate"}
        change = {**successor, "effective_at_ms": body["as_of_ms"]}
        assert bank.post("/v1/feed", bank.core_key, json={**body, "changes": [change]}).status_code == 200
    else:
        _load(bank, tmp_path, "changes", [successor])
    assert {each.number for each in unstated(bank)} == {account(1)["number"], account(2)["number"]}
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNSTATED)


def test_an_unknown_field_cannot_be_unstated(bank: Bank) -> None:
    bank.change(account(1))
    at_ms = bank.clock.advance(10)
    change = {"number": account(1)["number"], "effective_at_ms": at_ms, "unstated": ["balance"]}
    answer = bank.post("/v1/feed", bank.core_key, json={"as_of_ms": at_ms, "changes": [change]})
    assert answer.status_code == 422
    assert "unstated" in answer.text
    bank.change(account(1, status="frozen"))


@pytest.mark.parametrize("kind", ["changes", "full"])
def test_a_few_odd_accounts_are_not_too_many_where_a_file_states_only_what_changed(
    bank: Bank, tmp_path: Path, kind: str
) -> None:
    known = [account(index) for index in range(300)]
    _load(bank, tmp_path, "full", known)
    odd = [{**row, "status": "new word"} for row in known[:11]]
    if kind == "full":
        with pytest.raises(FileRejected, match="11 of 11 lines"):
            _load(bank, tmp_path, "full", odd)
        return
    assert _load(bank, tmp_path, "changes", odd).unstated == 11
    more = [{**row, "status": "new word"} for row in known[:16]]
    with pytest.raises(FileRejected, match="16 of 16 lines"):
        _load(bank, tmp_path, "changes", more)


def test_a_number_damaged_by_a_spreadsheet_or_a_mask_names_no_account(bank: Bank, tmp_path: Path) -> None:
    rows = [account(index) for index in range(6)]
    _load(bank, tmp_path, "full", rows)
    grants = [grant_of(bank.bind(row)) for row in rows[2:]]
    number = str(rows[3]["number"])
    # What the last mask leaves visible is another account's number.
    damaged = [f"{number}.0", f"{number[:4]}****{number[-4:]}", f"{number[:4]}****{rows[2]['number'][4:]}"]
    bad = [{**row, "number": each, "status": "frozen"} for row, each in zip(rows[3:], damaged, strict=True)]
    report = _load(bank, tmp_path, "full", [*rows[:3], *bad])
    assert (report.outcome, report.lines_without_account, report.missing, report.unstated) == ("loaded", 3, 3, 3)
    assert [each.field for each in report.problems] == ["number"] * 3
    wait_until(lambda: all(status_on_ledger(bank, grant) == Status.UNSTATED for grant in grants[1:]))
    assert status_on_ledger(bank, grants[0]) == Status.ACTIVE
    with pytest.raises(FileRejected):
        _load(bank, tmp_path, "changes", [{"number": damaged[0], "status": "frozen"}])
    for each in damaged:
        refused = _push(bank, {"number": each, "status": "frozen"}, on_bad_change="unstate")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "changes[0].number")
        assert each not in refused.text


def test_a_masked_phone_counts_as_none_and_a_masked_document_makes_its_account_unstated(
    bank: Bank, tmp_path: Path
) -> None:
    report = _load(
        bank, tmp_path, "full", [account(1, phone="138****8000"), account(2, id_document_number="110105****002X")]
    )
    assert [(each.line, each.field) for each in report.problems] == [(2, "id_document_number")]
    # No phone is compared: neither the true one nor any other can be equal to a masked one.
    assert grant_of(bank.bind(account(1, phone="+8613900139000")))
    claimed = bank.bind(account(1, phone="138****8000"))
    assert (claimed.status_code, claimed.json()["errors"][0]["field"]) == (422, "phone")
    assert [each.number for each in unstated(bank)] == [account(2)["number"]]


@pytest.mark.parametrize(("bad", "taken"), [(10, True), (11, False)])
def test_a_file_with_too_many_bad_lines_is_rejected(bank: Bank, tmp_path: Path, bad: int, taken: bool) -> None:
    rows = [account(index, **({"status": "?"} if index < bad else {})) for index in range(100)]
    if taken:
        assert _load(bank, tmp_path, "full", rows).unstated == bad
        return
    with pytest.raises(FileRejected, match="11 of 100 lines cannot be understood"):
        _load(bank, tmp_path, "full", rows)
    assert unstated(bank) == []
    assert _load(bank, tmp_path, "full", rows, max_bad_share=0.11).unstated == bad


def test_an_account_on_two_lines_is_unstated_whichever_is_right(bank: Bank, tmp_path: Path) -> None:
    twice = [account(1), account(2), account(1, status="frozen"), account(3)]
    report = _load(bank, tmp_path, "full", twice, page_size=2)
    assert (report.bad_lines, [each.number for each in unstated(bank)]) == (2, [account(1)["number"]])
    assert grant_of(bank.bind(account(2)))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["full", "changes"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_node_killed_at_any_part_of_a_file_with_bad_lines_loses_and_repeats_nothing(
    bank: Bank, tmp_path: Path, kind: str, times: int
) -> None:
    rows = [account(index) for index in range(6)]
    _load(bank, tmp_path, "full", rows)
    grants = [grant_of(bank.bind(row)) for row in rows]
    frozen = [{**row, "status": "frozen"} for row in rows]
    frozen[1]["status"], frozen[4]["daily_limit_minor"] = "asleep", "much"
    as_of_ms = bank.clock.advance(1_000)
    path = tmp_path / "again.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in frozen))
    name = FileName("full" if kind == "full" else "changes", as_of_ms, "jsonl")
    for faults in (die_at("feed_committed", times), lambda _: None):
        loader = FileLoader(feed_of(bank, faults), bank.node.database, bank.secrets.vault(), page_size=2)
        with suppress(Killed):
            report = loader.load(path, name, lambda _a, _b: None, GO)
    assert (report.outcome, report.bad_lines, report.unstated, report.lines) == ("loaded", 2, 2, 6)
    expected = [Status.UNSTATED if index in {1, 4} else Status.FROZEN for index in range(6)]
    wait_until(lambda: [status_on_ledger(bank, grant) for grant in grants] == expected)
    assert [writes(bank, grant) for grant in grants] == [2] * 6
    assert {each.number for each in unstated(bank)} == {rows[1]["number"], rows[4]["number"]}


def test_files_in_the_cores_own_format_are_read_by_the_configured_profile(a_world: World, tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    profile = tmp_path / "core.toml"
    names = {"number": "账号", "status": "状态"} | {
        name: name for name in account(1) if name not in {"number", "status"}
    }
    words = {"status": {"正常": "active"}}
    profile.write_text(tomli_w.dumps({"profile": {"encoding": "gb18030", "columns": names, "words": words}}))
    bank = a_world.start_bank(drop_folder={"path": folder, "poll_ms": 50, "profile": profile})
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([names[name] for name in account(1)])
    for index, word in ((1, "正常"), (2, "不明")):
        writer.writerow(account(index, status=word).values())
    (tmp_path / "ready").write_bytes(text.getvalue().encode("gb18030"))
    time = datetime.fromtimestamp(a_world.clock.advance(1_000) / 1000, UTC)
    (tmp_path / "ready").rename(folder / f"full-{time:%Y%m%dT%H%M%S}Z.txt")
    wait_until(lambda: bank.get("/v1/status").json()["unstated_accounts"] == 1)
    assert grant_of(bank.bind(account(1)))
    assert "standing_node_unstated_accounts 1.0" in httpx.get(f"{bank.url}/metrics", timeout=10).text


def _push(bank: Bank, *changes: dict[str, Any], **entry: Any) -> httpx.Response:
    at = bank.clock.advance(1_000)
    stated = [{"effective_at_ms": at, **change} for change in changes]
    return bank.post("/v1/feed", bank.core_key, json={"as_of_ms": at, "changes": stated, **entry})


@pytest.mark.parametrize(
    "wrong",
    [{"status": "asleep"}, {"currency": "CNX"}, {"daily_limit_minor": "much"}, {"effective_at_ms": 1}],
    ids=["a word", "a currency", "a limit", "a time long ago"],
)
def test_http_push_refuses_a_bad_change_unless_asked_to_unstate_its_account(bank: Bank, wrong: dict[str, Any]) -> None:
    assert _push(bank, account(1), account(2)).status_code == 200
    grants = [grant_of(bank.bind(account(index))) for index in (1, 2)]
    changes = [{"number": account(1)["number"], "status": "frozen", **wrong}, {**account(2), "status": "lost"}]
    assert _push(bank, *changes).status_code == 422
    assert _push(bank, *changes, on_bad_change="unstate").status_code == 200
    wait_until(lambda: [status_on_ledger(bank, one) for one in grants] == [Status.UNSTATED, Status.LOST])
    assert _push(bank, account(1)).status_code == 200
    wait_until(lambda: status_on_ledger(bank, grants[0]) == Status.ACTIVE)


def test_http_push_always_refuses_a_change_that_names_no_account(bank: Bank) -> None:
    refused = _push(bank, account(1), {"number": "6.22E+18", "status": "frozen"}, on_bad_change="unstate")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"].startswith("changes[1].number")
    assert core_as_of_ms(bank) == 0


def test_a_core_may_itself_declare_an_account_unstated(bank: Bank) -> None:
    _push(bank, account(1))
    grant = grant_of(bank.bind(account(1)))
    assert _push(bank, {"number": account(1)["number"], "unstated": ["status"]}).status_code == 200
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNSTATED)
    assert _push(bank, {"number": account(1)["number"], "status": "active"}).status_code == 200
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
