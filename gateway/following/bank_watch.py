"""Detects banks that fall silent or come back, from their watermark, the policy's widest bound and the clock."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from standing.gateway.decisions.policy import Policy
from standing.gateway.events import log as event_log
from standing.gateway.events.types import Event, EventType
from standing.gateway.following.observing import MAX_AT_ONCE
from standing.gateway.storage import schema
from standing.ledger.attestations.sealing import NO_BINDING
from standing.ledger.chain.client import Head, LedgerClient


@dataclass(frozen=True, slots=True)
class BankSighting:
    """A bank's state on the ledger as of a block."""

    bank: str
    watermark_ms: int
    suspended: bool
    block_number: int


class BankSightings:
    """Reads the states of banks at the newest block, once for each block. For one thread."""

    def __init__(self, ledger: LedgerClient) -> None:
        self._ledger = ledger
        self._newest: tuple[bytes, list[BankSighting]] = (b"", [])

    def at(self, head: Head, banks: Sequence[str]) -> list[BankSighting]:
        """The states of `banks` at `head`. Raises: LedgerUnreachable."""
        known_of, sightings = self._newest
        if known_of != head.hash:
            sightings = []
            for start in range(0, len(banks), MAX_AT_ONCE):
                part = banks[start : start + MAX_AT_ONCE]
                reading = self._ledger.read([(bank, NO_BINDING) for bank in part], head.number)
                sightings += [
                    BankSighting(bank, record.watermark_ms, record.suspended, head.number)
                    for bank, record in zip(part, reading.records, strict=True)
                ]
            self._newest = (head.hash, sightings)
        return sightings


def is_silent(watermark_ms: int, policy: Policy, now_ms: int) -> bool:
    """Whether the watermark is too old, or too far ahead of the clock, for every amount (check 4 of a decision)."""
    staleness_ms = now_ms - watermark_ms
    return not watermark_ms or not -policy.ahead_allowance_ms <= staleness_ms <= policy.widest_staleness_ms


def due(connection: Connection, sightings: Sequence[BankSighting], policy: Policy, now_ms: int) -> bool:
    """Whether anything differs from what was last reported, so that `write` has work to do."""
    return bool(_differences(connection, sightings, policy, now_ms))


def write(connection: Connection, sightings: Sequence[BankSighting], policy: Policy, now_ms: int) -> int:
    """Write events for banks that fell silent, came back, were suspended or reinstated. Returns: how many.

    For a bank seen for the first time, only trouble is reported.
    """
    events: list[Event] = []
    table = schema.bank_states
    for sighting, known, changes in _differences(connection, sightings, policy, now_ms):
        silent = is_silent(sighting.watermark_ms, policy, now_ms)
        values = {
            "watermark_ms": sighting.watermark_ms,
            "block_number": sighting.block_number,
            "silent": silent,
            "suspended": sighting.suspended,
        }
        if known:
            connection.execute(update(table).where(table.c.bank == sighting.bank).values(**values))
        else:
            connection.execute(insert(table).values(bank=sighting.bank, **values))
        events += [_event(kind, sighting, policy, now_ms) for kind in changes]
    event_log.append(connection, events)
    return len(events)


def _differences(
    connection: Connection, sightings: Sequence[BankSighting], policy: Policy, now_ms: int
) -> list[tuple[BankSighting, bool, list[EventType]]]:
    rows = {row.bank: row for row in connection.execute(select(schema.bank_states))}
    found = []
    for sighting in sightings:
        row = rows.get(sighting.bank)
        was_silent, was_suspended = (row.silent, row.suspended) if row is not None else (False, False)
        silent = is_silent(sighting.watermark_ms, policy, now_ms)
        changes = []
        if silent != was_silent:
            changes.append(EventType.BANK_SILENT if silent else EventType.BANK_BACK)
        if sighting.suspended != was_suspended:
            changes.append(EventType.BANK_SUSPENDED if sighting.suspended else EventType.BANK_REINSTATED)
        if row is None or changes:
            found.append((sighting, row is not None, changes))
    return found


def _event(kind: EventType, sighting: BankSighting, policy: Policy, now_ms: int) -> Event:
    watermark_ms = sighting.watermark_ms
    return Event(
        type=kind,
        bank=sighting.bank,
        binding=None,
        publication=None,
        block_number=sighting.block_number,
        happened_at_ms=now_ms,
        observed_at_ms=now_ms,
        data={
            "watermark_ms": watermark_ms or None,
            "staleness_ms": now_ms - watermark_ms if watermark_ms else None,
            "max_staleness_ms": policy.widest_staleness_ms,
        },
    )
