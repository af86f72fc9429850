"""A real EVM in this process: eth-tester's py-evm chain, driven so that one execution yields everything.

A transaction runs in a block of its own and its outcome (revert data, events, gas) is that block's own, not a replay's.
Block times are set by the test: py-evm's clock does not follow the wall clock, it adds one second a block.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from eth.vm.spoof import SpoofTransaction
from eth_keys.datatypes import PrivateKey
from eth_tester import EthereumTester, PyEVMBackend
from eth_typing import ChecksumAddress
from eth_utils import to_canonical_address, to_checksum_address
from web3 import EthereumTesterProvider, Web3

from tests.contracts.abi import Abi, Event

FIRST_BLOCK_TIME_S = 1_800_000_000  # 2027-01-15T08:00:00Z
_GAS = 29_000_000


@dataclass(frozen=True, slots=True)
class Account:
    """A funded account of the chain, able to send transactions."""

    key: PrivateKey

    @property
    def address(self) -> ChecksumAddress:
        return to_checksum_address(self.key.public_key.to_checksum_address())


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a transaction or a call. `output` is return data or revert data."""

    ok: bool
    output: bytes
    gas_used: int
    logs: tuple[tuple[list[bytes], bytes], ...] = ()
    created: ChecksumAddress | None = None
    hash: bytes = b""

    def events(self, abi: Abi) -> list[Event]:
        return [abi.event(topics, data) for topics, data in self.logs]


class Chain:
    """One in-memory chain with ten funded accounts. `gas_limit` is that of a block, and so of a transaction."""

    def __init__(self, *, gas_limit: int = 30_000_000) -> None:
        genesis = PyEVMBackend.generate_genesis_params({"gas_limit": gas_limit})
        self.tester = EthereumTester(PyEVMBackend(genesis_parameters=genesis))
        self._backend = self.tester.backend
        self.accounts = [Account(key) for key in self._backend.account_keys]
        self._nonces: dict[PrivateKey, int] = {}
        self.next_time_s = FIRST_BLOCK_TIME_S

    @property
    def chain_id(self) -> int:
        return int(self._backend.chain.chain_id)

    @property
    def next_time_s(self) -> int:
        """The time of the block to come, in seconds; each block moves it one second on."""
        return int(self._backend.chain.header.timestamp)

    @next_time_s.setter
    def next_time_s(self, time_s: int) -> None:
        self._backend.chain.set_header_timestamp(time_s)

    @property
    def last_block(self) -> tuple[int, int]:
        """Number and time in seconds of the last block."""
        head = self._backend.chain.get_canonical_head()
        return int(head.block_number), int(head.timestamp)

    @cached_property
    def w3(self) -> Web3:
        """The chain through JSON-RPC, as any client sees it."""
        return Web3(EthereumTesterProvider(self.tester))

    @contextmanager
    def isolated(self) -> Iterator[None]:
        """Undo every block made inside."""
        snapshot, nonces, time_s = self.tester.take_snapshot(), dict(self._nonces), self.next_time_s
        try:
            yield
        finally:
            self.tester.revert_to_snapshot(snapshot)
            self._nonces = nonces
            self.next_time_s = time_s

    def deploy(self, account: Account, code: bytes) -> ChecksumAddress:
        outcome = self.transact(account, None, code)
        assert outcome.ok, "deployment failed"
        assert outcome.created is not None
        return outcome.created

    def transact(
        self, account: Account, to: ChecksumAddress | None, data: bytes, *, value_wei: int = 0, gas: int = _GAS
    ) -> Outcome:
        """Send `data` in a block of its own."""
        chain = self._backend.chain
        nonce = self._nonces.get(account.key, 0)
        unsigned = chain.create_unsigned_transaction(
            nonce=nonce,
            gas_price=10**10,
            gas=gas,
            to=b"" if to is None else to_canonical_address(to),
            value=value_wei,
            data=data,
        )
        transaction = unsigned.as_signed_transaction(account.key, chain_id=self.chain_id)
        _, receipt, computation = chain.apply_transaction(transaction)
        self._nonces[account.key] = nonce + 1
        chain.mine_block()
        return Outcome(
            ok=not computation.is_error,
            output=bytes(computation.output),
            gas_used=int(receipt.gas_used),
            logs=tuple(_log(log) for log in receipt.logs),
            created=to_checksum_address(computation.msg.storage_address) if to is None else None,
            hash=bytes(transaction.hash),
        )

    def call(self, to: ChecksumAddress, data: bytes) -> Outcome:
        """Run a call on the state and with the number and time of the last block."""
        chain, caller = self._backend.chain, self.accounts[-1]
        unsigned = chain.create_unsigned_transaction(
            nonce=self._nonces.get(caller.key, 0),
            gas_price=10**10,
            gas=_GAS,
            to=to_canonical_address(to),
            value=0,
            data=data,
        )
        spoofed = SpoofTransaction(unsigned, from_=to_canonical_address(caller.address))
        state = chain.get_vm(at_header=chain.get_canonical_head()).state
        snapshot = state.snapshot()
        computation = state.apply_transaction(spoofed)
        state.revert(snapshot)
        return Outcome(not computation.is_error, bytes(computation.output), int(computation.get_gas_used()))


def _log(log: Any) -> tuple[list[bytes], bytes]:
    return [int(topic).to_bytes(32, "big") for topic in log.topics], bytes(log.data)
