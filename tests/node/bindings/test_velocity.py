"""Guessing accounts and holders is slow: each attempt costs tokens, an unknown account twenty times as many."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from standing.ledger.clock import ManualClock
from standing.ledger.service.database import Database, migrate
from standing.ledger.service.vault import Vault
from standing.node.bindings.velocity import UNKNOWN_COST, Bucket, Rate, TooManyAttempts, Velocity
from standing.node.storage import schema
from tests.databases import new_database
from tests.node.node_tools import Staffed, account, grant_of
from tests.world import ACCOUNT, World, wait_until

_HOUR_MS = 3_600_000
_VELOCITY = {
    "platform_capacity": 100,
    "platform_refill_per_hour": 60,
    "caller_capacity": 40,
    "caller_refill_per_hour": 20,
}


@pytest.fixture
def staffed(a_world: World, stack: ExitStack) -> Staffed:
    made = Staffed(a_world, stack, velocity=_VELOCITY)
    made.bank.feed(*(account(index) for index in range(10)))
    return made


def _wrong(index: int) -> dict[str, Any]:
    """A claim on a known account with the wrong name."""
    return account(index, holder_name="Nobody Atall")


def _unknown(index: int) -> dict[str, Any]:
    return account(900 + index)


def _refused(answer: httpx.Response) -> bool:
    assert answer.status_code in {200, 429}, answer.text
    return answer.status_code == 429


def test_a_user_who_guesses_at_unknown_accounts_is_stopped_after_two(staffed: Staffed) -> None:
    refused = [_refused(staffed.bind(_unknown(index), on_behalf_of="u-1")) for index in range(4)]
    assert refused == [False, False, True, True]


@pytest.mark.long
def test_a_guesser_gets_twenty_times_as_many_attempts_at_a_known_account(staffed: Staffed) -> None:
    refused = [_refused(staffed.bind(_wrong(1), on_behalf_of="u-1")) for _ in range(41)]
    assert refused == [False] * 40 + [True]


def test_one_users_guesses_do_not_stop_another(staffed: Staffed) -> None:
    for index in range(3):
        staffed.bind(_unknown(index), on_behalf_of="u-1")
    assert _refused(staffed.bind(account(1), on_behalf_of="u-1"))
    grant_of(staffed.bind(account(1), on_behalf_of="u-2"))


def test_a_platforms_rate_is_bounded_whichever_users_it_names_or_none(staffed: Staffed) -> None:
    refused = [_refused(staffed.bind(_unknown(index), on_behalf_of=f"u-{index}")) for index in range(6)]
    assert refused == [False] * 5 + [True]
    assert _refused(staffed.bind(account(1)))
    # Another platform is not limited by it.
    grant_of(staffed.bind(account(1), staffed.other_key))


def test_a_retry_at_the_stated_time_is_accepted(staffed: Staffed) -> None:
    clock = staffed.bank.clock
    for index in range(3):
        answer = staffed.bind(_unknown(index), on_behalf_of="u-1")
    assert answer.status_code == 429
    assert answer.json()["type"] == "urn:standing:problem:too-many-attempts"
    assert answer.headers["content-type"] == "application/problem+json"
    retry_after_s = int(answer.headers["retry-after"])
    # The bucket holds 0 of 40 after two guesses, and gets 20 an hour: one more attempt after three minutes.
    assert retry_after_s == 180
    assert "allowed: again at 20" in answer.json()["detail"]
    clock.advance(retry_after_s * 1000 - 2_000)
    assert _refused(staffed.bind(account(1), on_behalf_of="u-1"))
    clock.advance(2_000)
    grant_of(staffed.bind(account(1), on_behalf_of="u-1"))


@pytest.mark.long
def test_a_rate_debt_is_paid_off_before_the_next_attempt(staffed: Staffed) -> None:
    for _ in range(39):
        staffed.bind(_wrong(1), on_behalf_of="u-1")
    # With one token left, a claim that costs twenty is still answered: a refusal would reveal the cost.
    assert not _refused(staffed.bind(_unknown(1), on_behalf_of="u-1"))
    answer = staffed.bind(account(1), on_behalf_of="u-1")
    assert int(answer.headers["retry-after"]) == (19 + 1) * 180


@pytest.mark.parametrize(("booked", "claimed"), [("account", "card"), ("card", "account")])
def test_a_number_is_found_whatever_its_type_is_called(staffed: Staffed, booked: str, claimed: str) -> None:
    """The book of many a core does not distinguish cards from accounts; its profile calls all of them accounts."""
    row = {**ACCOUNT, "number": "9156026831789191", "number_type": booked}
    staffed.bank.feed(row)
    answer = staffed.bind({**row, "number_type": claimed}, on_behalf_of="u-1").json()
    assert (answer["outcome"], answer.get("mismatches") or []) == ("granted", [])


def test_a_restart_does_not_refill_the_rate_limits(a_world: World) -> None:
    with ExitStack() as stack:
        staffed = Staffed(a_world, stack, velocity=_VELOCITY)
        staffed.bank.feed(account(1))
        for index in range(2):
            staffed.bind(_unknown(index), on_behalf_of="u-1")
    with ExitStack() as stack:
        staffed.bank.start(stack)
        assert _refused(staffed.bind(account(1), on_behalf_of="u-1"))


@pytest.mark.long
def test_asking_for_a_lost_answer_again_costs_nothing(staffed: Staffed) -> None:
    stated = account(1)
    first = staffed.bind(stated, on_behalf_of="u-1", request_id="request-1")
    for _ in range(60):
        again = staffed.bind(stated, on_behalf_of="u-1", request_id="request-1")
        assert again.json() == first.json()


@pytest.mark.long
def test_an_attempt_that_ends_in_a_conflict_is_charged_as_well(staffed: Staffed) -> None:
    grant_of(staffed.bind(account(1)))
    statuses = [staffed.bind(account(1), on_behalf_of="u-1").status_code for _ in range(41)]
    assert statuses == [409] * 40 + [429]


def test_a_request_without_a_user_is_refused_if_the_bank_requires_one(a_world: World, stack: ExitStack) -> None:
    staffed = Staffed(a_world, stack, velocity={**_VELOCITY, "require_on_behalf_of": True})
    staffed.bank.feed(account(1))
    answer = staffed.bind(account(1))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "on_behalf_of"
    grant_of(staffed.bind(account(1), on_behalf_of="u-1"))


@pytest.mark.long
@pytest.mark.parametrize("wrong", ["", "a b", "张三", "x" * 65])
def test_a_users_id_that_could_be_a_name_is_refused(staffed: Staffed, wrong: str) -> None:
    answer = staffed.bind(account(1), on_behalf_of=wrong)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:standing:problem:malformed-request"


def test_the_database_keeps_users_only_as_keyed_hashes_and_not_for_ever(staffed: Staffed) -> None:
    bank = staffed.bank
    for worker in wait_until(lambda: bank.node.workers._workers):  # only the test purges
        worker.stop()
        worker.join(20)
    staffed.bind(_wrong(1), on_behalf_of="u-very-special")
    bank.clock.advance(20 * _HOUR_MS)
    staffed.bind(_wrong(1), on_behalf_of="u-2")
    with bank.node.database.read() as connection:
        buckets = [row.bucket for row in connection.execute(select(schema.velocity))]
    assert len(buckets) == 3
    assert not any(b"u-very-special" in bucket for bucket in buckets)
    purge = next(task for task in bank.node.workers.tasks if task.name == "velocity")
    purge.step(threading.Event())
    with bank.node.database.read() as connection:
        assert len(connection.execute(select(schema.velocity)).all()) == 2


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(new_database(tmp_path, "velocity"))
    migrate(made, "standing.node.storage")
    yield made
    made.close()


def _velocity(clock: ManualClock) -> Velocity:
    return Velocity(Vault([bytes(range(32))], "node"), clock)


def test_a_debt_is_not_forgotten_before_it_is_paid_off(database: Database) -> None:
    clock = ManualClock(30 * _HOUR_MS)
    velocity = _velocity(clock)
    fast, slow = Rate(capacity=60, refill_per_hour=600), Rate(capacity=1, refill_per_hour=1)
    guesser = Bucket("bind\x1fjinqiao-pay\x1fu-1", "this user", slow)
    with database.write() as connection:
        velocity.charge(connection, UNKNOWN_COST, guesser)
    clock.advance(19 * _HOUR_MS)
    with database.write() as connection:
        velocity.purge(connection, fast, slow)
        with pytest.raises(TooManyAttempts) as refused:
            velocity.check(connection, guesser)
    assert refused.value.retry_after_s == 3_600


def test_a_clock_that_was_set_back_takes_no_attempt_away(database: Database) -> None:
    user = Bucket("bind\x1fjinqiao-pay\x1fu-1", "this user", Rate(capacity=2, refill_per_hour=1))
    with database.write() as connection:
        _velocity(ManualClock(30 * _HOUR_MS)).charge(connection, 1, user)
        _velocity(ManualClock(25 * _HOUR_MS)).check(connection, user)


def test_users_of_two_platforms_under_one_id_have_a_rate_each(staffed: Staffed) -> None:
    for index in range(2):
        staffed.bind(_unknown(index), on_behalf_of="u-1")
    assert _refused(staffed.bind(account(1), on_behalf_of="u-1"))
    grant_of(staffed.bind(account(1), key=staffed.other_key, on_behalf_of="u-1"))
