"""docs/runbook-signing-key.md, step by step: its own commands are run, and the promise of each step is checked."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from eth_account import Account
from hexbytes import HexBytes
from typer.testing import CliRunner

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.binding_protocol import BindingRequest
from standing.ledger.attestations.publication import Attestation, LocalSigner, Publication, Signer
from standing.ledger.attestations.sealing import unseal
from standing.ledger.attestations.terms import Status, Terms
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.codec import Record
from standing.ledger.chain.connection import ledger_errors
from standing.ledger.chain.sender import Sender, publication_gas
from standing.ledger.devnet.chain import DEVNET_KEYS
from standing.ledger.errors import LedgerRejected
from standing.ledger.service.private_files import write_private
from standing.ledger.service.settings import load
from standing.node.accounts.changes import FeedEntry
from standing.node.cli import app
from standing.node.composition import Node, build, read_secrets
from standing.node.publishing.submission import PublishingHalted
from standing.node.settings import NodeSettings
from tests.contracts.abi import ROOT
from tests.node.node_tools import settings_on_disk
from tests.world import ACCOUNT, BANK_ADMIN, CLAIM_FIELDS, GUARDIAN, PLATFORM, REGISTRAR, Bank, World

RUNBOOK = ROOT / "docs" / "runbook-signing-key.md"
SUBMITTER = DEVNET_KEYS[-1]


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
    """A bank that has bound an account and published it; its staff's keystores and its node's settings in a folder."""

    world: World
    bank: Bank
    folder: Path
    binding: bytes
    binding_key: bytes
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def client(self) -> LedgerClient:
        return self.world.client

    @property
    def bic(self) -> str:
        return self.bank.bic

    def run(self, title: str, *, only: slice | None = None, refused: bool = False) -> str:
        """Run the commands of the one section whose title starts with `title`. Returns: their output.

        `refused`: the last of them must end with one line and exit code 1.
        """
        ((_, commands),) = ((name, lines) for name, lines in steps().items() if name.startswith(title))
        commands = commands[only or slice(None)]
        printed = ""
        for command in commands:
            words = [re.sub(r"\$(\w+)", lambda found: self.variables[found[1]], word) for word in shlex.split(command)]
            assert words[0] == "standing-node"
            ended = CliRunner().invoke(app, words[1:], catch_exceptions=False)
            expected = 1 if refused and command == commands[-1] else 0
            assert ended.exit_code == expected, f"{command}\n{ended.output}"
            printed += ended.output
        return printed

    @contextmanager
    def node(self) -> Iterator[Node]:
        """The node with its settings file, leading and stepped by hand."""
        settings = load(NodeSettings, self.folder / "node.toml")
        node = build(settings, read_secrets(settings), self.world.clock)
        assert node.leadership.take()
        try:
            yield node
        finally:
            node.leadership.leave()
            node.database.close()

    def feed(self, node: Node, *changes: Mapping[str, Any]) -> int:
        """Let the core state changes. Returns: as_of_ms."""
        at = self.world.clock.advance(10)
        stated = [{"effective_at_ms": at, **change} for change in changes]
        node.feed.accept(FeedEntry.model_validate({"as_of_ms": at, "changes": stated}))
        self.world.clock.advance(60)
        return at

    def level(self, node: Node, watermark_ms: int) -> None:
        """Step until the ledger's watermark has reached a time."""
        for _ in range(20):
            self.world.clock.advance(60)
            node.publisher.step()
            if self.client.bank(self.bic).watermark_ms >= watermark_ms:
                return
        raise AssertionError("the watermark does not reach the core's time")

    def record(self) -> Record:
        return self.client.read([(self.bic, self.binding)]).records[0]

    def terms(self) -> Terms:
        """The binding's terms on the ledger, unsealed with the platform's key."""
        record = self.record()
        return unseal(
            record.tag_and_head,
            record.tail,
            key=self.binding_key,
            bank=self.bic,
            binding=self.binding,
            publication=record.publication,
        )

    def publish(self, by: Signer) -> Publication:
        """Sign the next publication, with one attestation on the binding, and send it. Raises: LedgerRejected."""
        state = self.client.bank(self.bic)
        stated = Attestation(self.binding, bytes(26), bytes(32))
        publication = Publication(
            self.client.domain, self.bic, state.publication + 1, state.head, state.watermark_ms, (stated,)
        )
        data = self.client.publish_calldata(publication, by.sign(publication.digest))
        sender = Sender(self.client, SUBMITTER)
        with ledger_errors():
            self.client.w3.eth.call({"from": sender.address, "to": self.client.address, "data": HexBytes(data)})
        prepared = sender.prepare(data, gas=publication_gas(1))
        sender.transmit(prepared)
        sender.wait(prepared, timeout_s=20)
        return publication


@pytest.fixture
def incident(a_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Incident:
    """The bank is admitted, and its node has published a binding; its signing key has just leaked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STANDING_LEDGER_URL", a_world.chain.url)
    monkeypatch.setenv("STANDING_LEDGER_CONTRACT", a_world.contract)
    for name, key in (("guardian", GUARDIAN), ("registrar", REGISTRAR), ("admin", BANK_ADMIN)):
        write_private(tmp_path / f"{name}.password", f"{name}'s password")
        write_private(tmp_path / f"{name}.json", json.dumps(Account.encrypt(key, f"{name}'s password", iterations=2)))
    bank = a_world.make_bank()
    (tmp_path / "node.toml").write_text(tomli_w.dumps(settings_on_disk(bank, tmp_path)))
    made = Incident(a_world, bank, tmp_path, b"", b"", {"BANK": bank.bic, "ADMIN": LocalSigner(BANK_ADMIN).address})
    with made.node() as node:
        as_of_ms = made.feed(node, ACCOUNT)
        claim = {name: ACCOUNT[name] for name in CLAIM_FIELDS}
        grant = node.bindings.bind(PLATFORM, BindingRequest(request_id="request-1", **claim)).grant
        assert grant is not None
        made.binding, made.binding_key = bytes.fromhex(grant.binding[2:]), bytes.fromhex(grant.binding_key[2:])
        made.level(node, as_of_ms)
    assert made.terms().status is Status.ACTIVE
    return made


@pytest.mark.long
def test_leaked_signing_key_step_by_step(incident: Incident) -> None:
    client, bic, leaked = incident.client, incident.bic, incident.bank.secrets.signer
    with incident.node() as node:
        # The usual case: the node's next publication comes too late, because the thief's is already in a block under
        # its number.
        incident.world.chain.holding = True
        incident.feed(node, {"number": ACCOUNT["number"], "status": "frozen"})
        assert node.publisher.step() == 1
        incident.world.chain.lose()
        theft = incident.publish(leaked)

        before = client.bank(bic)
        incident.run("1. Guardian", only=slice(0, 1))
        assert client.bank(bic) == before, "the dry run changed something"
        incident.run("1. Guardian")
        assert client.bank(bic).suspended
        with pytest.raises(LedgerRejected) as refused:
            incident.publish(leaked)
        assert (refused.value.error, refused.value.arguments) == ("BankIsSuspended", (bic_to_bytes11(bic),))

    shown = incident.run("2. Operator", refused=True)
    assert theft.digest.hex()[:40] in shown  # a narrow terminal may cut the rest off
    assert f"publication {theft.number} on the ledger is not the one that this store signed" in shown
    assert client.published(0, client.block_number(), bic)[-1].bindings == (incident.binding,)

    printed = incident.run("3. Operator")
    keystore = json.loads((incident.folder / "new-signer.json").read_text())
    password = (incident.folder / "new-signer.password").read_text().strip()
    new = LocalSigner(bytes(Account.decrypt(keystore, password)))
    assert new.address in printed

    incident.variables["NEW_SIGNER"] = new.address
    incident.run("4. Registrar", only=slice(0, 1))
    assert client.bank(bic).suspended, "the dry run changed something"
    shown = incident.run("4. Registrar")
    assert new.address in shown
    state = client.bank(bic)
    assert (state.suspended, state.signer, state.admin) == (False, new.address, incident.variables["ADMIN"])
    with pytest.raises(LedgerRejected) as refused:
        incident.publish(leaked)
    assert refused.value.error == "WrongSignature"

    settings = tomllib.loads((incident.folder / "node.toml").read_text())
    settings |= {"signer_keystore": "new-signer.json", "signer_password_file": "new-signer.password"}
    (incident.folder / "node.toml").write_text(tomli_w.dumps(settings))
    shown = incident.run("5. Operator", only=slice(0, 1))
    assert "run the same command with --confirm" in " ".join(shown.split())  # without --take-ledger it is refused
    assert "recovered" in incident.run("5. Operator", only=slice(1, 2))
    with incident.node() as node:
        with pytest.raises(PublishingHalted, match="fed-again"):
            node.publisher.step()
        as_of_ms = incident.feed(node)
        incident.run("5. Operator", only=slice(2, 3))
        incident.level(node, as_of_ms)
    assert incident.terms().status is Status.FROZEN
    assert incident.record().publication == theft.number + 1

    shown = incident.run("6. Both")
    assert str(client.bank(bic).publication) in shown


def test_planned_rotation_step_by_step(incident: Incident) -> None:
    old = incident.bank.secrets.signer
    printed = incident.run("A planned rotation", only=slice(0, 2))
    password = (incident.folder / "next-signer.password").read_text().strip()
    keystore = json.loads((incident.folder / "next-signer.json").read_text())
    following = LocalSigner(bytes(Account.decrypt(keystore, password)))
    assert following.address in printed
    incident.variables["NEXT_SIGNER"] = following.address
    incident.run("A planned rotation", only=slice(2, 3))
    assert incident.client.bank(incident.bic).signer == old.address, "the dry run changed something"
    before = incident.client.bank(incident.bic).publication
    incident.run("A planned rotation", only=slice(3, 4))
    with pytest.raises(LedgerRejected):
        incident.publish(old)
    with incident.node() as node:
        incident.feed(node)
        with pytest.raises(PublishingHalted, match="start the node with the right key"):
            node.publisher.step()

    settings = tomllib.loads((incident.folder / "node.toml").read_text())
    settings |= {"signer_keystore": "next-signer.json", "signer_password_file": "next-signer.password"}
    (incident.folder / "node.toml").write_text(tomli_w.dumps(settings))
    with incident.node() as node:
        incident.level(node, incident.feed(node))
    assert incident.client.bank(incident.bic).publication > before
    assert following.address in incident.run("A planned rotation", only=slice(4, 5))


def test_every_command_of_the_runbook_is_run_by_a_test() -> None:
    sections = {title.split(":")[0].split(".")[0]: len(commands) for title, commands in steps().items()}
    assert sections == {"1": 2, "2": 2, "3": 2, "4": 3, "5": 3, "6": 1, "A planned rotation": 5}
