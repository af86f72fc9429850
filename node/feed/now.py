"""Feed entries of "now": for a core without a clock of its own, the node's clock counts.

What that promises is what any entry promises: that every change up to this time is in the feed. So only a core that has
nothing on its way may use it, such as a person at a console, or a program that asks the core under a lock. An entry of
"now" is a new one each time: it is not recognised when it is sent twice.
"""

from typing import ClassVar, Literal

from pydantic import Field

from standing.ledger.attestations.binding_protocol import TimeMs
from standing.ledger.errors import InvalidValue
from standing.node.accounts.changes import MAX_CHANGES, AccountChange, FeedEntry, FeedReceipt
from standing.node.feed.entries import EntryDiffers, FeedOutOfOrder
from standing.node.feed.service import Feed

NOW = "now"
#: How often another caller's entry may come in between before the caller gets the error.
_TRIES = 10


class PushedChange(AccountChange):
    """A change as the core pushes it: `effective_at_ms` may be "now", the entry's own time."""

    effective_at_ms: TimeMs | Literal["now"] = Field(  # type: ignore[assignment]
        description="When it took effect; after the last entry's as_of_ms, up to this one's. \"now\": at this one's"
    )


class PushedEntry(FeedEntry):
    """A feed entry as the core pushes it: `as_of_ms` may be "now", the time at the node as the entry comes in."""

    CHANGE: ClassVar[type[AccountChange]] = PushedChange

    as_of_ms: TimeMs | Literal["now"] = Field(  # type: ignore[assignment]
        description="The core's own time: the feed contains all changes up to then. \"now\": the node's clock, "
        "with the same promise; the answer contains the time. Not for an entry in parts"
    )
    changes: list[PushedChange] = Field(default=[], max_length=MAX_CHANGES)  # type: ignore[assignment]

    @property
    def says_now(self) -> bool:
        return NOW in (self.as_of_ms, *(change.effective_at_ms for change in self.changes))

    def at(self, time_ms: int) -> FeedEntry:
        """The entry with a time for each "now"."""
        as_of_ms = time_ms if self.as_of_ms == NOW else self.as_of_ms
        changes: list[AccountChange] = [
            change.model_copy(update={"effective_at_ms": as_of_ms}) if change.effective_at_ms == NOW else change
            for change in self.changes
        ]
        return self.model_copy(update={"as_of_ms": as_of_ms, "changes": changes})


def push(feed: Feed, entry: PushedEntry) -> FeedReceipt:
    """Accept what a core pushes. Raises: InvalidValue where an entry in parts states "now", and as `Feed.push`."""
    if not entry.says_now:
        return feed.push(entry)
    if entry.part != 1 or not entry.complete:
        raise InvalidValue("as_of_ms", '"now" in an entry of several parts', "a time, the same in every part")
    tries = _TRIES if entry.as_of_ms == NOW else 1
    while True:
        tries -= 1
        try:
            return feed.push(entry.at(feed.next_ms()))
        except (FeedOutOfOrder, EntryDiffers):
            if tries <= 0:
                raise
