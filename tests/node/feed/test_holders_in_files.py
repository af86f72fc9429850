"""Holders of every kind in a file: all are loaded, a repeat publishes nothing, and correct claims are granted."""

import csv
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from standing.ledger.attestations.binding_protocol import Claim
from standing.node.feed.drop_file import parse_name
from standing.node.feed.file_load import FileLoader
from standing.node.feed.records import FIELDS
from tests.holder_cases import HOLDERS
from tests.world import ACCOUNT, World

pytestmark = pytest.mark.long

_FREE = {name: value for name, value in ACCOUNT.items() if not name.startswith("id_document") and name != "phone"}


def _rows() -> list[dict[str, Any]]:
    numbered = [{"number": f"73000000{index:04d}", "number_type": "account"} for index in range(len(HOLDERS))]
    return [{**_FREE, **number, **holder.book} for number, holder in zip(numbered, HOLDERS, strict=True)]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_full_file_of_every_holder_kind_is_loaded_and_a_repeat_changes_nothing(
    a_world: World, tmp_path: Path, form: str
) -> None:
    bank = a_world.start_bank()
    rows = _rows()
    loader = FileLoader(bank.node.feed, bank.node.database, bank.secrets.vault())
    reports = []
    for _ in range(2):
        at = datetime.fromtimestamp(a_world.clock.advance(5_000) // 1000, UTC)
        path = tmp_path / f"full-{at:%Y%m%dT%H%M%S}.000Z.{form}"
        with path.open("w", newline="", encoding="utf-8") as file:
            if form == "csv":
                writer = csv.DictWriter(file, FIELDS)
                writer.writeheader()
                writer.writerows(rows)
            else:
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        name = parse_name(path.name)
        reports.append(loader.load(path, name, lambda _read, _of: None, threading.Event()))
    assert [(report.outcome, report.new_accounts, report.changes) for report in reports] == [
        ("loaded", len(rows), len(rows)),
        ("loaded", 0, 0),
    ]
    for row, holder in zip(rows, HOLDERS, strict=True):
        claim = {"number": row["number"], "number_type": row["number_type"].strip(), **holder.claim}
        named = {name: value for name, value in claim.items() if name in Claim.model_fields}
        body = {"request_id": f"request-{row['number']}"[:40].replace(" ", "-"), **named}
        answer = bank.post("/v1/bindings", bank.platform_key, json=body)
        assert answer.json().get("outcome") == "granted", (holder.what, answer.text)
