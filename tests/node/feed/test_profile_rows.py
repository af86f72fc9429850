"""Rows as a profile reads them: holders without a document, amounts in units of many, phones of other
countries, a trailer, and objects within objects."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from standing.ledger.attestations.phones import canonical_phone
from standing.node.feed.file_lines import read_lines
from standing.node.feed.profile import Profile


def test_a_holder_without_a_document_needs_no_other_constants(tmp_path: Path) -> None:
    """A draft states the country of all documents as a constant; a row without a document states none of it."""
    path = tmp_path / "full.csv"
    path.write_text(
        "number,type,id\n1105,NIDN,110105194912310022\n1106,,\n1107,NIDN,无\n1108,NIDN,\n", encoding="utf-8"
    )
    profile = Profile.model_validate(
        {
            "columns": {"number": "number", "id_document_scheme": "type", "id_document_number": "id"},
            "constants": {"id_document_country": "CN"},
            "words": {"id_document_number": {"无": "none"}},
        }
    )
    documents = [
        {field: value for field, value in line.record.items() if field.startswith("id_document")}
        for line in read_lines(path, "csv", profile)
    ]
    assert documents == [
        {"id_document_scheme": "NIDN", "id_document_country": "CN", "id_document_number": "110105194912310022"},
        {},
        {"id_document_scheme": "none"},
        {"id_document_scheme": "NIDN", "id_document_country": "CN"},  # half of a document: its account is unstated
    ]


@pytest.mark.parametrize(
    ("text", "unit", "factor", "minor"),
    [
        ("5", "major", 10_000, 5_000_000),
        ("0.5", "major", 10_000, 500_000),
        ("1,234.56", "major", 10_000, 1_234_560_000),
        ("0.0001", "major", 10_000, 100),
        ("2.5", "minor", 1_000, 2_500),
        ("0.0000001", "major", 10_000, None),
        ("5", "major", 1, 500),
        # DB2 and COBOL write a sign before every amount.
        ("+0000000000050000.00", "major", 1, 5_000_000),
        ("+000005000000", "minor", 1, 5_000_000),
        ("+50.000", "major", 1, None),
        ("-50.00", "major", 1, None),
    ],
)
def test_amounts_in_a_unit_of_many_are_read_by_their_factor(
    text: str, unit: str, factor: int, minor: int | None, tmp_path: Path
) -> None:
    path = tmp_path / "full.csv"
    path.write_text(f"number;currency;daily\n1105;CNY;{text}\n", encoding="utf-8")
    columns = {"number": "number", "currency": "currency", "daily_limit_minor": "daily"}
    amounts = {"unit": unit, "factor": factor, "thousands": ","}
    profile = Profile.model_validate({"delimiter": ";", "columns": columns, "amounts": amounts})
    (line,) = read_lines(path, "csv", profile)
    assert line.record.get("daily_limit_minor") == minor
    assert bool(line.problems) == (minor is None)


@pytest.mark.parametrize(
    ("country", "written", "phone"),
    [
        ("KE", "0712345678", "+254712345678"),
        ("KE", "254 712 345678", "+254712345678"),
        ("KE", "00254712345678", "+254712345678"),
        ("KE", "+86 138 0013 8000", "+8613800138000"),
        ("IT", "06 6988 2071", "+390669882071"),
        ("AR", "011 15-2345-6789", "+541123456789"),
        ("MX", "044 55 1234 5678", "+525512345678"),
        ("MX", "01 55 1234 5678", "+525512345678"),
        ("BR", "(11) 8765-4321", "+5511987654321"),
        ("RU", "8 916 123-45-67", "+79161234567"),
        ("SA", "٠٥٠١٢٣٤٥٦٧", "+966501234567"),
        ("US", "4155552671.0", "+14155552671"),
        ("HK", "91234567", "+85291234567"),
        ("CN", "13800138000", "+8613800138000"),
        ("KE", "0712345678/0722345678", "+254712345678"),
        ("DE", "030/12345678", "+493012345678"),
        ("TW", "02-2345-6789#123", "+886223456789"),
    ],
)
def test_phones_without_a_country_code_are_of_the_country_that_the_profile_names(
    country: str, written: str, phone: str, tmp_path: Path
) -> None:
    assert canonical_phone(_phone_of(tmp_path, country, written)) == phone


@pytest.mark.parametrize("written", ["0000000000", "07****5678", "N/A", "none", "7.12E+08"])
def test_what_is_no_phone_stays_none_whatever_country_the_profile_names(written: str, tmp_path: Path) -> None:
    assert _phone_of(tmp_path, "KE", written) == written


@pytest.mark.parametrize("country", ["?", "ZZ", "ke", "254"])
def test_a_profile_names_a_country_that_has_phones(country: str) -> None:
    with pytest.raises(ValidationError, match=r"phones\.country"):
        Profile.model_validate({"columns": {"number": "number"}, "phones": {"country": country}})


_TRAILED = {"columns": {"number": "number", "status": "state"}, "delimiter": "|", "trailer": "T|"}


def test_a_trailer_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "full.csv"
    path.write_text("number|state\n1105|active\nT105|frozen\n T |2|x\n\n")
    lines = list(read_lines(path, "csv", Profile.model_validate({**_TRAILED, "trailer": "T|"})))
    assert [(line.record, line.problems) for line in lines] == [
        ({"number": "1105", "status": "active"}, ()),
        ({"number": "T105", "status": "frozen"}, ()),
    ]


@pytest.mark.parametrize("heading", [True, False])
@pytest.mark.parametrize(
    ("content", "field"),
    [
        ("number|state\n1105|active\n", "trailer"),
        ("number|state\nT|1\n1105|frozen\n", "line"),
        ("number|state\n1105|active\nT|1\nT|1\n", "line"),
    ],
    ids=["cut short", "a record after it", "two files in one"],
)
def test_a_file_that_does_not_end_with_its_trailer_is_refused_as_a_whole(
    content: str, field: str, heading: bool, tmp_path: Path
) -> None:
    path = tmp_path / "full.csv"
    path.write_text(content if heading else content.split("\n", 1)[1])
    stated = _TRAILED if heading else {**_TRAILED, "heading": False, "columns": {"number": 1, "status": 2}}
    *_, last = read_lines(path, "csv", Profile.model_validate(stated))
    assert last.fatal
    assert [problem.field for problem in last.problems] == [field]


def test_values_of_objects_within_an_object_have_joined_names(tmp_path: Path) -> None:
    path = tmp_path / "full.jsonl"
    path.write_text(
        '{"no": "1105", "status": {"id": 300, "value": "Active"}, "holder": {"name": {"full": "Li Na"}}, "holds": []}\n'
        '{"no": "1106", "status": {"id": 300, "value": "Active"}, "holder": null, "holds": ["COURT", "TAX"]}\n'
        '{"no": "1107", "status": {"value": "Active"}, "status.value": "Frozen"}\n'
    )
    words = {"Active -": "active", "Active COURT,TAX": "frozen"}
    stated = {
        "format": "jsonl",
        "columns": {"number": "no", "status": ["status.value", "holds"], "holder_name": "holder.name.full"},
        "words": {"status": words},
    }
    *lines, twice = read_lines(path, "jsonl", Profile.model_validate(stated))
    assert [line.record for line in lines] == [
        {"number": "1105", "status": "active", "holder_name": "Li Na"},
        {"number": "1106", "status": "frozen"},
    ]
    assert [problem.problem for problem in twice.problems] == ["not JSON, or a name occurs twice"]


def _phone_of(folder: Path, country: str, written: str) -> str:
    path = folder / "full.csv"
    path.write_text(f"number;phone\n1105;{written}\n", encoding="utf-8")
    columns = {"number": "number", "phone": "phone"}
    profile = Profile.model_validate({"delimiter": ";", "columns": columns, "phones": {"country": country}})
    (line,) = read_lines(path, "csv", profile)
    return str(line.record["phone"])
