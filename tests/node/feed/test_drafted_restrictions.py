"""What `feed learn` must not pass over in silence: restrictions under any heading, units of limits, accounts of several
rows, and names that are masked."""

from pathlib import Path
from typing import Any

import pytest

from standing.node.feed.profile_draft import draft_profile
from tests.node.feed.drafts import drafted_profile

_ACCOUNTS = ("11050137001000000771", "11050137001000000772")


def _drafted(folder: Path, heading: str, *values: str) -> dict[str, Any]:
    rows = (f"{number},{name},{value}" for number, name, value in zip(_ACCOUNTS, "甲乙", values, strict=True))
    return drafted_profile(folder, f"账号,户名,{heading}", *rows)


@pytest.mark.parametrize(
    ("heading", "free", "restricted"),
    [
        ("收付控制", "正常", "只收不付"),
        ("业务类别", "普通", "只付不收"),
        ("备注", "", "法院冻结至2027年"),
        ("账户标志位", "0000N", "0100N"),
        ("卡状态位图", "00000000", "01000000"),
        ("Flags", "", "4"),
        ("Posting", "Normal", "No Debit"),
        ("Note", "", "Account blocked"),
        ("Mode", "full", "Dormant"),
    ],
)
def test_a_restriction_under_any_heading_is_drafted_as_part_of_the_status(
    heading: str, free: str, restricted: str, tmp_path: Path
) -> None:
    profile = _drafted(tmp_path, f"账户状态,{heading}", f"正常,{free}", f"正常,{restricted}")
    assert profile["columns"]["status"] == ["账户状态", heading]
    assert profile["words"]["status"][f"正常 {restricted}"] == "?"
    assert profile["words"]["debit_allowed"][f"正常 {restricted}"] == "?"


@pytest.mark.parametrize(
    ("heading", "value"), [("地址", "Block 5 Bedok"), ("部门", "人事"), ("冻结原因", "司法冻结"), ("Reason", "frozen")]
)
def test_what_only_looks_like_a_restriction_is_no_part_of_the_status(heading: str, value: str, tmp_path: Path) -> None:
    assert _drafted(tmp_path, f"账户状态,{heading}", "正常,", f"正常,{value}")["columns"]["status"] == "账户状态"


@pytest.mark.parametrize(
    ("heading", "free", "restricted"),
    [
        ("Sylt", "nej", "ja"),
        ("Zweiter Kontoinhaber", "", "Schmidt, Karl"),
        ("DTC", "", "09/30/2026"),
        ("Κωδικός", "0", "17"),
        ("وضع", "لا", "نعم"),
    ],
)
def test_a_column_of_flags_or_of_rare_values_is_not_passed_over_unread(
    heading: str, free: str, restricted: str, tmp_path: Path
) -> None:
    """No list of words has every language; a profile that nobody has looked through is refused."""
    profile = _drafted(tmp_path, f"账户状态,地址,{heading}", f"正常,文三路,{free}", f"正常,文一路,{restricted}")
    assert profile["ignored"] == [heading, "?", "地址"]


@pytest.mark.parametrize(
    ("heading", "values"),
    [
        ("地址", ("杭州市西湖区文三路", "杭州市余杭区文一路")),
        ("开户日期", ("20200101", "20210505")),
        ("账户余额", ("0.00", "0.00")),
        ("客户号", ("10002345", "10002346")),
        ("开户机构", ("上海分行", "上海分行")),
        ("客户经理", ("王敏", "")),
        ("Relationship Manager", ("RM01", "RM01")),
        ("Gender", ("F", "F")),
    ],
)
def test_texts_days_amounts_places_and_people_need_no_second_look(
    heading: str, values: tuple[str, str], tmp_path: Path
) -> None:
    profile = _drafted(tmp_path, f"账户状态,{heading}", *(f"正常,{value}" for value in values))
    assert profile["ignored"] == [heading], "a column that a file gains later is told from it"


@pytest.mark.parametrize(
    "heading", ["CLOSEDATE", "CLSDT", "CHARGEOFFDATE", "DATECLOSED", "TGL TUTUP", "終了日", "해지일자"]
)
def test_a_closing_date_is_found_also_in_one_word_and_in_other_languages(heading: str, tmp_path: Path) -> None:
    profile = _drafted(tmp_path, f"账户状态,{heading}", "正常,", "正常,20260930")
    assert (profile["columns"]["status"], profile["dates"]) == (["账户状态", heading], [heading])


def test_restrictions_within_free_text_leave_the_status_open(tmp_path: Path) -> None:
    rows = [f"110501370010000007{index},正常,第{index}号" for index in range(10, 60)]
    profile = drafted_profile(tmp_path, "账号,账户状态,备注", *rows, "11050137001000000799,正常,法院冻结")
    assert profile["columns"]["status"] == "?"


def test_a_state_without_a_column_of_the_status_is_named(tmp_path: Path) -> None:
    assert _drafted(tmp_path, "卡状态位图", "00000000", "01000000")["columns"]["status"] == "?"


@pytest.mark.parametrize(
    "unit", ["（单位：万元）", "[人民币万元]", "_万元", "(人民币万元)", "万元", "(万元/日)", "（金额单位：角）"]
)
def test_the_unit_of_a_limit_is_found_however_its_heading_says_it(unit: str, tmp_path: Path) -> None:
    profile = _drafted(tmp_path, f"账户状态,币种,日限额{unit}", "正常,CNY,5", "正常,CNY,20")
    assert profile["amounts"]["unit"] == "?"


@pytest.mark.parametrize("heading", ["Einzellimit", "Cap Limit per Payment", "日网银限额", "Monthly POS Limit"])
def test_a_limit_under_an_unknown_heading_is_named_and_not_passed_over(heading: str, tmp_path: Path) -> None:
    """Whoever fills in that there is no limit would have the platforms approve what the bank does not allow."""
    path = tmp_path / "book.csv"
    path.write_text(f"账号,账户状态,{heading}\n11050137001000000771,正常,500.00\n", encoding="utf-8")
    assert f"# look like limits and are not read: {heading}" in draft_profile(path)


def test_a_limit_that_is_left_open_still_has_its_unit_drafted(tmp_path: Path) -> None:
    """Without one, whoever fills in the column gets minor units: a hundredth of the limit."""
    profile = _drafted(
        tmp_path, "账户状态,币种,日限额(转出),日限额(转入)", "正常,CNY,50000.00,5.00", "正常,CNY,1.50,2.00"
    )
    assert profile["columns"]["daily_limit_minor"] == "?"
    assert profile["amounts"]["unit"] == "major"


@pytest.mark.parametrize("zero", ["0", "0.00", "000000", "0,00"])
def test_whether_a_limit_of_zero_is_none_is_left_open(zero: str, tmp_path: Path) -> None:
    profile = _drafted(tmp_path, "账户状态;币种;日限额".replace(";", ","), f'正常,CNY,"{zero}"', "正常,CNY,20000")
    assert profile["words"]["daily_limit_minor"] == {zero: "?"}


def test_an_account_of_several_rows_leaves_its_number_open(tmp_path: Path) -> None:
    number = _ACCOUNTS[0]
    rows = (f"{number},001,CNY,冻结", f"{number},002,USD,正常")
    assert drafted_profile(tmp_path, "账号,子户号,币种,账户状态", *rows)["columns"]["number"] == "?"


def test_tax_numbers_of_india_are_not_drafted_as_numbers_of_accounts(tmp_path: Path) -> None:
    rows = ("50100012345678,ABCPK1234F,Active", "50100012345679,ABCPS1234G,Active")
    assert drafted_profile(tmp_path, "Loan Ref,PAN,Status", *rows)["columns"]["number"] == "?"
    cards = ("1,6222020200112345678,Active", "2,6222020200112345679,Active")
    assert drafted_profile(tmp_path, "Id,PAN,Status", *cards)["columns"]["number"] == "PAN"


@pytest.mark.parametrize("names", [("李*明", "王*"), ("*娜", "欧阳＊"), ("J*** S****", "A** B***")])
def test_masked_names_are_not_drafted_as_names(names: tuple[str, str], tmp_path: Path) -> None:
    rows = (f"{number},{name},正常" for number, name in zip(_ACCOUNTS, names, strict=True))
    assert drafted_profile(tmp_path, "账号,户名,账户状态", *rows)["columns"]["holder_name"] == "?"
