"""Rows as a profile reads them: holders without a document, and amounts in units of many."""

from pathlib import Path

import pytest

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
