"""Failed attempts to bind: their maximum per user, the hold after too many, and what support sees of them."""

import secrets
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, delete, func, insert, select

from standing.gateway.errors import BindingHeld
from standing.gateway.storage import schema
from standing.ledger.clock import DAY_MS, MINUTE_MS


class BindingBounds(BaseModel):
    """The bounds: after `max_refusals` by banks within `within_minutes`, no attempt of the user reaches a bank for
    `hold_minutes`, or until support lifts the hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_refusals: int = Field(default=5, ge=1, le=1_000)
    within_minutes: int = Field(default=60, ge=1, le=30 * 24 * 60)
    hold_minutes: int = Field(default=24 * 60, ge=1, le=30 * 24 * 60)


#: The rule's name of a hold on a user's attempts to bind. Its capitals keep it apart from a policy's rules.
BINDING_ATTEMPTS = "BINDING_ATTEMPTS"


#: How long, and how many of each user, failed attempts are kept.
KEPT_FAILURES_MS, KEPT_FAILURES = 30 * DAY_MS, 10
_MAX_FORGOTTEN = 500


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt to bind that failed. `why`: the fields that differ from the bank's record, or `already_bound`,
    `too_many_attempts`, `no_tries_left`; empty where the bank gave no reason."""

    user_id: str
    bank: str
    number_masked: str
    why: tuple[str, ...]


def new_hold_id() -> str:
    """A new id for a hold."""
    return "h_" + secrets.token_hex(12)


def note_refusal(connection: Connection, user_id: str, bounds: BindingBounds, now_ms: int) -> None:
    """Record a bank's refusal to bind for a user. Too many refusals put a hold on further attempts.

    Forgets refusals of anybody that no longer count, at most 500 at once: most users are not refused a second time.
    """
    table = schema.binding_refusals
    since_ms = now_ms - bounds.within_minutes * MINUTE_MS
    late = select(table.c.position).where(table.c.at_ms <= since_ms).limit(_MAX_FORGOTTEN)
    connection.execute(delete(table).where(table.c.position.in_(late)))
    connection.execute(insert(table).values(user_id=user_id, at_ms=now_ms))
    theirs = (table.c.user_id == user_id, table.c.at_ms > since_ms)
    count = connection.scalar(select(func.count()).select_from(table).where(*theirs)) or 0
    if count < bounds.max_refusals:
        return
    # The count restarts with the hold: once it is lifted or over, the user has all attempts again.
    connection.execute(delete(table).where(table.c.user_id == user_id))
    connection.execute(
        insert(schema.holds).values(
            hold_id=new_hold_id(),
            binding=None,
            user_id=user_id,
            rule=BINDING_ATTEMPTS,
            why=f"{bounds.max_refusals} attempts to bind were refused by banks within {bounds.within_minutes} minutes",
            why_zh=f"{bounds.within_minutes} 分钟内有 {bounds.max_refusals} 次绑定被银行拒绝",
            whole=True,
            began_at_ms=now_ms,
            ends_at_ms=now_ms + bounds.hold_minutes * MINUTE_MS,
        )
    )


def note_failure(connection: Connection, failure: Failure, now_ms: int) -> None:
    """Keep a failed attempt for support, and forget what is too old, at most 500 at once."""
    table = schema.binding_failures
    late = select(table.c.position).where(table.c.at_ms <= now_ms - KEPT_FAILURES_MS).limit(_MAX_FORGOTTEN)
    newest = select(table.c.position).where(table.c.user_id == failure.user_id).order_by(table.c.at_ms.desc())
    surplus = newest.offset(KEPT_FAILURES - 1).limit(_MAX_FORGOTTEN)
    for positions in (late, surplus):
        connection.execute(delete(table).where(table.c.position.in_(positions)))
    connection.execute(
        insert(table).values(
            user_id=failure.user_id,
            at_ms=now_ms,
            bank=failure.bank,
            number_masked=failure.number_masked,
            why=",".join(dict.fromkeys(failure.why)),
        )
    )


def check_may_bind(connection: Connection, user_id: str, now_ms: int) -> None:
    """Check that there is no hold on the user's attempts to bind. Raises: BindingHeld."""
    table = schema.holds.c
    row = connection.execute(
        select(schema.holds)
        .where(
            table.user_id == user_id,
            table.rule == BINDING_ATTEMPTS,
            table.lifted_at_ms.is_(None),
            table.ends_at_ms > now_ms,
        )
        .order_by(table.ends_at_ms.desc())
        .limit(1)
    ).one_or_none()
    if row is not None:
        raise BindingHeld(
            f"{row.why}; the hold {row.hold_id} ends at {row.ends_at_ms}, or when support lifts it",
            -(-(row.ends_at_ms - now_ms) // 1000),
        )
