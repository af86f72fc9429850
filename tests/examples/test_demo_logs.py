"""The demo's whole day at the most verbose level: no log identifies anybody."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "examples"
_FIELDS = ("number", "holder_name", "id_document_number", "phone")
_TIMEOUT_S = 600


def _personal() -> set[str]:
    """Every name, number, document and phone of the example data, phones also without their country code."""
    users = (_EXAMPLES / "users.jsonl").read_text(encoding="utf-8").splitlines()
    people = [json.loads(line) for line in users]
    for path in _EXAMPLES.glob("accounts-*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            people += csv.DictReader(file)
    # A business has no phone, and some have no document: so nothing of those can be in a log.
    found = {person[field] for person in people for field in _FIELDS if person.get(field)}
    return found | {person["phone"].removeprefix("+86") for person in people if person.get("phone")}


@pytest.mark.long
def test_a_whole_day_of_the_demo_logs_nobodys_name_number_document_or_phone(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    verbose = {f"STANDING_{service}_LOG_LEVEL": "debug" for service in ("NODE", "GATEWAY")}
    command = [sys.executable, str(_ROOT / "hardhat-free-scripts" / "demo.py"), "--once", "--keep", str(folder)]
    played = subprocess.run(
        command, env={**os.environ, **verbose}, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )
    assert played.returncode == 0, played.stdout + played.stderr
    story = played.stdout.partition("Why did my payment fail?")[2]
    expected = (
        "declined, account_frozen",
        "not in a block yet",
        "尚未写入账本区块",
        "resync",
        "A payment: approved",
    )
    assert [part for part in expected if part not in story] == []
    logs = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.log")}
    services = [name for name in logs if name.startswith(("node-", "gateway"))]
    assert len(services) == 3
    assert all(json.loads(line)["event"] for name in services for line in logs[name].splitlines())
    assert any("leadership_taken" in logs[name] for name in services)
    logged = "".join(logs.values()) + played.stderr
    personal = _personal()
    assert len(personal) > 3_000
    assert [value for value in personal if value in logged] == []
