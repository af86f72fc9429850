"""What a file or a view says that its profile did not foresee: columns that it gains, and a state that is left out.

A freeze that stands only there would leave its account active.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from standing.ledger.attestations.terms import Status
from standing.ledger.errors import InvalidValue
from standing.ledger.service.vault import Vault
from standing.node.fault_points import no_faults
from standing.node.feed.drop_file import FileName
from standing.node.feed.file_check import FileCheck
from standing.node.feed.file_report import FileReport
from standing.node.feed.profile import Profile
from standing.node.feed.settings import SqlViewSettings
from standing.node.feed.sql_view import SqlViewSource
from tests.node.feed.dropped_files import GOING, drop_folder, file_time, report_of, write_file
from tests.node.feed.view_passes import read_pass, unstated, view_source
from tests.node.node_tools import SqlCore, account, core_as_of_ms, feed_of, grant_of, status_on_ledger
from tests.world import Bank, wait_until

_WORDS = {"正常": True, "冻结": False}
_PROFILE: dict[str, Any] = {
    "columns": {
        "number": "账号",
        "holder_name": "户名",
        "status": "状态",
        "debit_allowed": "状态",
        "credit_allowed": "状态",
    },
    "ignored": ["机构"],
    "constants": {
        "number_type": "account",
        "currency": "CNY",
        "transaction_limit_minor": "none",
        "daily_limit_minor": "none",
    },
    "words": {"status": {"正常": "active", "冻结": "frozen"}, "debit_allowed": _WORDS, "credit_allowed": _WORDS},
}
_HEADING = ("账号", "户名", "状态", "机构")


def _rows(count: int = 12) -> list[list[str]]:
    return [[f"73{index:010d}", "王小云", "正常", "上海"] for index in range(count)]


def _written(heading: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> bytes:
    lines = [*([] if heading is None else [heading]), *rows]
    return "".join(",".join(line) + "\n" for line in lines).encode()


def _checked(folder: Path, content: bytes, **changed: Any) -> FileReport:
    path = folder / "book.csv"
    path.write_bytes(content)
    profile = Profile.model_validate({**_PROFILE, **changed})
    check = FileCheck(None, Vault([b"v" * 32], "check"), page_size=5, max_bytes=1_000_000, profile=profile)
    return check.check(path, FileName("full", 1_767_225_600_000, profile.format), lambda _done, _of: None)


@pytest.mark.parametrize(
    ("heading", "usual", "once"),
    [
        ("冻结标志", "0", "1"),
        ("Hold Code", "", ""),
        ("销户日期", "", "20260930"),
        ("收付控制", "正常", "只收不付"),
        ("业务类别", "普通", "只付不收"),
        ("Posting", "Normal", "No Debit"),
    ],
)
def test_a_column_gained_since_the_profile_that_may_restrict_accounts_is_never_passed_over(
    heading: str, usual: str, once: str, tmp_path: Path
) -> None:
    rows = [[*row, once if index == 9 else usual] for index, row in enumerate(_rows())]
    report = _checked(tmp_path, _written([*_HEADING, heading], rows))
    assert report.outcome == "rejected"
    assert (report.problems[0].field, heading in report.problems[0].problem) == ("header", True)
    looked_at = _checked(tmp_path, _written([*_HEADING, heading], rows), ignored=["机构", heading])
    assert (looked_at.outcome, looked_at.unread_columns) == ("valid", [])


def test_other_columns_that_a_file_gains_are_named_and_those_of_the_profile_are_not(tmp_path: Path) -> None:
    rows = [[*row, "VIP", "", f"法院冻结 {index}"] for index, row in enumerate(_rows(60))]
    report = _checked(tmp_path, _written([*_HEADING, "客户等级", "空列", "备注"], rows))
    assert (report.outcome, report.unread_columns) == ("valid", ["备注", "客户等级"]), "texts are not words"
    assert _checked(tmp_path, _written(_HEADING, _rows())).unread_columns == []


@pytest.mark.parametrize(("remark", "outcome"), [("贵宾", "valid"), ("法院冻结", "rejected")])
def test_half_a_character_in_a_gained_column_does_not_end_the_check(remark: str, outcome: str, tmp_path: Path) -> None:
    """An export cuts a column to its width, also within a character."""
    content = _written([*_HEADING, "备注"], [[*row, remark] for row in _rows()]).decode()
    cut = content.encode("gb18030").replace(remark.encode("gb18030"), remark.encode("gb18030") + b"\xff", 1)
    assert _checked(tmp_path, cut, encoding="gb18030").outcome == outcome
    records = [{**dict(zip(_HEADING, row, strict=True)), "备注": f"{remark}\ud800"} for row in _rows()]
    lines = "".join(f"{json.dumps(record)}\n" for record in records).encode()
    assert _checked(tmp_path, lines, format="jsonl").outcome == outcome


def test_an_address_that_sounds_like_a_restriction_does_not_stop_the_bank(tmp_path: Path) -> None:
    rows = [[*row, "Block A Bedok"] for row in _rows()]
    assert _checked(tmp_path, _written([*_HEADING, "Address"], rows)).outcome == "valid"


def test_a_member_that_only_held_accounts_have_in_json_is_never_passed_over(tmp_path: Path) -> None:
    records = [dict(zip(_HEADING, row, strict=True)) for row in _rows()]
    records[9]["hold"] = {"kind": "court", "since": "2026-09-30"}  # type: ignore[assignment]
    content = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
    report = _checked(tmp_path, content, format="jsonl")
    assert (report.outcome, "hold.kind" in report.problems[0].problem) == ("rejected", True)


def test_without_a_heading_a_further_column_is_refused_as_others_may_have_moved(tmp_path: Path) -> None:
    columns = {"number": 1, "holder_name": 2, "status": 3, "debit_allowed": 3, "credit_allowed": 3}
    stated = {"heading": False, "columns": columns, "ignored": [4]}
    assert _checked(tmp_path, _written(None, _rows()), **stated).outcome == "valid"
    assert _checked(tmp_path, _written(None, [[*row, ""] for row in _rows()]), **stated).outcome == "valid"
    moved = _checked(tmp_path, _written(None, [[*row[:2], "正常", *row[2:]] for row in _rows()]), **stated)
    assert (moved.outcome, moved.problems[0].field) == ("rejected", "header")


def _dropped(bank: Bank, folder: Path, rows: Sequence[Sequence[str]], kind: str = "full") -> tuple[str, int]:
    at_ms = bank.clock.advance(1_000)
    name = f"{kind}-{file_time(at_ms)}.csv"
    (folder / name).write_bytes(_written(_HEADING, rows))
    drop_folder(bank, folder, written=Profile.model_validate(_PROFILE)).step(GOING)
    return name, at_ms


@pytest.mark.parametrize("left", ["", "  "])
def test_a_state_that_a_full_file_leaves_empty_makes_its_account_unstated(bank: Bank, folder: Path, left: str) -> None:
    """A core's export writes nothing for a state that it does not know yet, such as a new kind of freeze."""
    _dropped(bank, folder, _rows())
    rows = _rows()
    rows[3][2] = left
    name, at_ms = _dropped(bank, folder, rows)
    report = report_of(folder, "done", name)
    assert (report["unstated"], report["problems"][0]["field"], report["problems"][0]["line"]) == (1, "status", 5)
    assert core_as_of_ms(bank) == at_ms
    assert [each.number for each in unstated(bank)] == [rows[3][0]]
    _dropped(bank, folder, [rows[3]], "changes")
    assert len(unstated(bank)) == 1, "a file of changes states what changed, and an empty cell says nothing"
    _dropped(bank, folder, _rows())
    assert unstated(bank) == []


def test_a_full_file_in_which_no_state_is_written_is_rejected(bank: Bank, folder: Path) -> None:
    _, at_ms = _dropped(bank, folder, _rows())
    name, _ = _dropped(bank, folder, [[*row[:2], "", row[3]] for row in _rows()])
    assert report_of(folder, "rejected", name)["bad_lines"] == 12
    assert core_as_of_ms(bank) == at_ms


def test_a_reissued_card_in_a_full_file_may_leave_to_the_old_one_what_is_allowed(bank: Bank, folder: Path) -> None:
    new = {**dict.fromkeys(account(0), ""), "number": account(9)["number"], "status": "active", "replaces": ""}
    rows = [{**account(0), "replaces": ""}, {**new, "replaces": account(0)["number"]}]
    for _ in range(2):
        name = write_file(folder, "full", bank.clock.advance(1_000), *rows, form="csv")
        drop_folder(bank, folder).step(GOING)
        assert report_of(folder, "done", name)["bad_lines"] == 0


def test_a_state_that_a_view_leaves_null_makes_its_account_unstated(bank: Bank, core: SqlCore) -> None:
    """CASE without ELSE is null for a state that nobody has thought of."""
    core.put(bank.clock.now_ms(), account(0), account(1))
    source = view_source(bank, core)
    read_pass(bank, core, source)
    grant = grant_of(bank.bind(account(0)))
    bank.clock.advance(2_000)
    core.put(bank.clock.now_ms(), account(0, status=None))
    read_pass(bank, core, source, 3_000)
    assert [each.number for each in unstated(bank)] == [account(0)["number"]]
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNSTATED)


def test_a_view_that_gains_a_column_that_may_restrict_accounts_is_refused(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), account(0))
    names = [column for column in account(0) if column not in {"unbind", "replaces"}]
    profile = Profile.model_validate({"columns": {name: name for name in (*names, "effective_at_ms")}})
    settings = SqlViewSettings(**core.settings())
    feed = feed_of(bank, no_faults)
    source = SqlViewSource(settings, feed, bank.node.database, bank.secrets.vault(), profile)
    core.closing.append(source.close)
    for column in ("branch", "hold_code"):
        core.run("DROP VIEW standing_accounts")
        core.run(
            f"CREATE VIEW standing_accounts AS SELECT {', '.join(names)}, changed_ms AS effective_at_ms,"
            f" '7' AS {column} FROM core_accounts"
        )
        if column == "branch":
            reached = read_pass(bank, core, source)
            assert core_as_of_ms(bank) == reached - settings.settle_ms
        else:
            with pytest.raises(InvalidValue, match="hold_code"):
                read_pass(bank, core, source)
