"""Lines of feed files that are no records, and lines with a delimiter too many."""

from pathlib import Path
from typing import Any

import pytest

from standing.node.feed.drop_file import whole_problem
from standing.node.feed.file_lines import Line, read_lines
from standing.node.feed.profile import Profile
from standing.node.feed.profile_draft import draft_profile
from tests.node.feed.drafts import drafted_profile

_COLUMNS = {"number": "number", "phone": "phone", "daily_limit_minor": "daily", "monthly_limit_minor": "monthly"}
_HEADING = "number,phone,daily,monthly,remark"


def _read(folder: Path, *lines: str, **changed: Any) -> list[Line]:
    path = folder / "full.csv"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return list(read_lines(path, "csv", Profile.model_validate({"columns": _COLUMNS, **changed})))


@pytest.mark.parametrize("before", [1, 25])
def test_a_delimiter_within_a_value_does_not_shift_a_phone_into_a_limit(before: int, tmp_path: Path) -> None:
    good = [f"73000000{index:02},13800138000,100,200," for index in range(before + 10)]
    odd = "7300000099,13800138000,13900139000,100,200,"
    lines = _read(tmp_path, _HEADING, *good[:before], odd, *good[before:], good[-1])
    bad = [line for line in lines if line.problems]
    assert [(line.record, line.problems[0].problem) for line in bad] == [({"number": "7300000099"}, "6 cells")]
    assert all(line.record["daily_limit_minor"] == 100 for line in lines if not line.problems)


def test_a_delimiter_after_the_last_cell_of_every_line_is_no_cell(tmp_path: Path) -> None:
    lines = _read(tmp_path, _HEADING, "7300000001,13800138000,100,200,x,", "7300000002,13800138000,100,200,x,")
    assert [line.problems for line in lines] == [(), ()]


@pytest.mark.parametrize("between", [",,,,", "  , ,,,", "-----+-----+----", "+----+----+", "=====", "\ufeff", "\x1a"])
def test_a_line_without_any_value_is_no_record(between: str, tmp_path: Path) -> None:
    first, last = "7300000001,13800138000,100,200,", "7300000002,13800138000,100,200,"
    lines = _read(tmp_path, _HEADING, first, between, last)
    assert [(line.record["number"], line.problems) for line in lines] == [("7300000001", ()), ("7300000002", ())]


@pytest.mark.parametrize("between", ["", "  ", ",,", "\x1a"])
def test_a_blank_line_is_no_record_without_a_profile_either(between: str, tmp_path: Path) -> None:
    path = tmp_path / "full.csv"
    path.write_text(f"{between}\nnumber,status,phone\n7300000001,frozen,\n{between}\n7300000002,active,\n{between}\n")
    lines = list(read_lines(path, "csv"))
    assert [(line.record["number"], line.problems) for line in lines] == [("7300000001", ()), ("7300000002", ())]


@pytest.mark.parametrize("between", ["", " \t", "\x1a"])
def test_a_blank_line_is_no_record_of_a_jsonl_file(between: str, tmp_path: Path) -> None:
    path = tmp_path / "full.jsonl"
    path.write_text(f'{{"number": "7300000001"}}\n{between}\n{{"number": "7300000002"}}\n{between}\n')
    lines = list(read_lines(path, "jsonl"))
    assert [(line.number, line.record["number"], line.problems) for line in lines] == [
        (1, "7300000001", ()),
        (3, "7300000002", ()),
    ]


def test_a_jsonl_file_of_blank_lines_does_not_state_that_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "changes.jsonl"
    path.write_text("\n\n")
    assert all(line.problems for line in read_lines(path, "jsonl"))


def test_a_line_whose_bytes_are_lost_may_be_any_account(tmp_path: Path) -> None:
    path = tmp_path / "full.csv"
    path.write_bytes(f"{_HEADING}\n".encode() + b"\xff\xfe,,,,\n")
    (line,) = read_lines(path, "csv", Profile.model_validate({"columns": _COLUMNS}))
    assert line.problems
    assert "number" not in line.record


def test_a_trailer_that_is_a_rule_ends_the_file(tmp_path: Path) -> None:
    record = "7300000001,13800138000,100,200,"
    assert not any(line.fatal for line in _read(tmp_path, _HEADING, record, "-----", trailer="-----"))
    assert _read(tmp_path, _HEADING, record, trailer="-----")[-1].fatal


def test_files_with_their_marks_that_were_put_into_one_are_read(tmp_path: Path) -> None:
    mark, heading = "\ufeff", ",".join(f'"{name}"' for name in _HEADING.split(","))
    lines = _read(tmp_path, mark + heading, "7300000001,,100,200,", mark + heading, mark + '"7300000002",,100,200,')
    assert [(line.record["number"], line.problems) for line in lines] == [("7300000001", ()), ("7300000002", ())]
    profile = drafted_profile(
        tmp_path,
        f"{mark}账号,户名,账户状态",
        "11050137001000000771,李娜,正常",
        f"{mark}账号,户名,账户状态",
        "11050137001000000772,王伟,冻结",
    )
    assert profile["words"]["status"] == {"正常": "active", "冻结": "frozen"}


def test_the_end_of_file_sign_of_old_systems_is_neither_a_trailer_nor_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "full.csv"
    lines = ["账号,户名,账户状态", "11050137001000000771,李娜,正常", "11050137001000000772,王伟,冻结"]
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode() + b"\x1a")
    draft = draft_profile(path)
    assert "trailer" not in draft
    assert "final_line_break = true" in draft
    profile = Profile.model_validate({"columns": {"number": "账号"}})
    assert whole_problem(path, 1_000, profile) is None
    assert [line.problems for line in read_lines(path, "csv", profile)] == [(), ()]


def test_a_first_record_of_its_own_is_skipped_whatever_its_width(tmp_path: Path) -> None:
    profile = drafted_profile(
        tmp_path,
        "H|20261130|CORE01|000002",
        "账号|户名|账户状态|币种|日限额(元)",
        "11050137001000000771|李娜|正常|CNY|5.00",
        "11050137001000000772|王伟|冻结|CNY|5.00",
        "T|000002",
    )
    assert profile["skip_lines"] == 1
    assert profile["columns"]["status"] == "账户状态"
