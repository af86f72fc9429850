"""The routes of the feed, for the bank's core."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path

from standing.ledger.attestations.binding_protocol import MAX_TIME_MS
from standing.ledger.errors import InvalidValue, NotFound, Overloaded
from standing.ledger.service.api_keys import Caller, MissingKey, WrongRole, require
from standing.ledger.service.injection import provided
from standing.ledger.service.json_bodies import StrictJsonRoute
from standing.ledger.service.problems import BODY_TOO_LARGE, MALFORMED, responses
from standing.node.accounts.changes import FeedReceipt
from standing.node.feed.entries import EntryDiffers, FeedOutOfOrder
from standing.node.feed.now import PushedEntry, push
from standing.node.feed.service import Feed, FeedTaken
from standing.node.publishing.trail import ChangeTrail, Trail
from standing.node.storage.leadership import STORE_DOWN

PATH = "/v1/feed"

TAG = {"name": "core", "description": "For the core banking system: say what changed."}

router = APIRouter(route_class=StrictJsonRoute, tags=["core"], responses=responses(*STORE_DOWN))

Core = Annotated[Caller, Depends(require("core"))]
CoreOrOperator = Annotated[Caller, Depends(require("core", "operator"))]
AsOfMs = Annotated[int, Path(ge=0, le=MAX_TIME_MS, description="The entry's as_of_ms")]

_ALWAYS = (MissingKey, WrongRole, MALFORMED)


@router.post(
    PATH,
    summary="Report the changes up to a time",
    responses=responses(
        *_ALWAYS, BODY_TOO_LARGE, FeedOutOfOrder, EntryDiffers, FeedTaken, InvalidValue, Overloaded, *STORE_DOWN
    ),
)
def post_feed(entry: PushedEntry, feed: Annotated[Feed, Depends(provided(Feed))], _caller: Core) -> FeedReceipt:
    """Takes one feed entry: `as_of_ms` and zero or more changes.

    The entry is durable when this answers. It may be sent again: the same content gets the same answer. An entry
    without changes states that nothing changed up to its time; without any entries, the bank falls silent on the
    ledger. An entry too large for one call is sent in parts, see `part` and `complete`. A core with no other entry in
    flight may send "now" as a time, for which the node's own is used; sent twice, that is two entries.

    By default, one invalid change makes the whole entry be refused. With `"on_bad_change": "unstate"`, only its
    account becomes unstated, until the core states it again.
    """
    return push(feed, entry)


@router.get(
    "/v1/feed/{as_of_ms}",
    summary="The trail of an entry",
    responses=responses(*_ALWAYS, NotFound),
)
def get_feed(
    as_of_ms: AsOfMs, trail: Annotated[Trail, Depends(provided(Trail))], _caller: CoreOrOperator
) -> ChangeTrail:
    """The hops of a feed entry on its way to the ledger."""
    return trail.entry(as_of_ms)
