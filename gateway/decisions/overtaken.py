"""Reads that are overtaken: another request read the ledger later, and its decision was recorded first."""

from collections.abc import Awaitable, Callable

from standing.ledger.errors import StandingError

#: How often a record is read for one transaction while later reads of other requests are recorded first.
MAX_READS = 5


def went_back(publication: int | None, reach: int | None) -> bool:
    """Whether a read that was to reach a publication found an older record, or none: then the ledger went back, and
    reading it again is of no use."""
    return reach is not None and (publication or 0) < reach


class Overtaken(StandingError):
    """The record read is older than one already seen: another request's later read was recorded first, or the node
    lags behind another. `floor`: the publication to reach."""

    def __init__(self, floor: int) -> None:
        super().__init__("a later read was recorded first")
        self.floor = floor


async def until_not_overtaken(attempt: Callable[[int | None, bool], Awaitable[bytes]]) -> bytes:
    """The answer of `attempt(reach, last)`, which reads a record and decides on it, and raises Overtaken unless the
    ledger went back or this is the `last` read. `reach`: the publication that the record must reach, after a read that
    was overtaken."""
    reach: int | None = None
    for _ in range(MAX_READS - 1):
        try:
            return await attempt(reach, False)
        except Overtaken as overtaken:
            # A read that starts now is later than the recorded one. If every node still returns an older record, that
            # is a rollback.
            reach = overtaken.floor
    return await attempt(reach, True)
