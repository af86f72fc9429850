"""States that only dates tell: closed on, frozen until. A date is a word of the profile, whatever day it is."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from standing.ledger.errors import InvalidValue
from standing.node.feed.profile import Profile, read_profile
from standing.node.feed.profile_draft import draft_profile
from standing.node.feed.profile_values import Translator, date_word
from tests.node.feed.drafts import drafted_profile

_WORDS = {"A -": "active", "A date": "closed", "F -": "frozen"}


def _status(column: str, cell: Any, *, state: str = "A") -> tuple[object, list[str]]:
    profile = Profile.model_validate(
        {"columns": {"number": "number", "status": ["state", column]}, "dates": [column], "words": {"status": _WORDS}}
    )
    record, problems = Translator(profile).record({"number": "1", "state": state, column: cell})
    return record.get("status"), [each.field for each in problems]


@pytest.mark.parametrize(
    "written",
    [
        "20261001",
        20261001,
        "2026-10-01 09:15:00",
        "01.10.2026",
        "1/10/26",
        "01-OCT-2026",
        "１１５１００１",
        "R8.10.1",
        "2099-01-01",
        45931,  # a spreadsheet's number of a day
    ],
)
def test_a_date_of_closing_closes_an_account_that_is_active_beside_it(written: Any) -> None:
    assert _status("closed_on", written) == ("closed", [])


@pytest.mark.parametrize("written", ["", None, "00000000", "0", "0000-00-00", "0001-01-01"])
def test_what_stands_for_no_date_closes_nothing(written: Any) -> None:
    assert _status("closed_on", written) == ("active", [])


@pytest.mark.parametrize(
    ("written", "word"),
    [
        *((each, "9999") for each in ("2999-12-31", "29991231", "31.12.2999", "31-DEC-4712", "3000-01-01 00:00:00")),
        *((each, "1900") for each in ("1900-01-01", "19000101", "30/12/1899", "1753-01-01 00:00:00.000")),
        *((each, "1900") for each in ("1970-01-01", "1970-01-01T00:00:00Z", "01.01.1970", "1.1.1970 00:00")),
        *((each, "date") for each in ("30112026", "28.09.2569", "2569-09-28", "1448-04-09", "1405/07/08", "1150930")),
        *((each, "date") for each in ("1970-06-01", "18112026", "2026-10-01 09:15:00.3000", "1/10/26", "R8.10.1")),
    ],
)
def test_days_that_stand_for_none_are_told_from_those_of_other_calendars(written: str, word: str) -> None:
    """Of closing days, 2999-12-31 and 1900-01-01 mean that there is none: as one word with true ones, open accounts
    would be closed, or closed ones open."""
    assert date_word(written) == word


@pytest.mark.parametrize("written", ["9999-12-31", "99991231", "31.12.9999", "soon", "12"])
def test_the_end_of_time_and_what_is_no_date_are_words_of_their_own(written: str) -> None:
    assert _status("closed_on", written) == (None, ["status"]), "it could be a freeze without end"
    assert date_word("9999-12-31") == "9999"


@pytest.mark.parametrize(
    ("heading", "written"),
    [
        ("销户日期", "20261001"),
        ("冻结到期日", "2027-01-01"),
        ("挂失时间", "2026-10-01 09:15:00"),
        ("CLOSE_DATE", "01-OCT-2026"),
        ("Date Closed", "10/01/2026"),
        ("Freeze until", "2027-01-01"),
        ("Saldierungsdatum", "31.10.2026"),
        ("Sperre bis", "31.10.2026"),
        ("ACCT_CLS_DATE", "31-10-2026 00:00:00"),
    ],
)
def test_a_date_that_tells_a_state_is_drafted_as_part_of_the_status(heading: str, written: str, tmp_path: Path) -> None:
    drafted = drafted_profile(
        tmp_path, f"账号,账户状态,{heading}", "11050137001000000771,正常,", f"11050137001000000772,正常,{written}"
    )
    assert drafted["columns"]["status"] == ["账户状态", heading]
    assert drafted["dates"] == [heading]
    assert drafted["words"]["status"] == drafted["words"]["debit_allowed"] == {"正常 -": "?", "正常 date": "?"}


def test_a_date_without_any_value_in_the_sample_is_drafted_too(tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, "账号,账户状态,销户日期", "11050137001000000771,正常,00000000")
    assert (drafted["dates"], drafted["words"]["status"]) == (["销户日期"], {"正常 -": "?"})


@pytest.mark.parametrize(
    "heading",
    ["开户日期", "解冻日期", "冻结解冻日期", "状态变更日期", "Date Opened", "Status Date", "止付日限额", "Expiry Date"],
)
def test_other_dates_are_no_part_of_the_status(heading: str, tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, f"账号,账户状态,{heading}", "11050137001000000771,正常,20261001")
    assert (drafted["columns"]["status"], "dates" in drafted) == ("账户状态", False)


def test_flags_that_have_eight_digits_are_no_dates(tmp_path: Path) -> None:
    rows = ("11050137001000000771,正常,00000000", "11050137001000000772,正常,01000000")
    drafted = drafted_profile(tmp_path, "账号,账户状态,卡状态位图", *rows)
    assert ("dates" in drafted, set(drafted["words"]["status"])) == (False, {"正常 00000000", "正常 01000000"})


@pytest.mark.parametrize(("code", "status"), [("0", "active"), ("20261", "frozen")])
def test_a_code_beside_a_date_stays_a_code(code: str, status: str) -> None:
    """Zeros would be no date, and five digits one."""
    words = {"0 -": "active", "20261 -": "frozen", "- -": "closed", "date -": "closed"}
    columns = {"number": "number", "status": ["state", "closed_on"]}
    profile = Profile.model_validate({"columns": columns, "dates": ["closed_on"], "words": {"status": words}})
    assert Translator(profile).record({"number": "1", "state": code, "closed_on": ""})[0]["status"] == status


def test_a_draft_allows_nothing_unless_the_account_is_active(tmp_path: Path) -> None:
    states = ("正常", "冻结", "挂失", "不动户", "销户")
    rows = [f"1105013700100000077{at},{state}" for at, state in enumerate(states)]
    words = drafted_profile(tmp_path, "账号,账户状态", *rows)["words"]
    assert words["debit_allowed"] == words["credit_allowed"] == dict.fromkeys(states, False) | {"正常": True}


def test_dates_of_columns_without_words_are_refused() -> None:
    with pytest.raises(ValueError, match="dates: closed_on: no column of a field with words"):
        Profile.model_validate({"columns": {"number": "number"}, "dates": ["closed_on"]})


def test_an_open_status_leaves_what_is_allowed_open_and_not_the_same_for_every_account(tmp_path: Path) -> None:
    """Filled in as a constant, it would let frozen accounts pay."""
    drafted = drafted_profile(
        tmp_path, "账号,冻结标志,止付标志", "11050137001000000771,0,0", "11050137001000000772,1,0"
    )
    assert [drafted["columns"][field] for field in ("status", "debit_allowed", "credit_allowed")] == ["?", "?", "?"]
    assert "debit_allowed" not in drafted["constants"]


@pytest.mark.parametrize("words", [{"words": {"status": {"N": "active", "F": "frozen"}}}, {}])
def test_a_profile_in_which_every_frozen_account_may_pay_is_refused(words: dict[str, Any], tmp_path: Path) -> None:
    stated = {"columns": {"number": "a", "status": "b"}, "constants": {"debit_allowed": True}, **words}
    with pytest.raises(ValueError, match="a frozen account could still pay"):
        Profile.model_validate(stated)
    assert Profile.model_validate({**stated, "constants": {"credit_allowed": True}})
    path = tmp_path / "profile.toml"
    path.write_text('[profile.columns]\nnumber = "a"\nstatus = "b"\n[profile.constants]\ndebit_allowed = true\n')
    with pytest.raises(InvalidValue, match="a frozen account could still pay"):
        read_profile(path)


def test_a_draft_says_which_columns_hold_dates_where_the_status_is_open(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("Konto-Nr;Saldierungsdatum\nCH9300762011623852957;\nCH9300762011623852958;31.10.2026\n", "utf-8")
    drafted = draft_profile(path)
    assert tomllib.loads(drafted)["profile"]["columns"]["status"] == "?"
    assert "`dates` under [profile] names those with dates: Saldierungsdatum" in drafted


def test_an_account_of_which_nothing_tells_a_state_has_the_one_that_its_word_says() -> None:
    """The freeze of yesterday has ended: its row names no state, and would otherwise state nothing."""
    columns = {"number": "number", "status": ["block", "closed_on"]}
    words = {"- -": "active", "B -": "frozen", "- date": "closed"}
    profile = Profile.model_validate({"columns": columns, "dates": ["closed_on"], "words": {"status": words}})
    translator = Translator(profile)
    assert translator.record({"number": "1", "block": " ", "closed_on": "00000000"})[0]["status"] == "active"
    assert translator.record({"number": "1", "block": "B", "closed_on": None})[0]["status"] == "frozen"
    assert translator.record({"number": "1", "block": None, "closed_on": "20261001"})[0]["status"] == "closed"


def test_records_without_any_state_are_a_word_of_the_draft_or_left_open(tmp_path: Path) -> None:
    joined = drafted_profile(tmp_path, "账号,状态,冻结标志", "11050137001000000771,,", "11050137001000000772,,1")
    assert set(joined["words"]["status"]) == set(joined["words"]["debit_allowed"]) == {"- -", "- 1"}
    alone = drafted_profile(tmp_path, "账号,户名,状态", "11050137001000000771,甲,", "11050137001000000772,乙,冻结")
    assert {name: alone["empty"][name] for name in ("status", "debit_allowed", "credit_allowed")} == {
        "status": "?",
        "debit_allowed": "?",
        "credit_allowed": "?",
    }
