"""`standing-gateway verify`: a line for each check and one exit code."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from standing.gateway.cli import app
from standing.gateway.evidence.verification.case import parse_evidence
from standing.ledger.attestations.binding_protocol import GrantDocument
from standing.ledger.errors import InvalidValue
from tests.gateway.evidence_samples import (
    ALL_CHECKS,
    EvidenceSample,
    grant_of,
    write,
)


def _command(shown: EvidenceSample, folder: Path, *more: str) -> list[str]:
    key = write(folder, "gateway.jwk", dict(shown.means.gateway_key))
    assert shown.means.binding_key is not None
    return [
        "verify",
        str(write(folder, "evidence.json", shown.answer)),
        "--contract",
        shown.rig.contract,
        "--gateway-key",
        str(key),
        "--ledger",
        shown.rig.chain_url,
        *more,
    ]


def test_the_command_prints_one_line_per_check_and_exits_with_the_verdict(
    approved: EvidenceSample, tmp_path: Path
) -> None:
    runner = CliRunner()
    assert approved.means.binding_key is not None
    key = approved.means.binding_key.hex()
    held = runner.invoke(app, _command(approved, tmp_path, "--binding-key", key))
    assert held.exit_code == 0, held.output
    assert [int(line.split()[0]) for line in held.stdout.splitlines()[:-1]] == ALL_CHECKS
    assert held.stdout.splitlines()[-1].split() == ["evidence", "holds"]
    assert runner.invoke(app, _command(approved, tmp_path), env={"LANGUAGE": "en"}).exit_code == 2
    in_chinese = runner.invoke(app, _command(approved, tmp_path, "--binding-key", key), env={"LANGUAGE": "zh"}).stdout
    assert all(re.search("[\u4e00-\u9fff]", line) for line in in_chinese.splitlines()[:-1]), in_chinese
    lie = approved.resigned(outcome="decline")
    failed = runner.invoke(app, _command(lie, tmp_path, "--binding-key", key, "--json"))
    assert failed.exit_code == 1
    document = json.loads(failed.stdout)
    assert document["verdict"] == "fails"
    assert [check["number"] for check in document["checks"] if check["verdict"] == "fails"] == [12]
    assert document["cause"]["who"] == "bank_word"


def test_the_command_takes_key_grant_and_policy_from_files(approved: EvidenceSample, tmp_path: Path) -> None:
    assert approved.means.binding_key is not None
    grant = GrantDocument.of(grant_of(approved.person)).model_dump_json()
    more = ["--grant", str(write(tmp_path, "grant.json", grant))]
    key_file = write(tmp_path, "key", "0x" + approved.means.binding_key.hex() + "\n")
    assert CliRunner().invoke(app, _command(approved, tmp_path, *more)).exit_code == 0
    result = CliRunner().invoke(app, _command(approved, tmp_path, "--binding-key", str(key_file)))
    assert result.exit_code == 0, result.output
    policy = write(tmp_path, "policy.toml", 'name = "another"\n')
    assert CliRunner().invoke(app, _command(approved, tmp_path, *more, "--policy", str(policy))).exit_code == 1


def test_a_key_file_whose_path_is_as_long_as_a_key_is_read(
    approved: EvidenceSample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert approved.means.binding_key is not None
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "k" * 64, approved.means.binding_key.hex())
    held = CliRunner().invoke(app, _command(approved, tmp_path, "--binding-key", "k" * 64))
    assert held.exit_code == 0, held.output


def test_a_ledger_that_does_not_answer_makes_evidence_unknown_and_not_invalid(
    approved: EvidenceSample, tmp_path: Path
) -> None:
    command = _command(approved, tmp_path)
    command[command.index("--ledger") + 1] = "http://127.0.0.1:9"
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2, result.output
    assert [line.split()[:3] for line in result.stdout.splitlines()] == [
        ["1", "signature", "holds"],
        ["2", "ledger", "unknown"],
        ["evidence", "unknown"],
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("--ledger", "--header", "ledger"),
        ("--contract", None, "contract"),
        ("--gateway-key", None, "gateway-key"),
    ],
)
def test_a_command_line_error_is_reported_in_one_line(
    approved: EvidenceSample, tmp_path: Path, old: str, new: str | None, message: str
) -> None:
    command = _command(approved, tmp_path)
    at = command.index(old)
    if new is None:
        command[at + 1] = "nonsense"
    else:
        command[at] = new
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"not it", b"\xff", b'{"evidence": 1}', b'{"evidence": "a.b"}', b"{"]
)
def test_a_file_without_evidence_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidValue, match="evidence"):
        parse_evidence(raw)


def test_the_gateway_serves_evidence_without_a_proof_where_nodes_give_none(
    approved: EvidenceSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = approved.rig
    monkeypatch.delitem(rig.chain.devnet._own, "eth_getProof")  # eth-tester has none
    path = f"/v1/decisions/{approved.answer['transaction_id']}/evidence"
    plain = rig.support("GET", path).json()
    assert plain["evidence"] == approved.answer["evidence"]
    assert plain["key"] == rig.nobody("GET", "/v1/evidence-key").json()
    assert (plain["block"], plain["proof"], plain["no_proof_because"]) == (None, None, None)
    asked = rig.support("GET", path + "?proof=true").json()
    assert asked["proof"] is None
    assert asked["no_proof_because"]
    assert approved.person.decide()["outcome"] == "approve"  # a node without proofs is still read
