"""A bank's history that was walked from the beginning: answered from memory, without another query for logs.

An auditor of many decisions walks the ledger once, and then looks everything up here. A publication takes about a
kilobyte, with its event and what was signed.
"""

from bisect import bisect_right
from collections.abc import Iterator

from web3.types import EventData

from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.history import History, Placed, Signed
from standing.ledger.errors import LedgerUnreachable

#: How many attestations are kept as they were signed. Transactions beyond them are asked for again where needed.
_MAX_KEPT_ATTESTATIONS = 200_000


class WalkedHistory(History):
    """Filled in the order of the chain by `took` and `named`; complete up to `walked_to`; raises LedgerUnreachable
    when asked about later blocks."""

    def __init__(self, client: LedgerClient, bank: str) -> None:
        super().__init__(client, bank)
        self.walked_to = -1
        self._placed: list[Placed] = []
        self._blocks: list[int] = []
        self._named: list[EventData] = []
        self._kept = 0

    def named(self, log: EventData) -> None:
        """Add an event that names the bank's signer."""
        self._named.append(log)

    def took(self, placed: Placed, signed: Signed | None, time_ms: int) -> None:
        """Add a publication, with what was signed, where its transaction holds that, and its block's time."""
        event = placed.event
        self._placed.append(placed)
        self._blocks.append(event.block_number)
        self._found[event.number] = placed
        self._times_ms[event.block_number] = time_ms
        if signed is None:
            self._signed[event.number] = None
        elif self._kept + len(signed.publication.attestations) <= _MAX_KEPT_ATTESTATIONS:
            self._kept += len(signed.publication.attestations)
            self._signed[event.number] = signed

    def latest(self) -> int:
        """The last block that was walked."""
        return self.walked_to

    def publication(self, number: int, to_block: int) -> Placed | None:
        """See `History`."""
        self._reaches(to_block)
        found = self._found.get(number)
        return found if found is not None and found.event.block_number <= to_block else None

    def newest(self, to_block: int) -> Placed | None:
        """See `History`."""
        self._reaches(to_block)
        place = bisect_right(self._blocks, to_block)
        return self._placed[place - 1] if place else None

    def after(self, block: int, to_block: int) -> Iterator[Placed]:
        """See `History`."""
        self._reaches(to_block)
        for place in range(bisect_right(self._blocks, block), bisect_right(self._blocks, to_block)):
            yield self._placed[place]

    def _signer_logs(self, to_block: int) -> list[EventData]:
        self._reaches(to_block)
        return [log for log in self._named if log["blockNumber"] <= to_block]

    def _reaches(self, block: int) -> None:
        if block > self.walked_to:
            raise LedgerUnreachable(f"the ledger was walked up to block {self.walked_to}, not up to {block}")
