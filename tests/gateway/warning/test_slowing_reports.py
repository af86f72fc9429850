"""A bank that slows is reported once, before it is silent, and by its own past alone."""

import json
from typing import Any, cast

import pytest
from sqlalchemy import insert, select, update

from standing.gateway.decisions.policy import Policy
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.warning import store, watch
from standing.gateway.warning.hours import BankHours, Hour
from standing.gateway.warning.slowing import PAST_HOURS
from standing.gateway.warning.watch import PaceWatch
from standing.ledger.chain.client import Head
from standing.ledger.clock import HOUR_MS, ManualClock

_BANK, _OTHER = "YUNXCNB0", "JINQCNB0"
_HEAD = Head(7, b"7" * 32, 0)
#: The start of an hour, and the time of the newest watermark.
_HOUR_AT_MS = 500_000 * HOUR_MS
_SAID_MS = _HOUR_AT_MS + 600_000
_POLICY = Policy()
_BOUND_MS = _POLICY.widest_staleness_ms


def _hour(worst_age_ms: int = 20_000, followed_ms: int = HOUR_MS) -> Hour:
    hour = Hour(worst_age_ms=worst_age_ms)
    hour.aged(0, followed_ms)
    hour.worst_age_ms = worst_age_ms
    return hour


@pytest.fixture
def storage(storage: Storage) -> Storage:
    """Two banks that were followed for a week, always at most 20 seconds old."""
    hours = {_HOUR_AT_MS - index * HOUR_MS: _hour() for index in range(1, PAST_HOURS + 1)}
    bank = BankHours(watermark_ms=_SAID_MS, to_ms=_SAID_MS, hours=hours)
    with storage.write() as connection:
        assert store.save(connection, {_BANK: bank, _OTHER: bank}, _HEAD.number, {})
    return storage


def _watch(storage: Storage, clock: ManualClock) -> PaceWatch:
    return PaceWatch(storage=storage, ledger=cast(Any, None), clock=clock)  # all is counted up to the head


def _limit_ms(storage: Storage) -> int:
    with storage.read() as connection:
        found = watch.usual_limit_ms(connection, _BANK, _SAID_MS, _BOUND_MS)
    assert found is not None
    return found


def _reports(storage: Storage, *ages_ms: int) -> list[dict[str, Any]]:
    """What is reported at these ages of the watermark, by a gateway that has just started each time."""
    for age_ms in ages_ms:
        _watch(storage, ManualClock(_SAID_MS + age_ms)).step(_HEAD, [_BANK], _POLICY)
    with storage.read() as connection:
        return [json.loads(data) for data in connection.scalars(select(schema.events.c.data))]


def test_a_bank_is_reported_just_beyond_its_limit_once_until_it_has_spoken_again(storage: Storage) -> None:
    limit_ms = _limit_ms(storage)
    assert 20_000 < limit_ms < _BOUND_MS
    assert _reports(storage, limit_ms) == []
    (event,) = _reports(storage, limit_ms + 1, limit_ms + 2)
    assert (event["staleness_ms"], event["time_left_ms"]) == (limit_ms + 1, _BOUND_MS - limit_ms - 1)
    with storage.read() as connection:
        table = schema.bank_paces.c
        reported = connection.scalars(select(table.bank).where(table.slowing_since_ms.is_not(None))).all()
    assert reported == [_BANK]
    assert len(_reports(storage, 1_000, limit_ms + 1)) == 2


@pytest.mark.parametrize(("past_bound_ms", "reports"), [(0, 1), (1, 0)])
def test_a_bank_that_is_silent_already_is_not_reported_as_slowing(
    storage: Storage, past_bound_ms: int, reports: int
) -> None:
    assert len(_reports(storage, _BOUND_MS + past_bound_ms)) == reports


@pytest.mark.parametrize(
    ("start_ms", "hour"),
    [
        (_HOUR_AT_MS, _hour(250_000)),
        (_HOUR_AT_MS - (PAST_HOURS + 1) * HOUR_MS, _hour(250_000)),
        (_HOUR_AT_MS - HOUR_MS, _hour(250_000, HOUR_MS - 1)),
    ],
    ids=["the hour of its watermark", "older than a week", "not followed in full"],
)
def test_an_hour_that_does_not_show_the_banks_habit_does_not_raise_its_limit(
    storage: Storage, start_ms: int, hour: Hour
) -> None:
    usual_ms, table = _limit_ms(storage), schema.bank_hours
    with storage.write() as connection:
        changed = update(table).where(table.c.hour_ms == start_ms).values(figures=hour.to_json())
        if not connection.execute(changed).rowcount:
            row = {"bank": _BANK, "hour_ms": start_ms, "figures": hour.to_json()}
            connection.execute(insert(table).values(row))
    assert abs(_limit_ms(storage) - usual_ms) <= 1


def test_a_bank_is_looked_at_every_few_seconds_and_at_once_when_the_clock_was_set_back(storage: Storage) -> None:
    limit_ms, clock = _limit_ms(storage), ManualClock(_SAID_MS)
    pace = _watch(storage, clock)
    pace.step(_HEAD, [_BANK], _POLICY)
    reported = []
    for at_ms in (_SAID_MS + 4_999, _SAID_MS + limit_ms + 1, _SAID_MS + limit_ms - 60_000):
        clock._now_ms = at_ms
        with storage.write() as connection:
            connection.execute(update(schema.bank_paces).values(watermark_ms=at_ms - limit_ms - 1))
        reported.append(pace.step(_HEAD, [_BANK], _POLICY))
        with storage.write() as connection:
            connection.execute(update(schema.bank_paces).values(slowing_since_ms=None))
    assert reported == [False, True, True]
