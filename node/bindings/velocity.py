"""Velocity limits: token buckets that make guessing slow. They are in the database, so a restart does not refill them.

A caller needs one token left. The cost of a question is charged after it was answered and may leave a debt, so the
moment at which a bucket is empty reveals nothing about whether an account exists.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select, update

from standing.ledger.clock import HOUR_MS, Clock
from standing.ledger.errors import Unavailable
from standing.ledger.service.vault import Vault
from standing.node.storage import schema

#: The cost of an attempt at a known account, and at an unknown one.
KNOWN_COST = 1
UNKNOWN_COST = 20

_TOKEN = 1000  # levels are kept in thousandths


class TooManyAttempts(Unavailable):
    """A velocity limit is reached. `retry_after_s` says when to come back."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket's size, in tokens, and how many come back in an hour."""

    capacity: int
    refill_per_hour: int

    @property
    def full_after_ms(self) -> int:
        """How long the emptiest bucket takes to fill up: an older row need not be kept."""
        return (self.capacity + UNKNOWN_COST) * HOUR_MS // self.refill_per_hour + 1


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket. `whose` may name a user, so only a keyed hash of it is kept; `shown` is its name in errors."""

    whose: str
    shown: str
    rate: Rate


class Velocity:
    """Checks and charges buckets, inside the transaction of the work they limit."""

    def __init__(self, vault: Vault, clock: Clock) -> None:
        self._vault = vault
        self._clock = clock

    def check(self, connection: Connection, *buckets: Bucket) -> None:
        """Check that each bucket has a token left. Raises: TooManyAttempts for the one that takes longest to refill."""
        now_ms = self._clock.now_ms()
        wait_ms, slowest = 0, ""
        for bucket in buckets:
            missing = _TOKEN - self._level(connection, bucket, now_ms)
            needed_ms = -(-missing * HOUR_MS // (bucket.rate.refill_per_hour * _TOKEN))
            if needed_ms > wait_ms:
                wait_ms, slowest = needed_ms, bucket.shown
        if wait_ms > 0:
            until = datetime.fromtimestamp((now_ms + wait_ms) / 1000, UTC).isoformat(timespec="seconds")
            raise TooManyAttempts(f"too many attempts of {slowest}; allowed: again at {until}", -(-wait_ms // 1000))

    def charge(self, connection: Connection, cost: int, *buckets: Bucket) -> None:
        """Take `cost` tokens out of each bucket, into debt if necessary."""
        now_ms = self._clock.now_ms()
        table = schema.velocity
        for bucket in buckets:
            key = self._key(bucket)
            values = {"level_milli": self._level(connection, bucket, now_ms) - cost * _TOKEN, "at_ms": now_ms}
            updated = connection.execute(update(table).where(table.c.bucket == key).values(values))
            if updated.rowcount == 0:
                connection.execute(insert(table).values(bucket=key, **values))

    def purge(self, connection: Connection, *rates: Rate) -> None:
        """Forget the full buckets. `rates` are all rates in use."""
        oldest_ms = self._clock.now_ms() - max(rate.full_after_ms for rate in rates)
        connection.execute(delete(schema.velocity).where(schema.velocity.c.at_ms < oldest_ms))

    def _level(self, connection: Connection, bucket: Bucket, now_ms: int) -> int:
        """The present level of a bucket, in thousandths."""
        full = bucket.rate.capacity * _TOKEN
        table = schema.velocity
        row = connection.execute(select(table).where(table.c.bucket == self._key(bucket))).one_or_none()
        if row is None:
            return full
        elapsed_ms = max(0, now_ms - row.at_ms)
        refilled: int = row.level_milli + elapsed_ms * bucket.rate.refill_per_hour * _TOKEN // HOUR_MS
        return min(full, refilled)

    def _key(self, bucket: Bucket) -> bytes:
        return self._vault.lookup("velocity", bucket.whose)
