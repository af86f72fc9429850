"""The error for an account that cannot pay for gas names its address and the remedy, whatever the node's wording."""

from secrets import token_bytes
from typing import Any

import pytest
from eth_account import Account
from web3.exceptions import Web3RPCError

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.client import ZERO_ADDRESS, LedgerClient
from standing.ledger.chain.connection import connect
from standing.ledger.chain.sender import MAX_TRANSACTION_GAS, InsufficientFunds, Sender, insufficient_funds
from tests.world import World


@pytest.mark.parametrize(
    "reported",
    [
        "insufficient funds for gas * price + value: balance 0, tx cost 6360000000000000",  # geth, anvil
        "Upfront cost exceeds account balance",  # Besu
        "InsufficientFunds, Account balance: 0, cumulative cost: 120000",  # Nethermind
        "sender balance < tx cost (0 < 120000): insufficient funds",  # CometBFT with an EVM
        "Sender b'+Z' cannot afford txn gas 120000000000000 with account balance 0",  # py-evm
    ],
)
def test_every_nodes_insufficient_funds_error_is_recognised(a_world: World, reported: str) -> None:
    address = Account.create().address
    error = Web3RPCError(reported, rpc_response={"error": {"code": -32000, "message": reported}})
    refusal = insufficient_funds(connect(a_world.chain.url), address, 172_000, error)
    assert refusal is not None
    assert address in str(refusal)
    assert "cannot pay for 172000 gas" in str(refusal)
    assert "holds 0 wei" in str(refusal)
    assert "fund this address" in str(refusal)


def test_other_refusals_are_not_mistaken_for_insufficient_funds(a_world: World) -> None:
    error = Web3RPCError("nonce too low")
    assert insufficient_funds(connect(a_world.chain.url), Account.create().address, 172_000, error) is None


def test_a_sender_without_money_is_named_in_the_error(a_world: World) -> None:
    poor = token_bytes(32)
    sender = Sender(a_world.client, poor)
    assert sender.balance_wei() == 0
    with pytest.raises(InsufficientFunds, match=LocalSigner(poor).address) as refused:
        sender.transmit(sender.prepare(b"", gas=100_000))
    assert "b'" not in str(refused.value), "no raw bytes"


def test_a_deployer_without_money_is_named_in_the_error(a_world: World) -> None:
    poor: Any = Account.create()
    with pytest.raises(InsufficientFunds, match=poor.address):
        governance.deploy(
            a_world.chain.url, bytes(poor.key), governor=poor.address, registrar=poor.address, guardian=poor.address
        )


@pytest.mark.parametrize(
    ("block_limit", "ceiling"),
    [
        (None, MAX_TRANSACTION_GAS),
        (MAX_TRANSACTION_GAS + 1, MAX_TRANSACTION_GAS),
        (MAX_TRANSACTION_GAS - 1, MAX_TRANSACTION_GAS - 1),
    ],
)
def test_a_transaction_has_no_more_gas_than_its_block_and_the_protocol_allow(
    monkeypatch: pytest.MonkeyPatch, block_limit: int | None, ceiling: int
) -> None:
    client = LedgerClient("http://127.0.0.1:9/", ZERO_ADDRESS)
    monkeypatch.setattr(client, "block_gas_limit", lambda: block_limit)
    assert Sender(client, token_bytes(32)).gas_ceiling() == ceiling
