"""A bank's history: whose signature counted for a publication, what came before it, and in which order."""

from typing import Any

import pytest

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.chain.client import LedgerClient, published_event
from standing.ledger.chain.history import History, Placed

_BANK = "YUNXCNB0"
_FIRST, _SECOND = "0x" + "11" * 20, "0x" + "22" * 20
_HEAD = b"\x07" * 32


def _log(event: str, block: int, index: int, **args: Any) -> dict[str, Any]:
    place = {"blockNumber": block, "logIndex": index, "blockHash": bytes(32), "transactionHash": bytes(32)}
    return place | {"event": event, "args": {"bank": bic_to_bytes11(_BANK)} | args}


def _published(number: int, block: int, index: int) -> dict[str, Any]:
    return _log("Published", block, index, number=number, watermarkMs=0, digest=bytes([number] * 32), bindings=())


class _Told(History):
    """A history of the given logs, which the node answers in no particular order."""

    def __init__(self, *logs: dict[str, Any]) -> None:
        super().__init__(LedgerClient("http://127.0.0.1:1", _FIRST), _BANK)
        self._told = logs

    def _logs(self, event: str, low: int, high: int, **filters: Any) -> list[Any]:
        return [
            log
            for log in reversed(self._told)
            if log["event"] == event
            and low <= log["blockNumber"] <= high
            and all(log["args"][name] == value for name, value in filters.items())
        ]


def _placed(log: Any) -> Placed:
    return Placed(published_event(log), log["logIndex"])


@pytest.mark.parametrize(
    ("block", "index", "signer"),
    [(4, 9, None), (5, 0, None), (5, 2, _FIRST), (8, 9, _FIRST), (9, 2, _FIRST), (9, 4, _SECOND), (10, 0, _SECOND)],
)
def test_a_signer_counts_from_its_place_in_the_block_on(block: int, index: int, signer: str | None) -> None:
    history = _Told(
        _log("BankAdmitted", 5, 1, number=0, head=bytes(32), signer=_FIRST),
        _log("SignerRotated", 9, 3, signer=_SECOND),
    )
    named = history.signer_of(_placed(_published(1, block, index)))
    assert (named.address if named is not None else None) == signer


def test_a_publication_follows_the_one_before_or_the_head_that_the_bank_was_admitted_with() -> None:
    published = [_published(8, 6, 0), _published(9, 7, 0), _published(11, 8, 0)]
    history = _Told(_log("BankAdmitted", 5, 0, number=7, head=_HEAD, signer=_FIRST), *published)
    assert [history.previous_digest(_placed(log)) for log in published] == [_HEAD, b"\x08" * 32, None]


def test_a_publication_of_a_later_block_is_no_part_of_an_earlier_state() -> None:
    history = _Told(_published(1, 6, 0))
    for _ in range(2):  # asked again, it is known
        assert history.publication(1, 5) is None
        assert history.publication(1, 6) is not None


def test_publications_of_one_block_keep_their_order() -> None:
    history = _Told(_published(1, 6, 0), _published(2, 6, 1), _published(3, 6, 2), _published(4, 200, 0))
    assert [placed.event.number for placed in history.after(5, 200)] == [1, 2, 3, 4]
    assert [placed.event.number for placed in history.after(6, 199)] == []
    newest = history.newest(199)
    assert newest is not None
    assert newest.event.number == 3
