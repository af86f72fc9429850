"""Score cards, whose ledger part is the same at two gateways and for anyone with the URL; slowing banks."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from typer.testing import CliRunner

from standing.gateway.app import create_app
from standing.gateway.cli import app
from standing.gateway.warning import store
from standing.gateway.warning import watch as watch_module
from standing.gateway.warning.hours import BankHours
from standing.gateway.warning.watch import PaceWatch
from standing.ledger.chain import governance
from standing.ledger.service.serve import served
from tests.databases import new_database
from tests.gateway.follower_rig import FollowRig, follow_rig
from tests.gateway.gateway_rig import BICS, GUARDIAN

pytestmark = pytest.mark.long

HOUR_MS = 3_600_000
#: Long enough for a test to pass hours with few publications.
BOUND_MS = 4 * HOUR_MS
PATIENT = {"freshness": [{"up_to_minor": "any", "max_staleness_ms": BOUND_MS}]}


@pytest.fixture
def it(tmp_path: Path) -> Iterator[FollowRig]:
    with follow_rig(tmp_path) as made:
        yield made


def _count(it: FollowRig) -> list[dict[str, Any]]:
    it.clock.advance(5_000)
    return it.follow()


def _card(it: FollowRig, bank: str, period: str = "week") -> dict[str, Any]:
    answer = it.platform("GET", f"/v1/banks/{bank}/scorecard?period={period}")
    assert answer.status_code == 200, answer.text
    card: dict[str, Any] = answer.json()
    return card


def _publish(it: FollowRig, times: int, gap_ms: int) -> None:
    for _ in range(times):
        it.clock.advance(gap_ms)
        for bank in it.banks.values():
            bank.publish()


def test_two_gateways_and_anyone_with_the_ledgers_url_compute_the_same_figures(it: FollowRig, tmp_path: Path) -> None:
    with ExitStack() as stack:
        url = new_database(tmp_path, "other")
        other = create_app(it.settings.model_copy(update={"database_url": url}), it.clock)
        client = stack.enter_context(httpx.Client(base_url=stack.enter_context(served(other)), timeout=60))
        follower = other.state.gateway.following.follower
        it.follow()
        while follower.step():
            pass
        _publish(it, 1, 31 * HOUR_MS)
        _count(it)  # this gateway counts in many steps, the other all at once
        _publish(it, 5, 40_000)
        person = it.bound()
        person.bank.publish(bytes.fromhex(person.binding[2:]))
        _count(it)
        _publish(it, 3, 1_900_000)
        governance.execute(it.ledger, governance.suspend(BICS[1]), GUARDIAN)
        it.clock.advance(7_000)
        it.bank.publish()
        _count(it)
        while follower.step():
            pass
        arguments = ["--ledger", it.chain_url, "--contract", it.contract, "--period", "day", "--json"]
        done = CliRunner().invoke(app, ["scorecard", *arguments])
        assert done.exit_code == 0, done.output
        recomputed = {card["bank"]: card["ledger"] for card in json.loads(done.stdout)}
        assert set(recomputed) == set(BICS)
        for bank in BICS:
            mine = _card(it, bank, "day")["ledger"]
            key = {"Authorization": f"Bearer {it.keys['platform']}"}
            theirs = client.get(f"/v1/banks/{bank}/scorecard?period=day", headers=key).json()["ledger"]
            assert theirs == mine == recomputed[bank]
        assert mine["suspensions"] == 1
        assert mine["suspended_ms"] >= 7_000
        assert recomputed[BICS[0]]["silent_ms"] > recomputed[BICS[0]]["covered_ms"] // 2


def test_a_card_shows_the_gateways_own_records_beside_the_ledger(it: FollowRig) -> None:
    it.follow()
    person = it.bound()
    person.bank.publish(bytes.fromhex(person.binding[2:]))
    it.follow()
    person.decide()
    person.bank.change(person.number, debit_allowed=False)
    it.follow()
    person.decide()
    it.clock.advance(1)
    own = _card(it, person.bank.bic, "day")["own"]
    assert own["decisions"] == {"approve": {"none": 1}, "decline": {"debit_not_allowed": 1}}
    assert (own["bindings_made"], own["bindings_ended"], own["deposits_asked"]) == (1, 0, 0)
    assert own["changes_seen"] >= 2
    other = _card(it, BICS[1])
    assert (other["own"]["decisions"], other["own"]["bindings_made"]) == ({}, 0)
    assert it.platform("GET", "/v1/banks/DEUTDEFF/scorecard").status_code == 422
    assert it.platform("GET", f"/v1/banks/{BICS[0]}/scorecard?period=year").status_code == 422


def test_the_list_of_banks_shows_each_banks_rating(it: FollowRig) -> None:
    it.follow()
    assert [bank["pace"] for bank in it.platform("GET", "/v1/banks").json()["banks"]] == [None, None]
    for _ in range(40):
        it.clock.advance(100_000)
        it.bank.publish()
    it.banks[BICS[1]].publish()
    _count(it)
    paces = {bank["bic"]: bank["pace"] for bank in it.platform("GET", "/v1/banks").json()["banks"]}
    assert (paces[BICS[0]]["word"], paces[BICS[1]]["word"]) == ("steady", "unsteady")
    assert all(pace["why"]["en"] and pace["why"]["zh"] for pace in paces.values())


@pytest.mark.parametrize(
    "last_publication_ms",
    [
        pytest.param(1_800_000, id="in an hour"),
        pytest.param(HOUR_MS - 2_000, id="just before a full hour"),
    ],
)
def test_a_bank_about_to_fall_silent_is_reported_once_with_the_time_left(
    tmp_path: Path, last_publication_ms: int
) -> None:
    """Holds even if the gap fills a whole hour: its own growth is no habit."""
    with follow_rig(tmp_path, policy=PATIENT) as it:
        published_ms = 20 * (HOUR_MS // 2 + 5_000) - 5_000
        it.clock.advance((last_publication_ms - published_ms - it.clock.now_ms()) % HOUR_MS)
        it.heartbeat()
        it.follow()
        for _ in range(20):
            _publish(it, 1, HOUR_MS // 2)
            _count(it)
        assert [event["type"] for event in it.new_events()] == []
        it.clock.advance(HOUR_MS)  # twice the longest gap so far
        it.banks[BICS[1]].publish()
        slowing = it.follow()
        assert [(event["type"], event["data"]["bank"]) for event in slowing] == [("bank.slowing", BICS[0])]
        data = slowing[0]["data"]
        assert data["time_left_ms"] == BOUND_MS - data["staleness_ms"] > BOUND_MS // 2
        assert data["usual_staleness_ms"] < data["staleness_ms"]
        assert _types(_count(it)) == []
        it.bank.publish()
        assert _types(_count(it)) == []
        for _ in range(3):
            _publish(it, 1, HOUR_MS // 2)
            assert _types(_count(it)) == []
        it.clock.advance(BOUND_MS + 1_000)
        assert sorted(_types(it.follow())) == ["bank.silent"] * 2


def _types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def test_a_bank_that_is_counted_further_misses_no_block_while_another_catches_up(
    it: FollowRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "_MAX_BLOCKS", 6)
    storage, policy = it.app.state.gateway.storage, it.settings.policy
    watch = PaceWatch(storage=storage, ledger=it.ledger, clock=it.clock, every_ms=0)
    behind, further = BICS
    watch.step(it.ledger.head(), [behind], policy)
    _publish(it, 2, 1_000)
    watch.step(it.ledger.head(), [further], policy)
    _publish(it, 4, 1_000)
    watch.step(it.ledger.head(), [behind, further], policy)
    with storage.read() as connection:
        hours = [store.hours_between(connection, bank, 0, it.clock.now_ms()) for bank in (behind, further)]
    assert [sum(hour.publications for hour in each.values()) for each in hours] == [6, 4]


def test_hours_that_a_silent_ledger_left_are_stored_in_two_statements(it: FollowRig) -> None:
    it.follow()
    database = it.app.state.gateway.storage
    bank = BankHours(watermark_ms=1, to_ms=it.clock.now_ms())
    bank.advance(bank.to_ms + 30 * 24 * HOUR_MS)
    statements: list[str] = []
    with database.write() as connection:
        event.listen(connection, "before_cursor_execute", lambda *told: statements.append(told[2]))
        assert store.save(connection, {"DEUTDEFF": bank}, 7, {})
    assert len(statements) == 3  # how far it is counted, the delete, and the insert
    with database.read() as connection:
        assert len(store.hours_between(connection, "DEUTDEFF", 0, bank.to_ms)) == len(bank.hours) > 30 * 24
