"""The worst age of each minute, kept for two days; and the ages at which a bank counts as silent."""

from functools import partial
from pathlib import Path

import pytest

from standing.gateway.decisions.policy import Policy
from standing.gateway.following import bank_ages
from standing.gateway.following.bank_ages import BankAges, MinuteAge
from standing.gateway.following.bank_watch import BankSighting, is_silent
from standing.gateway.storage.database import Storage
from standing.ledger.clock import MINUTE_MS
from standing.ledger.service.database import Database, migrate
from tests.databases import new_database

_DAY_MS = 24 * 60 * MINUTE_MS


def seen(watermark_ms: int, bank: str = "YUNXCNB0") -> BankSighting:
    return BankSighting(bank, watermark_ms, suspended=False, block_number=1)


def test_a_minute_is_recorded_with_its_worst_age_once_it_has_ended() -> None:
    ages, begins_ms = BankAges(), 10 * MINUTE_MS
    assert ages.note([seen(begins_ms - 500)], begins_ms) == []
    assert ages.note([seen(begins_ms - 500)], begins_ms + 30_000) == []
    assert ages.note([seen(begins_ms + 40_000)], begins_ms + 41_000) == []
    ended = ages.note([seen(begins_ms + MINUTE_MS)], begins_ms + MINUTE_MS)
    assert ended == [MinuteAge("YUNXCNB0", begins_ms, 30_500)]


def test_a_bank_that_has_not_spoken_has_no_age() -> None:
    ages = BankAges()
    ages.note([seen(0)], MINUTE_MS)
    assert ages.note([], 2 * MINUTE_MS) == []


def test_bank_ages_are_stored_per_bank_replaced_within_a_minute_and_deleted_after_two_days(tmp_path: Path) -> None:
    database = Database(new_database(tmp_path, "gateway"))
    migrate(database, "standing.gateway.storage")
    storage = Storage(database)
    late_ms = 4 * _DAY_MS
    for minute_ms, age_ms in ((_DAY_MS, 1), (late_ms, 2), (late_ms, 3)):
        ended = [MinuteAge("YUNXCNB0", minute_ms, age_ms)]
        storage.write_all(partial(bank_ages.write, ended=ended))
    assert bank_ages.since(storage, 0) == {"YUNXCNB0": [MinuteAge("YUNXCNB0", late_ms, 3)]}
    assert bank_ages.since(storage, late_ms + 1) == {}
    storage.close()


@pytest.mark.parametrize(("age_ms", "silent"), [(300_000, False), (300_001, True), (-15_000, False), (-15_001, True)])
def test_a_bank_is_silent_beyond_the_policys_widest_bound_and_beyond_what_clocks_may_differ(
    age_ms: int, silent: bool
) -> None:
    assert is_silent(_DAY_MS - age_ms, Policy(), _DAY_MS) is silent
