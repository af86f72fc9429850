"""The hours of a bank as they are stored, and what a score card and anybody with the ledger's URL make of them."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from standing.gateway.decisions.policy import Policy
from standing.gateway.storage.database import Storage
from standing.gateway.warning import store, walk
from standing.gateway.warning.hours import KEEP_HOURS, BankHours, Hour
from standing.gateway.warning.scorecard import Period, ScoreCards
from standing.gateway.warning.verdict import Pace
from standing.ledger.chain.events import BankEvent
from standing.ledger.clock import HOUR_MS, ManualClock
from standing.ledger.errors import InvalidValue

_BANK, _OTHER = "YUNXCNB0", "JINQCNB0"
_NOW_MS = 500_000 * HOUR_MS


def _saved(storage: Storage, bank: str, hours: dict[int, Hour], block: int, was: dict[str, int]) -> bool:
    with storage.write() as connection:
        return store.save(connection, {bank: BankHours(_NOW_MS, to_ms=_NOW_MS, hours=hours)}, block, was)


def _hour(publications: int = 1, worst_age_ms: int = 1_000) -> Hour:
    hour = Hour(publications=publications)
    hour.aged(worst_age_ms - HOUR_MS, worst_age_ms)
    return hour


def test_what_another_process_has_counted_further_is_not_overwritten(storage: Storage) -> None:
    assert _saved(storage, _BANK, {}, 7, {})
    assert _saved(storage, _BANK, {}, 9, {_BANK: 7})
    assert not _saved(storage, _BANK, {}, 8, {_BANK: 7})
    with storage.read() as connection:
        assert store.load(connection, [_BANK])[_BANK][0] == 9


def test_a_banks_hours_are_kept_for_forty_days_and_no_other_banks_are_deleted(storage: Storage) -> None:
    oldest_ms = _NOW_MS - KEEP_HOURS * HOUR_MS
    old = {oldest_ms - HOUR_MS: _hour(), oldest_ms: _hour()}
    for index, bank in enumerate((_BANK, _OTHER)):
        assert _saved(storage, bank, old, index, {})
    assert _saved(storage, _BANK, {_NOW_MS: _hour()}, 9, {_BANK: 0})
    with storage.read() as connection:
        kept = [list(store.hours_between(connection, bank, 0, _NOW_MS + 1)) for bank in (_BANK, _OTHER)]
        assert _NOW_MS not in store.hours_between(connection, _BANK, 0, _NOW_MS)
    assert kept == [[oldest_ms, _NOW_MS], list(old)]


def test_a_card_of_an_earlier_day_shows_that_day_and_rates_the_week_before_it(storage: Storage) -> None:
    policy, day = Policy(), 24 * HOUR_MS
    until_ms = _NOW_MS - day
    silent = _hour(publications=100, worst_age_ms=HOUR_MS)
    hours = {until_ms - index * HOUR_MS: _hour() for index in range(-10, 24 * 7 + 1)}
    hours |= {until_ms - 3 * day: silent, until_ms: silent, until_ms - 8 * day: silent}
    assert _saved(storage, _BANK, dict(sorted(hours.items())), 7, {})
    banks = cast(Any, SimpleNamespace(find=lambda bic: SimpleNamespace(bic=bic)))
    cards = ScoreCards(storage=storage, banks=banks, policy=policy, clock=ManualClock(_NOW_MS))
    card = asyncio.run(cards.of(_BANK, Period.DAY, until_ms))
    assert (card.from_ms, card.until_ms) == (until_ms - day, until_ms)
    assert (card.ledger.publications, card.ledger.silent_ms) == (24, 0)
    assert card.verdict is not None
    assert card.verdict.word is Pace.UNSTEADY
    cards.use(policy.model_copy(update={"freshness": policy.freshness[-1:]}))
    week = asyncio.run(cards.of(_BANK, Period.WEEK, until_ms)).ledger
    assert (week.publications, week.silent_over_ms) == (7 * 24 - 1 + 100, policy.freshness[-1].max_staleness_ms)


class _Ledger:
    """A ledger with a block every ten minutes."""

    def block_time_ms(self, number: int) -> int:
        return _NOW_MS + number * 600_000


def test_a_bank_that_was_suspended_before_a_walk_is_suspended_in_it_and_no_other_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    acts = [(_BANK, "BankAdmitted"), (_OTHER, "BankAdmitted"), (_BANK, "BankSuspended")]
    events = [BankEvent(bank, name, {}, 0, index, cast(Any, None)) for index, (bank, name) in enumerate(acts)]
    monkeypatch.setattr(
        walk, "bank_events", lambda _ledger, to_block, from_block=0, names=(): events if not from_block else []
    )
    monkeypatch.setattr(walk, "History", lambda *_: SimpleNamespace(newest=lambda _block: None))
    from_ms, ledger = _NOW_MS + HOUR_MS - 1, cast(Any, _Ledger())
    found = walk.recomputed(ledger, [_BANK, _OTHER], from_ms, 12)
    suspended_ms = {bank: sum(hour.suspended_ms for hour in each.hours.values()) for bank, each in found.items()}
    assert suspended_ms == {_BANK: HOUR_MS + 1, _OTHER: 0}, "time before the period is not counted"
    longest_ms = ledger.block_time_ms(12) - walk.MAX_HOURS * HOUR_MS
    walk.recomputed(ledger, [], longest_ms, 12)
    with pytest.raises(InvalidValue, match="longest walk"):
        walk.recomputed(ledger, [], longest_ms - 1, 12)
