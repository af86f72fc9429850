"""The ledger as a verification reads it, and the direct implementation: one call for each query."""

from dataclasses import dataclass
from typing import Protocol

from standing.ledger.attestations.publication import Domain
from standing.ledger.chain.client import Head, LedgerClient
from standing.ledger.chain.codec import Reading
from standing.ledger.chain.history import History


class LedgerView(Protocol):
    """Every method raises LedgerUnreachable where there is no answer, and LedgerMismatch for an invalid one."""

    @property
    def domain(self) -> Domain:
        """The contract and its chain."""

    def head(self, block: int) -> Head:
        """A block, by its number."""

    def read(self, bank: str, binding: bytes, block: int) -> Reading:
        """The record of one binding in the state of a block."""

    def history(self, bank: str) -> History:
        """A bank's history on the ledger."""


@dataclass(frozen=True, slots=True)
class DirectLedger:
    """The ledger itself, queried each time."""

    client: LedgerClient

    @property
    def domain(self) -> Domain:
        return self.client.domain

    def head(self, block: int) -> Head:
        return self.client.head(block)

    def read(self, bank: str, binding: bytes, block: int) -> Reading:
        return self.client.read([(bank, binding)], block)

    def history(self, bank: str) -> History:
        return History(self.client, bank)
