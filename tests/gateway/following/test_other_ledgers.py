"""The follower where its URL leads to another ledger, where the banks have moved to a new deployment, and where the
ledger's nodes no longer have the blocks that come next."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.attestations.terms import Status
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.devnet.chain import Devnet
from standing.ledger.errors import LedgerMismatch, LedgerUnreachable
from standing.ledger.service.serve import served
from tests.gateway.faulty_ledger_node import proxied
from tests.gateway.follower_rig import Call, FollowRig, kinds
from tests.gateway.gateway_rig import GUARDIAN, REGISTRAR, Person
from tests.timeouts import patient_ledger

pytestmark = pytest.mark.long


@pytest.mark.parametrize("another", ["chain id", "chain without the contract"])
def test_a_url_that_leads_to_another_ledger_for_a_while_undoes_nothing(rig: FollowRig, another: str) -> None:
    """As behind a proxy that was pointed elsewhere: no call fails, so nothing else shows it."""
    person = rig.bound()
    rig.follow()
    for status in (Status.FROZEN, Status.ACTIVE):
        rig.bank.change(person.number, status=status)
    rig.follow()
    devnet = Devnet(now_s=lambda: rig.clock.now_ms() // 1000)
    honest = devnet.call
    if another == "chain id":
        devnet.call = lambda call: (  # type: ignore[method-assign]
            honest(call) | ({"result": "0x1267"} if call["method"] == "eth_chainId" else {})
        )
    with served(devnet.app) as elsewhere, proxied(rig.chain_url) as url:
        ledger = LedgerClient(url.url, rig.contract)
        ledger.check(rig.ledger.domain.chain_id)
        follower = rig.another_follower(ledger=ledger)
        rig.follow(follower)
        observed = _observed(rig)
        url.behind = elsewhere
        for _ in range(2):
            with pytest.raises(LedgerMismatch, match=r"chain id is 4711|no contract at"):
                follower.step()
        url.behind = rig.chain_url
        assert rig.follow(follower) == []
    assert _observed(rig) == observed
    assert len(observed) >= 3


def test_what_a_bank_published_on_a_new_deployment_before_the_gateway_moved_there_is_reported(rig: FollowRig) -> None:
    frozen, unchanged = rig.bound(), rig.bound()
    rig.follow()
    with _moved(rig, frozen, unchanged) as ledger:
        rig.bank.change(frozen.number, status=Status.FROZEN)
        assert rig.follow() == []  # this one still follows the old deployment
        observed = _observed(rig)
        follower = rig.another_follower(ledger=ledger)
        events = rig.follow(follower)
        assert kinds(events, frozen) == ["binding.frozen"]
        assert kinds(events, unchanged) == []
        assert _observed(rig) >= observed
        assert rig.follow(rig.another_follower(ledger=ledger)) == []


def test_a_gateway_that_moved_before_the_bank_reports_only_what_changed(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    with _moved(rig) as ledger:
        follower = rig.another_follower(ledger=ledger)
        assert kinds(rig.follow(follower), person) == []
        rig.bank.publish(bytes.fromhex(person.binding[2:]))
        assert kinds(rig.follow(follower), person) == []
        rig.bank.change(person.number, status=Status.FROZEN)
        assert kinds(rig.follow(follower), person) == ["binding.frozen"]


def test_a_position_from_before_the_ledgers_name_was_kept_goes_on(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        database.execute("UPDATE follower SET ledger = NULL")
    database.close()
    rig.bank.change(person.number, status=Status.FROZEN)
    rig.bank.change(person.number, status=Status.ACTIVE)
    assert kinds(rig.follow(rig.another_follower()), person) == ["binding.frozen", "binding.cleared"]


@pytest.mark.parametrize("lost", ["logs", "blocks"])
def test_old_blocks_that_the_nodes_have_pruned_are_skipped_and_their_changes_reported(
    rig: FollowRig, lost: str
) -> None:
    """As after a long absence of the gateway, or where the ledger node was set up anew from a snapshot."""
    person, other = rig.bound(), rig.bound()
    rig.follow()
    rig.bank.change(person.number, status=Status.FROZEN)
    _grow(rig)
    observed = _observed(rig)
    follower = rig.another_follower()
    _prune(rig, lost)
    with capture_logs() as logged:
        for _ in range(12):  # within a minute: the node may be starting
            rig.clock.advance(5_000)
            with pytest.raises(LedgerUnreachable):
                follower.step()
        assert rig.new_events() == []
        rig.clock.advance(5_000)
        assert kinds(rig.follow(follower), person) == ["binding.frozen"]
    assert "blocks_skipped" in [line["event"] for line in logged]
    assert _observed(rig) >= observed
    rig.bank.change(other.number, status=Status.FROZEN)
    assert kinds(rig.follow(follower)) == ["binding.frozen"]


def test_blocks_are_not_skipped_while_the_nodes_refuse_every_search(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    for status in (Status.FROZEN, Status.ACTIVE):
        rig.bank.change(person.number, status=status)
    _grow(rig)
    follower = rig.another_follower()
    rig.refuse = lambda call: call["method"] == "eth_getLogs"
    for _ in range(30):
        rig.clock.advance(5_000)
        with pytest.raises(LedgerUnreachable):
            follower.step()
    rig.undo()
    assert kinds(rig.follow(follower), person) == ["binding.frozen", "binding.cleared"]


@contextmanager
def _moved(rig: FollowRig, *stated: Person) -> Iterator[LedgerClient]:
    """The rig's first bank on a new deployment, where it has stated some bindings again."""
    bank, registrar = rig.bank, LocalSigner(REGISTRAR).address
    contract = governance.deploy(
        rig.chain_url, REGISTRAR, governor=registrar, registrar=registrar, guardian=LocalSigner(GUARDIAN).address
    )
    before = bank.client, bank.number, bank.head, dict(bank.accounts)
    bank.client = patient_ledger(rig.chain_url, contract)
    admit = governance.admit(bank.bic, bank.signer.address, registrar, number=bank.number, head=bank.head)
    governance.execute(bank.client, admit, REGISTRAR)
    if stated:
        bank.publish(*[bytes.fromhex(person.binding[2:]) for person in stated])
    try:
        yield bank.client
    finally:
        bank.client, bank.number, bank.head, bank.accounts = before
        rig.follow(rig.another_follower())


def _grow(rig: FollowRig) -> None:
    for _ in range(70):
        rig.bank.publish()


def _prune(rig: FollowRig, lost: str) -> None:
    """Let the ledger node have the state and logs, or even the blocks, of its newest 64 blocks only."""
    kept = rig.ledger.block_number() - 64

    def is_old(block: Any) -> bool:
        return isinstance(block, str) and block.startswith("0x") and int(block, 16) < kept

    def refuse(call: Call) -> bool:
        method, parameters = call["method"], call["params"]
        if method == "eth_getLogs":
            return is_old(parameters[0]["fromBlock"])
        return method == "eth_call" and is_old(parameters[1])

    def alter(call: Call, answer: Call) -> Call:
        gone = lost == "blocks" and call["method"] == "eth_getBlockByNumber" and is_old(call["params"][0])
        return answer | {"result": None} if gone else answer

    rig.refuse, rig.alter = refuse, alter


def _observed(rig: FollowRig) -> set[tuple[bytes, int]]:
    """Which attestations of which bindings were observed."""
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        found = set(database.execute("SELECT binding, publication FROM observations"))
    database.close()
    return found
