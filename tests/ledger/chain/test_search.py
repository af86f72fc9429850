"""Searches of a long ledger, at nodes that bound how many blocks one query may search."""

from typing import Any

import pytest

from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.history import History
from standing.ledger.errors import LedgerUnreachable

_YEAR = 365 * 24 * 3600
_ADMITTED_AT = 7
_SIGNER = "0x" + "11" * 20


class _Limited(History):
    """A ledger whose only event is in its first blocks; its node searches at most `limit` blocks at once."""

    def __init__(self, limit: int) -> None:
        super().__init__(LedgerClient("http://127.0.0.1:1", _SIGNER), "YUNXCNB0")
        self.limit = limit
        self.queries = 0

    def _logs(self, event: str, low: int, high: int, **_filters: Any) -> list[Any]:
        self.queries += 1
        if high - low + 1 > self.limit:
            raise LedgerUnreachable("Requested range exceeds maximum range limit")
        here = event == "BankAdmitted" and low <= _ADMITTED_AT <= high
        return [{"event": event, "blockNumber": _ADMITTED_AT, "logIndex": 0, "args": {"signer": _SIGNER}}] * here


@pytest.mark.parametrize("limit", [1_000, 5_000, 10_000])
def test_a_bank_admitted_half_a_year_of_blocks_ago_is_found_at_a_node_that_bounds_searches(limit: int) -> None:
    history = _Limited(limit)
    assert [named.block_number for named in history.signers(_YEAR // 2)] == [_ADMITTED_AT]
    # Three kinds of event, each searched in ranges of at least a quarter of what the node allows.
    assert history.queries < 3 * (_YEAR // 2 / (limit / 4) + 20)


def test_a_node_that_allows_too_little_is_named_with_the_limit_to_raise() -> None:
    with pytest.raises(LedgerUnreachable, match="rpc-max-logs-range"):
        _Limited(20).signers(_YEAR)


def test_without_a_limit_the_whole_ledger_is_one_search() -> None:
    history = _Limited(_YEAR + 1)
    assert len(history.signers(_YEAR)) == 1
    assert history.queries == 3
