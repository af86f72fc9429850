"""The schedule of a webhook's attempts, over three days with the default settings."""

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

from standing.gateway.events import endpoints as endpoints_module
from standing.gateway.events import log as event_log
from standing.gateway.events.deliveries import Attempt, DeliveryQueues, QueueState
from standing.gateway.events.endpoints import Endpoints
from standing.gateway.events.settings import WebhookSettings
from standing.gateway.events.types import Event, EventType
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.clock import ManualClock
from standing.ledger.errors import InvalidValue, NotFound
from standing.ledger.service.vault import Vault

_START_MS = 1_700_000_000_000
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_ENDPOINT = "we_1"


def _nth(*numbers: int) -> list[int]:
    """The positions of the first event, the second and so on, all of which are observed at the same time."""
    return [_START_MS + number - 1 for number in numbers]


class _NoJitter(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


class _Early(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return min(a, b)


class _Late(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


@pytest.fixture
def storage(storage: Storage) -> Storage:
    """A database with one endpoint and one event of a type it subscribes to."""
    endpoint = {"id": _ENDPOINT, "url_sealed": b"", "secret_sealed": b"", "created_at_ms": _START_MS, "queued_to": 0}
    with storage.write() as connection:
        connection.execute(insert(schema.webhook_endpoints).values(**endpoint))
        event_log.append(
            connection, [Event(EventType.BANK_SILENT, "YUNXCNB0", None, None, 7, _START_MS, _START_MS, {})]
        )
    return storage


def _due_ms(storage: Storage) -> int:
    with storage.read() as connection:
        due_ms: int = connection.execute(select(schema.webhook_deliveries.c.next_attempt_at_ms)).scalar_one()
    return due_ms


def _fail_until_abandoned(storage: Storage, clock: ManualClock, queues: DeliveryQueues) -> list[int]:
    """Fail every attempt when it is due; none may be due a millisecond earlier. Returns: the attempts' times."""
    attempts: list[int] = []
    while True:
        attempt = queues.claim(_ENDPOINT, None)
        assert attempt is not None
        assert attempt.number == len(attempts) + 1
        attempts.append(clock.now_ms())
        if queues.failed(attempt, "http_500"):
            clock.advance(_DAY_MS)
            assert not queues.has_work(_ENDPOINT)
            return attempts
        clock.advance(_due_ms(storage) - clock.now_ms() - 1)
        assert queues.claim(_ENDPOINT, None) is None
        clock.advance(1)


def _queue_of(storage: Storage, endpoint: str) -> list[Any]:
    deliveries, endpoints = schema.webhook_deliveries, schema.webhook_endpoints
    with storage.read() as connection:
        rows = list(connection.execute(select(deliveries).where(deliveries.c.endpoint == endpoint)))
        return [*rows, connection.scalar(select(endpoints.c.queued_to).where(endpoints.c.id == endpoint))]


@pytest.mark.parametrize(
    "done",
    [
        lambda queues, attempt, _: queues.delivered(attempt, "http_204", revive=True),
        lambda queues, attempt, _: queues.failed(attempt, "http_500"),
        lambda queues, _attempt, _: queues.abandon_old(_ENDPOINT, "http_500"),
        lambda queues, attempt, _: queues.replay_event(_ENDPOINT, attempt.event.id),
        lambda queues, _attempt, _: queues.replay_after(_ENDPOINT, 0),
        lambda _queues, _attempt, endpoints: endpoints.enable(_ENDPOINT),
        lambda _queues, _attempt, endpoints: endpoints.rotate(_ENDPOINT),
        lambda _queues, _attempt, endpoints: endpoints.delete(_ENDPOINT),
    ],
    ids=["delivered", "failed", "abandoned", "one replayed", "all replayed", "enabled", "rotated", "deleted"],
)
def test_nothing_that_is_done_to_one_endpoints_queue_loses_or_moves_an_event_of_another(
    storage: Storage, done: Callable[[DeliveryQueues, Attempt, Endpoints], object]
) -> None:
    clock, settings, vault = ManualClock(_START_MS), WebhookSettings(max_pending=2), Vault([bytes(32)], "gateway")
    queues, endpoints = (
        DeliveryQueues(storage, clock, settings, _NoJitter()),
        Endpoints(storage, vault, clock, settings),
    )
    sealed = {"url_sealed": vault.seal_text("https://a.example/"), "secret_sealed": vault.seal_text("whsec_")}
    table = schema.webhook_endpoints
    with storage.write() as connection:
        connection.execute(update(table).values(sealed))
        connection.execute(insert(table).values(id="we_2", created_at_ms=_START_MS, queued_to=0, **sealed))
    _more_events(storage, 2)
    assert queues.claim("we_2", None) is not None
    attempt = queues.claim(_ENDPOINT, None)
    assert attempt is not None, "another endpoint's full queue leaves room in this one"
    before = _queue_of(storage, "we_2")
    clock.advance(settings.give_up_after_ms)
    done(queues, attempt, endpoints)
    assert _queue_of(storage, "we_2") == before


def test_attempts_back_off_exponentially_up_to_an_hour_and_end_after_three_days(storage: Storage) -> None:
    clock = ManualClock(_START_MS)
    queues = DeliveryQueues(storage, clock, WebhookSettings(), _NoJitter())
    attempts = _fail_until_abandoned(storage, clock, queues)
    gaps_s = [(later - earlier) / 1000 for earlier, later in pairwise(attempts)]
    assert gaps_s[:10] == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560]
    assert set(gaps_s[10:]) == {3600}
    assert 3 * _DAY_MS <= attempts[-1] - attempts[0] < 3 * _DAY_MS + _HOUR_MS
    assert queues.state(_ENDPOINT).given_up == 1


@pytest.mark.parametrize(("jitter", "factor"), [(_Early(), 0.8), (_Late(), 1.2)])
def test_each_back_off_is_jittered_by_a_fifth_both_ways(storage: Storage, jitter: random.Random, factor: float) -> None:
    queues = DeliveryQueues(storage, ManualClock(_START_MS), WebhookSettings(), jitter)
    assert [queues.back_off_ms(failures) for failures in (1, 2, 10_000)] == [
        5_000 * factor,
        10_000 * factor,
        _HOUR_MS * factor,
    ]


def test_a_receiver_cannot_delay_an_event_by_more_than_an_hour(storage: Storage) -> None:
    clock = ManualClock(_START_MS)
    queues = DeliveryQueues(storage, clock, WebhookSettings(), _NoJitter())
    attempt = queues.claim(_ENDPOINT, None)
    assert attempt is not None
    queues.failed(attempt, "http_503", retry_after_ms=30 * _DAY_MS)
    assert _due_ms(storage) == _START_MS + _HOUR_MS


def _more_events(
    storage: Storage, count: int, *, at_ms: int = _START_MS, kind: EventType = EventType.BANK_SILENT
) -> None:
    event = Event(kind, "YUNXCNB0", None, None, 7, at_ms, at_ms, {})
    with storage.write() as connection:
        event_log.append(connection, [event] * count)


def _take_all(queues: DeliveryQueues) -> list[int]:
    """Take every event that is due. Returns: their positions."""
    positions = []
    while (attempt := queues.claim(_ENDPOINT, None)) is not None:
        queues.delivered(attempt, "http_204", revive=False)
        positions.append(attempt.event.position)
    return positions


def test_a_replay_from_beyond_the_queue_skips_nothing_of_the_backlog(storage: Storage) -> None:
    queues = DeliveryQueues(storage, ManualClock(_START_MS), WebhookSettings(max_pending=2), _NoJitter())
    _more_events(storage, 9)
    assert queues.claim(_ENDPOINT, None) is not None  # 1 and 2 are queued, the rest waits in the log
    queues.replay_after(_ENDPOINT, _START_MS)
    assert queues.replay_after(_ENDPOINT, _START_MS + 7) == 2
    assert _take_all(queues) == _nth(2, 3, 4, 5, 6, 7, 8, 9, 10)


def test_a_replay_from_a_future_position_is_refused_and_skips_no_later_event(storage: Storage) -> None:
    queues = DeliveryQueues(storage, ManualClock(_START_MS), WebhookSettings(), _NoJitter())
    assert _take_all(queues) == _nth(1)
    assert queues.replay_after(_ENDPOINT, _START_MS) == 0
    with pytest.raises(InvalidValue, match=f"after: beyond the newest event; allowed: 0 to {_START_MS}"):
        queues.replay_after(_ENDPOINT, _START_MS + 1)
    _more_events(storage, 2)
    assert _take_all(queues) == _nth(2, 3)


def test_old_hops_of_changes_are_pruned_in_bounded_steps_and_the_newest_is_kept(storage: Storage) -> None:
    """A delete of all at once would hold up every decision, for as long as it takes."""
    binding = {"bank": "YUNXCNB0", "user_id": "u", "number_masked": "*", "number_type": "card"}
    blobs = dict.fromkeys(("account", "key_sealed", "tags", "grant_signature"), b"")
    times = {"granted_at_ms": _START_MS, "created_at_ms": _START_MS, "floor": 0}
    state = {"tag_and_head": b"", "tail": b"", "block_number": 1, "recheck": False}
    hop: dict[str, Any] = dict.fromkeys(
        ("effective_at_ms", "block_number", "block_time_ms", "observed_at_ms"), _START_MS
    )
    with storage.write() as connection:
        for name, newest in ((b"b", 25), (b"c", 3)):
            connection.execute(insert(schema.bindings).values(binding=name, **binding, **blobs, **times))
            connection.execute(insert(schema.binding_states).values(binding=name, publication=newest, **state))
            hops = [hop | {"binding": name, "publication": each, "restated": False} for each in range(1, newest + 1)]
            hops[-2]["observed_at_ms"] += 1  # not old yet
            connection.execute(insert(schema.observations), hops)
    pruned: list[int] = []
    while not pruned or pruned[-1] == 10:
        with storage.write() as connection:
            pruned.append(event_log.prune(connection, _START_MS + 1, 10))
    assert pruned == [10, 10, 4]
    with storage.read() as connection:
        assert sorted(connection.scalars(select(schema.observations.c.publication))) == [2, 3, 24, 25]


def test_old_events_are_pruned_oldest_first_in_bounded_steps_and_the_newest_never(storage: Storage) -> None:
    _more_events(storage, 3)
    _more_events(storage, 2, at_ms=_START_MS + 10)
    _take_all(DeliveryQueues(storage, ManualClock(_START_MS + 10), WebhookSettings(), _NoJitter()))

    def pruned(before_ms: int) -> tuple[int, list[int]]:
        with storage.write() as connection:
            count = event_log.prune(connection, before_ms, 3)
            left = [event.position for event in event_log.page(connection, 0, 10)]
            assert sorted(connection.scalars(select(schema.webhook_deliveries.c.position))) == left
            return count, left

    fourth, kept, newest = _START_MS + 3, _START_MS + 10, _START_MS + 11
    assert pruned(_START_MS + 10) == (3, [fourth, kept, newest])
    assert pruned(_START_MS + 10) == (1, [kept, newest])
    assert pruned(_START_MS + 10) == (0, [kept, newest])
    assert pruned(_START_MS + _DAY_MS) == (1, [newest])


def test_no_event_is_missing_from_the_oldest_position_on_whichever_was_pruned_first(storage: Storage) -> None:
    first, _, third, *_, sixth, seventh, eighth = _nth(1, 2, 3, 4, 5, 6, 7, 8)
    log = event_log.EventLog(storage)
    cursor = {"id": 1, "block_number": 1, "block_hash": b"", "adopted_to_ms": 0}
    pending = {"endpoint": _ENDPOINT, "state": "pending", "attempts": 0, "queued_at_ms": 0, "next_attempt_at_ms": 0}
    table = schema.webhook_deliveries
    _more_events(storage, 6)
    with storage.write() as connection:
        connection.execute(insert(schema.follower).values(cursor))
        connection.execute(insert(table), [pending | {"position": each} for each in (first, third, sixth)])
        event_log.prune(connection, _START_MS + 1, 10)  # the second, fourth and fifth
    assert log.ends() == (sixth, seventh)
    for delivered, more, oldest in ((first, 0, sixth), (third, 1, eighth)):
        _more_events(storage, more)
        with storage.write() as connection:
            connection.execute(delete(table).where(table.c.position == delivered))
            event_log.prune(connection, _START_MS + 1, 10)
        assert log.ends()[0] == oldest
    assert [event.position for event in log.page(0, 10)] == [sixth, eighth]


def test_events_that_an_endpoint_does_not_want_hold_up_none_that_it_wants(storage: Storage) -> None:
    queues = DeliveryQueues(storage, ManualClock(_START_MS), WebhookSettings(max_pending=2), _NoJitter())
    _more_events(storage, 4)
    _more_events(storage, 1, kind=EventType.BANK_BACK)
    taken = [queues.claim(_ENDPOINT, (EventType.BANK_BACK.value,)) for _ in range(3)]
    assert [each and each.event.position for each in taken] == [None, None, *_nth(6)]


def test_a_replay_from_the_last_queued_position_over_a_pruned_log_skips_nothing(storage: Storage) -> None:
    queues = DeliveryQueues(storage, ManualClock(_START_MS), WebhookSettings(), _NoJitter())
    _more_events(storage, 2)
    assert _take_all(queues) == _nth(1, 2, 3)
    with storage.write() as connection:
        event_log.prune(connection, _START_MS + 1, 10)
    assert queues.replay_after(_ENDPOINT, _START_MS + 2) == 0
    _more_events(storage, 1)
    assert _take_all(queues) == _nth(4)


def test_an_abandoned_event_is_sent_again_on_replay(storage: Storage) -> None:
    clock = ManualClock(_START_MS)
    queues = DeliveryQueues(storage, clock, WebhookSettings(), _NoJitter())
    _fail_until_abandoned(storage, clock, queues)
    with storage.read() as connection:
        (event,) = event_log.page(connection, 0, 10)
    assert queues.replay_event(_ENDPOINT, event.id) == 1
    attempt = queues.claim(_ENDPOINT, None)
    assert attempt is not None
    assert (attempt.event.id, attempt.number) == (event.id, 1)
    # Its three days start over.
    assert not queues.failed(attempt, "http_500")


def test_an_event_that_waits_for_its_endpoint_is_kept_however_old(storage: Storage) -> None:
    queues = DeliveryQueues(storage, ManualClock(_START_MS), WebhookSettings(), _NoJitter())
    _more_events(storage, 3)
    first = queues.claim(_ENDPOINT, None)
    assert first is not None
    queues.delivered(first, "http_204", revive=False)
    with storage.write() as connection:
        assert event_log.prune(connection, _START_MS + 365 * _DAY_MS, 10) == 1
    assert _take_all(queues) == _nth(2, 3, 4)


def test_an_attempt_under_way_is_not_made_by_another_process_before_it_must_have_ended(storage: Storage) -> None:
    clock, settings = ManualClock(_START_MS), WebhookSettings()
    queues = DeliveryQueues(storage, clock, settings, _NoJitter())
    assert queues.claim(_ENDPOINT, None) is not None
    clock.advance(settings.timeout_ms)
    assert queues.claim(_ENDPOINT, None) is None
    clock.advance(settings.timeout_ms)
    again = queues.claim(_ENDPOINT, None)  # its process has died
    assert again is not None
    assert again.number == 2


def test_a_replayed_event_that_was_not_queued_yet_is_sent_once(storage: Storage) -> None:
    queues = DeliveryQueues(storage, ManualClock(_START_MS), WebhookSettings(), _NoJitter())
    _more_events(storage, 1)
    with storage.read() as connection:
        _, newest = event_log.page(connection, 0, 10)
    queues.replay_event(_ENDPOINT, newest.id)
    assert _take_all(queues) == _nth(1, 2)


def test_the_state_of_a_queue_counts_each_event_once_and_shows_the_newest_result(storage: Storage) -> None:
    clock = ManualClock(_START_MS)
    queues = DeliveryQueues(storage, clock, WebhookSettings(max_pending=2), _NoJitter())
    _more_events(storage, 3)
    assert queues.state(_ENDPOINT) == QueueState(0, 0, 0, 4, None)
    shown = []
    for result in ("http_204", "http_500", "http_200"):
        clock.advance(1)
        attempt = queues.claim(_ENDPOINT, None)
        assert attempt is not None
        shown.append(queues.state(_ENDPOINT).last_result)  # while the attempt is under way
        if result == "http_500":
            queues.failed(attempt, result)
        else:
            queues.delivered(attempt, result, revive=False)
    assert shown == [None, "http_204", "http_500"]
    assert queues.state(_ENDPOINT) == QueueState(1, 2, 0, 1, "http_200")
    table = schema.webhook_deliveries.c
    with storage.read() as connection:
        times = list(connection.scalars(select(table.delivered_at_ms).order_by(table.position)))
    assert times == [_START_MS + 1, None, _START_MS + 3]
    clock.advance(WebhookSettings().give_up_after_ms)
    assert queues.abandon_old(_ENDPOINT, "timeout") == 1
    assert queues.state(_ENDPOINT) == QueueState(0, 2, 1, 1, "http_200"), "what was delivered is not given up"


def test_the_queue_of_an_endpoint_that_is_not_here_is_not_found(storage: Storage) -> None:
    queues = DeliveryQueues(storage, ManualClock(_START_MS), WebhookSettings(), _NoJitter())
    with storage.read() as connection:
        (event,) = event_log.page(connection, 0, 10)
    for ask in (
        queues.state,
        lambda name: queues.replay_event(name, event.id),
        lambda name: queues.replay_after(name, 0),
    ):
        with pytest.raises(NotFound, match="endpoint: not here"):
            ask("we_9")


@pytest.mark.parametrize("tried", [True, False])
def test_what_a_clock_that_was_ahead_queued_or_tried_is_due_once_it_is_set_back_and_each_once(
    storage: Storage, tried: bool
) -> None:
    clock = ManualClock(_START_MS if tried else _START_MS + 2 * _HOUR_MS)
    queues = DeliveryQueues(storage, clock, WebhookSettings(), _NoJitter())
    _more_events(storage, 1)
    assert queues.claim(_ENDPOINT, None) is not None  # both are queued now; the second is not tried
    if tried:
        clock.advance(2 * _HOUR_MS)
        assert queues.claim(_ENDPOINT, None) is not None
    set_back = DeliveryQueues(storage, ManualClock(_START_MS + _HOUR_MS), WebhookSettings(), _NoJitter())
    due = [set_back.claim(_ENDPOINT, None) for _ in range(3)]
    assert [each and each.event.position for each in due] == [*_nth(1, 2), None]


def test_an_endpoint_that_is_enabled_again_begins_its_attempts_anew(storage: Storage) -> None:
    clock, settings = ManualClock(_START_MS), WebhookSettings()
    queues = DeliveryQueues(storage, clock, settings, _NoJitter())
    attempt = queues.claim(_ENDPOINT, None)
    assert attempt is not None
    queues.failed(attempt, "http_410")
    clock.advance(settings.give_up_after_ms)
    with storage.write() as connection:
        endpoints_module._enable(connection, _ENDPOINT, clock.now_ms())
    again = queues.claim(_ENDPOINT, None)
    assert again is not None
    assert again.number == 1
    assert not queues.failed(again, "http_500"), "its three days as well"
