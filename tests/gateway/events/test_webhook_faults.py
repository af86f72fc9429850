"""Webhooks when something fails: the gateway's own parts, an endpoint, or a process; and what operators then see."""

import sqlite3
from contextlib import ExitStack
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from standing.gateway.app import create_app
from standing.ledger.service.serve import served
from tests.gateway.events.webhook_endpoints import RETRY_MS, add, failed, queue, write_events
from tests.gateway.follower_rig import FollowRig, follow_rig
from tests.gateway.webhook_receiver import Receiver
from tests.world import wait_until


@pytest.mark.long
def test_a_missing_answer_counts_as_a_failure_at_the_timeout(tmp_path: Path, hook: Receiver) -> None:
    with follow_rig(tmp_path, webhooks={"timeout_ms": 150}) as rig:
        endpoint = add(rig, hook)
        hook.gate.clear()
        write_events(rig)
        failed(rig, endpoint, "timeout")
        hook.gate.set()
        rig.clock.advance(2 * RETRY_MS)
        wait_until(lambda: queue(rig, endpoint)["pending"] == 0)
        assert len(hook.received) >= 2


@pytest.mark.long
def test_undelivered_events_are_sent_after_a_restart(tmp_path: Path, hook: Receiver) -> None:
    with ExitStack() as first:
        rig = first.enter_context(follow_rig(tmp_path))
        hook.answers = [500]
        endpoint = add(rig, hook)
        written = write_events(rig, 2)
        failed(rig, endpoint, "http_500")
        rig.clock.advance(2 * RETRY_MS)
        hook.gate.clear()
        wait_until(lambda: len(hook.received) == 2)  # in flight when the process ends
        with served(create_app(rig.settings, rig.clock)):
            hook.gate.set()
            rig.clock.advance(60_000)
            wait_until(lambda: set(written) <= set(hook.positions))


@pytest.mark.long
def test_a_full_queue_leaves_later_events_in_the_log_and_loses_none(tmp_path: Path, hook: Receiver) -> None:
    with follow_rig(tmp_path, webhooks={"max_pending": 5}) as rig:
        endpoint = add(rig, hook)
        hook.answers = [500]
        written = write_events(rig, 23)
        failed(rig, endpoint, "http_500")
        state = queue(rig, endpoint)
        assert (state["pending"], state["unqueued"]) == (5, 18)
        assert rig.support("GET", "/v1/status").json()["pending_webhooks"] == 23
        rig.clock.advance(2 * RETRY_MS)
        wait_until(lambda: len(hook.accepted) == 23)
        assert hook.positions == written


def test_an_endpoint_that_cannot_be_decrypted_is_reported_and_the_others_are_served(
    rig: FollowRig, hook: Receiver, other: Receiver
) -> None:
    """Simulates an old vault secret that was removed too early."""
    bad = add(rig, other)
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        database.execute("UPDATE webhook_endpoints SET secret_sealed = url_sealed, url_sealed = x'00'")
    database.close()
    good = add(rig, hook)
    write_events(rig)
    wait_until(lambda: hook.accepted)
    troubles = wait_until(lambda: rig.support("GET", "/v1/status").json()["worker_troubles"])
    assert troubles == [f"webhooks to {bad}: stored data cannot be decrypted: is a vault secret missing?"]
    assert [each["id"] for each in rig.admin("GET", "/v1/webhook-endpoints").json()["endpoints"]] == [good]
    wait_until(lambda: queue(rig, good)["pending"] == 0)
    # The event is in no queue of the bad endpoint, and waits for it all the same.
    assert rig.support("GET", "/v1/status").json()["pending_webhooks"] == 1
    assert rig.admin("DELETE", f"/v1/webhook-endpoints/{bad}").status_code == 204
    wait_until(lambda: not rig.support("GET", "/v1/status").json()["worker_troubles"])
    assert other.received == []


@pytest.mark.long
def test_a_crash_of_the_webhook_sender_is_reported_and_the_gateway_keeps_working(tmp_path: Path) -> None:
    with follow_rig(tmp_path) as rig:

        def broken() -> set[str]:
            raise RuntimeError("text that must not be shown")

        rig.following.endpoints.active = broken  # type: ignore[method-assign]
        rig.following.wakeups.wake()
        wait_until(lambda: rig.support("GET", "/v1/status").json()["worker_troubles"])
        status = rig.support("GET", "/v1/status").json()
        assert status["worker_troubles"] == [
            "webhooks: ended by an unexpected RuntimeError; see the log, and start the gateway again"
        ]
        assert status["ready"]


def test_the_log_says_when_an_endpoint_failed_and_when_it_was_back(rig: FollowRig, hook: Receiver) -> None:
    endpoint = add(rig, hook)
    hook.answers = [500, 502]
    with capture_logs() as logged:
        write_events(rig)
        for answer in ("http_500", "http_502"):
            failed(rig, endpoint, answer)
            rig.clock.advance(4 * RETRY_MS)
        wait_until(lambda: queue(rig, endpoint)["pending"] == 0)
        write_events(rig)
        wait_until(lambda: len(hook.accepted) == 2)
    assert [(each["event"], each.get("failures")) for each in logged if each.get("endpoint") == endpoint] == [
        ("webhook_failed", None),
        ("webhook_delivered_again", 2),
    ]
