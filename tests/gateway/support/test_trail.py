"""The trail: every hop with its time, the first stalled hop, and the text for support staff."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from standing.gateway.support.hops import Facts, HopName, HopState, hops_of
from standing.gateway.support.settings import TrailSettings
from standing.gateway.support.trail import Cause
from standing.gateway.support.trail_text import REMEDIES
from standing.ledger.chain import governance
from standing.ledger.clock import ManualClock
from tests.gateway.follower_rig import FAST_WEBHOOKS, FollowRig, follow_rig
from tests.gateway.webhook_receiver import Receiver, receiver
from tests.world import ACCOUNT, GUARDIAN, MAX_STALENESS_MS, Bank, Platform, World, wait_until, world

SETTINGS = TrailSettings()
_NAMES = [name.value for name in HopName]
_TIMES = (
    "accepted_at_ms",
    "signed_at_ms",
    "submitted_at_ms",
    "in_block_at_ms",
    "observed_at_ms",
    "notified_at_ms",
    "used_at_ms",
)
_BOUNDS = (
    SETTINGS.accepted_ms,
    SETTINGS.signed_ms,
    SETTINGS.submitted_ms,
    SETTINGS.in_block_ms,
    SETTINGS.observed_ms,
    SETTINGS.notified_ms,
)


def after(hops: int, **changes: Any) -> Facts:
    """A change that has passed that many hops after `effective`, one a second."""
    times: dict[str, Any] = {name: 1_000 * (index + 2) for index, name in enumerate(_TIMES[:hops])}
    return Facts(7 if hops > 1 else None, 1_000, node_asked=True, **(times | changes))


def states(facts: Facts, now_ms: int) -> list[str]:
    return [hop.state.value for hop in hops_of(facts, SETTINGS, now_ms)]


# --- the hops of one change


@pytest.mark.parametrize("done", range(6))
def test_each_hop_is_on_time_at_its_bound_and_stalled_a_millisecond_later(done: int) -> None:
    # A node resubmits a transaction that no block includes, so that hop is counted from the signature.
    last_ms, bound_ms = 1_000 * (done + 1 if done != 3 else done), _BOUNDS[done]
    rest = ["waiting"] * (6 - done)
    assert states(after(done), last_ms + bound_ms) == ["done"] * (done + 1) + ["waiting"] + rest
    assert states(after(done), last_ms + bound_ms + 1) == ["done"] * (done + 1) + ["stalled"] + rest


def test_repeated_submissions_do_not_hide_that_no_block_includes_the_transaction() -> None:
    facts = after(3, submitted_at_ms=10**9 - 1)
    assert states(facts, 10**9)[4] == "stalled"


def test_waiting_for_a_decision_is_never_stalled() -> None:
    hops = hops_of(after(6), SETTINGS, 10**12)
    assert (hops[-1].state, hops[-1].expected_ms) == (HopState.WAITING, None)


def test_durations_are_measured_between_hops_with_known_times() -> None:
    hops = hops_of(after(7, submitted_at_ms=None), SETTINGS, 10_000)
    assert [hop.took_ms for hop in hops] == [0, 1_000, 1_000, None, 2_000, 1_000, 1_000, 1_000]
    assert hops[3].state is HopState.UNKNOWN


@pytest.mark.parametrize(
    ("used_at_ms", "took_ms"), [(5_999, 999), (6_000, 0), (6_001, 1), (7_999, 1_999), (8_000, 0), (8_500, 500)]
)
def test_a_payment_that_used_a_change_before_follower_and_endpoint_has_no_negative_age(
    used_at_ms: int, took_ms: int
) -> None:
    facts = after(5, observed_at_ms=6_000, notified_at_ms=8_000, used_at_ms=used_at_ms)
    assert facts.in_block_at_ms == 5_000
    assert hops_of(facts, SETTINGS, 10_000)[-1].took_ms == took_ms


def test_an_endpoint_that_accepts_nothing_is_stalled_even_after_a_payment_used_the_change() -> None:
    last_ms = 1_000 * 6
    facts = after(5, used_at_ms=last_ms)
    assert states(facts, last_ms + SETTINGS.notified_ms)[6:] == ["waiting", "done"]
    assert states(facts, last_ms + SETTINGS.notified_ms + 1)[6:] == ["stalled", "done"]


def test_hops_known_only_to_the_node_are_unknown_and_never_stalled_without_it() -> None:
    facts = Facts(7, 1_000, node_asked=False)
    assert states(facts, 10**12)[:5] == ["done", "unknown", "unknown", "unknown", "unknown"]
    assert states(facts, 10**12)[5] == "stalled"


def test_a_first_attestation_was_never_accepted_from_a_feed() -> None:
    assert states(after(3, from_feed=False, accepted_at_ms=None), 6_000)[1] == "not_applicable"


def test_a_resync_is_stalled_only_if_it_waits_too_long_since_it_was_asked_for() -> None:
    year_ms = 365 * 24 * 3600 * 1000
    asked = after(0, from_feed=False, queued_at_ms=year_ms)
    assert states(asked, year_ms + SETTINGS.signed_ms)[1:3] == ["not_applicable", "waiting"]
    assert states(asked, year_ms + SETTINGS.signed_ms + 1)[1:3] == ["not_applicable", "stalled"]
    signed = after(0, from_feed=False, queued_at_ms=year_ms, signed_at_ms=year_ms + 40)
    assert hops_of(signed, SETTINGS, year_ms + 50)[2].took_ms == 40


def test_a_request_is_never_counted_from_before_its_change_took_effect() -> None:
    ahead = after(0, from_feed=False, queued_at_ms=400, signed_at_ms=1_500)  # the core's clock is ahead
    assert hops_of(ahead, SETTINGS, 2_000)[2].took_ms == 500


def test_an_overtaken_change_waits_for_nothing() -> None:
    assert states(after(4, overtaken=True, reports=False), 10**12) == ["done"] * 5 + ["not_applicable"] * 3


# --- end to end, with real components


class City:
    """A world with a bank, a gateway that notifies a real webhook receiver, and a bound account."""

    def __init__(self, made: World, hook: Receiver) -> None:
        self.world = made
        self.bank: Bank = made.start_bank()
        self.bank.change(ACCOUNT)
        self.platform: Platform = made.start_platform(
            follower={"poll_ms": 10}, webhooks=FAST_WEBHOOKS, trail={"node_timeout_ms": 20_000}
        )
        self.hook = hook
        self.binding = self.platform.bind(self.bank.bic)
        wait_until(lambda: self.trail()["changes"][0]["hops"][5]["state"] == "done")

    def change(self, **change: Any) -> None:
        self.bank.change({"number": ACCOUNT["number"], **change})

    def trail(self) -> dict[str, Any]:
        answer = self.platform.get(f"/v1/bindings/{self.binding}/trail")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert [hop["name"] for change in found["changes"] for hop in change["hops"]] == _NAMES * len(found["changes"])
        return found

    def newest(self) -> dict[str, dict[str, Any]]:
        """The hops of the newest change, by name."""
        return {hop["name"]: hop for hop in self.trail()["changes"][0]["hops"]}


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with ExitStack() as stack:
        hook = stack.enter_context(receiver())
        yield City(stack.enter_context(world(tmp_path)), hook)


def test_every_hop_of_a_change_has_its_time_down_to_the_decision_that_used_it(city: City) -> None:
    city.change(status="frozen", debit_allowed=False)
    decision = city.platform.decide(city.binding)
    assert decision["reason"] == "account_frozen"
    wait_until(lambda: city.newest()["observed"]["state"] == "done")
    trail, hops = city.trail(), city.newest()
    assert trail["changes"][0]["publication"] == decision["publication"]
    done = [name for name, hop in hops.items() if hop["state"] == "done"]
    assert done == [name for name in _NAMES if name != "notified"]
    assert hops["notified"]["state"] == "not_applicable"  # there is no endpoint
    assert hops["used"]["at_ms"] == decision["decided_at_ms"]
    assert trail["stalled"] is None
    assert trail["last_decision"]["transaction_id"] == decision["transaction_id"]
    assert all(hop["at_ms"] is not None for hop in hops.values() if hop["state"] == "done")
    text = json.dumps(trail, ensure_ascii=False)
    for personal in (ACCOUNT["holder_name"], ACCOUNT["number"], ACCOUNT["phone"], ACCOUNT["id_document_number"]):
        assert personal not in text


@pytest.mark.long
def test_a_transaction_missing_from_every_block_is_the_first_stalled_hop_until_included(city: City) -> None:
    city.world.chain.holding = True
    city.bank.feed({"number": ACCOUNT["number"], "status": "frozen"})
    wait_until(lambda: city.newest()["submitted"]["state"] == "done")
    trail = city.trail()
    assert (trail["stalled"], city.newest()["in_block"]["state"]) == (None, "waiting")
    city.world.clock.advance(SETTINGS.in_block_ms + 1)
    trail = city.trail()
    assert trail["stalled"] == trail["changes"][0]["stalled"] == "in_block"
    assert trail["to_do"]["en"] == REMEDIES[HopName.IN_BLOCK].en
    assert "NOT YET" in "\n".join(trail["plain"]["en"])
    assert "停滞在此环节" in "\n".join(trail["plain"]["zh"])
    city.world.chain.release()
    wait_until(lambda: city.newest()["observed"]["state"] == "done")
    assert city.trail()["stalled"] is None


@pytest.mark.long
def test_a_silent_bank_is_reported_as_the_stalled_hop(city: City) -> None:
    city.bank.heartbeat()
    city.world.clock.advance(MAX_STALENESS_MS + 1)
    trail = city.trail()
    assert (trail["stalled"], trail["cause"]) == ("accepted", "bank_silent")
    assert trail["to_do"]["zh"] == REMEDIES[Cause.BANK_SILENT].zh


@pytest.mark.long
def test_a_suspended_bank_is_reported_as_the_stalled_hop(city: City) -> None:
    governance.execute(city.world.client, governance.suspend(city.bank.bic), GUARDIAN)
    trail = city.trail()
    assert (trail["stalled"], trail["cause"]) == ("in_block", "bank_suspended")


@pytest.mark.long
def test_with_the_ledger_down_the_trail_still_answers_and_reports_it(city: City) -> None:
    city.world.chain.down = True
    trail = city.trail()
    assert (trail["stalled"], trail["cause"], trail["watermark_ms"]) == ("observed", "ledger_unreachable", None)
    assert city.newest()["in_block"]["state"] == "done"


# --- with a bank whose node the tests can break


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowRig]:
    with follow_rig(tmp_path_factory.mktemp("trail")) as made:
        yield made


@pytest.mark.long
@pytest.mark.parametrize(
    ("trouble", "cause"),
    [
        ("503", "bank_node_unreachable"),
        ("401", "bank_node_refuses"),
        ("garbage", "bank_node_refuses"),
        ("flood", "bank_node_refuses"),
        (None, "bank_node_refuses"),  # this bank's node has no trail at all
    ],
)
def test_a_failing_or_malformed_node_does_not_break_the_answer(rig: FollowRig, trouble: str | None, cause: str) -> None:
    rig.heartbeat()
    person = rig.bound()
    rig.follow()
    person.decide()
    rig.bank.trouble = trouble
    try:
        trail = rig.support("GET", f"/v1/bindings/{person.binding}/trail").json()
    finally:
        rig.bank.trouble = None
    assert trail["troubles"] == [cause]
    assert trail["stalled"] is None
    hops = {hop["name"]: hop["state"] for hop in trail["changes"][0]["hops"]}
    assert [hops[name] for name in ("accepted", "signed", "submitted")] == ["unknown"] * 3
    assert [hops[name] for name in ("in_block", "observed", "used")] == ["done"] * 3
    assert REMEDIES[Cause(cause)].en in trail["plain"]["en"]


def test_a_bank_ahead_of_our_clock_is_not_told_as_one_that_has_not_reported(
    rig: FollowRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.heartbeat()
    person = rig.bound()
    monkeypatch.setattr(rig.app.state.gateway.trails, "_clock", ManualClock(rig.clock.now_ms() - 60_000))
    trail = rig.support("GET", f"/v1/bindings/{person.binding}/trail").json()
    assert (trail["stalled"], trail["cause"]) == ("accepted", "bank_ahead")
    assert trail["to_do"]["zh"] == REMEDIES[Cause.BANK_AHEAD].zh


@pytest.mark.long
@pytest.mark.parametrize(
    "publication",
    [
        {"number": 2**63, "signed_at_ms": 1},
        {"number": -1, "signed_at_ms": 1},
        {"number": 1, "signed_at_ms": 2**48 - 1},
        {"number": 1, "signed_at_ms": -(2**48)},
    ],
)
def test_impossible_numbers_from_a_node_are_not_believed(
    rig: FollowRig, monkeypatch: pytest.MonkeyPatch, publication: dict[str, int]
) -> None:
    rig.heartbeat()
    person = rig.bound()

    async def trail(*_args: object) -> bytes:
        return json.dumps({"hops": [{"effective_at_ms": 1, "publication": publication}]}).encode()

    monkeypatch.setattr(rig.app.state.gateway.trails._nodes, "trail", trail)
    answer = rig.support("GET", f"/v1/bindings/{person.binding}/trail")
    assert (answer.status_code, answer.json()["troubles"]) == (200, ["bank_node_refuses"])


@pytest.mark.long
def test_an_endpoint_that_refuses_the_event_is_the_stalled_hop_until_it_accepts(rig: FollowRig) -> None:
    rig.heartbeat()
    person = rig.bound()
    rig.follow()
    path = f"/v1/bindings/{person.binding}/trail"
    with receiver() as hook:
        hook.answers = [500]
        made = rig.admin("POST", "/v1/webhook-endpoints", json={"url": hook.url}).json()
        rig.bank.change(person.number, debit_allowed=False)
        rig.follow()
        endpoint = f"/v1/webhook-endpoints/{made['id']}"
        wait_until(lambda: rig.admin("GET", endpoint).json()["queue"]["last_result"] == "http_500")
        hook.gate.clear()
        rig.clock.advance(SETTINGS.notified_ms + 1)
        rig.heartbeat()
        assert rig.support("GET", path).json()["stalled"] == "notified"
        hook.gate.set()
        wait_until(lambda: rig.support("GET", path).json()["stalled"] is None)
        assert rig.support("GET", path).json()["changes"][0]["hops"][6]["state"] == "done"
        rig.admin("DELETE", endpoint)


def test_a_follower_that_is_behind_is_the_stalled_hop(rig: FollowRig) -> None:
    person = rig.bound()
    rig.follow()
    rig.bank.change(person.number, debit_allowed=False)
    trail = rig.support("GET", f"/v1/bindings/{person.binding}/trail").json()
    assert trail["changes"][0]["publication"] == rig.bank.number - 1  # only the follower or the node knows the newest
    assert trail["stalled"] is None


def test_a_trail_is_for_permitted_roles_and_known_bindings_only(rig: FollowRig) -> None:
    person = rig.bound()
    path = f"/v1/bindings/{person.binding}/trail"
    for client in (rig.platform, rig.support, rig.admin):
        assert client("GET", path).status_code == 200
    assert rig.nobody("GET", path).status_code == 401
    assert rig.platform("GET", f"/v1/bindings/0x{'00' * 32}/trail").status_code == 404
    assert rig.platform("GET", "/v1/bindings/0x12/trail").status_code == 422
