"""Which publications a search for logs lacks, by their numbers and the banks' watermarks."""

import pytest

from standing.gateway.following.bank_watch import BankSighting
from standing.gateway.following.publications import Continuity, LogsMissing
from standing.ledger.chain.client import Published

BANK, OTHER = "YUNXCNB0", "HAIYCNS0001"


def found(number: int, block_number: int, watermark_ms: int = 0, bank: str = BANK) -> Published:
    hashes = bytes(32)
    return Published(bank, number, watermark_ms or number * 10, hashes, (), block_number, hashes, hashes)


def state(watermark_ms: int, block_number: int, bank: str = BANK) -> BankSighting:
    return BankSighting(bank, watermark_ms, suspended=False, block_number=block_number)


@pytest.fixture
def continuity() -> Continuity:
    """One that has seen publication 7 in block 100, and nothing after it up to block 103."""
    made = Continuity()
    made.check([found(7, 100)], [state(70, 103)])
    return made


@pytest.mark.parametrize(
    ("published", "at_end"),
    [
        ([], [state(70, 104)]),
        ([found(8, 104)], [state(80, 104)]),
        ([found(8, 104), found(9, 104, 80), found(10, 105)], [state(100, 105)]),
        ([found(8, 104, 70)], [state(70, 104)]),
        ([found(8, 104)], []),
        ([found(7, 101, 75), found(8, 101)], [state(80, 101)]),
        ([found(5, 101), found(6, 102)], [state(60, 102)]),
        ([found(40, 104, bank=OTHER)], [state(70, 104), state(400, 104, OTHER)]),
        ([], [state(70, 104), state(400, 104, OTHER)]),
    ],
    ids=[
        "nothing new", "the next", "several", "one that moves no watermark", "where the state is not known",
        "searched again", "another chain", "a bank seen for the first time", "another bank's state",
    ],
)  # fmt: skip
def test_a_complete_search_passes(
    continuity: Continuity, published: list[Published], at_end: list[BankSighting]
) -> None:
    continuity.check(published, at_end)


@pytest.mark.parametrize(
    ("published", "at_end", "after"),
    [
        ([], [state(71, 104)], 103),
        ([found(8, 104)], [state(81, 105)], 104),
        ([found(9, 105)], [state(90, 105)], 100),
        ([found(8, 104), found(10, 106)], [], 104),
        ([found(8, 104), found(3, 104, bank=OTHER), found(5, 106, bank=OTHER)], [], 104),
    ],
    ids=["the newest", "one behind that was found", "one before it", "one between two", "another bank's"],
)
def test_a_missing_publication_is_noticed_and_the_range_can_be_searched_again(
    continuity: Continuity, published: list[Published], at_end: list[BankSighting], after: int
) -> None:
    for _ in range(2):
        with pytest.raises(LogsMissing) as missing:
            continuity.check(published, at_end)
        assert missing.value.after == after
    continuity.check([found(8, 104), found(9, 105), found(10, 106)], [state(100, 106)])


def test_after_a_restart_nothing_counts_as_missing(continuity: Continuity) -> None:
    continuity.forget()
    continuity.check([found(30, 200)], [state(300, 200)])
