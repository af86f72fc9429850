"""Helpers for webhook endpoints."""

import secrets
from typing import Any

from standing.gateway.events import log as event_log
from standing.gateway.events.types import Event, EventType
from tests.gateway.follower_rig import FollowRig
from tests.gateway.webhook_receiver import Receiver
from tests.world import wait_until

DAY_MS = 24 * 3600 * 1000


RETRY_MS = 5_000


def add(rig: FollowRig, to: Receiver | str, types: list[str] | None = None) -> str:
    """Add an endpoint; its receiver verifies with its secret from then on. Returns: its id."""
    url = to if isinstance(to, str) else to.url
    answer = rig.admin("POST", "/v1/webhook-endpoints", json={"url": url, "types": types})
    assert answer.status_code == 201, answer.text
    if isinstance(to, Receiver):
        to.secrets = [answer.json()["secret"]]
    made: str = answer.json()["id"]
    return made


def write_events(rig: FollowRig, count: int = 1, kind: EventType = EventType.FROZEN) -> list[int]:
    """Write events as the follower does, and wake the sender. Returns: their positions."""
    _, before = rig.following.log.ends()
    at_ms = rig.clock.now_ms()
    events = [Event(kind, rig.bank.bic, secrets.token_bytes(32), 1, 7, at_ms, at_ms, {}) for _ in range(count)]
    with rig.app.state.gateway.storage.write() as connection:
        event_log.append(connection, events)
    rig.following.wakeups.wake()
    return [event.position for event in rig.following.log.page(before, count)]


def queue(rig: FollowRig, endpoint: str) -> dict[str, Any]:
    found: dict[str, Any] = rig.admin("GET", f"/v1/webhook-endpoints/{endpoint}").json()["queue"]
    return found


def failed(rig: FollowRig, endpoint: str, result: str) -> None:
    """Wait until the newest attempt has this result."""
    wait_until(lambda: queue(rig, endpoint)["last_result"] == result)
