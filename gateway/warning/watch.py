"""Counts the banks' hours as the ledger grows, and reports a bank that is about to fall silent.

Only the leader runs it, in the follower's thread.
"""

from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection, select

from standing.gateway.decisions.policy import Policy
from standing.gateway.events import log as event_log
from standing.gateway.events.types import Event, EventType
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.warning import store
from standing.gateway.warning.hours import BankHours
from standing.gateway.warning.slowing import PAST_HOURS, slowing_age_ms
from standing.gateway.warning.walk import primed, walk
from standing.ledger.chain.client import Head, LedgerClient
from standing.ledger.clock import HOUR_MS, Clock

#: The most blocks per step, so that it does not hold up the follower.
_MAX_BLOCKS = 256
_EVERY_MS = 5_000


class _CountedElsewhere(Exception):
    """Another process has counted in the meantime; its count is kept."""


class PaceWatch:
    """Watches the pace of a platform's banks. Call `step` from the follower's thread only."""

    def __init__(self, *, storage: Storage, ledger: LedgerClient, clock: Clock, every_ms: int = _EVERY_MS) -> None:
        self._storage = storage
        self._ledger = ledger
        self._clock = clock
        self._every_ms = every_ms
        self._stepped_at_ms: int | None = None

    def step(self, head: Head, banks: Sequence[str], policy: Policy) -> bool:
        """Count up to the head, at most every few seconds and in bounded steps, and report what is due.

        Returns: whether events were written. Raises: LedgerUnreachable, StorageUnavailable.
        """
        now_ms = self._clock.now_ms()
        if self._stepped_at_ms is not None and 0 <= now_ms - self._stepped_at_ms < self._every_ms:
            return False
        self._stepped_at_ms = now_ms
        try:
            counted = self._count(head, banks)
        except _CountedElsewhere:
            return False
        return self._report(counted, policy, now_ms)

    def _count(self, head: Head, banks: Sequence[str]) -> dict[str, BankHours]:
        with self._storage.read() as connection:
            stored = store.load(connection, banks)
        counted = {bank: hours for bank, (_, hours) in stored.items()}
        # A new bank starts at the block the others are counted to.
        start = min((block for block, _ in stored.values()), default=head.number)
        for bank in banks:
            if bank not in stored:
                counted[bank] = primed(self._ledger, bank, min(start, head.number))
        while start < head.number or len(stored) < len(counted):
            # Not past a bank that is counted further: it goes on from its own block.
            further = [block for block, _ in stored.values() if block > start]
            end = min(head.number, start + _MAX_BLOCKS, *further)
            behind = {bank: hours for bank, hours in counted.items() if bank not in stored or stored[bank][0] <= start}
            if end > start:
                walk(self._ledger, behind, start, end)
            was = {bank: stored[bank][0] for bank in behind if bank in stored}

            def save(
                connection: Connection, behind: dict[str, BankHours] = behind, end: int = end, was: dict[str, int] = was
            ) -> None:
                if not store.save(connection, behind, end, was):
                    raise _CountedElsewhere

            self._write(save)
            for bank, hours in behind.items():
                _keep_present_hour(hours)
                stored[bank] = (end, hours)
            start = end
        return counted

    def _report(self, counted: dict[str, BankHours], policy: Policy, now_ms: int) -> bool:
        bound_ms = policy.widest_staleness_ms
        reported = False
        for bank, hours in counted.items():
            if hours.watermark_ms is None:
                continue
            with self._storage.read() as connection:
                limit_ms = usual_limit_ms(connection, bank, hours.watermark_ms, bound_ms)
                slowing_since_ms = connection.scalar(
                    select(schema.bank_paces.c.slowing_since_ms).where(schema.bank_paces.c.bank == bank)
                )
            age_ms = now_ms - hours.watermark_ms
            if limit_ms is not None and limit_ms < age_ms <= bound_ms and slowing_since_ms is None:
                event = _slowing_event(bank, hours.watermark_ms, age_ms, limit_ms, bound_ms, now_ms)
                reported |= bool(self._write(_reporting(bank, event, now_ms)))
            elif slowing_since_ms is not None and (limit_ms is None or age_ms <= limit_ms):
                self._write(partial(_not_slowing, bank))
        return reported

    def _write(self, work: Callable[[Connection], int | None]) -> int:
        return self._storage.writer.submit(self._storage.write_all, work).result() or 0


def usual_limit_ms(connection: Connection, bank: str, watermark_ms: int, bound_ms: int) -> int | None:
    """The staleness from which a bank counts as slowing, from its hours before the watermark in force.

    Hours in which that watermark only grew older are left out: a bank that slows must not raise its own limit. So are
    hours that were not followed in full.
    """
    present_ms = watermark_ms - watermark_ms % HOUR_MS
    past = store.hours_between(connection, bank, present_ms - PAST_HOURS * HOUR_MS, present_ms)
    return slowing_age_ms([hour.worst_age_ms for hour in past.values() if sum(hour.age_time_ms) == HOUR_MS], bound_ms)


def _reporting(bank: str, event: Event, now_ms: int) -> Callable[[Connection], int]:
    def work(connection: Connection) -> int:
        if not store.mark_slowing(connection, bank, now_ms):
            return 0
        event_log.append(connection, [event])
        return 1

    return work


def _not_slowing(bank: str, connection: Connection) -> None:
    store.mark_slowing(connection, bank, None)


def _slowing_event(bank: str, watermark_ms: int, age_ms: int, limit_ms: int, bound_ms: int, now_ms: int) -> Event:
    return Event(
        type=EventType.BANK_SLOWING,
        bank=bank,
        binding=None,
        publication=None,
        block_number=0,
        happened_at_ms=now_ms,
        observed_at_ms=now_ms,
        data={
            "watermark_ms": watermark_ms,
            "staleness_ms": age_ms,
            "usual_staleness_ms": limit_ms,
            "max_staleness_ms": bound_ms,
            "time_left_ms": bound_ms - age_ms,
        },
    )


def _keep_present_hour(hours: BankHours) -> None:
    present_ms = hours.to_ms - hours.to_ms % HOUR_MS
    hours.hours = {start: hour for start, hour in hours.hours.items() if start == present_ms}
