"""The follower: walks the ledger's publications from a durable cursor, and writes events for what changed.

Delivery is at least once: the cursor moves in the transaction that writes the events, and nothing is skipped. Several
processes may follow at once; one that finds the cursor moved discards its findings. After a reorg the follower goes
back to the last common block and compares what it reported with the new chain. At its first start it reads the present
state of all bindings and follows from there; so it does on another deployment of the ledger, and where the ledger's
nodes no longer have the blocks that come next.

All of this runs in one dedicated thread. Its findings are used for notifications only; no decision ever reads them.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Connection

from standing.gateway.decisions.policy import Policy
from standing.gateway.events import log as event_log
from standing.gateway.following import bank_ages, bank_watch, followed
from standing.gateway.following.bank_watch import BankSightings
from standing.gateway.following.followed import Cursor, CursorMoved
from standing.gateway.following.forks import find_fork
from standing.gateway.following.observing import KEPT_BLOCKS, MAX_AT_ONCE, Observer, Sighting
from standing.gateway.following.publications import Continuity, Group, LogsMissing, grouped
from standing.gateway.following.settings import FollowerSettings
from standing.gateway.ledger_reading.nodes import BlockRule
from standing.gateway.storage.database import Storage
from standing.ledger.chain.client import Head, LedgerClient
from standing.ledger.clock import DAY_MS, Clock, has_passed
from standing.ledger.errors import LedgerUnreachable, StandingError
from standing.ledger.service.leader import Leader

_MAX_BACKOFF_S = 5.0
#: The time that a binding's own transaction may take from reading the clock to its commit.
_STORING_MS = 600_000
#: How long the nodes must refuse the same old block until it is skipped; longer than it takes to narrow a search.
_SKIP_AFTER_MS = 60_000
_PRUNE_EVERY_MS = 3_600_000
_PRUNE_AT_ONCE = 1_000


#: Further work at the head, given the current banks and policy. Returns: whether events were written.
AtHead = Callable[[Head, Sequence[str], Policy], bool]


@dataclass(frozen=True, slots=True)
class FollowerStatus:
    """The follower's position. `trouble`: why it makes no progress; None while all is well."""

    block_number: int | None
    head: int | None
    max_blocks: int
    trouble: str | None


class _ChainChanged(LedgerUnreachable):
    """The chain changed while a range of it was read; the range is read again."""


class Follower:
    """Follows one ledger for one platform. Call `run` in one thread only; it calls `on_events`."""

    def __init__(
        self,
        *,
        storage: Storage,
        ledger: LedgerClient,
        observer: Observer,
        banks: Sequence[str],
        policy: Policy,
        clock: Clock,
        settings: FollowerSettings,
        rule: BlockRule,
        on_events: Callable[[], None],
        leader: Leader | None = None,
        at_head: AtHead | None = None,
    ) -> None:
        self._storage = storage
        self._ledger = ledger
        self._observer = observer
        self._banks = banks
        self._policy = policy
        self._clock = clock
        self._settings = settings
        self._rule = rule
        self._on_events = on_events
        self._leader = leader
        self._at_head = at_head
        self._stop = threading.Event()
        self._max_blocks = settings.max_blocks
        self._head: Head | None = None
        self._cursor: Cursor | None = None
        self._sightings = BankSightings(ledger)
        self._continuity = Continuity()
        self._bank_ages = bank_ages.BankAges()
        # The block after which the nodes have refused to go on, and since when.
        self._refused: tuple[int, int] | None = None
        self._pruned_at_ms = 0
        self._trouble: str | None = None

    def use(self, policy: Policy, banks: Sequence[str]) -> None:
        """Watch these banks from the next block on, by this policy."""
        self._policy, self._banks = policy, banks

    @property
    def status(self) -> FollowerStatus:
        """The follower's status. Thread-safe."""
        cursor, head = self._cursor, self._head
        return FollowerStatus(
            cursor.number if cursor is not None else None,
            head.number if head is not None else None,
            self._max_blocks,
            self._trouble,
        )

    def stop(self) -> None:
        """Make `run` end soon. Findings that are not written yet are found again."""
        self._stop.set()

    @property
    def leads(self) -> bool:
        """Whether this process is the one, of all on the database, that follows."""
        return self._leader is None or self._leader.led

    def run(self) -> None:
        """Follow until stopped, while this process leads.

        A step that fails with a `StandingError`, for example because the ledger does not answer, is tried again at
        least every 5 seconds. A step that fails otherwise ends the thread visibly. The lock only saves work:
        transactions guarantee that nothing is reported twice and that no cursor goes back.
        """
        ended = "stopped"
        try:
            self._repeat()
        except BaseException as error:
            # Only the type: the text of an unexpected error may hold anything.
            ended = f"ended by an unexpected {type(error).__name__}; see the log, and start the gateway again"
            structlog.get_logger().critical("follower_ended", error=type(error).__name__)
            raise
        finally:
            self._trouble = ended
            if self._leader is not None:
                self._leader.resign()

    def _repeat(self) -> None:
        failures = 0
        while not self._stop.is_set():
            if self._leader is not None and not self._leader.leads():
                self._set_trouble(None)
                self._stop.wait(self._settings.poll_ms / 1000)
                continue
            try:
                more = self.step()
            except CursorMoved:
                more = False  # another process follows as well; the next step starts from its position
            except StandingError as error:
                failures += 1
                self._set_trouble(str(error))
                self._stop.wait(min(_MAX_BACKOFF_S, self._settings.poll_ms / 1000 * 2 ** min(failures, 16)))
                continue
            failures = 0
            self._set_trouble(None)
            if not more:
                self._stop.wait(self._settings.poll_ms / 1000)

    def _set_trouble(self, trouble: str | None) -> None:
        if (self._trouble is None) != (trouble is None):
            if trouble is not None:
                structlog.get_logger().warning("following_interrupted", problem=trouble)
            else:
                structlog.get_logger().info("following_again")
        self._trouble = trouble

    def step(self) -> bool:
        """Follow one range of blocks; where none is left, do the work that is due at the head.

        Returns: whether there is more to do at once. Raises: CursorMoved; LedgerError, Unavailable.
        """
        head = self._head = self._final_head()
        node = self._ledger.failover.current
        cursor = self._load(head)
        try:
            cursor = self._same_chain(cursor, head)
            if self._cursor is None or self._cursor.hash != cursor.hash:
                self._continuity.forget()  # restarted, moved back, or another process has followed in the meantime
            self._cursor = cursor
            if cursor.number < head.number:
                self._follow(cursor, head, node)
                return True
        except (_ChainChanged, LogsMissing):
            raise
        except LedgerUnreachable:
            if not self._skip_lost(cursor, head):
                raise
            return True
        if cursor.number > head.number:
            return False  # this node is behind the one asked before
        more = self._adopt(cursor, head)
        self._watch_banks(head)
        if self._at_head is not None and self._at_head(head, self._banks, self._policy):
            self._on_events()
        self._prune()
        return more

    def _final_head(self) -> Head:
        """The newest block, by the same rule as for decisions."""
        if self._rule.depth:
            return self._ledger.head(max(0, self._ledger.block_number() - self._rule.depth))
        return self._ledger.head("finalized" if self._rule.tag == "finalized" else "latest")

    def _load(self, head: Head) -> Cursor:
        with self._storage.read() as connection:
            cursor = followed.load(connection)
        domain = self._ledger.domain
        ledger = f"{domain.chain_id}:{domain.contract}"
        if cursor is None:
            self._write(lambda connection: followed.start(connection, head, ledger))
            cursor = Cursor(head.number, head.hash, 0, ledger)
            structlog.get_logger().info("following_from", block=head.number)
        elif cursor.ledger is None:  # from before the ledger's name was kept
            self._write(lambda connection: followed.name_ledger(connection, ledger))
            cursor = replace(cursor, ledger=ledger)
        elif cursor.ledger != ledger:
            # What the banks published there before this gateway moved is compared as a whole.
            structlog.get_logger().warning("following_another_ledger", was=cursor.ledger, now=ledger)
            cursor = self._start_again(cursor, head, ledger)
        return cursor

    def _start_again(self, cursor: Cursor, head: Head, ledger: str | None) -> Cursor:
        self._write(lambda connection: followed.start_again(connection, cursor, head, ledger))
        return Cursor(head.number, head.hash, cursor.adopted_to_ms, ledger)

    def _skip_lost(self, cursor: Cursor, head: Head) -> bool:
        """Start again at `head` where no node has the blocks after `cursor` any more, as nodes that prune after a long
        absence. Returns: whether it did. Raises: LedgerUnreachable where the nodes refuse new blocks as well."""
        now_ms = self._clock.now_ms()
        if self._refused is None or self._refused[0] != cursor.number:
            self._refused = (cursor.number, now_ms)
        if head.number - cursor.number <= KEPT_BLOCKS or not has_passed(now_ms, self._refused[1], _SKIP_AFTER_MS):
            return False
        self._ledger.published(head.number, head.number)
        self._start_again(cursor, head, cursor.ledger)
        structlog.get_logger().warning("blocks_skipped", from_block=cursor.number, to_block=head.number)
        return True

    # --- reorgs

    def _same_chain(self, cursor: Cursor, head: Head) -> Cursor:
        """The cursor, moved back where the chain no longer has its block."""
        if cursor.number <= head.number:
            now = head if cursor.number == head.number else self._ledger.head(cursor.number)
            if now.hash == cursor.hash:
                return cursor
        self._ledger.check_again()  # before anything is undone: the URL may lead to another ledger now
        with self._storage.read() as connection:
            remembered = followed.remembered(connection)
        fork = find_fork(self._ledger, remembered, head, keep=self._settings.remembered_blocks)
        if cursor.number > head.number and fork.lags:
            return cursor  # no sign of another chain: this node only lags
        back_to = fork.common if fork.common is not None else head
        checked = self._write(
            lambda connection: followed.go_back(connection, cursor, back_to, common=fork.common is not None)
        )
        structlog.get_logger().warning(
            "chain_reorganised",
            from_block=cursor.number,
            back_to=back_to.number,
            common_block_known=fork.common is not None,
            bindings_to_check=checked,
        )
        return replace(cursor, number=back_to.number, hash=back_to.hash)

    # --- blocks

    def _follow(self, cursor: Cursor, head: Head, node: str) -> None:
        """Follow the next range of blocks. A range that the node refuses is tried again at half its size.

        `node`: the ledger node that has shown the head. Another one may not have the blocks yet, and then gives none of
        their logs, without an error.
        """
        first, last = cursor.number + 1, min(head.number, cursor.number + self._max_blocks)
        try:
            end = head if last == head.number else self._ledger.head(last)
            published = self._ledger.published(first, last)
            if self._ledger.head(last).hash != end.hash or self._ledger.failover.current != node:
                raise _ChainChanged("the chain, or the node in use, changed while it was read")
            self._continuity.check(published, self._sightings.at(head, self._banks) if last == head.number else ())
        except _ChainChanged:
            raise
        except LogsMissing as missing:
            self._ledger.failover.doubt()
            if missing.after < cursor.number:
                self._search_again(cursor, missing.after)
            raise
        except LedgerUnreachable:
            self._max_blocks = max(1, (last - cursor.number) // 2)
            raise
        for group in grouped(published):
            cursor = self._follow_group(cursor, group, head)
            if self._stop.is_set():
                return
        if cursor.number < last:
            self._commit(cursor, [], end, {end.number: end.hash})
        self._max_blocks = min(self._settings.max_blocks, self._max_blocks * 2)

    def _search_again(self, cursor: Cursor, after: int) -> None:
        """Move the cursor back, so that the blocks after `after` are searched again."""
        to = self._ledger.head(after)
        self._write(lambda connection: followed.go_back(connection, cursor, to, common=True))
        self._cursor = replace(cursor, number=to.number, hash=to.hash)
        structlog.get_logger().warning("logs_searched_again", from_block=cursor.number, back_to=to.number)

    def _follow_group(self, cursor: Cursor, group: Group, head: Head) -> Cursor:
        """Follow the publications of one block, in as many transactions as their size requires."""
        known = self._observer.known(group.bindings)
        wanted = [known[binding] for binding in group.bindings if binding in known]
        block = self._ledger.head(group.number) if wanted else Head(group.number, group.hash, 0)
        if block.hash != group.hash:
            raise _ChainChanged("the chain changed while it was read")
        for start in range(0, max(1, len(wanted)), MAX_AT_ONCE):
            part = wanted[start : start + MAX_AT_ONCE]
            last = start + MAX_AT_ONCE >= len(wanted)
            sightings = self._observer.sight(part, block, head) if part else []
            sightings.sort(key=lambda sighting: sighting.record.publication)  # stable: then the bank's own order
            # Until the block's last part is written, the cursor stays before it: all of it is read again after a crash.
            to = block if last else Head(cursor.number, cursor.hash, 0)
            cursor = self._commit(cursor, sightings, to, {block.number: block.hash} if last else {})
        return cursor

    def _commit(self, cursor: Cursor, sightings: Sequence[Sighting], to: Head, hashes: dict[int, bytes]) -> Cursor:
        def work(connection: Connection) -> int:
            followed.hold(connection, cursor)
            written = self._observer.write(connection, sightings, self._clock.now_ms()) if sightings else 0
            followed.remember(connection, hashes, keep=self._settings.remembered_blocks)
            followed.advance(connection, to.number, to.hash)
            return written

        if self._write(work):
            self._on_events()
        self._cursor = replace(cursor, number=to.number, hash=to.hash)
        return self._cursor

    # --- work at the head

    def _adopt(self, cursor: Cursor, head: Head) -> bool:
        """Check new bindings for the first time, and recheck those whose block is no longer part of the chain."""
        now_ms = self._clock.now_ms()
        found = self._observer.not_adopted(cursor.adopted_to_ms, MAX_AT_ONCE)
        adopted_to_ms = max(cursor.adopted_to_ms, now_ms - _STORING_MS)
        if not found:
            # In steps, so that an idle follower does not write all the time.
            if adopted_to_ms - cursor.adopted_to_ms >= _STORING_MS:
                self._write(lambda connection: followed.adopted(connection, cursor, adopted_to_ms))
            return False
        sightings = self._observer.sight(found, head, head)

        def work(connection: Connection) -> int:
            followed.hold(connection, cursor)
            return self._observer.write(connection, sightings, now_ms)

        if self._write(work):
            self._on_events()
        return len(found) == MAX_AT_ONCE

    def _watch_banks(self, head: Head) -> None:
        sightings = self._sightings.at(head, self._banks)
        self._continuity.check([], sightings)
        now_ms = self._clock.now_ms()
        ended = self._bank_ages.note(sightings, now_ms)
        if ended:
            self._write(lambda connection: bank_ages.write(connection, ended))
        with self._storage.read() as connection:
            if not bank_watch.due(connection, sightings, self._policy, now_ms):
                return
        if self._write(lambda connection: bank_watch.write(connection, sightings, self._policy, now_ms)):
            self._on_events()

    def _prune(self) -> None:
        now_ms = self._clock.now_ms()
        if now_ms - self._pruned_at_ms < _PRUNE_EVERY_MS:
            return
        before_ms = now_ms - self._settings.keep_days * DAY_MS
        pruned = self._write(lambda connection: event_log.prune(connection, before_ms, _PRUNE_AT_ONCE))
        if pruned < _PRUNE_AT_ONCE:
            self._pruned_at_ms = now_ms

    def _write(self, work: Callable[[Connection], int | None]) -> int:
        """Run `work` in one transaction of the writing thread, like every write of this process."""

        def written() -> int | None:
            return self._storage.write_all(work)

        return self._storage.writer.submit(written).result() or 0
