"""Reads this platform's bindings as of a block, opens them, and compares them with what was last reported.

Records carry their own publication number. Changes that cancel out within one block are not seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from standing.gateway.bindings.bound import adopt, open_record
from standing.gateway.events import log as event_log
from standing.gateway.events.types import Event, binding_changes
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.attestations.terms import IdentityTags, Status, Terms
from standing.ledger.chain.client import Head, LedgerClient
from standing.ledger.chain.codec import Record
from standing.ledger.errors import LedgerUnreachable
from standing.ledger.service.vault import Vault

#: The most records of one call, and of one transaction.
MAX_AT_ONCE = 500
#: Nodes that prune keep so many newest blocks: without an answer for one of them, it is asked again.
KEPT_BLOCKS = 64


@dataclass(frozen=True, slots=True)
class Known:
    """A binding of this platform, with the key of its records. Never logged.

    `unvouched`: fields that the bank did not vouch for when it granted the binding, so no value is expected.
    """

    binding: bytes
    bank: str
    key: bytes
    tags: IdentityTags
    unvouched: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Known(bank={self.bank!r}, binding=0x{self.binding.hex()})"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A binding's record as it was in a block. `terms`: None where there is no record, or it does not open."""

    known: Known
    record: Record
    terms: Terms | None
    block: Head

    @property
    def effective_at_ms(self) -> int:
        """When the terms took effect; the block's time for a record that does not open, whose own time is unknown."""
        return self.terms.effective_at_ms if self.terms is not None else self.block.time_s * 1000


class Observer:
    """Reads and opens records for the follower, and writes the resulting events."""

    def __init__(self, storage: Storage, vault: Vault, ledger: LedgerClient) -> None:
        self._storage = storage
        self._vault = vault
        self._ledger = ledger

    def known(self, bindings: Iterable[bytes]) -> dict[bytes, Known]:
        """Those of `bindings` that are this platform's. Raises: StorageUnavailable."""
        wanted = list(dict.fromkeys(bindings))
        found: dict[bytes, Known] = {}
        with self._storage.read() as connection:
            for start in range(0, len(wanted), MAX_AT_ONCE):
                table = schema.bindings.c
                rows = connection.execute(
                    select(table.binding, table.bank, table.key_sealed, table.tags, table.unvouched).where(
                        table.binding.in_(wanted[start : start + MAX_AT_ONCE])
                    )
                )
                for row in rows:
                    found[row.binding] = self._open(row)
        return found

    def _open(self, row: Any) -> Known:
        key, tags = self._vault.unseal(row.key_sealed), IdentityTags.unpack(row.tags)
        return Known(row.binding, row.bank, key, tags, tuple(row.unvouched.split(",")) if row.unvouched else ())

    def not_adopted(self, since_ms: int, limit: int) -> list[Known]:
        """New bindings since a time that were never checked, and those to be rechecked."""
        table, states = schema.bindings.c, schema.binding_states.c
        columns = select(table.binding, table.bank, table.key_sealed, table.tags, table.unvouched)
        with self._storage.read() as connection:
            again = columns.join(schema.binding_states, states.binding == table.binding).where(states.recheck.is_(True))
            rows = list(connection.execute(again.limit(limit)))
            fresh = columns.outerjoin(schema.binding_states, states.binding == table.binding).where(
                table.created_at_ms >= since_ms, states.binding.is_(None)
            )
            rows += connection.execute(fresh.order_by(table.created_at_ms).limit(limit - len(rows)))
        return [self._open(row) for row in rows]

    def sight(self, known: Sequence[Known], block: Head, newest: Head) -> list[Sighting]:
        """The records of up to MAX_AT_ONCE bindings as they were in a block.

        A node that no longer has that block's state is asked for block `newest` instead; changes in between are then
        seen as one. Raises: LedgerUnreachable.
        """
        queries = [(each.bank, each.binding) for each in known]
        try:
            records = self._ledger.read(queries, block.number).records
        except LedgerUnreachable:
            if newest.number - block.number < KEPT_BLOCKS:
                raise
            records, block = self._ledger.read(queries, newest.number).records, newest
        return [
            Sighting(each, record, open_record(record, key=each.key, bank=each.bank, binding=each.binding), block)
            for each, record in zip(known, records, strict=True)
        ]

    def write(self, connection: Connection, sightings: Sequence[Sighting], now_ms: int) -> int:
        """Write events for differences from what was last reported, and store what is reported now.

        `sightings` are in the chain's order, one per binding. Returns: how many events.
        """
        states = _states(connection, [sighting.known.binding for sighting in sightings])
        # A record older than the reported one occurs where a node had lost the state of some blocks (see `sight`).
        sightings = [sighting for sighting in sightings if not _is_older(sighting, states)]
        previous = {
            each.known.binding: _reported_terms(each.known, states.get(each.known.binding)) for each in sightings
        }
        events: list[Event] = []
        for sighting in sightings:
            binding = sighting.known.binding
            if sighting.record.publication:
                events += _events(sighting, states.get(binding), previous[binding], now_ms)
        event_log.append(connection, events)
        _learn_tags(connection, sightings, previous)
        _observe(connection, sightings, previous, now_ms)
        _remember(connection, sightings, states, now_ms)
        return len(events)


def _states(connection: Connection, bindings: Sequence[bytes]) -> Mapping[bytes, Row[Any]]:
    table = schema.binding_states
    return {row.binding: row for row in connection.execute(select(table).where(table.c.binding.in_(bindings)))}


def _is_older(sighting: Sighting, states: Mapping[bytes, Row[Any]]) -> bool:
    state = states.get(sighting.known.binding)
    return state is not None and not state.recheck and sighting.record.publication < state.publication


def _events(sighting: Sighting, state: Row[Any] | None, previous: Terms | None, now_ms: int) -> list[Event]:
    known, record, current = sighting.known, sighting.record, sighting.terms
    first = state is None or state.publication == 0
    expected = known.tags
    if current is not None and known.unvouched:
        expected = replace(expected, **{field: getattr(current.tags, field) for field in known.unvouched})
    return [
        Event(
            type=change.type,
            bank=known.bank,
            binding=known.binding,
            publication=record.publication,
            block_number=sighting.block.number,
            happened_at_ms=sighting.effective_at_ms,
            observed_at_ms=now_ms,
            data={
                "status": change.status,
                "previous_status": change.previous_status,
                "fields": list(change.fields),
                "effective_at_ms": sighting.effective_at_ms,
            },
        )
        for change in binding_changes(previous, current, first=first, bound=expected)
    ]


def _reported_terms(known: Known, state: Row[Any] | None) -> Terms | None:
    """The terms that were last reported; None where there were none, or they did not open."""
    if state is None or state.publication == 0:
        return None
    record = Record(state.publication, state.tag_and_head, state.tail, 0, suspended=False)
    return open_record(record, key=known.key, bank=known.bank, binding=known.binding)


def _learn_tags(connection: Connection, sightings: Sequence[Sighting], previous: Mapping[bytes, Terms | None]) -> None:
    """Keep the tags of fields that the bank did not vouch for, from the first attestation that was seen.

    The first decision keeps them too (`gateway.decisions.records`), but may come long after a change.
    """
    table = schema.bindings
    for sighting in sightings:
        known, first = sighting.known, previous[sighting.known.binding] or sighting.terms
        if not known.unvouched or first is None or first.status is Status.UNBOUND or sighting.record.suspended:
            continue
        tags, unvouched = known.tags.pack(), ",".join(known.unvouched)
        # Not where a decision, or a change of the user's details, was faster.
        same = (table.c.binding == known.binding, table.c.tags == tags, table.c.unvouched == unvouched)
        learned = {"tags": adopt(tags, unvouched, first.tags), "unvouched": None}
        connection.execute(update(table).where(*same).values(**learned))


def _remember(
    connection: Connection, sightings: Sequence[Sighting], states: Mapping[bytes, Row[Any]], now_ms: int
) -> None:
    table = schema.binding_states
    fresh = []
    for sighting in sightings:
        known = states.get(sighting.known.binding)
        if known is not None and known.publication and not sighting.record.publication:
            # As on a new deployment to which the bank has not moved yet. What comes next is compared with what was
            # reported: a bank's numbers go on from one deployment to the next.
            connection.execute(update(table).where(table.c.binding == known.binding).values(recheck=False))
            continue
        values = {
            "publication": sighting.record.publication,
            "tag_and_head": sighting.record.tag_and_head,
            "tail": sighting.record.tail,
            "block_number": sighting.block.number,
            "recheck": False,
            "usable_since_ms": _usable_since_ms(sighting, known, now_ms),
        }
        if known is not None:
            connection.execute(update(table).where(table.c.binding == sighting.known.binding).values(**values))
        else:
            fresh.append({"binding": sighting.known.binding, **values})
    if fresh:
        connection.execute(insert(table), fresh)


def _usable_since_ms(sighting: Sighting, state: Row[Any] | None, now_ms: int) -> int | None:
    """When a readable attestation of the bank was first seen; None: not yet."""
    if state is not None and state.usable_since_ms is not None:
        return int(state.usable_since_ms)
    return now_ms if sighting.terms is not None else None


def _observe(
    connection: Connection, sightings: Sequence[Sighting], previous: Mapping[bytes, Terms | None], now_ms: int
) -> None:
    """Record when each attestation was seen. One that repeats the terms, to hide other bindings' changes
    or after a resync, is marked, because nothing changed."""
    table = schema.observations
    seen = {(s.known.binding, s.record.publication): s for s in sightings if s.record.publication}
    there = {
        (row.binding, row.publication)
        for row in connection.execute(
            select(table.c.binding, table.c.publication).where(
                table.c.binding.in_({binding for binding, _ in seen}),
                table.c.publication.in_({publication for _, publication in seen}),
            )
        )
    }
    fresh = [
        {
            "binding": binding,
            "publication": publication,
            "effective_at_ms": sighting.effective_at_ms,
            "block_number": sighting.block.number,
            "block_time_ms": sighting.block.time_s * 1000,
            "observed_at_ms": now_ms,
            "restated": sighting.terms is not None and sighting.terms == previous[binding],
        }
        for (binding, publication), sighting in seen.items()
        if (binding, publication) not in there
    ]
    if fresh:
        connection.execute(insert(table), fresh)
