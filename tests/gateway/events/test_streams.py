"""Server-sent events: immediate, resumable, bounded, and kept alive when idle."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert

from standing.gateway.app import create_app
from standing.gateway.events import log as event_log
from standing.gateway.events.types import Event, EventType
from standing.gateway.storage import schema
from standing.ledger.service.serve import served
from tests.gateway.follower_rig import FollowRig, follow_rig
from tests.world import wait_until

_MAX_CLIENTS = 3
_HEARTBEAT_MS = 50
#: That many comments in a row are 20 seconds without an event.
_MAX_COMMENTS = 20_000 // _HEARTBEAT_MS


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowRig]:
    streams = {"max_clients": _MAX_CLIENTS, "heartbeat_ms": _HEARTBEAT_MS}
    with follow_rig(tmp_path_factory.mktemp("sse"), streams=streams) as made:
        yield made


def write_events(rig: FollowRig, count: int = 1) -> list[int]:
    """Write events as the follower does, and wake the streams. Returns: their positions."""
    _, before = rig.following.log.ends()
    at_ms = rig.clock.now_ms()
    events = [
        Event(EventType.FROZEN, rig.bank.bic, secrets.token_bytes(32), 1, 7, at_ms, at_ms, {}) for _ in range(count)
    ]
    with rig.app.state.gateway.storage.write() as connection:
        event_log.append(connection, events)
    rig.following.wakeups.wake()
    return [event.position for event in rig.following.log.page(before, count)]


class Stream:
    """A client of the stream, read field by field."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.iter_lines()

    def message(self) -> dict[str, str]:
        """The next message or comment, as its fields."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line:
                if fields:
                    return fields
                continue
            name, _, value = line.partition(": ")
            fields["comment" if not name or name == ":" else name] = value
        raise AssertionError("the stream has ended")

    def event(self) -> dict[str, str]:
        """The next event; comments are skipped."""
        for _ in range(_MAX_COMMENTS):
            message = self.message()
            if "event" in message:
                return message
        raise AssertionError("nothing but comments comes")

    def positions(self, count: int) -> list[int]:
        return [int(self.event()["id"]) for _ in range(count)]


@contextmanager
def stream(rig: FollowRig, url: str = "", role: str = "platform", **headers: str) -> Iterator[Stream]:
    headers["authorization"] = f"Bearer {rig.keys[role]}"
    with httpx.stream("GET", (url or rig.url) + "/v1/events/stream", headers=headers, timeout=20) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        opened = Stream(response)
        # From the first comment on, every event is in the stream.
        assert opened.message()["comment"] == "standing events"
        yield opened


def ask(rig: FollowRig, role: str | None = "platform", **headers: str) -> httpx.Response:
    """Request a stream that must be refused."""
    if role is not None:
        headers["authorization"] = f"Bearer {rig.keys[role]}"
    with httpx.stream("GET", rig.url + "/v1/events/stream", headers=headers, timeout=20) as response:
        assert response.status_code != 200, "a stream was opened"
        response.read()
        return response


def test_every_client_receives_an_event_exactly_as_listed(rig: FollowRig) -> None:
    with stream(rig) as one, stream(rig, role="admin") as two:
        (position,) = write_events(rig)
        listed = rig.platform("GET", f"/v1/events?after={position - 1}").json()["events"][0]
        for client in (one, two):
            message = client.event()
            assert (message["id"], message["event"]) == (str(position), "binding.frozen")
            assert json.loads(message["data"]) == listed


def test_without_a_position_a_stream_starts_at_the_present(rig: FollowRig) -> None:
    write_events(rig, 2)
    with stream(rig) as client:
        assert write_events(rig) == client.positions(1)


def test_a_reconnecting_client_gets_everything_it_missed_in_order_and_nothing_twice(rig: FollowRig) -> None:
    with stream(rig) as client:
        first = write_events(rig, 2)
        assert client.positions(2) == first
    missed = write_events(rig, 250)  # more than one page
    with stream(rig, **{"last-event-id": str(first[-1])}) as client:
        assert client.positions(250) == missed
        assert write_events(rig) == client.positions(1)


def test_a_client_reconnecting_to_another_process_misses_nothing(rig: FollowRig) -> None:
    first = write_events(rig, 3)
    again = {"last-event-id": str(first[0])}
    with served(create_app(rig.settings, rig.clock)) as url, stream(rig, url, **again) as client:
        assert client.positions(2) == first[1:]
        # Nothing wakes a stream for another process's events; it polls.
        assert write_events(rig) == client.positions(1)


def test_an_idle_stream_sends_heartbeats(rig: FollowRig) -> None:
    with stream(rig) as client:
        assert client.message() == {"comment": "heartbeat"}
        assert client.message() == {"comment": "heartbeat"}


def test_events_no_longer_kept_are_reported_as_a_gap(rig: FollowRig) -> None:
    positions = write_events(rig, 5)
    with rig.app.state.gateway.storage.write() as connection:
        connection.exec_driver_sql(f"DELETE FROM events WHERE position < {positions[3]}")
    with stream(rig, **{"last-event-id": str(positions[0])}) as client:
        message = client.event()
        assert message["event"] == "gap"
        assert json.loads(message["data"]) == {"after": positions[0], "oldest": positions[3]}
        assert client.positions(2) == positions[3:]
    with stream(rig, **{"last-event-id": str(positions[2])}) as client:
        assert client.positions(2) == positions[3:]


def test_a_gap_is_reported_even_when_every_missed_and_later_event_was_pruned(
    rig: FollowRig,
) -> None:
    positions = write_events(rig, 3)
    with rig.app.state.gateway.storage.write() as connection:
        event_log.prune(connection, rig.clock.now_ms() + 1, 1_000)
    with stream(rig, **{"last-event-id": str(positions[0])}) as client:
        message = client.event()
        assert (message["event"], json.loads(message["data"])["oldest"]) == ("gap", positions[2])
    assert rig.platform("GET", f"/v1/events?after={positions[0]}").json()["oldest"] == positions[2]


def test_a_gap_is_reported_behind_an_event_that_waits_for_its_endpoint_and_so_outlived_later_ones(
    rig: FollowRig,
) -> None:
    rig.following.follower.step()
    waiting, pruned, kept = write_events(rig, 3)
    endpoint = {"url_sealed": b"", "secret_sealed": b"", "created_at_ms": 0, "disabled_at_ms": 0, "queued_to": kept}
    delivery = {"state": "pending", "attempts": 1, "queued_at_ms": 0, "next_attempt_at_ms": 0}
    with rig.app.state.gateway.storage.write() as connection:
        connection.execute(insert(schema.webhook_endpoints).values(id="we_off", **endpoint))
        connection.execute(insert(schema.webhook_deliveries).values(endpoint="we_off", position=waiting, **delivery))
        event_log.prune(connection, rig.clock.now_ms() + 1, 1_000)
    with stream(rig, **{"last-event-id": str(waiting)}) as client:
        message = client.event()
        assert (message["event"], json.loads(message["data"])) == ("gap", {"after": waiting, "oldest": kept})
        assert client.positions(1) == [kept]
    listed = rig.platform("GET", f"/v1/events?after={waiting}").json()
    assert (listed["oldest"], [event["position"] for event in listed["events"]]) == (kept, [kept])
    with rig.app.state.gateway.storage.write() as connection:
        connection.execute(delete(schema.webhook_deliveries))
        event_log.prune(connection, rig.clock.now_ms() + 1, 1_000)
    assert rig.platform("GET", f"/v1/events?after={pruned}").json()["oldest"] == kept
    with rig.app.state.gateway.storage.write() as connection:
        connection.execute(delete(schema.webhook_endpoints))


def test_after_a_restored_backup_a_client_that_was_ahead_misses_nothing_new(rig: FollowRig) -> None:
    (newest,) = write_events(rig)
    ahead = newest + 10
    listed = rig.platform("GET", f"/v1/events?after={ahead}").json()
    assert (listed["events"], listed["next_after"]) == ([], newest)
    with stream(rig, **{"last-event-id": str(ahead)}) as client:
        assert write_events(rig) == client.positions(1)


def test_after_a_restored_backup_no_position_is_used_again(rig: FollowRig) -> None:
    """Readers had passed over new events, since they had seen events at these positions, or at higher ones."""
    newest, *lost = write_events(rig, 4)
    with rig.app.state.gateway.storage.write() as connection:
        connection.exec_driver_sql(f"DELETE FROM events WHERE position > {newest}")
        connection.exec_driver_sql(f"UPDATE sqlite_sequence SET seq = {newest} WHERE name = 'events'")
    rig.clock.advance(60_000)
    written = write_events(rig, 2)
    listed = rig.platform("GET", f"/v1/events?after={lost[-1]}").json()["events"]
    assert [event["position"] for event in listed] == written


def test_who_asks_for_all_events_is_told_of_no_gap(rig: FollowRig) -> None:
    write_events(rig)
    with stream(rig, **{"last-event-id": "0"}) as client:
        assert client.event()["event"] == "binding.frozen"


@pytest.mark.long
def test_events_of_another_process_do_not_wait_for_a_heartbeat(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams: dict[str, Any] = {"heartbeat_ms": 120_000}
    with follow_rig(tmp_path_factory.mktemp("far"), streams=streams) as rig, stream(rig) as client:
        monkeypatch.setattr(rig.following.wakeups, "wake", lambda: None)
        assert write_events(rig) == client.positions(1)
    monkeypatch.undo()


def test_clients_beyond_the_bound_are_refused_until_one_leaves(rig: FollowRig) -> None:
    with stream(rig), stream(rig):
        with stream(rig):
            answer = ask(rig)
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:standing:problem:overloaded")
            assert int(answer.headers["retry-after"]) >= 1
        wait_until(lambda: _opens(rig))


def _opens(rig: FollowRig) -> bool:
    headers: dict[str, str] = {"authorization": f"Bearer {rig.keys['platform']}"}
    with httpx.stream("GET", rig.url + "/v1/events/stream", headers=headers, timeout=20) as response:
        return response.status_code == 200


@pytest.mark.parametrize("position", ["x", "-1", "1" * 21, "9" * 20, "9" * 19, "1.5", "evt_1"])
def test_an_invalid_position_is_refused(rig: FollowRig, position: str) -> None:
    answer = ask(rig, **{"last-event-id": position})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "last-event-id")


def test_only_the_platform_may_listen(rig: FollowRig) -> None:
    assert ask(rig, None).status_code == 401
    assert ask(rig, "support").status_code == 403


@pytest.mark.long
def test_a_stream_ends_after_its_lifetime_so_that_a_revoked_key_does_not_listen_for_ever(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    streams: dict[str, Any] = {"max_age_ms": 200, "heartbeat_ms": _HEARTBEAT_MS}
    with follow_rig(tmp_path_factory.mktemp("aged"), streams=streams) as rig, stream(rig) as client:
        assert list(client._lines)[-1] == ""  # the server ends it, after whole messages
