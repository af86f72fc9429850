"""A node whose ledger URL leads to another ledger while it runs, and back."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.devnet.chain import DEVNET_KEYS, Devnet
from standing.ledger.errors import LedgerMismatch
from standing.ledger.service.serve import served
from standing.node.publishing.submission import PublishingHalted
from tests.gateway.faulty_ledger_node import proxied
from tests.node.publishing.stepping import NUMBER, Stepped
from tests.world import World


def test_a_node_whose_url_leads_to_another_chain_names_the_chain_and_not_the_registrar(a_world: World) -> None:
    with _elsewhere(a_world, chain_id=4711) as stepped:
        for _ in range(2):
            with pytest.raises(LedgerMismatch, match="chain id is 4711"):
                stepped.change_and_step(100)


def test_a_ledger_that_forgot_the_bank_sends_it_to_recovery_and_not_to_a_fresh_admission(a_world: World) -> None:
    """As a network that began again from its genesis block. A fresh admission could never be undone."""
    with (
        _elsewhere(a_world, chain_id=None) as stepped,
        pytest.raises(PublishingHalted, match=r"not admitted .* has lost what it held; .*standing-node recover"),
    ):
        stepped.change_and_step(100)


@contextmanager
def _elsewhere(a_world: World, chain_id: int | None) -> Iterator[Stepped]:
    """A node whose URL leads to another chain, where another consortium's contract is at the same address; at the end
    it leads back, and the node must publish what waits."""
    with ExitStack() as stack:
        url = stack.enter_context(proxied(a_world.chain.url))
        stepped = Stepped(a_world, [url.url])
        stack.callback(stepped.close)
        a_world.chain.holding = False
        devnet = Devnet(now_s=lambda: a_world.clock.now_ms() // 1000)
        honest = devnet.call
        if chain_id is not None:
            devnet.call = lambda call: (  # type: ignore[method-assign]
                honest(call) | ({"result": hex(chain_id)} if call["method"] == "eth_chainId" else {})
            )
        elsewhere = stack.enter_context(served(devnet.app))
        governor = LocalSigner(DEVNET_KEYS[0]).address
        contract = governance.deploy(
            elsewhere, DEVNET_KEYS[0], governor=governor, registrar=governor, guardian=governor
        )
        assert contract == stepped.bank.settings.ledger_contract
        published = a_world.client.bank(stepped.bank.bic).publication
        url.behind = elsewhere
        yield stepped
        url.behind = a_world.chain.url
        stepped.settle()
        stepped.feed({"number": NUMBER, "status": "frozen"})
        stepped.settle()
        assert a_world.client.bank(stepped.bank.bic).publication > published
