"""Where a remembered chain of blocks and the present one part."""

from collections.abc import Sequence
from dataclasses import dataclass

from standing.ledger.chain.client import Head, LedgerClient


@dataclass(frozen=True, slots=True)
class Fork:
    """`common`: the newest remembered block that is still part of the chain; None where none is, or where so much
    follows on it that following again is not worth it. `lags`: the node has each remembered block up to its head."""

    common: Head | None
    lags: bool


def find_fork(ledger: LedgerClient, remembered: Sequence[tuple[int, bytes]], head: Head, *, keep: int) -> Fork:
    """Compare the remembered blocks, newest first, with the chain of a node whose newest block is `head`.

    Only the newest `keep` of them are followed from again. Raises: LedgerUnreachable.
    """
    for number, block_hash in remembered:
        if number > head.number:
            continue
        found = ledger.head(number)
        if found.hash == block_hash:
            lags = all(other > head.number for other, _ in remembered if other > number)
            oldest = min(other for other, _ in remembered[:keep])
            return Fork(found if number >= oldest else None, lags)
    return Fork(None, lags=False)
