"""Events: the notifications about changed attestations, and the comparison of two attestations. Pure.

An event is a hint to read the ledger, not a source. It states what changed, never a name, a number or an amount. Only a
decision reads the bank's attestation at the moment of payment.
"""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from standing.ledger.attestations.identity import IDENTITY_FIELDS
from standing.ledger.attestations.limits import LIMIT_FIELDS
from standing.ledger.attestations.terms import IdentityTags, Status, Terms, tags_differ
from standing.ledger.service.times import iso


class EventType(StrEnum):
    """What happened."""

    CHANGED = "binding.changed"
    CLEARED = "binding.cleared"
    FROZEN = "binding.frozen"
    LOST = "binding.lost"
    CLOSED = "binding.closed"
    UNBOUND = "binding.unbound"
    UNSTATED = "binding.unstated"
    LIMITS_CHANGED = "binding.limits_changed"
    IDENTITY_CHANGED = "binding.identity_changed"
    UNREADABLE = "binding.unreadable"
    USABLE = "binding.usable"
    AT_RISK = "binding.at_risk"
    CHECK_UP = "binding.check_up"
    BANK_SLOWING = "bank.slowing"
    BANK_SILENT = "bank.silent"
    BANK_BACK = "bank.back"
    BANK_SUSPENDED = "bank.suspended"
    BANK_REINSTATED = "bank.reinstated"
    REVIEWED = "decision.reviewed"


_BY_STATUS = {
    Status.ACTIVE: EventType.CLEARED,
    Status.FROZEN: EventType.FROZEN,
    Status.LOST: EventType.LOST,
    Status.DORMANT: EventType.CHANGED,
    Status.CLOSED: EventType.CLOSED,
    Status.UNBOUND: EventType.UNBOUND,
    Status.UNSTATED: EventType.UNSTATED,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two attestations of a binding. `fields`: the names of the fields that differ."""

    type: EventType
    fields: tuple[str, ...]
    status: str | None = None
    previous_status: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An event to be written. `happened_at_ms`: when it took effect at the bank; `data`: JSON values.

    `block_number` is 0 for an event without a block.
    """

    type: EventType
    bank: str
    binding: bytes | None
    publication: int | None
    block_number: int
    happened_at_ms: int
    observed_at_ms: int
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event in the log. `position` follows the order of the log; `id` is its permanent name."""

    position: int
    id: str
    type: str
    bank: str
    binding: bytes | None
    publication: int | None
    block_number: int
    happened_at_ms: int
    observed_at_ms: int
    data: str

    def document(self) -> dict[str, Any]:
        """The event as sent by webhook, stream and list. `type`, `timestamp` and `data` are Standard
        Webhooks'; `id` and `position` are the event's own."""
        return {
            "id": self.id,
            "position": self.position,
            "type": self.type,
            "timestamp": iso(self.happened_at_ms),
            "data": {
                "bank": self.bank,
                "binding": "0x" + self.binding.hex() if self.binding is not None else None,
                "publication": self.publication,
                "block_number": self.block_number or None,
                "observed_at_ms": self.observed_at_ms,
                **json.loads(self.data),
            },
        }

    def body(self) -> str:
        """The document as one JSON text, identical at every attempt to deliver it."""
        return json.dumps(self.document(), ensure_ascii=False, separators=(",", ":"))


def new_event_id() -> str:
    """A new event id. It is random, so that a restored backup never reuses an id."""
    return f"evt_{secrets.token_hex(16)}"


def binding_changes(previous: Terms | None, current: Terms | None, *, first: bool, bound: IdentityTags) -> list[Change]:
    """The changes to report when the terms change from `previous` to `current`; None: they could not be decrypted.

    `first`: there were no terms before, so `current` is compared with an active account of the holder that the binding
    was made for (`bound`). An ordinary start is reported as usable. After any other, such as a freeze between the grant
    and the first observation, a later change reports that the account can be used.
    """
    if current is None:
        return [Change(EventType.UNREADABLE, ())] if first or previous is not None else []
    if previous is None:
        found = list(_against_expected(current, bound))
        if first and not found and (current.debit_allowed or current.credit_allowed):
            return [Change(EventType.USABLE, (), current.status.word)]
        if not first and current.status is Status.ACTIVE:
            found.insert(0, Change(EventType.CLEARED, (), Status.ACTIVE.word))
        return found
    return list(_between(previous, current))


def _against_expected(current: Terms, bound: IdentityTags) -> Iterator[Change]:
    if current.status is not Status.ACTIVE:
        yield Change(_BY_STATUS[current.status], ("status",), current.status.word)
        if current.status is Status.UNBOUND:
            return
    yield from _identity(bound, current.tags, current)


def _between(previous: Terms, current: Terms) -> Iterator[Change]:
    if current.status is Status.UNBOUND:
        # The bank attests nothing after the end of a binding, so the other fields have no meaning.
        if previous.status is not Status.UNBOUND:
            yield Change(EventType.UNBOUND, ("status",), current.status.word, previous.status.word)
        return
    uses = tuple(
        name
        for name in ("debit_allowed", "credit_allowed", "currency")
        if getattr(previous, name) != getattr(current, name)
    )
    statuses = (current.status.word, previous.status.word)
    if previous.status is not current.status:
        yield Change(_BY_STATUS[current.status], ("status", *uses), *statuses)
    elif uses:
        yield Change(EventType.CHANGED, uses, *statuses)
    limits = tuple(name for name in LIMIT_FIELDS if getattr(previous.limits, name) != getattr(current.limits, name))
    if limits:
        yield Change(EventType.LIMITS_CHANGED, limits, *statuses)
    yield from _identity(previous.tags, current.tags, current)


def _identity(before: IdentityTags, after: IdentityTags, current: Terms) -> Iterator[Change]:
    fields = tuple(name for name in IDENTITY_FIELDS if tags_differ(getattr(before, name), getattr(after, name)))
    if fields:
        yield Change(EventType.IDENTITY_CHANGED, fields, current.status.word)
