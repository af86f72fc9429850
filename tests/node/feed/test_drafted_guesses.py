"""What `feed learn` must not take for something else: what it cannot tell is left as `?`, or is several columns."""

import re
from pathlib import Path
from typing import Any

import pytest

from standing.node.feed.file_lines import read_lines
from standing.node.feed.profile import read_profile
from standing.node.feed.profile_draft import draft_profile
from tests.node.feed.drafts import drafted_profile


@pytest.mark.parametrize(
    "word",
    [
        "正常（只收不付）",
        "正常(冻结)",
        "正常[止付]",
        "Open (Restricted)",
        "Active {frozen}",
        "A*",
        "A-",
        "非正常",
        "0",
        "00",
        "N",
    ],
)
def test_a_state_with_a_reservation_or_a_bare_code_is_not_drafted_as_active(word: str, tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, "账号,账户状态", "11050137001000000771,正常", f"11050137001000000772,{word}")
    for field in ("status", "debit_allowed", "credit_allowed"):
        assert drafted["words"][field][word] == "?", field
    assert drafted["words"]["status"]["正常"] == "active"


@pytest.mark.parametrize(
    ("heading", "joined"),
    [
        ("账号,账户状态,冻结标志,挂失标志", ["账户状态", "冻结标志", "挂失标志"]),
        ("账号,账户状态,卡状态,开户日期", ["账户状态", "卡状态"]),
        ("Account No,Account Status,Debit Freeze,State", ["Account Status", "Debit Freeze"]),
        ("Account No,accountStatus,holdFlag,Holder", ["accountStatus", "holdFlag"]),
        ("Account No,State,Account Status,Status Date", "Account Status"),
        ("账号,账户状态,冻结金额,销户日期", "账户状态"),
    ],
)
def test_all_columns_that_tell_of_the_state_are_drafted_as_one(heading: str, joined: Any, tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, heading, "11050137001000000771,正常,x,y", "11050137001000000772,正常,z,")
    for field in ("status", "debit_allowed", "credit_allowed"):
        assert drafted["columns"][field] == joined, field
        assert isinstance(joined, str) or set(drafted["words"][field].values()) == {"?"}


@pytest.mark.parametrize(
    "flag",
    [
        *("锁定标志", "管控标志", "注销标志", "止收", "查封标志", "限制标志", "只收不付", "暂停非柜面"),
        *("POSTING.RESTRICT", "FREZ_CODE", "ACCT_CLS_FLG", "AC_STAT_NO_DR", "RECORD_STAT", "No Debit", "PND"),
        *("INACTIV.MARKER", "Restraint", "警示戶註記", "衍生管制", "凍結註記"),
        *("Suspended", "Deceased", "Court Order", "Lien Flag", "Inactive", "Garnishee"),
        *("Sperre", "Gesperrt", "Bloqueo", "Blocage", "Blokada", "Spärr", "Блокировка", "Haciz"),
        # Within a longer word, or without a sign between the words.
        *("Kontosperre", "XSPERR", "Uttagsspärr", "Debetspærre", "Debetblokkade", "Заблокирован", "STATUSCD"),
        *("ISBLOCKED", "DEBITFREEZE", "NODEBIT", "STOPPAY", "LOSSFLAG", "POSTLOCK", "WARNINGCODE", "LOSS_FLG"),
        # What is allowed, and flags of other kinds.
        *("Can Debit", "WithdrawAllowedYN", "Withdrawals Enabled", "DR_IND", "DEL_FLG", "CTRL_FLG", "Is Active"),
        *("支付停止", "删除标志", "交易权限", "账户控制", "取引停止区分", "事故区分", "差押区分", "紛失届", "利用可否"),
        *("지급정지여부", "사고신고여부", "압류여부", "อายัด", "ระงับ", "Phong tỏa", "TAM_KHOA", "محجوز", "חסום"),
        *("Tedbir", "Beslag", "Opgeheven", "Nachlass", "Saisie", "Zajęcie komornicze", "Retención", "Приостановлен"),
    ],
)
def test_a_freeze_that_is_no_part_of_the_status_is_never_left_out_of_a_draft(flag: str, tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, f"Account No,Status,{flag}", "11050137001000000771,Active,1")
    assert drafted["columns"]["status"] == ["Status", flag]
    assert drafted["words"]["debit_allowed"] == {"Active 1": "?"}


@pytest.mark.parametrize(
    "other",
    [
        *("限制金额", "冻结机构", "止付日期", "非柜面限额", "Lien Amount", "Blocked By", "Freeze Ref", "Zivilstatus"),
        *("Credit Card No", "Nombre del titular", "Control No", "Statement Cycle", "Debtor"),
    ],
)
def test_what_is_said_about_a_freeze_is_no_part_of_the_status(other: str, tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, f"Account No,Status,{other}", "11050137001000000771,Active,1")
    assert drafted["columns"]["status"] == "Status"


def test_a_flag_for_each_way_to_restrict_an_account_is_joined_with_the_status(tmp_path: Path) -> None:
    heading = "账号,账户状态,冻结标志,止付标志,挂失标志,久悬标志"
    drafted = drafted_profile(
        tmp_path, heading, "11050137001000000771,正常,0,0,1,0", "11050137001000000772,正常,0,0,0,0"
    )
    assert drafted["columns"]["status"] == heading.split(",")[1:]
    assert drafted["words"]["status"] == {"正常 0 0 1 0": "?", "正常 0 0 0 0": "?"}


def test_a_freeze_in_a_column_of_its_own_is_read_by_the_draft_as_it_was_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    rows = [
        "账号,账户状态,有效标志,冻结标志",
        "7300000001,正常,1,",
        "7300000002,正常,,1",
        "7300000003,正常,1,1",
        "7300000004,,,1",
    ]
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    draft = draft_profile(path).splitlines()
    meanings = {'"正常 1 -"': "active", '"正常 - 1"': "frozen", '"正常 1 1"': "frozen", '"- - 1"': "frozen"}
    table, lines = "", []
    for line in draft:
        table = line.split("]")[0] if line.startswith("[") else table
        word = line.partition(" = ")[0]
        meaning = meanings.get(word, "none")
        said = f'"{meaning}"' if "status" in table else str(meaning == "active").lower()
        lines.append(f"{word} = {said}" if '= "?"' in line and "words" in table else line)
    text = (
        "\n".join(lines)
        .replace('currency = "?"', 'currency = "CNY"')
        .replace('number_type = "?"', 'number_type = "card"')
    )
    (tmp_path / "core.toml").write_text(text.replace('"?"', '"none"'), encoding="utf-8")
    read = list(read_lines(path, "csv", read_profile(tmp_path / "core.toml")))
    assert [(line.record["status"], line.record["debit_allowed"]) for line in read] == [
        ("active", True),
        *[("frozen", False)] * 3,
    ]


def test_more_columns_of_the_state_than_a_profile_joins_are_left_open(tmp_path: Path) -> None:
    flags = ["冻结", "止付", "挂失", "久悬", "睡眠", "注销", "管控", "锁定"]
    heading = ",".join(["账号", "账户状态", *(f"{flag}标志" for flag in flags)])
    drafted = drafted_profile(tmp_path, heading, f"11050137001000000771,正常{',0' * len(flags)}")
    assert (drafted["columns"]["status"], "status" in drafted.get("words", {})) == ("?", False)


@pytest.mark.parametrize(
    "headings",
    [
        ("日限额(转入)", "日限额(转出)"),
        ("日限额(网银)",),
        ("Daily Limit (ATM)", "Daily Limit (POS)"),
        ("日限额(元)", "日限额(USD)"),
    ],
)
def test_a_limit_of_something_else_is_not_drafted_as_the_accounts(headings: tuple[str, ...], tmp_path: Path) -> None:
    cells = ",99999999.00" * len(headings)
    drafted = drafted_profile(tmp_path, f"账号,账户状态,{','.join(headings)}", f"11050137001000000771,正常{cells}")
    assert drafted["columns"]["daily_limit_minor"] == "?"


@pytest.mark.parametrize("unit", ["元", "人民币元", "CNY", "R$", "€", "分"])
def test_a_unit_in_brackets_is_no_other_limit(unit: str, tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, f"账号,账户状态,日限额({unit})", "11050137001000000771,正常,500")
    assert drafted["columns"]["daily_limit_minor"] == f"日限额({unit})"


@pytest.mark.parametrize("unit", ["万元", "千元", "百万元", "千円", "thousands", "lakhs"])
def test_amounts_in_a_unit_of_many_are_not_drafted_as_single_ones(unit: str, tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, f"账号,账户状态,日限额({unit})", "11050137001000000771,正常,5")
    assert drafted["amounts"]["unit"] == "?"


def test_of_two_columns_of_one_field_none_is_chosen_unless_one_is_plain(tmp_path: Path) -> None:
    drafted = drafted_profile(
        tmp_path, "账号,状态,手机号(本人),手机号(联系人)", "11050137001000000771,正常,13800138000,13900139000"
    )
    assert drafted["columns"]["phone"] == "?"
    drafted = drafted_profile(tmp_path, "账号(旧),账号,状态", "11050137001000000770,11050137001000000771,正常")
    assert drafted["columns"]["number"] == "账号"


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("number", "卡号", "账号"),
        ("number", "IBAN", "Account No"),
        ("phone", "手机号", "预留手机号"),
        ("holder_name", "户名", "客户名称"),
        ("id_document_number", "证件号码", "统一社会信用代码"),
        ("daily_limit_minor", "日限额(元)", "日支出限额(元)"),
    ],
)
def test_of_two_usual_headings_of_one_field_none_is_chosen(field: str, one: str, other: str, tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, f"{other},{one},状态", "5,6,正常")
    assert drafted["columns"][field] == "?"


def test_amounts_in_two_units_are_not_drafted_as_one(tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, "账号,单笔限额(元),日限额(分)", "11050137001000000771,50000,20000000")
    assert drafted["amounts"]["unit"] == "?"


def test_without_a_heading_nothing_is_drafted_that_several_columns_may_hold(tmp_path: Path) -> None:
    """A branch, a customer number and a kind of document look like a name, an account and a name."""
    row = "北京分行,1000000000123456,6222020200112345678,李娜,居民身份证,11010519491231002X,13800138000,正常"
    drafted = drafted_profile(tmp_path, row, row.replace("李娜", "李明"))
    assert drafted["columns"]["holder_name"] == drafted["columns"]["number"] == "?"
    assert (drafted["columns"]["id_document_scheme"], drafted["columns"]["id_document_number"]) == (5, 6)
    assert (drafted["columns"]["status"], drafted["columns"]["phone"]) == (8, 7)


def test_zone_and_country_are_guessed_only_for_chinese_files(tmp_path: Path) -> None:
    row = "11050137001000000771,2026-11-28 10:00:00,A12345"
    drafted = drafted_profile(tmp_path, "Account No,Last Update,ID Number", row)
    assert (drafted["times"]["zone"], drafted["constants"]["id_document_country"]) == ("?", "?")
    drafted = drafted_profile(tmp_path, "账号,更新时间,证件号码", row)
    assert (drafted["times"]["zone"], drafted["constants"]["id_document_country"]) == ("Asia/Shanghai", "CN")


@pytest.mark.parametrize(("heading", "words"), [("Hesap No,Currency", ["01", "02"]), ("帳號,幣別", ["元", "01"])])
def test_words_for_the_yuan_are_left_open_in_files_from_elsewhere(
    heading: str, words: list[str], tmp_path: Path
) -> None:
    rows = [f"1105013700100000077{at},{word}" for at, word in enumerate(words)]
    assert drafted_profile(tmp_path, heading, *rows)["words"]["currency"] == dict.fromkeys(words, "?")
    chinese = drafted_profile(tmp_path, "账号,币种", *rows)["words"]["currency"]
    assert [chinese[word] for word in words if word in {"01", "元"}] == ["CNY"] * len({"01", "元"} & set(words))


def test_a_permission_that_frozen_accounts_have_as_well_is_left_open(tmp_path: Path) -> None:
    """It may name a service that was ordered; taken for a permission, frozen accounts could pay."""
    rows = ("110001,Active,Y,Y", "110002,Frozen,Y,N", "110003,Frozen,N,N")
    words = drafted_profile(tmp_path, "Account No,Status,Debit Allowed,Credit Allowed", *rows)["words"]
    assert words["debit_allowed"] == {"Y": "?", "N": False}
    assert words["credit_allowed"] == {"Y": True, "N": False}


def test_a_currency_by_its_iso_code_needs_no_word(tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, "Account No,Currency", "11050137001000000771,THB", "11050137001000000772,KWD")
    assert "currency" not in drafted.get("words", {})


def test_years_of_the_buddhist_calendar_are_not_taken_for_ours(tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, "Account No,Last Update", "7300000001,2569-11-28", "7300000002,2569-11-27")
    assert drafted["times"]["form"] == "?"


@pytest.mark.parametrize("parts", [["Vorname"], ["First Name", "Middle Name"], ["Prénom"]])
def test_a_family_name_beside_its_other_parts_is_not_taken_for_the_whole(parts: list[str], tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, ",".join(["IBAN", "Name", *parts]), "DE89370400440532013000,Müller,Jürgen,")
    assert drafted["columns"]["holder_name"] == "?"


def test_whole_numbers_to_which_a_program_added_a_decimal_are_not_taken_for_major_units(tmp_path: Path) -> None:
    rows = ("7300000001,500000.0", "7300000002,", "7300000003,20000.0")
    assert drafted_profile(tmp_path, "Account No,Daily Limit", *rows)["amounts"]["unit"] == "?"
    yuan = ("7300000001,5000.00", "7300000002,20000.5")
    assert drafted_profile(tmp_path, "Account No,Daily Limit", *yuan)["amounts"]["unit"] == "major"


@pytest.mark.parametrize(
    ("heading", "phone", "country"),
    [
        ("IBAN,Phone", "0171 1234567", "?"),
        ("IBAN,Phone", "14155552671", "?"),
        ("IBAN,Phone", "+49 171 1234567", None),
        ("账号,手机号", "13800138000", None),
        ("账号,手机号", "+8613800138000", None),
        ("账号,联系电话", "0571-88888888", None),
        ("账号,手机号", "91234567", "?"),
        ("账号,手机号", "0912-345-678", "?"),
    ],
)
def test_a_draft_leaves_open_whose_numbers_phones_without_a_country_code_are(
    heading: str, phone: str, country: str | None, tmp_path: Path
) -> None:
    drafted = drafted_profile(tmp_path, heading, f"DE89370400440532013000,{phone}")
    assert drafted.get("phones", {}).get("country") == country


@pytest.mark.parametrize(
    ("lines", "unit"),
    [
        (["单位：万元", "账号,户名,账户状态,日限额", "1105,李娜,正常,5.00"], "?"),
        (["导出时间 2026-01-01 金额单位:千元,,,", "账号,户名,账户状态,日限额", "1105,李娜,正常,5"], "?"),
        (["Limits in thousands", "account no,name,status,daily limit", "1105,Li Na,Active,5.00"], "?"),
        (["单位：元", "账号,户名,账户状态,日限额", "1105,李娜,正常,50000"], "major"),
        (["单位：人民币分", "账号,户名,账户状态,日限额", "1105,李娜,正常,50000"], "minor"),
        (["账号,户名,账户状态,日限额", ",,,(万元)", "1105,李娜,正常,5"], "?"),
        (["账号,户名,账户状态,日限额", ",,,元", "1105,李娜,正常,50000"], "major"),
    ],
)
def test_a_unit_that_is_stated_above_or_below_the_headings_counts(lines: list[str], unit: str, tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, *lines)
    assert drafted["amounts"]["unit"] == unit
    assert "daily_limit_minor" not in drafted.get("words", {})


@pytest.mark.parametrize("word", ["不限", "N/A", "-", "-1", "NULL"])
def test_what_stands_in_place_of_a_limit_is_left_open(word: str, tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, "账号,账户状态,日限额(元)", "1105,正常,50000.00", f"1106,正常,{word}")
    assert drafted["words"]["daily_limit_minor"] == {word: "?"}


def test_a_word_in_place_of_a_limit_is_read_as_the_profile_says(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_text("number,currency,daily\n1105,CNY,不限\n1106,CNY,-1\n1107,CNY,5.00\n", encoding="utf-8")
    (tmp_path / "core.toml").write_text(
        '[profile]\ncolumns = {number = "number", currency = "currency", daily_limit_minor = "daily"}\n'
        'words.daily_limit_minor = {"不限" = "none", "-1" = "none"}\namounts.unit = "major"\n',
        encoding="utf-8",
    )
    read = list(read_lines(path, "csv", read_profile(tmp_path / "core.toml")))
    assert [line.record["daily_limit_minor"] for line in read] == ["none", "none", 500]


def test_what_stands_in_place_of_a_document_or_a_phone_is_left_open(tmp_path: Path) -> None:
    heading = "账号,证件类型,证件号码,手机号,账户状态"
    drafted = drafted_profile(tmp_path, heading, "1105,居民身份证,无,未留,正常", "1106,护照,,13800138000,正常")
    assert drafted["words"]["id_document_number"] == {"无": "?"}
    assert drafted["words"]["phone"] == {"未留": "?"}
    assert drafted["empty"]["id_document_number"] == "?"


def test_traditional_headings_and_words_are_recognised_and_no_country_is_guessed_from_them(tmp_path: Path) -> None:
    heading = "帳戶號碼,戶名,身分證字號,手機號碼,帳戶狀態,警示戶註記,幣別,單筆限額,單日限額,更新時間"
    row = "00412345678901,林志明,A123456789,0912345678,{},TWD,50000,100000,2026-01-01 08:00:00"
    drafted = drafted_profile(tmp_path, heading, row.format("正常,N"), row.format("凍結,N").replace("林志明", "陳美玲"))
    usual = ("number", "holder_name", "id_document_number", "phone", "currency", "daily_limit_minor", "effective_at_ms")
    assert drafted["columns"].keys() >= {*usual, "transaction_limit_minor"}
    assert drafted["columns"]["status"] == ["帳戶狀態", "警示戶註記"]
    open_ones = (drafted["constants"]["id_document_country"], drafted["times"]["zone"], drafted["phones"]["country"])
    assert set(open_ones) == {"?"}
    alone = drafted_profile(tmp_path, "帳號,狀態", "00412345678901,凍結", "00412345678902,正常")
    assert alone["words"]["status"] == {"凍結": "frozen", "正常": "active"}


def test_a_name_that_is_the_same_on_every_record_is_left_open(tmp_path: Path) -> None:
    drafted = drafted_profile(tmp_path, "Account No,Name,Status", "1105,Savings,A", "1106,Savings,A")
    assert drafted["columns"]["holder_name"] == "?"


def test_a_draft_says_that_a_file_has_neither_document_nor_phone(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    for heading, missing in (("账号,户名", ["id_document_number", "phone"]), ("账号,手机号", ["id_document_number"])):
        path.write_text(f"{heading}\n11050137001000000771,13800138000\n", encoding="utf-8")
        draft = draft_profile(path)
        assert re.findall("# (.*): no column looks like it; without it", draft) == missing


def test_chinese_names_of_permits_and_licences_and_of_permissions_are_recognised(tmp_path: Path) -> None:
    heading = "卡号,证件类型,证件号码,可支付,可入账,账户状态,最后变更时间"
    rows = [
        f"622202123456789012{at},{scheme},A1,是,否,正常,2026-11-30 21:05:00"
        for at, scheme in enumerate(("港澳居民来往内地通行证", "台胞证", "台湾居民居住证", "组织机构代码证", "军官证"))
    ]
    drafted = drafted_profile(tmp_path, heading, *rows)
    assert list(drafted["words"]["id_document_scheme"].values()) == ["CCPT", "CCPT", "NIDN", "COID", "?"]
    assert drafted["columns"].items() >= {"debit_allowed": "可支付", "credit_allowed": "可入账"}.items()
    assert drafted["columns"]["effective_at_ms"] == "最后变更时间"
