"""Where the remembered blocks and a node's chain part, and whether the node only lags."""

from typing import Any, cast

import pytest

from standing.gateway.following.forks import Fork, find_fork
from standing.ledger.chain.client import Head, LedgerClient

#: Newest first: the newest three, which are followed from again, and the first of all.
_REMEMBERED = [(number, bytes([number]) * 32) for number in (10, 9, 8, 1)]
_KEEP = 3


class _Chain:
    """A node's chain that has the remembered blocks up to `shared`, and others from there on."""

    def __init__(self, shared: int) -> None:
        self._shared = shared

    def head(self, number: int) -> Head:
        return Head(number, bytes([number if number <= self._shared else 99]) * 32, 0)


@pytest.mark.parametrize(
    ("newest", "shared", "common", "lags"),
    [
        (20, 10, 10, True),
        (9, 9, 9, True),
        (20, 9, 9, False),
        (9, 8, 8, False),  # what it has of block 9 is another one
        (8, 8, 8, True),
        (20, 7, None, False),  # only the first block, too far back to follow from again
        (7, 7, None, True),
        (20, 0, None, False),
        (0, 0, None, False),
    ],
)
def test_a_fork_is_told_from_a_node_that_lags(newest: int, shared: int, common: int | None, lags: bool) -> None:
    ledger = cast(LedgerClient, _Chain(shared))
    found = find_fork(ledger, _REMEMBERED, Head(newest, b"", 0), keep=_KEEP)
    expected: Any = None if common is None else Head(common, bytes([common]) * 32, 0)
    assert found == Fork(expected, lags)
