"""Encodings: which one a file of unknown form is in, and what bytes that are none of it spoil."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from standing.ledger.errors import InvalidValue
from standing.node.feed.drop_file import whole_problem
from standing.node.feed.file_encoding import guess_encoding
from standing.node.feed.file_lines import read_lines
from standing.node.feed.profile import ENCODINGS, Profile
from standing.node.feed.profile_draft import draft_profile

#: Files that the feed cannot read, but whose bytes are GB18030 too, or were taken for it. All names are invented.
FOREIGN = {
    "cp1251": ("Номер счета;Владелец;Статус", "Ивановы Иваны;активный", "Кузнецов Пётр;заблокирован"),
    "cp1252": ("Kontonummer;Inhaber;Status", "Jürgen Müller;aktiv", "Björn Größer;gesperrt", "Käthe Bäcker;aktiv"),
    "cp1250": ("Číslo účtu;Jméno;Stav", "Jiří Dvořák;aktivní", "Zbyněk Šťastný;zablokovaný"),
    "cp932": ("口座番号,名義,状態", "山田太郎,正常", "鈴木花子,凍結"),
    "euc_jp": ("口座番号,名義カナ,状態", "ヤマダタロウ,正常", "鈴木花子,凍結"),
    "euc_kr": ("계좌번호,예금주,상태", "김철수,정상", "이영희,정지"),
    "big5": ("帳號,戶名,狀態", "王小雲,正常", "陳阿大,凍結", "林志玲,正常"),
}
CHINESE = {
    "a heading": "账号,户名\n",
    "a record": "11050137001000000771,王小云,正常\n",
    "names only": "acct,name\n1,王小云\n2,赵秀英\n3,徐晓燕\n",
    "rare characters": "账号,户名\n1,㛃䶮玊\n2,買买提●吐尔逊\n",
    "upper-case headings": "ACCT_NO,CUST_NAME\n7300000001,张伟\n7300000002,杨雪\n",
}


@pytest.mark.parametrize("repeated", [1, 300], ids=["short", "long"])
@pytest.mark.parametrize("encoding", FOREIGN)
def test_a_file_in_an_encoding_that_the_feed_cannot_read_is_not_taken_for_chinese(
    encoding: str, repeated: int, tmp_path: Path
) -> None:
    heading, *records = FOREIGN[encoding]
    path = tmp_path / "book.csv"
    path.write_bytes("".join(f"{line}\r\n" for line in [heading, *records * repeated]).encode(encoding))
    with pytest.raises(
        InvalidValue, match=r"file: not in an encoding of the feed; it looks like .*; allowed: utf-8, gb"
    ):
        draft_profile(path)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("cp1252", "Jürgen Müller"), ("cp1252", "Hélène Lefèvre"), ("cp1250", "Łukasz Żółć")],
)
def test_the_right_encoding_is_among_those_named_for_a_short_file(encoding: str, name: str) -> None:
    raw = f"Account No;Name;Status\r\n7300000001;{name};active\r\n".encode(encoding)
    with pytest.raises(InvalidValue, match=f"looks like .*{encoding}"):
        guess_encoding(raw, cut_off=False)


@pytest.mark.parametrize("name", CHINESE)
def test_a_short_file_in_gb18030_is_recognised(name: str) -> None:
    assert guess_encoding(CHINESE[name].encode("gb18030"), cut_off=False)[0] == "gb18030"


@pytest.mark.parametrize("cut", range(1, 5))
def test_a_sample_that_ends_within_a_character_is_recognised(cut: int) -> None:
    for encoding in ("gb18030", "utf-8"):
        raw = ("账号,户名\n" + "7300000001,赵秀英㛃\n" * 10 + "7300000002,㛃").encode(encoding)
        assert guess_encoding(raw[:-cut], cut_off=True)[0] == encoding


def test_the_end_of_a_whole_file_counts() -> None:
    raw = "Konto;Stadt\n7300000001;Neuss\n7300000002;Zürich\n7300000003;Orvié\n".encode("cp1252")
    with pytest.raises(InvalidValue, match="looks like"):
        guess_encoding(raw, cut_off=False)


def test_names_after_many_lines_of_ascii_are_looked_at() -> None:
    plain = "7300000001;Max Mustermann\n" * 5_000
    with pytest.raises(InvalidValue, match="looks like"):
        guess_encoding((plain + "7300000002;Jürgen Müller\n" * 50).encode("cp1252"), cut_off=True)
    assert guess_encoding((plain + "7300000002;赵秀英\n" * 50).encode("gb18030"), cut_off=True)[0] == "gb18030"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["acct,name\n7300000001,x\n", "账号户名证件类型手机号\n王小云赵秀英徐晓燕正常\n" * 20])
def test_utf_16_is_recognised_however_few_of_its_bytes_are_zero(encoding: str, text: str) -> None:
    assert guess_encoding(text.encode(encoding), cut_off=False)[0] == encoding


@pytest.mark.parametrize("line_break", [True, False])
def test_a_file_without_a_line_break_is_refused_for_that(line_break: bool, tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_bytes(b"7300000001,active" + (b"\n" if line_break else b"") + b",x" * 600_000)
    if line_break:
        assert draft_profile(path)
        return
    refused = "file: no line break in its first 1048576 bytes; allowed: each record on a line"
    with pytest.raises(InvalidValue, match=refused):
        draft_profile(path)


@pytest.mark.parametrize("content", ["no,name\n1,李娜\n", "\ufeff1,李娜\n", "1,Li Na\n" * 9_000 + "2,李娜\n"])
def test_a_utf8_file_is_refused_by_a_profile_of_gb18030_in_place_of_loading_other_names(
    content: str, tmp_path: Path
) -> None:
    path = tmp_path / "full.csv"
    path.write_text(content, encoding="utf-8")
    profile = Profile.model_validate({"encoding": "gb18030", "columns": {"number": "no", "holder_name": "name"}})
    problem = whole_problem(path, 1_000_000, profile)
    assert problem is not None
    assert problem.problem == "written in UTF-8"
    utf8 = profile.model_copy(update={"encoding": "utf-8"})
    assert whole_problem(path, 1_000_000, utf8) is None
    path.write_text(content, encoding="gb18030")
    assert whole_problem(path, 1_000_000, profile) is None


@pytest.mark.parametrize("content", ["no,name\n1,Li Na\n", "no,name\n1,联通\n", "no,name\n1,欧阳云\n2,李娜\n"])
def test_a_gb18030_file_is_read_though_its_bytes_may_be_utf8_as_well(content: str, tmp_path: Path) -> None:
    path = tmp_path / "full.csv"
    path.write_text(content, encoding="gb18030")
    profile = Profile.model_validate({"encoding": "gb18030", "columns": {"number": "no", "holder_name": "name"}})
    assert whole_problem(path, 1_000_000, profile) is None


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["no mark", "mark"])
def test_every_encoding_is_read_with_or_without_its_byte_order_mark(tmp_path: Path, encoding: str, mark: str) -> None:
    path = tmp_path / "book.csv"
    # Characters whose bytes hold a 10, which ends no line.
    rows = [["number", "holder_name"], ["7300000001", "王\u010a\u0a0a㐊"], ["7300000002", "two\nlines"]]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    path.write_bytes((mark + text.getvalue()).encode("utf-16-le" if encoding == "utf-16" else encoding))
    profile = Profile(encoding=encoding, columns={"number": "number", "holder_name": "holder_name"})
    assert [(line.number, line.record["holder_name"]) for line in read_lines(path, "csv", profile)] == [
        (2, rows[1][1]),
        (3, rows[2][1]),
    ]
    assert draft_profile(path)


@pytest.mark.parametrize("before", [0, 3_000], ids=["at once", "after what is read ahead"])
def test_an_undecodable_byte_is_reported_by_line_and_field_and_spoils_no_other_line(
    tmp_path: Path, before: int
) -> None:
    path = tmp_path / "changes-20260101T000000Z.csv"
    good = [b"7300%06d,active,x\n" % index for index in range(before)]
    path.write_bytes(b"number,status,holder_name\n" + b"".join(good) + b"7399999991,active,a\xffb\n7399999992,lost,y\n")
    profile = Profile(columns={"number": "number", "status": "status", "holder_name": "holder_name"})
    *_, bad, last = read_lines(path, "csv", profile)
    assert [(each.line, each.field) for each in bad.problems] == [(before + 2, "holder_name")]
    assert (bad.record["number"], last.record["status"], last.problems) == ("7399999991", "lost", ())


def test_half_a_character_before_a_delimiter_does_not_shift_the_values_of_its_line(tmp_path: Path) -> None:
    path = tmp_path / "changes-20260101T000000Z.csv"
    # In GB18030, C4 and a bar are one character: the line has lost a delimiter.
    lines = [b"7399999991|A|active|", b"7399999992|\xc0\xee\xc4|frozen|", b"7399999993|B|lost|"]
    columns: Any = {"number": "number", "status": "status", "holder_name": "holder_name"}
    for first in range(3):
        path.write_bytes(b"\n".join([b"number|holder_name|status", *lines[first:], *lines[:first], b""]))
        read = read_lines(path, "csv", Profile(encoding="gb18030", delimiter="|", columns=columns))
        found = {line.record["number"]: line for line in read}
        assert [found[number].record["status"] for number in ("7399999991", "7399999993")] == ["active", "lost"]
        bad = found["7399999992"]
        assert bad.record == {"number": "7399999992"}, "only the first cell is certainly in its place"
        assert [problem.field for problem in bad.problems] == ["line"]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_file_that_is_suddenly_in_utf_16_is_not_said_to_be_cut_short(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "book.csv"
    path.write_bytes("账号,户名\n7300000001,王小云\n".encode("utf-16"))
    profile = Profile.model_validate({"encoding": encoding, "columns": {"number": "账号"}})
    problem = whole_problem(path, 1_000_000, profile)
    assert problem is not None
    assert problem.problem == "written in UTF-16"
