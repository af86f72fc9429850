"""The delivery queues: durable, bounded, one per endpoint.

Claiming an attempt schedules the next one past the end of this one: if the process dies meanwhile, the event becomes
due again. Events for which an endpoint's queue has no room wait in the event log.
"""

import random
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from standing.gateway.events import log as event_log
from standing.gateway.events.settings import WebhookSettings
from standing.gateway.events.types import LoggedEvent
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.clock import Clock
from standing.ledger.errors import InvalidValue, NotFound

_FILL_AT_ONCE = 500
_table = schema.webhook_deliveries


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver one event to one endpoint; `number` counts from 1."""

    endpoint: str
    event: LoggedEvent
    number: int
    queued_at_ms: int


@dataclass(frozen=True, slots=True)
class QueueState:
    """The state of an endpoint's queue."""

    pending: int
    delivered: int
    given_up: int
    unqueued: int
    last_result: str | None


class DeliveryQueues:
    """The queues of all endpoints. Every method raises StorageUnavailable; writers run in the writing thread."""

    def __init__(
        self, storage: Storage, clock: Clock, settings: WebhookSettings, jitter: random.Random | None = None
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._settings = settings
        self._jitter = jitter or random.SystemRandom()

    def has_work(self, endpoint: str) -> bool:
        """Whether an attempt is due, or there are events to queue."""
        with self._storage.read() as connection:
            due = connection.scalar(select(_table.c.position).where(_is_due(endpoint, self._clock.now_ms())).limit(1))
            if due is not None:
                return True
            newest = connection.scalar(select(func.max(schema.events.c.position))) or 0
            return newest > _queued_to(connection, endpoint)

    def claim(self, endpoint: str, types: tuple[str, ...] | None) -> Attempt | None:
        """Queue new events, and claim the oldest one that is due; None if none is. Raises: NotFound."""
        return self._storage.write_all(lambda connection: self._claim(connection, endpoint, types))

    def _claim(self, connection: Connection, endpoint: str, types: tuple[str, ...] | None) -> Attempt | None:
        now_ms = self._clock.now_ms()
        self._fill(connection, endpoint, types, now_ms)
        row = connection.execute(
            select(_table).where(_is_due(endpoint, now_ms)).order_by(_table.c.position).limit(1).with_for_update()
        ).one_or_none()
        if row is None:
            return None
        # Queued by a clock that was ahead, it would stay due until this one has caught up, whatever its attempts.
        queued_at_ms = min(row.queued_at_ms, now_ms)
        _set(
            connection,
            endpoint,
            row.position,
            attempts=row.attempts + 1,
            queued_at_ms=queued_at_ms,
            last_attempt_at_ms=now_ms,
            next_attempt_at_ms=now_ms + 2 * self._settings.timeout_ms,
        )
        event = event_log.at(connection, [row.position])[row.position]
        return Attempt(endpoint, event, row.attempts + 1, queued_at_ms)

    def _fill(self, connection: Connection, endpoint: str, types: tuple[str, ...] | None, now_ms: int) -> None:
        room = min(_FILL_AT_ONCE, self._settings.max_pending - _pending(connection, endpoint))
        if room <= 0:
            return
        queued_to = _queued_to(connection, endpoint)
        events = event_log.page(connection, queued_to, room)
        if not events:
            return
        last = events[-1].position
        queued = set(
            connection.scalars(
                select(_table.c.position).where(
                    _table.c.endpoint == endpoint, _table.c.position > queued_to, _table.c.position <= last
                )
            )
        )
        wanted = [e for e in events if (types is None or e.type in types) and e.position not in queued]
        if wanted:
            connection.execute(insert(_table), [_fresh(endpoint, event.position, now_ms) for event in wanted])
        endpoints = schema.webhook_endpoints
        connection.execute(update(endpoints).where(endpoints.c.id == endpoint).values(queued_to=last))

    def delivered(self, attempt: Attempt, result: str, *, revive: bool) -> None:
        """Record that the endpoint accepted the event. `revive`: after failures, make all pending events due now."""
        now_ms = self._clock.now_ms()

        def work(connection: Connection) -> None:
            position = attempt.event.position
            _set(connection, attempt.endpoint, position, state="delivered", delivered_at_ms=now_ms, last_result=result)
            if revive:
                connection.execute(
                    update(_table)
                    .where(_table.c.endpoint == attempt.endpoint, _table.c.state == "pending")
                    .values(next_attempt_at_ms=now_ms)
                )

        self._storage.write_all(work)

    def failed(self, attempt: Attempt, result: str, retry_after_ms: int = 0) -> bool:
        """Record that the endpoint did not accept the event, and when to try again. Returns: whether it is
        abandoned."""
        now_ms = self._clock.now_ms()
        abandoned = now_ms - attempt.queued_at_ms >= self._settings.give_up_after_ms
        retry_at_ms = now_ms + self.back_off_ms(attempt.number, retry_after_ms)
        state = "given_up" if abandoned else "pending"

        def work(connection: Connection) -> None:
            _set(
                connection,
                attempt.endpoint,
                attempt.event.position,
                state=state,
                next_attempt_at_ms=retry_at_ms,
                last_result=result,
            )

        self._storage.write_all(work)
        return abandoned

    def abandon_old(self, endpoint: str, result: str) -> int:
        """Abandon events that have waited too long for an endpoint that does not answer. Returns: how many."""
        before_ms = self._clock.now_ms() - self._settings.give_up_after_ms
        old = (_table.c.endpoint == endpoint, _table.c.state == "pending", _table.c.queued_at_ms <= before_ms)
        return self._storage.write_all(
            lambda connection: (
                connection.execute(update(_table).where(*old).values(state="given_up", last_result=result)).rowcount
            )
        )

    def back_off_ms(self, failures: int, retry_after_ms: int = 0) -> int:
        """The pause after consecutive failures: doubled each time, up to the bound, ± 20 %.

        At least the pause that the receiver requests, up to the same bound.
        """
        settings = self._settings
        doubled = settings.retry_initial_ms << min(failures - 1, 40)
        own_ms = round(min(doubled, settings.retry_max_ms) * self._jitter.uniform(0.8, 1.2))
        return max(own_ms, min(retry_after_ms, settings.retry_max_ms))

    def replay_event(self, endpoint: str, event_id: str) -> int:
        """Send one event again, whatever its state. Raises: NotFound. Returns: 1."""
        now_ms = self._clock.now_ms()

        def work(connection: Connection) -> int:
            _queued_to(connection, endpoint)
            table = schema.events.c
            position = connection.scalar(select(table.position).where(table.id == event_id))
            if position is None:
                raise NotFound("event: not in the log; allowed: one that GET /v1/events lists")
            connection.execute(delete(_table).where(_table.c.endpoint == endpoint, _table.c.position == position))
            connection.execute(insert(_table).values(**_fresh(endpoint, position, now_ms)))
            return 1

        return self._storage.write_all(work)

    def replay_after(self, endpoint: str, position: int) -> int:
        """Send every event after a position again. Returns: the number of events.

        Raises: NotFound; InvalidValue if no event has had that position yet.
        """

        def work(connection: Connection) -> int:
            queued_to = _queued_to(connection, endpoint)
            table = schema.events.c
            newest = connection.scalar(select(func.max(table.position))) or 0  # it is never pruned
            if position > newest:
                raise InvalidValue("after", "beyond the newest event", f"0 to {newest}, that event's position")
            connection.execute(delete(_table).where(_table.c.endpoint == endpoint, _table.c.position > position))
            endpoints = schema.webhook_endpoints
            connection.execute(
                update(endpoints).where(endpoints.c.id == endpoint).values(queued_to=min(queued_to, position))
            )
            return (
                connection.scalar(select(func.count()).select_from(schema.events).where(table.position > position)) or 0
            )

        return self._storage.write_all(work)

    def state(self, endpoint: str) -> QueueState:
        """The state of the queue. Raises: NotFound."""
        with self._storage.read() as connection:
            unqueued = connection.scalar(
                select(func.count())
                .select_from(schema.events)
                .where(schema.events.c.position > _queued_to(connection, endpoint))
            )
            counted = select(_table.c.state, func.count()).where(_table.c.endpoint == endpoint)
            counts = {state: count for state, count in connection.execute(counted.group_by(_table.c.state))}  # noqa: C416
            last = connection.scalar(
                select(_table.c.last_result)
                .where(_table.c.endpoint == endpoint, _table.c.last_result.is_not(None))
                .order_by(_table.c.last_attempt_at_ms.desc())
                .limit(1)
            )
        return QueueState(
            counts.get("pending", 0), counts.get("delivered", 0), counts.get("given_up", 0), unqueued or 0, last
        )


def waiting(connection: Connection) -> int:
    """How many events wait for an endpoint: those in a queue, and those in the log that no queue holds yet.

    The latter include a filtered endpoint's other types, until its worker passes over them. A disabled endpoint waits
    for none.
    """
    endpoints = schema.webhook_endpoints
    not_queued = select(func.count()).select_from(
        endpoints.join(schema.events, schema.events.c.position > endpoints.c.queued_to)
    )
    pending = select(func.count()).select_from(endpoints.join(_table)).where(_table.c.state == "pending")
    return sum(
        connection.execute(query.where(endpoints.c.disabled_at_ms.is_(None))).scalar_one()
        for query in (pending, not_queued)
    )


def _is_due(endpoint: str, now_ms: int) -> ColumnElement[bool]:
    """The events that are to be sent now. One queued or tried in the future waits no longer: the clock was wrong then,
    and has been set back."""
    due = or_(
        _table.c.next_attempt_at_ms <= now_ms, _table.c.queued_at_ms > now_ms, _table.c.last_attempt_at_ms > now_ms
    )
    return and_(_table.c.endpoint == endpoint, _table.c.state == "pending", due)


def _fresh(endpoint: str, position: int, now_ms: int) -> dict[str, str | int]:
    return {
        "endpoint": endpoint,
        "position": position,
        "state": "pending",
        "attempts": 0,
        "queued_at_ms": now_ms,
        "next_attempt_at_ms": now_ms,
    }


def _set(connection: Connection, endpoint: str, position: int, **values: str | int) -> None:
    connection.execute(
        update(_table).where(_table.c.endpoint == endpoint, _table.c.position == position).values(**values)
    )


def _pending(connection: Connection, endpoint: str) -> int:
    return (
        connection.scalar(
            select(func.count()).select_from(_table).where(_table.c.endpoint == endpoint, _table.c.state == "pending")
        )
        or 0
    )


def _queued_to(connection: Connection, endpoint: str) -> int:
    table = schema.webhook_endpoints.c
    queued_to: int | None = connection.scalar(select(table.queued_to).where(table.id == endpoint))
    if queued_to is None:
        raise NotFound("endpoint: not here; allowed: one that GET /v1/webhook-endpoints lists")
    return queued_to
