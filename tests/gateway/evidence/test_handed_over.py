"""From a pasted decline to a complete verification with no unknown check, without a ledger or a gateway."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from standing.gateway.cli import app
from standing.ledger.attestations.terms import Status
from tests.gateway.evidence_samples import publish_late, write
from tests.gateway.gateway_rig import Person, Rig

_REASON = "Dispute 4711: the user says that the account was never frozen"


@pytest.fixture
def decline(a_rig: Rig) -> dict[str, Any]:
    """A decline as the platform received it."""
    person: Person = a_rig.bound()
    publish_late(person.bank, person, a_rig.clock.now_ms(), Status.LOST)
    answer = person.decide()
    assert (answer["outcome"], answer["reason"]) == ("decline", "account_lost")
    return answer


def export(
    a_rig: Rig, decline: dict[str, Any], output: Path, *options: str, role: str = "admin", typed: str = ""
) -> Any:
    command = ["evidence", "export", decline["transaction_id"], "--url", a_rig.url, "--output", str(output)]
    environment = {"STANDING_GATEWAY_KEY": a_rig.keys[role]}
    return CliRunner().invoke(app, [*command, "--reason", _REASON, *options], env=environment, input=typed)


def checks(a_rig: Rig, decline: dict[str, Any], case: Path, *options: str) -> tuple[int, dict[int, dict[str, Any]]]:
    """Verify offline with a header fetched from a node. Returns: exit code, and each check by its number."""
    asked = {"id": 1, "method": "eth_getBlockByNumber", "params": [hex(decline["block_number"]), False]}
    header = write(case.parent, "header.json", a_rig.chain.devnet.call(asked))
    key = json.dumps(a_rig.nobody("GET", "/v1/evidence-key").json())
    command = ["verify", str(case), "--offline", "--header", str(header), "--contract", a_rig.contract]
    ended = CliRunner().invoke(app, [*command, "--gateway-key", key, "--json", *options])
    return ended.exit_code, {line["number"]: line for line in json.loads(ended.stdout)["checks"]}


def verify(a_rig: Rig, decline: dict[str, Any], case: Path, *options: str) -> tuple[int, dict[int, str]]:
    """As `checks`, with each check's verdict alone."""
    code, lines = checks(a_rig, decline, case, *options)
    return code, {number: line["verdict"] for number, line in lines.items()}


def test_a_pasted_decline_is_exported_and_passes_every_check_offline(
    a_rig: Rig, decline: dict[str, Any], tmp_path: Path
) -> None:
    case = tmp_path / "case.json"
    made = export(a_rig, decline, case, "--with-key", typed="y\n")
    assert made.exit_code == 0, made.output
    assert "decrypts every record of this binding" in " ".join(made.stdout.split())
    assert case.stat().st_mode & 0o077 == 0
    code, verdicts = verify(a_rig, decline, case)
    assert (code, verdicts) == (0, dict.fromkeys([1, 2, 3, 4, 9, 10, 12, 13], "holds"))
    pasted = tmp_path / "pasted.json"
    pasted.write_text(json.dumps(json.loads(case.read_text()) | decline))
    assert verify(a_rig, decline, pasted)[0] == 0
    pasted.write_text(json.dumps(json.loads(case.read_text()) | decline | {"outcome": "approve"}))
    assert verify(a_rig, decline, pasted)[1][1] == "fails"


def test_an_export_without_the_key_carries_the_grant_and_leaves_the_terms_sealed(
    a_rig: Rig, decline: dict[str, Any], tmp_path: Path
) -> None:
    case = tmp_path / "case.json"
    assert export(a_rig, decline, case).exit_code == 0
    exported = json.loads(case.read_text())
    assert exported["binding_key"] is None
    assert "binding_key" not in exported["grant"]
    code, lines = checks(a_rig, decline, case)
    assert (code, lines[9]["verdict"], lines[10]["verdict"]) == (2, "holds", "unknown")
    assert "a grant that has it" in lines[10]["text"], "the grant of the case is there, and does not open the terms"
    code, verdicts = verify(a_rig, decline, case, "--binding-key", "11" * 32)
    assert (code, verdicts[9]) == (1, "fails"), "another key than the one that was granted"
    exported["grant"]["granted_at_ms"] += 1
    assert verify(a_rig, decline, write(tmp_path, "forged.json", exported))[1][9] == "unknown"


@pytest.mark.parametrize("key", ["keyfile", "a" * 300, "key\0file"])
def test_a_case_names_no_file_of_its_reader(
    a_rig: Rig, decline: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    case = tmp_path / "case.json"
    assert export(a_rig, decline, case, "--with-key", "--yes").exit_code == 0
    exported = json.loads(case.read_text())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keyfile").write_text(exported["binding_key"])
    lie = write(tmp_path, "lie.json", exported | {"binding_key": key})
    command = ["verify", str(lie), "--offline", "--header", str(lie), "--contract", a_rig.contract]
    gateway_key = json.dumps(a_rig.nobody("GET", "/v1/evidence-key").json())
    ended = CliRunner().invoke(app, [*command, "--gateway-key", gateway_key])
    assert (ended.exit_code, len(ended.stderr.splitlines())) == (1, 1)
    assert "binding-key" in ended.stderr
    write(tmp_path, "lie.json", exported | {"binding_key": None})
    given = CliRunner().invoke(app, [*command, "--gateway-key", gateway_key, "--binding-key", "b" * 300])
    assert "150 bytes" in given.stderr


def test_an_export_is_for_admins_only_and_is_audited(a_rig: Rig, decline: dict[str, Any], tmp_path: Path) -> None:
    assert export(a_rig, decline, tmp_path / "a.json").exit_code == 0
    assert export(a_rig, decline, tmp_path / "b.json", "--with-key", "--yes").exit_code == 0
    subject = decline["transaction_id"]
    entries = a_rig.client("admin")("GET", f"/v1/audit?subject={subject}").json()["entries"]
    assert [(entry["action"], entry["reason"], entry["outcome"]) for entry in entries] == [
        ("export_evidence_with_key", _REASON, "done"),
        ("export_evidence", _REASON, "done"),
    ]
    refused = export(a_rig, decline, tmp_path / "c.json", role="support")
    assert refused.exit_code == 1
    assert not (tmp_path / "c.json").exists()
    kept = export(a_rig, decline, tmp_path / "c.json", "--with-key", typed="n\n")
    assert kept.exit_code == 1
    assert not (tmp_path / "c.json").exists()
    unknown = export(a_rig, {"transaction_id": "t-none"}, tmp_path / "c.json")
    assert (unknown.exit_code, len(unknown.stderr.splitlines())) == (1, 1)
