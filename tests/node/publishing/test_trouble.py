"""What a node reports while the ledger's nodes take or answer nothing."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.sender import NonceAhead
from standing.ledger.errors import LedgerUnreachable
from tests.node.publishing.stepping import NUMBER, Stepped
from tests.world import ACCOUNT, BANK_ADMIN, GUARDIAN, REGISTRAR, Bank, World, wait_until


def _bank_with_a_freeze_in_no_block(a_world: World) -> Bank:
    bank = a_world.start_bank(publisher={"resend_after_ms": 1_000})
    bank.change(dict(ACCOUNT))
    wait_until(lambda: bank.get("/readyz").status_code == 200)
    assert bank.bind().json()["outcome"] == "granted"
    bank.wait_until_published()
    a_world.chain.holding = True
    bank.feed({"number": NUMBER, "status": "frozen"})
    wait_until(lambda: bank.get("/v1/status").json()["in_flight"] == 1)
    return bank


def test_a_pooled_transaction_is_reported_as_trouble_until_it_is_mined(a_world: World) -> None:
    bank = _bank_with_a_freeze_in_no_block(a_world)
    assert bank.get("/readyz").status_code == 200
    a_world.clock.advance(2_001)
    bank.node.publisher.wake()
    reason = wait_until(lambda: bank.get("/readyz").json()["reason"])
    assert "no block holds it" in reason
    assert bank.get("/readyz").status_code == 503
    a_world.chain.release()
    wait_until(lambda: bank.get("/readyz").status_code == 200)


def test_a_refused_nonce_does_not_hide_that_the_ledger_makes_no_blocks(
    a_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While no block is made, a node may say of a transaction that it knows it, and refuse the one after it."""
    bank = _bank_with_a_freeze_in_no_block(a_world)

    def refuse(*_: Any) -> None:
        raise NonceAhead("the ledger's node refuses nonce 7: invalid nonce")

    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(bank.node.publisher._submitter, "ensure_sent", refuse)
        bank.node.publisher.wake()
        wait_until(lambda: bank.get("/readyz").json()["reason"] == "the ledger's node refuses nonce 7: invalid nonce")
        a_world.clock.advance(2_001)
        wait_until(lambda: "no block holds it" in (bank.get("/readyz").json()["reason"] or ""))
        a_world.clock.advance(5_000)
        wait_until(lambda: "for 7 s and no block" in (bank.get("/readyz").json()["reason"] or ""))
    assert [line["event"] for line in logs if line["event"].startswith("publishing")] == ["publishing_stopped"]
    a_world.chain.release()
    wait_until(lambda: bank.get("/readyz").status_code == 200)


def test_a_suspension_is_noticed_while_the_core_says_nothing_and_until_the_bank_is_reinstated(a_world: World) -> None:
    bank = a_world.start_bank()
    bank.change(dict(ACCOUNT))
    wait_until(lambda: bank.get("/readyz").status_code == 200)
    bank.wait_until_published()
    governance.execute(a_world.client, governance.suspend(bank.bic), GUARDIAN)
    a_world.clock.advance(30_000)
    wait_until(lambda: "is suspended on the ledger" in (bank.get("/readyz").json()["reason"] or ""))
    admin = LocalSigner(BANK_ADMIN).address
    governance.execute(a_world.client, governance.reinstate(bank.bic, bank.signer.address, admin), REGISTRAR)
    wait_until(lambda: bank.get("/readyz").status_code == 200)


def test_the_log_says_once_that_publishing_stopped_and_when_it_resumes(
    stepped: Stepped, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = stepped.node.publisher
    failures = iter([LedgerUnreachable("no answer"), LedgerUnreachable("no answer")])

    def step() -> int:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        publisher.stop()
        return 0

    monkeypatch.setattr(publisher, "step", step)
    with capture_logs() as logs:
        publisher.run()
    assert [log["event"] for log in logs] == ["publishing_stopped", "publishing_resumed"]


def test_the_log_does_not_say_that_publishing_resumes_while_full_pools_take_one_transaction_and_refuse_the_next(
    stepped: Stepped, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = stepped.node.publisher
    steps = iter(["full", "taken", "full", "taken", "full", "in a block"])

    def step() -> int:
        outcome = next(steps)
        if outcome == "full":
            raise LedgerUnreachable("txpool is full")
        if outcome == "in a block":
            publisher._reached += 1
            publisher.stop()
        return 1

    monkeypatch.setattr(publisher, "step", step)
    with capture_logs() as logs:
        publisher.run()
    assert [log["event"] for log in logs] == ["publishing_stopped", "publishing_resumed"]
