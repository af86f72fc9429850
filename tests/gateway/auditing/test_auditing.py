"""The auditor: honest histories and decisions are walked completely without findings, at a bounded cost.

Planted faults are in `test_planted_faults`.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from typer.testing import CliRunner

from standing.gateway.auditing import reading
from standing.gateway.auditing.decisions import audit_decisions
from standing.gateway.auditing.export import Exported, exported, parse_line
from standing.gateway.auditing.findings import Audit
from standing.gateway.auditing.ledger import audit_ledger
from standing.gateway.cli import app
from standing.gateway.evidence.verification.case import VerifierInputs
from standing.ledger.errors import InvalidValue
from tests.gateway.auditing.audits import audited, audited_decisions, by_transaction, export_of, resigned
from tests.gateway.evidence_samples import catch_up
from tests.gateway.faulty_ledger_node import NodeProxy, proxied
from tests.gateway.gateway_rig import Rig, rig
from tests.timeouts import patient_ledger


def test_an_honest_history_is_walked_completely_without_findings(audited_rig: Rig) -> None:
    audit = audited(audited_rig.chain_url, audited_rig.contract)
    assert audit.findings == []
    numbers = sum(audited_rig.ledger.bank(bic).publication for bic in audited_rig.banks)
    assert audit.counted["Published"] == numbers
    assert {"BankAdmitted": 2, "SignerRotated": 1, "BankSuspended": 1, "banks": 2}.items() <= audit.counted.items()
    assert audit.counted["attestations"] == 3


def test_honest_decisions_are_all_recomputed_without_findings(audited_rig: Rig) -> None:
    lines = export_of(audited_rig)
    audit = audited_decisions(audited_rig, lines)
    assert audit.findings == []
    assert audit.counted == {"decisions": 5, "account days added up": 1}
    assert sum(line.counts_minor for line in lines) == 700 + 1_500 + 400
    assert [parse_line(line.line(), 1) for line in lines] == lines


def test_without_keys_unchecked_decisions_are_counted_and_are_no_finding(audited_rig: Rig) -> None:
    lines = [replace(line, binding_key=None) for line in export_of(audited_rig)]
    audit = audited_decisions(audited_rig, lines)
    assert audit.findings == []
    assert audit.counted["not checked: terms"] == 5
    assert audit.counted["not added up: no key to open the limits with"] == 3


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{}",
        '{"decision": {}, "account": "0x"}',
        '{"decision": 1, "account": "0x"}',
        "[" * 100_000,
        '{"decision": {"evidence": "a.b.c"}, "account": "0x", "binding_key": "0x11"}',
    ],
)
def test_a_line_that_is_not_an_export_is_reported_by_number(line: str) -> None:
    with pytest.raises(InvalidValue, match="export, line 7"):
        parse_line(line, 7)


# Cost


def _calls(node: NodeProxy, it: Rig, lines: list[Exported]) -> dict[str, int]:
    """The calls by method that an audit of these decisions makes after walking the ledger."""
    means = VerifierInputs(it.nobody("GET", "/v1/evidence-key").json(), it.ledger.address)
    walked, audit = audit_ledger(patient_ledger(node.url, it.contract), Audit()), Audit()
    node.calls.clear()
    audit_decisions(lines, means, walked, audit)
    assert audit.findings == []
    assert audit.counted["decisions"] == len(lines)
    return Counter(call for call in node.calls if call != "eth_chainId")  # web3 makes one before each call


@pytest.mark.long
def test_the_ledger_is_called_once_per_block_and_not_once_per_decision(tmp_path: Path) -> None:
    """Two calls a block, its head and its records, however many decisions and bindings rest on it."""
    with rig(tmp_path) as it, proxied(it.chain_url) as node:
        people = [it.bound() for _ in range(4)]
        blocks = 3
        for block in range(blocks):
            it.heartbeat()
            catch_up(it)
            it.heartbeat()
            for index in range(12):
                people[index % len(people)].decide(transaction_id=f"t-{block}-{index}", amount_minor=1)
        lines = by_transaction(it)
        of_one = [line for line in lines.values() if line.decision["binding"] == people[0].binding]
        few = _calls(node, it, of_one)
        many = _calls(node, it, list(lines.values()))
    assert (len(of_one), len(lines)) == (3 * blocks, 12 * blocks)
    assert few == many == {"eth_call": blocks, "eth_getBlockByNumber": blocks}


@pytest.mark.long
def test_the_number_of_bindings_per_call_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "READ_BATCH", 2)
    with rig(tmp_path) as it, proxied(it.chain_url) as node:
        people = [it.bound() for _ in range(5)]
        catch_up(it)
        it.heartbeat()
        for person in people:
            person.decide()
        assert _calls(node, it, export_of(it))["eth_call"] == 3


def test_an_audit_reports_its_progress(audited_rig: Rig) -> None:
    blocks, decisions, lines = list[tuple[int, int]](), list[tuple[int, int]](), export_of(audited_rig)
    means = VerifierInputs(audited_rig.nobody("GET", "/v1/evidence-key").json(), audited_rig.ledger.address)
    walked = audit_ledger(audited_rig.ledger, Audit(), lambda done, total: blocks.append((done, total)))
    audit_decisions(lines, means, walked, Audit(), lambda done, total: decisions.append((done, total)))
    assert blocks[-1] == (walked.to_block, walked.to_block)
    assert decisions[-1] == (len(lines), len(lines))
    assert blocks == sorted(blocks)


def test_a_block_beyond_the_walk_is_not_checked_and_is_no_finding(audited_rig: Rig) -> None:
    """The audited node may lag behind the one the gateway read from; another node can check the block."""
    beyond = audited_rig.ledger.block_number() + 1_000
    lines = by_transaction(audited_rig)
    lines["t-1"] = resigned(audited_rig, lines["t-1"], block_number=beyond)
    audit = audited_decisions(audited_rig, list(lines.values()))
    assert audit.findings == []
    assert audit.counted["not checked: block"] == 1


# The commands


def _run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


def test_the_commands_audit_a_ledger_and_a_gateways_export_of_it(audited_rig: Rig, tmp_path: Path) -> None:
    key = tmp_path / "gateway-key.json"
    key.write_text(json.dumps(audited_rig.nobody("GET", "/v1/evidence-key").json()))
    lines = tmp_path / "decisions.jsonl"
    lines.write_text("\n".join(line.line() for line in export_of(audited_rig)) + "\n")
    ledger = ("audit-ledger", "--ledger", audited_rig.chain_url, "--contract", audited_rig.contract)
    code, output = _run(*ledger, "--export", str(lines), "--gateway-key", str(key))
    assert (code, "nothing is wrong" in output) == (0, True), output
    code, output = _run(*ledger, "--json")
    assert (code, json.loads(output)["findings"]) == (0, [])
    assert _run(*ledger, "--export", str(lines))[0] == 1
    honest = export_of(audited_rig)
    lines.write_text("".join(f"{line.line()}\n" for line in (*honest, honest[0])))
    code, output = _run(*ledger, "--export", str(lines), "--gateway-key", str(key))
    assert (code, "decided a second time" in output) == (2, True), output
    lines.write_text("nothing\n")
    assert _run(*ledger, "--export", str(lines), "--gateway-key", str(key))[0] == 1


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_export_that_was_interrupted_leaves_no_file_that_could_be_taken_for_a_whole_one(
    audited_rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    config, output = tmp_path / "gateway.toml", tmp_path / "decisions.jsonl"
    config.write_text(tomli_w.dumps(json.loads(audited_rig.settings.model_dump_json(exclude_none=True))))

    def interrupted(*arguments: Any) -> Iterator[Any]:
        yield next(exported(*arguments))
        raise failure

    monkeypatch.setattr("standing.gateway.auditing.commands.exported", interrupted)
    code, printed = _run("export", "--config", str(config), "--output", str(output))
    assert (code != 0, output.exists(), "Traceback" in printed) == (True, False, False), printed


def test_an_export_file_is_readable_by_its_owner_only_and_never_overwritten(audited_rig: Rig, tmp_path: Path) -> None:
    config, output = tmp_path / "gateway.toml", tmp_path / "decisions.jsonl"
    config.write_text(tomli_w.dumps(json.loads(audited_rig.settings.model_dump_json(exclude_none=True))))
    for keys in ((), ("--with-keys",)):
        output.unlink(missing_ok=True)
        code, printed = _run("export", "--config", str(config), "--output", str(output), *keys)
        assert code == 0, printed
        found = [parse_line(line, 1) for line in output.read_text().splitlines()]
        assert len(found) == 5
        assert all((line.binding_key is not None) == bool(keys) for line in found)
        assert output.stat().st_mode & 0o777 == 0o600
    assert _run("export", "--config", str(config), "--output", str(output))[0] == 1
