"""Webhooks: signed by the standard, retried, independent per endpoint, never to a private address, nothing lost."""

import os
import socket
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from processes import free_port
from standing.gateway.events.types import EventType
from standing.ledger.attestations.terms import Status
from tests.gateway.events.webhook_endpoints import DAY_MS, RETRY_MS, add, failed, queue, write_events
from tests.gateway.follower_rig import FollowRig, follow_rig
from tests.gateway.webhook_receiver import Receiver
from tests.world import wait_until


def test_a_change_at_a_bank_arrives_as_a_message_that_the_standard_webhooks_library_verifies(
    rig: FollowRig, hook: Receiver
) -> None:
    person = rig.bound()
    rig.follow()
    endpoint = add(rig, hook)
    rotated = rig.admin("POST", f"/v1/webhook-endpoints/{endpoint}/rotate-secret").json()
    hook.secrets.append(rotated["secret"])  # beside the old one, which verifies it as well
    rig.bank.change(person.number, status=Status.FROZEN)
    (event,) = rig.follow()
    wait_until(lambda: hook.accepted)
    assert hook.broken == []
    assert hook.accepted == [event]
    assert event["type"] == "binding.frozen"


def test_a_failing_endpoint_is_retried_after_the_back_off_and_not_before(rig: FollowRig, hook: Receiver) -> None:
    endpoint = add(rig, hook)
    hook.answers = [307, 503]
    hook.headers = {"location": "/elsewhere", "retry-after": "60"}  # neither counts for a redirect
    write_events(rig)
    failed(rig, endpoint, "http_307")
    hook.headers = {}
    rig.clock.advance(int(RETRY_MS * 0.8) - 1)
    write_events(rig)  # a new event does not bypass the back-off
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        ((due_ms,),) = database.execute("SELECT next_attempt_at_ms FROM webhook_deliveries WHERE attempts > 0")
    database.close()
    assert 0.8 * RETRY_MS <= due_ms - (rig.clock.now_ms() - int(RETRY_MS * 0.8) + 1) <= 1.2 * RETRY_MS
    assert len(hook.received) == 1
    rig.clock.advance(RETRY_MS)
    failed(rig, endpoint, "http_503")
    assert len(hook.received) == 2
    rig.clock.advance(4 * RETRY_MS)
    wait_until(lambda: len(hook.accepted) == 2)
    assert len({event["id"] for event in hook.accepted}) == 2


def test_the_backlog_of_a_recovered_endpoint_is_sent_at_once_and_in_order(rig: FollowRig, hook: Receiver) -> None:
    endpoint = add(rig, hook)
    hook.answers = [500]
    write_events(rig, 20)
    failed(rig, endpoint, "http_500")
    # Some have failed repeatedly: their next attempts are an hour away.
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        database.execute(
            "UPDATE webhook_deliveries SET next_attempt_at_ms = next_attempt_at_ms + 3600000 "
            "WHERE position % 3 = 0 AND attempts = 0"
        )
    database.close()
    rig.clock.advance(2 * RETRY_MS)
    wait_until(lambda: len(hook.accepted) == 20)
    assert hook.positions == sorted(hook.positions)
    wait_until(lambda: queue(rig, endpoint)["pending"] == 0)


@pytest.mark.long
def test_a_dead_endpoint_and_a_slow_one_never_delay_another(rig: FollowRig, hook: Receiver, other: Receiver) -> None:
    dead = add(rig, f"http://127.0.0.1:{free_port()}/")
    other.gate.clear()
    add(rig, other)
    add(rig, hook)
    write_events(rig, 30)
    wait_until(lambda: len(hook.accepted) == 30)
    assert other.accepted == []
    assert len(other.received) <= 1  # one attempt at a time
    assert queue(rig, dead)["pending"] == 30
    other.gate.set()
    rig.clock.advance(2 * RETRY_MS)  # on a slow machine the attempt may have ended by its timeout
    wait_until(lambda: len(other.accepted) == 30)


@pytest.mark.long
def test_host_names_that_never_resolve_delay_no_other_endpoint(
    tmp_path: Path, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up, over, asked = socket.getaddrinfo, threading.Event(), []

    def hanging(host: Any, *args: Any, **options: Any) -> Any:
        if str(host).endswith(".dead.example"):
            asked.append(host)
            over.wait(60)
            raise socket.gaierror("nobody answered")
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    count = min(32, (os.cpu_count() or 1) + 4) + 1  # one more than the shared threads
    with follow_rig(tmp_path, webhooks={"max_endpoints": count + 1, "timeout_ms": 60_000}) as rig:
        try:
            for number in range(count):
                add(rig, f"http://{number}.dead.example/")
            write_events(rig)
            wait_until(lambda: len(asked) == count)
            add(rig, hook.url.replace("127.0.0.1", "localhost"))
            write_events(rig)
            wait_until(lambda: hook.accepted)
        finally:
            over.set()


def test_status_410_disables_an_endpoint_and_enabling_it_sends_what_it_missed(rig: FollowRig, hook: Receiver) -> None:
    endpoint = add(rig, hook)
    hook.answers = [410]
    write_events(rig)
    wait_until(lambda: rig.admin("GET", f"/v1/webhook-endpoints/{endpoint}").json()["disabled_at_ms"])
    assert rig.admin("GET", f"/v1/webhook-endpoints/{endpoint}").json()["disabled_reason"] == "http_410"
    write_events(rig, 3)
    rig.clock.advance(2 * RETRY_MS)
    assert len(hook.received) == 1
    assert rig.admin("POST", f"/v1/webhook-endpoints/{endpoint}/enable").json()["disabled_at_ms"] is None
    wait_until(lambda: len(hook.accepted) == 4)


def test_an_endpoint_enabled_at_once_does_not_wait_out_the_back_off_of_before(tmp_path: Path, hook: Receiver) -> None:
    with follow_rig(tmp_path, webhooks={"poll_ms": 1_000}) as rig:  # too slow to see it disabled
        endpoint = add(rig, hook)
        hook.answers = [410]
        write_events(rig)
        wait_until(lambda: rig.admin("GET", f"/v1/webhook-endpoints/{endpoint}").json()["disabled_at_ms"])
        rig.admin("POST", f"/v1/webhook-endpoints/{endpoint}/enable")
        wait_until(lambda: hook.accepted)


def test_a_clock_set_back_does_not_stop_an_endpoint_for_as_long_as_it_was_ahead(rig: FollowRig, hook: Receiver) -> None:
    endpoint = add(rig, hook)
    hook.answers = [500]
    rig.clock.advance(DAY_MS)
    write_events(rig, 2)  # one of them fails, the other is queued
    failed(rig, endpoint, "http_500")
    hook.broken.clear()  # the library refuses times that far ahead
    rig.clock._now_ms -= DAY_MS
    wait_until(lambda: len(hook.accepted) == 2)
    write_events(rig)
    wait_until(lambda: len(hook.accepted) == 3)


@pytest.mark.long
def test_an_endpoint_enabled_after_days_gets_its_full_three_days_again(tmp_path: Path, hook: Receiver) -> None:
    with follow_rig(tmp_path) as rig:
        endpoint = add(rig, hook)
        hook.answers = [410]
        write_events(rig, 3)
        wait_until(
            lambda: rig.admin("GET", f"/v1/webhook-endpoints/{endpoint}").json()["disabled_reason"] == "http_410"
        )
        hook.secrets = []  # the library uses the real clock
        rig.clock.advance(4 * DAY_MS)
        hook.answers = [500]
        rig.admin("POST", f"/v1/webhook-endpoints/{endpoint}/enable")
        failed(rig, endpoint, "http_500")
        assert queue(rig, endpoint)["given_up"] == 0
        rig.clock.advance(2 * RETRY_MS)
        wait_until(lambda: len(hook.accepted) == 3)


@pytest.mark.long
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(rig: FollowRig, hook: Receiver, other: Receiver, status: int) -> None:
    endpoint = add(rig, hook)
    hook.headers = {"location": other.url}
    hook.answers = [status]
    write_events(rig)
    failed(rig, endpoint, f"http_{status}")
    assert other.received == []


def count_looks(rig: FollowRig, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The endpoints that workers check from now on, one entry per check."""
    looked: list[str] = []
    dispatcher, plain = rig.following.dispatcher, rig.following.dispatcher._attempt

    async def attempt(name: str, *args: Any) -> bool:
        more = await plain(name, *args)
        looked.append(name)
        return more

    monkeypatch.setattr(dispatcher, "_attempt", attempt)
    return looked


def test_retry_after_is_honoured_for_everything_sent_to_the_endpoint(
    rig: FollowRig, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = add(rig, hook)
    hook.headers, hook.answers = {"retry-after": "120"}, [429]
    write_events(rig)
    failed(rig, endpoint, "http_429")
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        ((due_ms,),) = database.execute("SELECT next_attempt_at_ms FROM webhook_deliveries")
    database.close()
    assert due_ms == rig.clock.now_ms() + 120_000
    rig.clock.advance(119_999)
    looked = count_looks(rig, monkeypatch)
    write_events(rig)  # another event is not sent earlier either
    wait_until(lambda: len(looked) >= 3)
    assert len(hook.received) == 1
    rig.clock.advance(1)
    wait_until(lambda: len(hook.accepted) == 2)


@pytest.mark.long
def test_an_event_is_abandoned_after_three_days_and_a_newer_one_is_not(tmp_path: Path, hook: Receiver) -> None:
    with follow_rig(tmp_path) as rig:
        endpoint = add(rig, hook)
        hook.secrets = []  # the library checks the time against the machine's clock
        hook.answers = [500, 500]
        write_events(rig)
        failed(rig, endpoint, "http_500")
        rig.clock.advance(3 * DAY_MS)
        wait_until(lambda: queue(rig, endpoint)["given_up"] == 1)
        assert len(hook.received) == 2
        rig.clock.advance(DAY_MS)
        newer = write_events(rig)
        wait_until(lambda: hook.positions == newer)


@pytest.mark.long
def test_the_whole_backlog_of_an_endpoint_dead_for_three_days_is_abandoned(tmp_path: Path) -> None:
    with follow_rig(tmp_path) as rig:
        endpoint = add(rig, f"http://127.0.0.1:{free_port()}/")
        write_events(rig, 10)

        def abandoned_a_day_later() -> bool:
            rig.clock.advance(DAY_MS)
            return bool(queue(rig, endpoint)["given_up"] == 10)

        wait_until(abandoned_a_day_later)
        assert not made_attempts(rig, 12)


def made_attempts(rig: FollowRig, count: int) -> bool:
    """Whether at least that many attempts were made."""
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        ((made,),) = database.execute("SELECT coalesce(sum(attempts), 0) FROM webhook_deliveries")
    database.close()
    return bool(made >= count)


def test_replay_resends_one_event_or_all_after_a_position_under_the_same_ids(rig: FollowRig, hook: Receiver) -> None:
    endpoint = add(rig, hook)
    write_events(rig, 4)
    wait_until(lambda: len(hook.accepted) == 4)
    before = [event["id"] for event in hook.accepted]
    replay = f"/v1/webhook-endpoints/{endpoint}/replay"
    assert rig.admin("POST", replay, json={"event": before[1]}).json() == {"events": 1}
    wait_until(lambda: len(hook.accepted) == 5)
    assert rig.admin("POST", replay, json={"after": hook.positions[1]}).json() == {"events": 2}
    wait_until(lambda: len(hook.accepted) == 7)
    assert [event["id"] for event in hook.accepted[4:]] == [before[1], before[2], before[3]]
    for body in ({}, {"event": before[0], "after": 1}):
        assert rig.admin("POST", replay, json=body).status_code == 422
    assert rig.admin("POST", replay, json={"after": hook.positions[3] + 1}).status_code == 422
    assert rig.admin("POST", replay, json={"event": "evt_" + "0" * 32}).status_code == 404


@pytest.mark.long
def test_both_secrets_verify_for_a_day_after_a_rotation_and_then_only_the_new_one(
    tmp_path: Path, hook: Receiver
) -> None:
    with follow_rig(tmp_path) as rig:
        endpoint = add(rig, hook)
        rotated = rig.admin("POST", f"/v1/webhook-endpoints/{endpoint}/rotate-secret").json()
        assert rotated["secret"] != hook.secrets[0]
        hook.secrets.append(rotated["secret"])
        write_events(rig)
        wait_until(lambda: hook.accepted)
        endpoints = rig.following.endpoints
        assert endpoints.find(endpoint).secrets == (hook.secrets[1], hook.secrets[0])
        rig.clock.advance(DAY_MS)
        assert endpoints.find(endpoint).secrets == (hook.secrets[1],)


def test_an_endpoint_gets_only_the_types_it_asked_for(rig: FollowRig, hook: Receiver) -> None:
    add(rig, hook, types=["binding.lost"])
    write_events(rig, 2)
    write_events(rig, 1, EventType.LOST)
    wait_until(lambda: hook.accepted)
    assert [event["type"] for event in hook.received] == ["binding.lost"]


def test_an_endpoint_gets_no_event_from_before_it_was_added(rig: FollowRig, hook: Receiver) -> None:
    write_events(rig, 2)
    add(rig, hook)
    write_events(rig)
    wait_until(lambda: hook.accepted)
    assert len(hook.received) == 1
    newest = rig.platform("GET", "/v1/events?limit=500").json()["events"][-1]
    assert hook.accepted == [newest]


def test_a_deleted_endpoint_gets_no_further_events(rig: FollowRig, hook: Receiver, other: Receiver) -> None:
    endpoint = add(rig, hook)
    add(rig, other)
    assert rig.admin("DELETE", f"/v1/webhook-endpoints/{endpoint}").status_code == 204
    write_events(rig)
    wait_until(lambda: other.accepted)
    assert hook.received == []
    assert rig.admin("GET", f"/v1/webhook-endpoints/{endpoint}").status_code == 404
    assert rig.admin("DELETE", f"/v1/webhook-endpoints/{endpoint}").status_code == 404
