"""How `feed learn` finds the form of a file: what is before the heading and after the records, what it cannot read."""

import json
import tomllib
from pathlib import Path

import pytest

from standing.ledger.errors import InvalidValue
from standing.node.feed.profile_draft import draft_profile
from tests.node.feed.drafts import drafted_profile


def test_lines_before_the_heading_are_skipped(tmp_path: Path) -> None:
    lines = [
        "Export of accounts",
        '"as of 2026-11-28',
        'of branch 12"',
        "",
        "Account No;Name;Status;Currency;Daily Limit",
    ]
    drafted = drafted_profile(tmp_path, *lines, "DE89370400440532013000;A B;active;EUR;1.000,00", "Total;1;;;1.000,00")
    assert (drafted["skip_lines"], drafted["columns"]["number"]) == (4, "Account No")


def test_lines_that_end_with_cr_alone_are_named(tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_bytes(b"number,status\r7300000001,active\r")
    with pytest.raises(InvalidValue, match="its lines end with CR alone"):
        draft_profile(path)


@pytest.mark.parametrize("heading", ["", "ACCOUNT     NAME           S LIMIT\n"])
def test_columns_of_fixed_width_are_named_and_not_read_as_words(heading: str, tmp_path: Path) -> None:
    path = tmp_path / "book.dat"
    path.write_text(f"{heading}7300000001  Smith John     A 00010000\n7300000002  Roe Jane       F 00020000\n")
    with pytest.raises(InvalidValue, match="columns of fixed width"):
        draft_profile(path)


def test_the_plus_of_phones_parts_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    people = [("Zhang Wei", "Active"), ("Li Na", "Frozen"), ("John Smith", "Closed")]
    rows = [("Account No", "Customer Name", "Mobile", "Status")]
    rows += [(f"11050137001{at:05d}", people[at % 3][0], f"+8613800{at:06d}", people[at % 3][1]) for at in range(9)]
    lines = ["".join(cell.ljust(22) for cell in row) for row in rows]
    path.write_text("\n".join([*lines, "", "9 rows selected.", ""]))
    with pytest.raises(InvalidValue, match="columns of fixed width"):
        draft_profile(path)


def test_cells_that_a_spreadsheet_keeps_as_text_are_parted_by_commas(tmp_path: Path) -> None:
    rows = [("Account No", "Name", "Status"), *((f"0105013700{at:04d}", "Li Na", "Active") for at in range(12))]
    drafted = drafted_profile(tmp_path, *(",".join(f'="{cell}"' for cell in row) for row in rows))
    assert (drafted["delimiter"], drafted["columns"]["number"]) == (",", '="Account No"')


@pytest.mark.parametrize("name", ["OTIENOAMINAXXXXXXXXX", "王小云\u3000\u3000\u3000\u3000\u3000\u3000\u3000"])
def test_records_of_fixed_width_without_spaces_are_no_column_of_their_own(name: str, tmp_path: Path) -> None:
    path = tmp_path / "book.dat"
    other = name.replace("小云", "娜\u3000").replace("AMINA", "WANJA")
    rows = (f"73000000{index:02d}{who}A20260101000000500000" for index, who in enumerate([name, other, name]))
    path.write_bytes("".join(f"{row}\r\n" for row in rows).encode("gb18030"))
    with pytest.raises(InvalidValue, match="columns of fixed width"):
        draft_profile(path)
    path.write_text("".join(f"73000000{index:02d},active,CNY,Li Hua,1000,2000,13800138000\n" for index in range(3)))
    assert 'delimiter = ","' in draft_profile(path)


@pytest.mark.parametrize(
    "start", [b"PK\x03\x04\x14\0", bytes.fromhex("d0cf11e0a1b11ae1"), b"\x1f\x8b\x08", b"%PDF-1.7\n"]
)
def test_a_workbook_or_an_archive_is_named(start: bytes, tmp_path: Path) -> None:
    path = tmp_path / "book.xls"
    path.write_bytes(start + b"\0" * 2_000)
    with pytest.raises(InvalidValue, match="a workbook, an archive or a document"):
        draft_profile(path)


def test_words_in_the_only_column_do_not_part_it(tmp_path: Path) -> None:
    assert drafted_profile(tmp_path, "Account No", "7300000001", "7300000002")["columns"] == {"number": "Account No"}


def test_more_lines_of_title_than_records_are_skipped(tmp_path: Path) -> None:
    lines = ["核心系统账户清单", "机构：北京", "经办：李明", "账号,户名,账户状态", "11050137001000000771,李娜,正常"]
    drafted = drafted_profile(tmp_path, *lines)
    assert (drafted["skip_lines"], drafted["columns"]["number"]) == (3, "账号")


@pytest.mark.parametrize(
    "text",
    [
        '<?xml version="1.0"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02">\n</Document>\n',
        '[\n  {"number": "1105", "status": "active"}\n]\n',
        "<html><body><table><tr><td>账号</td></tr></table></body></html>\n",
        "{1:F01BANKDEFFXXXX0000000000}{2:I940BANKDEFFXXXXN}{4:\n:20:REF\n-}\n",
        ":20:STARTUMS\n:25:37040044/0532013000\n:60F:C260101EUR1234,56\n",
    ],
)
def test_what_is_neither_csv_nor_json_lines_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "book.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidValue, match="XML, a JSON array or a SWIFT message"):
        draft_profile(path)


@pytest.mark.parametrize(
    ("last", "trailer"),
    [
        ("合计,2,,", "合计,"),
        ("T,000002", "T,"),
        ("9,2", "9,"),
        ("(2 rows affected)", "("),
        ("11050137001000000773,,,", None),
        ("11050137001000000773", None),
        ("11050137001000000773,正常,CNY,王小云", None),
        ("合计,3,CNY,正常 2", "合计,"),
        ("T,3,CNY,0", "T,"),
        ("NULL,冻结,CNY,王小云", None),
        ("(null),冻结,,", None),
        (",冻结,CNY,王小云", None),
        ("A字第7号,冻结,CNY,王小云", None),
    ],
)
def test_a_last_line_that_is_no_record_is_drafted_as_the_trailer(
    last: str, trailer: str | None, tmp_path: Path
) -> None:
    records = [f"1105013700100000077{index},正常,CNY,王小云" for index in range(3)]
    drafted = drafted_profile(tmp_path, "H,20260101", "账号,账户状态,币种,户名", *records, last)
    assert drafted.get("trailer") == trailer
    assert drafted["skip_lines"] == 1
    assert drafted["columns"]["number"] == "账号"


@pytest.mark.parametrize(
    ("last", "trailer"), [("合计,30000,,", "合计,"), ("11050137001000000773,冻结,CNY,王小云", None)]
)
def test_the_trailer_of_a_file_that_is_longer_than_its_sample_is_drafted(
    last: str, trailer: str | None, tmp_path: Path
) -> None:
    records = ["11050137001000000771,正常,CNY,王小云"] * 30_000
    assert drafted_profile(tmp_path, "账号,账户状态,币种,户名", *records, last).get("trailer") == trailer


def test_a_draft_reads_objects_within_objects_as_the_feed_does(tmp_path: Path) -> None:
    path = tmp_path / "book.jsonl"
    path.write_text(
        '{"accountNo": "1105", "status": {"status": "Active", "holds": ["TAX"]}, "currency": {"code": "USD"}}\n'
    )
    drafted = tomllib.loads(draft_profile(path))["profile"]
    state = dict.fromkeys(("status", "debit_allowed", "credit_allowed"), "?")
    assert drafted["columns"] == {"number": "accountNo", "currency": "currency.code", **state}
    assert "status.status, status.holds" in draft_profile(path)


def test_the_name_of_a_value_within_an_object_is_known_whatever_the_object_is_called(tmp_path: Path) -> None:
    path = tmp_path / "book.jsonl"
    rows = [
        {
            "acct": {"no": f"110{at}"},
            "party": {"name": name, "idNo": f"31010{at}", "mobile": f"+86{at}"},
            "branch": {"name": "B"},
        }
        for at, name in enumerate(("Li Na", "Wu An"))
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    columns = tomllib.loads(draft_profile(path))["profile"]["columns"]
    assert (columns["id_document_number"], columns["phone"]) == ("party.idNo", "party.mobile")
    assert columns["holder_name"] == "?"
    assert "one of these, or a list of up to 8: party.name, branch.name" in draft_profile(path)
