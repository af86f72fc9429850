"""docs/runbook-signing-key.md, step by step: its own commands are run, and what each step promises is checked."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from eth_account import Account
from eth_typing import ChecksumAddress
from typer.testing import CliRunner

from ledger import governance
from ledger.bic import bic_to_bytes11
from ledger.client import LedgerClient, ledger_errors
from ledger.devnet import DEVNET_KEYS, Devnet
from ledger.errors import LedgerRejected
from ledger.publication import LocalSigner, Publication
from ledger.service.serve import served
from node.cli import app
from tests.contracts.abi import ROOT
from tests.contracts.ledger import attestation, binding, signer

RUNBOOK = ROOT / "docs" / "runbook-signing-key.md"
BIC = "BKCHCNBJ"
GOVERNOR, REGISTRAR, GUARDIAN, ADMIN, SUBMITTER = DEVNET_KEYS[:5]
LEAKED = signer("leaked")


def steps() -> dict[str, list[str]]:
    """The commands of each section of the runbook, by the section's title."""
    sections = re.split(r"^## ", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        section.splitlines()[0]: [
            line
            for block in re.findall(r"^```sh\n(.*?)^```", section, flags=re.MULTILINE | re.DOTALL)
            for line in block.splitlines()
        ]
        for section in sections
    }


@dataclass
class Incident:
    """A ledger on a development chain, the people's keystores in a folder, and what the shell would hold."""

    client: LedgerClient
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, title: str, *, only: slice | None = None) -> str:
        """Run the commands of the one section whose title starts so. Returns: what they print."""
        ((_, commands),) = ((name, lines) for name, lines in steps().items() if name.startswith(title))
        printed = ""
        for command in commands[only or slice(None)]:
            words = [re.sub(r"\$(\w+)", lambda found: self.variables[found[1]], word) for word in shlex.split(command)]
            assert words[0] == "standing-node"
            ended = CliRunner().invoke(app, words[1:], catch_exceptions=False)
            assert ended.exit_code == 0, f"{command}\n{ended.output}"
            printed += ended.output
        return printed

    def publish(self, by: LocalSigner, version: int) -> Publication:
        """Sign the next publication, with one attestation, and send it. Raises: LedgerRejected."""
        state = self.client.bank(BIC)
        block = self.client.w3.eth.get_block("latest")
        now_ms = max(block["timestamp"] * 1000, state.watermark_ms)
        publication = Publication(
            domain=self.client.domain,
            bank=BIC,
            number=state.publication + 1,
            previous=state.head,
            watermark_ms=now_ms,
            attestations=(attestation(1, now_ms, version),),
        )
        self.send(publication, by)
        return publication

    def send(self, publication: Publication, by: LocalSigner) -> None:
        """Dry-run, then send. Raises: LedgerRejected."""
        data = self.client.publish_calldata(publication, by.sign(publication.digest))
        w3, account = self.client.w3, Account.from_key(SUBMITTER)
        transaction = {
            "from": account.address,
            "to": self.client.address,
            "data": data,
            "gas": 1_000_000,
            "gasPrice": w3.eth.gas_price,
            "nonce": w3.eth.get_transaction_count(account.address),
            "chainId": self.client.domain.chain_id,
        }
        with ledger_errors():
            w3.eth.call({"from": account.address, "to": self.client.address, "data": data})
            sent = w3.eth.send_raw_transaction(account.sign_transaction(transaction).raw_transaction)
        assert w3.eth.wait_for_transaction_receipt(sent)["status"] == 1


def _address(key: bytes) -> ChecksumAddress:
    return LocalSigner(key).address


@pytest.fixture
def incident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Incident]:
    """The bank is admitted and has published once; its signing key has just leaked."""
    monkeypatch.chdir(tmp_path)
    for name, key in (("guardian", GUARDIAN), ("registrar", REGISTRAR), ("admin", ADMIN)):
        _private(tmp_path / f"{name}.password", f"{name}'s password")
        keystore = Account.encrypt(key, f"{name}'s password", kdf="scrypt", iterations=2)
        _private(tmp_path / f"{name}.json", json.dumps(keystore))
    _private(tmp_path / "new-signer.password", "the new signer's password")
    with served(Devnet().app) as url:
        roles = [_address(key) for key in (GOVERNOR, REGISTRAR, GUARDIAN)]
        contract = governance.deploy(url, GOVERNOR, governor=roles[0], registrar=roles[1], guardian=roles[2])
        monkeypatch.setenv("STANDING_LEDGER_URL", url)
        monkeypatch.setenv("STANDING_LEDGER_CONTRACT", contract)
        client = LedgerClient(url, contract)
        governance.execute(client, governance.admit(BIC, LEAKED.address, _address(ADMIN)), REGISTRAR)
        incident = Incident(client, tmp_path, {"BANK": BIC, "ADMIN": _address(ADMIN)})
        incident.publish(LEAKED, version=1)
        yield incident


def _private(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def _new_signer(folder: Path) -> LocalSigner:
    keystore = json.loads((folder / "new-signer.json").read_text())
    return LocalSigner(bytes(Account.decrypt(keystore, "the new signer's password")))


def test_leaked_signing_key_step_by_step(incident: Incident) -> None:
    client, bank = incident.client, bic_to_bytes11(BIC)
    theft = incident.publish(LEAKED, version=666)

    before = client.bank(BIC)
    incident.run("1. Guardian", only=slice(0, 1))
    assert client.bank(BIC) == before, "the dry run changed something"
    incident.run("1. Guardian")
    assert client.bank(BIC).suspended
    with pytest.raises(LedgerRejected) as refused:
        incident.publish(LEAKED, version=667)
    assert (refused.value.error, refused.value.arguments) == ("BankIsSuspended", (bank,))

    shown = incident.run("2. Operator")
    assert theft.digest.hex()[:40] in shown  # a narrow terminal may cut the rest off
    events = client.published(0, client.block_number(), BIC)
    assert [event.number for event in events] == [1, 2]
    assert events[-1].bindings == (binding(1),)

    printed = incident.run("3. Operator")
    new = _new_signer(incident.folder)
    assert new.address in printed

    incident.variables["NEW_SIGNER"] = new.address
    incident.run("4. Registrar", only=slice(0, 1))
    assert client.bank(BIC).suspended, "the dry run changed something"
    shown = incident.run("4. Registrar")
    assert new.address in shown
    state = client.bank(BIC)
    assert (state.suspended, state.signer, state.admin) == (False, new.address, _address(ADMIN))
    with pytest.raises(LedgerRejected) as refused:
        incident.publish(LEAKED, version=668)
    assert refused.value.error == "WrongSignature"

    correction = incident.publish(new, version=2)
    assert correction.number == theft.number + 1
    record = client.read([(BIC, binding(1))]).records[0]
    assert record.sealed_terms == correction.attestations[0].sealed_terms

    shown = incident.run("6. Both")
    assert str(correction.number) in shown


def test_planned_rotation_step_by_step(incident: Incident) -> None:
    following = signer("next")
    incident.variables["NEXT_SIGNER"] = following.address
    incident.run("A planned rotation", only=slice(0, 1))
    assert incident.client.bank(BIC).signer == LEAKED.address, "the dry run changed something"
    incident.run("A planned rotation")
    with pytest.raises(LedgerRejected):
        incident.publish(LEAKED, version=3)
    assert incident.publish(following, version=3).number == 2


def test_every_command_of_the_runbook_is_run_by_a_test() -> None:
    sections = {title.split(":")[0].split(".")[0]: len(commands) for title, commands in steps().items()}
    assert sections == {"1": 2, "2": 1, "3": 1, "4": 3, "5": 0, "6": 1, "A planned rotation": 2}
