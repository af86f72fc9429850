"""Reads the ledger state behind decisions, block by block: one call for all bindings of a block, a few calls at once.

A decision rests on the state of one block, and a busy gateway makes many decisions on each block. Reading per decision
would need one call each; reading per block needs about two, for its head and its records.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from standing.gateway.auditing.ledger import PARALLEL, Walked, in_batches
from standing.gateway.evidence.claims import EvidenceClaims
from standing.ledger.attestations.publication import Domain
from standing.ledger.chain.client import Head
from standing.ledger.chain.codec import Reading
from standing.ledger.chain.history import History
from standing.ledger.errors import LedgerError

#: The most bindings per call: about 3 million gas, well below the usual limit of a node.
READ_BATCH = 256

_Query = tuple[str, bytes]


class BlockReads:
    """A view of a walked ledger for `verify_by`, serving what `load` has read. Anything else is read on demand."""

    def __init__(self, walked: Walked) -> None:
        self._walked = walked
        self._client = walked.client
        self._heads: dict[int, Head | LedgerError] = {}
        self._readings: dict[tuple[int, _Query], Reading | LedgerError] = {}

    def load(self, claims: Iterable[EvidenceClaims]) -> None:
        """Read the state behind these decisions, replacing what was loaded before."""
        self._heads.clear()
        self._readings.clear()
        wanted: dict[int, set[_Query]] = {}
        for each in claims:
            # Other banks are unknown, and later blocks have no walked history: the verification reports both.
            if each.bank in self._walked.histories and 0 <= (each.block_number or -1) <= self._walked.to_block:
                assert each.block_number is not None
                wanted.setdefault(each.block_number, set()).add((each.bank, each.binding_id))
        reads = [
            (block, batch) for block, queries in wanted.items() for batch in in_batches(sorted(queries), READ_BATCH)
        ]
        with ThreadPoolExecutor(PARALLEL) as pool:
            heads = pool.map(self._head, wanted)
            readings = pool.map(self._read, reads)
            self._heads.update(zip(wanted, heads, strict=True))
            for (block, batch), reading in zip(reads, readings, strict=True):
                for place, query in enumerate(batch):
                    self._readings[block, query] = (
                        reading
                        if isinstance(reading, LedgerError)
                        else Reading(reading.block_number, reading.block_time_s, (reading.records[place],))
                    )

    def _head(self, block: int) -> Head | LedgerError:
        try:
            return self._client.head(block)
        except LedgerError as error:
            return error

    def _read(self, read: tuple[int, tuple[_Query, ...]]) -> Reading | LedgerError:
        block, queries = read
        try:
            return self._client.read(queries, block)
        except LedgerError as error:
            return error

    @property
    def domain(self) -> Domain:
        return self._client.domain

    def head(self, block: int) -> Head:
        """A block's head, as loaded."""
        found = self._heads.get(block) or self._client.head(block)
        if isinstance(found, LedgerError):
            raise found
        return found

    def read(self, bank: str, binding: bytes, block: int) -> Reading:
        """The record of one binding in the state of a block, as loaded."""
        found = self._readings.get((block, (bank, binding))) or self._client.read([(bank, binding)], block)
        if isinstance(found, LedgerError):
            raise found
        return found

    def history(self, bank: str) -> History:
        """The walked history of a bank; for one that was never admitted, a history read from the ledger."""
        return self._walked.histories.get(bank) or History(self._client, bank)
