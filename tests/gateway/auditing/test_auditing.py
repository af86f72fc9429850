"""The auditor: an honest history and honest decisions have no findings; a planted fault of each kind is found."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import tomli_w
from eth_account import Account as Wallet
from eth_utils import event_abi_to_log_topic
from typer.testing import CliRunner

from standing.gateway.auditing.decisions import audit_decisions
from standing.gateway.auditing.export import Exported, exported, parse_line
from standing.gateway.auditing.findings import Audit, Kind
from standing.gateway.auditing.ledger import audit_ledger
from standing.gateway.cli import app
from standing.gateway.evidence.signing import TYPE, load_evidence_key
from standing.gateway.evidence.verification.case import Means
from standing.gateway.settings import read_vault_secrets
from standing.gateway.storage.vault import open_vault
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.attestations.terms import Status
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient, parse_address
from standing.ledger.chain.contract import artifact
from standing.ledger.errors import InvalidValue
from tests.gateway.evidence_samples import catch_up, publish_late
from tests.gateway.faulty_ledger_node import proxied
from tests.gateway.gateway_rig import GUARDIAN, REGISTRAR, Rig, rig

Log = dict[str, Any]
_TOPICS = {
    "0x" + event_abi_to_log_topic(entry).hex(): entry["name"] for entry in artifact()["abi"] if entry["type"] == "event"
}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A ledger with all that happens to a bank, and a gateway with decisions of several kinds."""
    with rig(tmp_path_factory.mktemp("audited")) as made:
        person = made.bound(daily_limit_minor=3_000)
        bank = person.bank
        catch_up(made)
        for index, amount_minor in enumerate((1_000, 1_500, 400, 500)):
            answer = person.decide(amount_minor=amount_minor, transaction_id=f"t-{index}")
            if index == 0:
                made.platform("POST", "/v1/decisions/t-0/capture", json={"amount_minor": 700})
            assert answer["outcome"] == ("approve" if index < 3 else "decline"), answer
        bank.change(person.number, debit_allowed=False)
        person.decide(transaction_id="t-refused")
        new = LocalSigner(Wallet.create().key)
        governance.execute(made.ledger, governance.rotate_signer(bank.bic, new.address), REGISTRAR)
        bank.signer = new
        catch_up(made)
        bank.publish(bytes.fromhex(person.binding[2:]))
        governance.execute(made.ledger, governance.suspend(bank.bic), GUARDIAN)
        admin = LocalSigner(REGISTRAR).address
        governance.execute(made.ledger, governance.reinstate(bank.bic, new.address, admin), REGISTRAR)
        bank.publish()
        bank.publish()
        yield made


def _audited(url: str, contract: str) -> Audit:
    audit = Audit()
    audit_ledger(LedgerClient(url, parse_address(contract, "contract")), audit)
    return audit


def test_an_honest_history_has_no_findings_and_all_of_it_is_walked(lived: Rig) -> None:
    audit = _audited(lived.chain_url, lived.contract)
    assert audit.findings == []
    numbers = sum(lived.ledger.bank(bic).publication for bic in lived.banks)
    assert audit.counted["Published"] == numbers
    assert {"BankAdmitted": 2, "SignerRotated": 1, "BankSuspended": 1, "banks": 2}.items() <= audit.counted.items()
    assert audit.counted["attestations"] == 3


def _name(log: Log) -> str:
    return str(_TOPICS[log["topics"][0]])


def _number(log: Log) -> int:
    return int(log["topics"][2], 16)


def _without(name: str, number: int | None = None) -> Callable[[Log], Log | None]:
    def change(log: Log) -> Log | None:
        hidden = _name(log) == name and (number is None or _number(log) == number)
        return None if hidden else log

    return change


def _with_word(name: str, place: int, value: int, number: int | None = None) -> Callable[[Log], Log | None]:
    """Another value for the word at `place` of an event's data."""

    def change(log: Log) -> Log | None:
        if _name(log) != name or (number is not None and _number(log) != number):
            return log
        data = bytearray.fromhex(log["data"][2:])
        data[32 * place : 32 * place + 32] = value.to_bytes(32, "big")
        return log | {"data": "0x" + data.hex()}

    return change


@pytest.mark.parametrize(
    ("planted", "kind"),
    [
        pytest.param(_without("Published", 2), Kind.NUMBER, id="a publication is missing"),
        pytest.param(_with_word("Published", 0, 1, 2), Kind.WATERMARK, id="a watermark that went back"),
        pytest.param(_with_word("Published", 0, 2**47, 2), Kind.WATERMARK, id="a watermark far ahead of its block"),
        pytest.param(_with_word("Published", 1, 7, 2), Kind.CONTENT, id="a digest that nothing hashes to"),
        pytest.param(_with_word("BankAdmitted", 3, 7), Kind.CONTENT, id="a history that goes on from another head"),
        pytest.param(_with_word("Published", 4, 7, 2), Kind.CONTENT, id="another binding than the one attested"),
        pytest.param(_without("SignerRotated"), Kind.SIGNATURE, id="a signature of a signer never named"),
        pytest.param(_with_word("SignerRotated", 0, 7), Kind.ROTATION, id="a rotation of another signer"),
        pytest.param(_without("BankReinstated"), Kind.SUSPENSION, id="a publication while suspended"),
        pytest.param(_without("BankSuspended"), Kind.SUSPENSION, id="an end of a suspension that never was"),
        pytest.param(_without("BankAdmitted"), Kind.ADMISSION, id="a bank that was never admitted"),
    ],
)
def test_a_planted_fault_in_a_history_is_found(lived: Rig, planted: Callable[[Log], Log | None], kind: Kind) -> None:
    def lie(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] != "eth_getLogs":
            return answer
        return answer | {"result": [log for log in map(planted, answer["result"]) if log is not None]}

    with proxied(lived.chain_url, lie) as node:
        assert kind in {found.kind for found in _audited(node.url, lived.contract).findings}


def test_a_state_that_its_history_does_not_come_to_is_found(lived: Rig) -> None:
    last = {bic: lived.ledger.bank(bic).publication for bic in lived.banks}

    def lie(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] != "eth_getLogs":
            return answer
        return answer | {
            "result": [
                log for log in answer["result"] if _name(log) != "Published" or _number(log) != max(last.values())
            ]
        }

    with proxied(lived.chain_url, lie) as node:
        found = _audited(node.url, lived.contract).findings
        assert {each.kind for each in found} == {Kind.STATE}
        assert any(f"publication is {max(last.values())}" in each.text for each in found)


# A gateway's decisions


def _export(it: Rig) -> list[Exported]:
    storage = it.app.state.gateway.storage
    return list(exported(storage, open_vault(storage, read_vault_secrets(it.settings)), it.clock.now_ms()))


def _audited_decisions(it: Rig, lines: list[Exported]) -> Audit:
    audit = Audit()
    means = Means(it.nobody("GET", "/v1/evidence-key").json(), parse_address(it.contract, "contract"))
    audit_decisions(lines, means, it.ledger, audit)
    return audit


def _resigned(it: Rig, line: Exported, **changed: Any) -> Exported:
    """A decision whose gateway signed other claims."""
    jws = line.decision["evidence"]
    claims = json.loads(jwt.PyJWS().decode_complete(jws, options={"verify_signature": False})["payload"]) | changed
    key = load_evidence_key(it.settings.evidence_key_file)
    lie = jwt.PyJWS().encode(json.dumps(claims).encode(), key, "EdDSA", headers={"typ": TYPE})
    told = {name: changed[name] for name in changed if name in line.decision}
    return Exported(dict(line.decision) | told | {"evidence": lie}, line.account, line.binding_key)


def test_honest_decisions_have_no_findings_and_each_is_made_again(lived: Rig) -> None:
    lines = _export(lived)
    audit = _audited_decisions(lived, lines)
    assert audit.findings == []
    assert audit.counted == {"decisions": 5, "account days added up": 1}
    assert sum(line.counts_minor for line in lines) == 700 + 1_500 + 400
    assert [parse_line(line.line(), 1) for line in lines] == lines


def test_a_planted_fault_in_a_decision_is_found(lived: Rig) -> None:
    lines = {line.decision["transaction_id"]: line for line in _export(lived)}
    plants: list[tuple[Kind, Exported]] = [
        (Kind.EVIDENCE, _resigned(lived, lines["t-refused"], outcome="approve", reason=None)),
        (Kind.EVIDENCE, _resigned(lived, lines["t-1"], staleness_ms=1)),
        (Kind.TWICE, lines["t-1"]),
    ]
    for kind, planted in plants:
        audit = _audited_decisions(lived, [*lines.values(), planted])
        assert kind in {found.kind for found in audit.findings}


def test_two_decisions_that_each_knew_nothing_of_the_other_are_found_to_have_overspent(lived: Rig) -> None:
    """Each claims, by itself rightly, that nothing was used before: only the sum shows that it is too much."""
    lines = {line.decision["transaction_id"]: line for line in _export(lived)}
    held = dict(lines["t-1"].decision["reservation"]) | {"amount_minor": 3_000}
    first = _resigned(lived, lines["t-1"], amount_minor=3_000, used_day_minor=0)
    second = _resigned(lived, lines["t-2"], amount_minor=3_000, used_day_minor=0)
    both = [
        Exported(dict(each.decision) | {"reservation": held}, each.account, each.binding_key)
        for each in (first, second)
    ]
    audit = _audited_decisions(lived, both)
    assert {found.kind for found in audit.findings} == {Kind.OVERSPENT}
    assert "after 3000 that day" in audit.findings[0].text


def test_a_bank_that_broke_its_watermark_is_found(tmp_path: Path) -> None:
    """It vouched for everything up to a time, and published a change of before that time afterwards."""
    with rig(tmp_path) as it:
        person = it.bound()
        person.bank.publish()
        catch_up(it)
        person.bank.publish()
        person.decide(transaction_id="t-1")
        publish_late(person.bank, person, it.clock.now_ms() - 500, Status.FROZEN)
        found = _audited_decisions(it, _export(it)).findings
        assert [(each.kind, each.whose, each.where) for each in found] == [
            (Kind.WATERMARK, person.bank.bic, "transaction t-1")
        ]


def test_without_keys_what_cannot_be_checked_is_counted_and_is_no_finding(lived: Rig) -> None:
    lines = [Exported(line.decision, line.account, None) for line in _export(lived)]
    audit = _audited_decisions(lived, lines)
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
def test_a_line_that_is_no_export_is_named(line: str) -> None:
    with pytest.raises(InvalidValue, match="export, line 7"):
        parse_line(line, 7)


# The commands


def _run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


def test_the_commands_audit_a_ledger_and_a_gateways_export(lived: Rig, tmp_path: Path) -> None:
    key = tmp_path / "gateway-key.json"
    key.write_text(json.dumps(lived.nobody("GET", "/v1/evidence-key").json()))
    lines = tmp_path / "decisions.jsonl"
    lines.write_text("\n".join(line.line() for line in _export(lived)) + "\n")
    ledger = ("audit-ledger", "--ledger", lived.chain_url, "--contract", lived.contract)
    code, told = _run(*ledger, "--export", str(lines), "--gateway-key", str(key))
    assert (code, "nothing is wrong" in told) == (0, True), told
    code, told = _run(*ledger, "--json")
    assert (code, json.loads(told)["findings"]) == (0, [])
    assert _run(*ledger, "--export", str(lines))[0] == 1
    honest = _export(lived)
    lines.write_text("".join(f"{line.line()}\n" for line in (*honest, honest[0])))
    code, told = _run(*ledger, "--export", str(lines), "--gateway-key", str(key))
    assert (code, "decided a second time" in told) == (2, True), told
    lines.write_text("nothing\n")
    assert _run(*ledger, "--export", str(lines), "--gateway-key", str(key))[0] == 1


def test_the_file_of_an_export_is_its_readers_alone_and_never_overwritten(lived: Rig, tmp_path: Path) -> None:
    config, output = tmp_path / "gateway.toml", tmp_path / "decisions.jsonl"
    config.write_text(tomli_w.dumps(json.loads(lived.settings.model_dump_json(exclude_none=True))))
    for keys in ((), ("--with-keys",)):
        output.unlink(missing_ok=True)
        code, told = _run("export", "--config", str(config), "--output", str(output), *keys)
        assert code == 0, told
        found = [parse_line(line, 1) for line in output.read_text().splitlines()]
        assert len(found) == 5
        assert all((line.binding_key is not None) == bool(keys) for line in found)
        assert output.stat().st_mode & 0o777 == 0o600
    assert _run("export", "--config", str(config), "--output", str(output))[0] == 1
