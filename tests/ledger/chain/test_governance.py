"""Steps of governance whose transaction enters no block at first: a suspension is urgent, and nobody else sends it
again."""

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.governance import DeploymentPending
from standing.ledger.errors import LedgerUnreachable
from tests.world import GUARDIAN, REGISTRAR, World, wait_until

_RESEND_AFTER_S = 0.1


@contextmanager
def _being_suspended(a_world: World, bic: str, *, timeout_s: float = 60.0) -> Iterator[Future[bytes]]:
    """A suspension whose transaction a node has taken, and no block holds."""
    a_world.chain.holding = True
    execute = partial(governance.execute, timeout_s=timeout_s, resend_after_s=_RESEND_AFTER_S)
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(execute, a_world.client, governance.suspend(bic), GUARDIAN)
        wait_until(lambda: a_world.chain.mempool.taken)
        yield done


def test_a_suspension_that_the_network_dropped_is_sent_again(a_world: World) -> None:
    bic = a_world.make_bank().bic
    with _being_suspended(a_world, bic) as done:
        a_world.chain.lose()
        transaction = done.result()
    assert a_world.client.bank(bic).suspended
    receipt = a_world.client.receipt(transaction)
    assert receipt is not None
    assert receipt["status"] == 1


def test_a_suspension_is_sent_again_for_what_gas_costs_by_then_and_can_count_only_once(a_world: World) -> None:
    """Else it would be stuck, and whatever the guardian sends later would wait behind it."""
    bic, chain = a_world.make_bank().bic, a_world.chain
    with _being_suspended(a_world, bic) as done:
        first = chain.mempool.taken[0]
        chain.mempool.least_wei = 3 * first.gas_price_wei
        wait_until(lambda: any(held.gas_price_wei >= chain.mempool.least_wei for held in chain.mempool.taken))
        chain.release()
        done.result()
    assert {(held.nonce, held.data) for held in chain.mempool.taken} == {(first.nonce, first.data)}
    assert a_world.client.bank(bic).suspended


def test_a_step_that_stays_out_of_blocks_is_named_after_the_whole_wait(a_world: World) -> None:
    bic, chain = a_world.make_bank().bic, a_world.chain
    chain.holding = True
    with pytest.raises(LedgerUnreachable, match=r"in no block after 0\.5 s; it may still enter one"):
        governance.execute(
            a_world.client, governance.suspend(bic), GUARDIAN, timeout_s=0.5, resend_after_s=_RESEND_AFTER_S
        )


def test_a_step_is_waited_for_although_the_ledgers_nodes_are_away_meanwhile(a_world: World) -> None:
    """The command ended with "the ledger does not answer", as if nothing had been sent."""
    bic, chain = a_world.make_bank().bic, a_world.chain
    with _being_suspended(a_world, bic) as done:
        chain.down = True
        with pytest.raises(TimeoutError):
            done.result(timeout=5 * _RESEND_AFTER_S)
        chain.down = False
        chain.release()
        done.result()
    assert a_world.client.bank(bic).suspended


def test_a_step_that_was_sent_is_named_if_the_ledgers_nodes_stay_away(a_world: World) -> None:
    bic, chain = a_world.make_bank().bic, a_world.chain
    with _being_suspended(a_world, bic, timeout_s=1.0) as done:
        chain.down = True
        with pytest.raises(LedgerUnreachable, match=r"transaction 0x\w{64} is in no block after 1 s"):
            done.result()
    chain.down = False


def test_a_step_that_the_same_one_overtook_within_its_block_fails_with_the_contracts_word(a_world: World) -> None:
    """A guardian who had sent a suspension twice read "out of gas, or overtaken", and could not tell that it counts."""
    bic, client = a_world.make_bank().bic, a_world.client
    receipt = client.receipt(governance.execute(client, governance.suspend(bic), GUARDIAN))
    assert receipt is not None
    # A second one in this block would have had the same sender, data and block.
    assert str(client.why_failed(receipt)).startswith("the ledger refused: BankIsSuspended(")


def test_a_deployment_on_a_halted_ledger_says_where_its_contract_will_be_and_is_not_made_twice(a_world: World) -> None:
    """The error named a transaction alone, and the command run again deployed a second contract."""
    chain, role = a_world.chain, LocalSigner(REGISTRAR).address
    chain.counts_held = chain.holding = True

    def deploy() -> str:
        return governance.deploy(chain.url, REGISTRAR, governor=role, registrar=role, guardian=role, timeout_s=0.3)

    with pytest.raises(LedgerUnreachable, match="look there before you deploy again") as first:
        deploy()
    with pytest.raises(DeploymentPending, match=f"1 transactions of {role} are in no block yet") as second:
        deploy()
    (place,) = set(re.findall(r"will be at (0x\w{40})", f"{first.value} {second.value}"))
    assert len(chain.mempool.taken) == 1
    chain.release()
    LedgerClient(chain.url, place).check()
    assert deploy() != place
