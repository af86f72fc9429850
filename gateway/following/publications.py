"""The publications that a search for logs found: by block, and whether any are missing.

A ledger node may serve the newest block's state before it has indexed the block's logs. A search then finds none of
them, without an error. But a bank numbers its publications without gaps, and the watermark on the ledger is that of the
newest one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from standing.gateway.following.bank_watch import BankSighting
from standing.ledger.chain.client import Published
from standing.ledger.errors import LedgerUnreachable


@dataclass(frozen=True, slots=True)
class Group:
    """The publications of one block; `bindings` in their order, each once."""

    number: int
    hash: bytes
    bindings: list[bytes]


def grouped(published: Sequence[Published]) -> list[Group]:
    """Publications by block, in the blocks' order."""
    groups: dict[int, Group] = {}
    for each in published:
        group = groups.setdefault(each.block_number, Group(each.block_number, each.block_hash, []))
        group.bindings.extend(each.bindings)
    return [replace(group, bindings=list(dict.fromkeys(group.bindings))) for _, group in sorted(groups.items())]


class LogsMissing(LedgerUnreachable):
    """The ledger node left publications out of a search. `after`: the block after which they are."""

    def __init__(self, bank: str, after: int) -> None:
        super().__init__(f"the ledger node has not given all publications of {bank} after block {after}")
        self.after = after


@dataclass(frozen=True, slots=True)
class _Newest:
    """A bank's newest publication that was found; `number`: None until one was. The watermark was the same until the
    block `unmoved_to`."""

    number: int | None
    watermark_ms: int
    block_number: int
    unmoved_to: int


class Continuity:
    """Checks that the ranges searched one after another lack no publication. Not thread-safe."""

    def __init__(self) -> None:
        self._newest: dict[str, _Newest] = {}

    def forget(self) -> None:
        """Begin anew, where the next range does not continue the last one."""
        self._newest.clear()

    def check(self, published: Sequence[Published], at_end: Sequence[BankSighting]) -> None:
        """Check the publications of the next range, or of the last one once more. `at_end`: the banks' states at its
        last block, where they are known.

        A missing publication that did not move the watermark is noticed when the bank's next one is found.

        Raises: LogsMissing.
        """
        newest = dict(self._newest)
        for each in published:
            known = newest.get(each.bank)
            if known is not None and known.number is not None and each.number > known.number + 1:
                raise LogsMissing(each.bank, known.block_number)
            newest[each.bank] = _Newest(each.number, each.watermark_ms, each.block_number, each.block_number)
        for state in at_end:
            at = state.block_number
            known = newest.get(state.bank, _Newest(None, state.watermark_ms, at, at))
            if state.watermark_ms > known.watermark_ms:
                raise LogsMissing(state.bank, known.unmoved_to)
            newest[state.bank] = replace(known, unmoved_to=at)
        self._newest = newest
