"""Reads the facts of bindings for a run: the newest attestation that the follower recorded, decisions, events and
usage. Reads only the database, never the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, bindparam, select

from standing.gateway.bindings.banks import Bank
from standing.gateway.bindings.bound import adopt, bound_of
from standing.gateway.decisions.caps import Used, caps_of
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.reservations import used_now
from standing.gateway.decisions.rules import Decision, Outcome, decide
from standing.gateway.decisions.usage import AccountDay, day_of
from standing.gateway.storage import schema
from standing.gateway.warning.risk_facts import (
    EVENTS_MS,
    MAX_EVENTS,
    MAX_USES,
    NOT_OF_THE_BINDING,
    USES_MS,
    Calendar,
    Facts,
    Use,
)
from standing.ledger.attestations.money import currency_code
from standing.ledger.attestations.terms import IdentityTags, Terms
from standing.ledger.chain.codec import Record
from standing.ledger.service.vault import Vault

_NOT_FAILED = {None} | {reason.value for reason in NOT_OF_THE_BINDING}


@dataclass(frozen=True, slots=True)
class OnRecord:
    """One recorded binding: its user and its facts."""

    row: Row[Any]
    facts: Facts
    decisions: Mapping[Kind, Decision]


def batch(connection: Connection, after: bytes, size: int) -> Sequence[Row[Any]]:
    """The next active bindings in the order of their ids, each with its newest recorded attestation. Leaves out users
    who have opted out, and bindings without a recorded attestation."""
    own, reported, out = schema.bindings, schema.binding_states, schema.risk_opt_outs
    query = (
        select(
            own,
            reported.c.publication.label("reported_publication"),
            reported.c.tag_and_head.label("reported_tag_and_head"),
            reported.c.tail.label("reported_tail"),
        )
        .join(reported, reported.c.binding == own.c.binding)
        .outerjoin(out, out.c.user_id == own.c.user_id)
        .where(own.c.ended_at_ms.is_(None), own.c.binding > bindparam("after"), out.c.user_id.is_(None))
        .order_by(own.c.binding)
        .limit(size)
    )
    return connection.execute(query, {"after": after}).all()


def on_record(
    connection: Connection,
    rows: Sequence[Row[Any]],
    banks: Mapping[str, Bank],
    vault: Vault,
    policy: Policy,
    now_ms: int,
) -> list[OnRecord]:
    """The facts of bindings; those whose attestation cannot be unsealed, or that were not used recently, are left out.

    Raises: StorageUnavailable.
    """
    opened: list[tuple[Row[Any], Bank, Terms, IdentityTags]] = []
    for row in rows:
        bank = banks.get(row.bank)
        newest = _open_newest(row, bank, vault) if bank is not None else None
        if bank is not None and newest is not None:
            opened.append((row, bank, *newest))
    wanted = {}
    for row, bank, terms, _ in opened:
        for kind in Kind:
            day = AccountDay(row.account, day_of(now_ms, bank.zone), currency_code(terms.currency), kind)
            wanted[day] = caps_of(terms.limits, kind)
    used = used_now(connection, wanted, now_ms)
    calendars: dict[ZoneInfo, Calendar] = {}
    found = []
    for row, bank, terms, tags in opened:
        if bank.zone not in calendars:
            calendars[bank.zone] = Calendar.at(now_ms, _offset_ms(bank.zone, now_ms))
        code, today = currency_code(terms.currency), day_of(now_ms, bank.zone)
        uses = _uses(connection, row.binding, code, now_ms)
        if not uses and now_ms - row.created_at_ms > USES_MS:
            continue
        decisions = {kind: _smallest(row, terms, tags, kind, policy, now_ms) for kind in Kind}
        facts = Facts(
            calendar=calendars[bank.zone],
            bound_at_ms=row.created_at_ms,
            uses=uses,
            events=_events(connection, row.binding, now_ms),
            blocked=frozenset(kind for kind, decision in decisions.items() if decision.outcome is not Outcome.APPROVE),
            caps={kind: caps_of(terms.limits, kind) for kind in Kind},
            used={kind: used[AccountDay(row.account, today, code, kind)] for kind in Kind},
        )
        found.append(OnRecord(row, facts, decisions))
    return found


def _open_newest(row: Row[Any], bank: Bank, vault: Vault) -> tuple[Terms, IdentityTags] | None:
    bound = bound_of(row, bank, vault)
    terms = bound.open(
        Record(row.reported_publication, row.reported_tag_and_head, row.reported_tail, 0, suspended=False)
    )
    if terms is None:
        return None
    if row.unvouched:
        bound = replace(bound, tags=IdentityTags.unpack(adopt(row.tags, row.unvouched, terms.tags)))
    return terms, bound.tags


def _smallest(row: Row[Any], terms: Terms, tags: IdentityTags, kind: Kind, policy: Policy, now_ms: int) -> Decision:
    """The decision table's answer to the smallest transaction, from the terms alone: the bank is not silent, nothing is
    used, and the platform holds nothing."""
    return decide(
        Question(kind, 1, terms.currency),
        record=Record(row.reported_publication, row.reported_tag_and_head, row.reported_tail, now_ms, suspended=False),
        terms=terms,
        expected=tags,
        ended=False,
        floor=0,
        used=Used(0, 0, 0),
        policy=policy.model_copy(update={"risk": ()}) if policy.risk else policy,
        now_ms=now_ms,
    )


def _uses(connection: Connection, binding: bytes, currency: str, now_ms: int) -> list[Use]:
    table = schema.decisions.c
    rows = connection.execute(
        select(table.decided_at_ms, table.kind, table.amount_minor, table.reason)
        .where(
            table.binding == binding,
            table.currency == currency,
            table.decided_at_ms > now_ms - USES_MS,
            table.decided_at_ms < now_ms,
        )
        .order_by(table.decided_at_ms.desc())
        .limit(MAX_USES)
    ).all()
    return [
        Use(row.decided_at_ms, Kind(row.kind), row.amount_minor, row.reason not in _NOT_FAILED)
        for row in reversed(rows)
    ]


def _events(connection: Connection, binding: bytes, now_ms: int) -> list[tuple[int, str]]:
    table = schema.events.c
    rows = connection.execute(
        select(table.observed_at_ms, table.type)
        .where(table.binding == binding, table.observed_at_ms > now_ms - EVENTS_MS, table.observed_at_ms < now_ms)
        .order_by(table.position.desc())
        .limit(MAX_EVENTS)
    ).all()
    return [(row.observed_at_ms, row.type) for row in reversed(rows)]


def _offset_ms(zone: ZoneInfo, now_ms: int) -> int:
    offset = datetime.fromtimestamp(now_ms // 1000, UTC).astimezone(zone).utcoffset()
    assert offset is not None  # every zone has one
    return round(offset.total_seconds()) * 1000
