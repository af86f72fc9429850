"""Webhooks: signed by the standard, retried, each endpoint by itself, never to a private address, nothing lost."""

import os
import secrets
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from processes import free_port
from standing.gateway.app import create_app
from standing.gateway.events import log as event_log
from standing.gateway.events.addresses import PublicSockets, is_public
from standing.gateway.events.settings import WebhookSettings
from standing.gateway.events.types import Event, EventType
from standing.ledger.attestations.terms import Status
from standing.ledger.service.serve import served
from tests.gateway.follower_rig import FollowRig, follow_rig
from tests.gateway.webhook_receiver import Receiver, receiver
from tests.world import wait_until

_DAY_MS = 24 * 3600 * 1000
_RETRY_MS = 5_000


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowRig]:
    with follow_rig(tmp_path_factory.mktemp("webhooks")) as made:
        yield made


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowRig]:
    """A rig that refuses what production refuses."""
    webhooks = {"allow_http": False, "allow_private_addresses": False, "max_endpoints": 2}
    with follow_rig(tmp_path_factory.mktemp("strict"), webhooks=webhooks) as made:
        yield made


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowRig]:
    """A rig that refuses private addresses, but not the http that the receiver speaks."""
    with follow_rig(tmp_path_factory.mktemp("guarded"), webhooks={"allow_private_addresses": False}) as made:
        yield made


@pytest.fixture
def rig(shared: FollowRig) -> Iterator[FollowRig]:
    """The module's rig, without endpoints but the test's own."""
    yield shared
    for endpoint in shared.admin("GET", "/v1/webhook-endpoints").json()["endpoints"]:
        shared.admin("DELETE", f"/v1/webhook-endpoints/{endpoint['id']}")


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made
        assert made.broken == []


@pytest.fixture
def other() -> Iterator[Receiver]:
    with receiver() as made:
        yield made
        assert made.broken == []


def add(rig: FollowRig, to: Receiver | str, types: list[str] | None = None) -> str:
    """Add an endpoint; its receiver verifies with its secret from then on. Returns: its id."""
    url = to if isinstance(to, str) else to.url
    answer = rig.admin("POST", "/v1/webhook-endpoints", json={"url": url, "types": types})
    assert answer.status_code == 201, answer.text
    if isinstance(to, Receiver):
        to.secrets = [answer.json()["secret"]]
    made: str = answer.json()["id"]
    return made


def tell(rig: FollowRig, count: int = 1, kind: EventType = EventType.FROZEN) -> None:
    """Write events as the follower does, and wake who sends them."""
    at_ms = rig.clock.now_ms()
    events = [Event(kind, rig.bank.bic, secrets.token_bytes(32), 1, 7, at_ms, at_ms, {}) for _ in range(count)]
    with rig.app.state.gateway.storage.write() as connection:
        event_log.append(connection, events)
    rig.following.wakeups.wake()


def queue(rig: FollowRig, endpoint: str) -> dict[str, Any]:
    found: dict[str, Any] = rig.admin("GET", f"/v1/webhook-endpoints/{endpoint}").json()["queue"]
    return found


def failed(rig: FollowRig, endpoint: str, result: str) -> None:
    """Wait until the newest attempt ended so."""
    wait_until(lambda: queue(rig, endpoint)["last_result"] == result)


def test_a_change_at_a_bank_comes_as_a_message_that_the_standard_library_verifies(
    rig: FollowRig, hook: Receiver
) -> None:
    person = rig.bound()
    rig.follow()
    add(rig, hook)
    rig.bank.change(person.number, status=Status.FROZEN)
    (event,) = rig.follow()
    wait_until(lambda: hook.taken)
    assert hook.taken == [event]
    assert event["type"] == "binding.frozen"


def test_a_failing_endpoint_is_tried_again_after_the_back_off_and_not_before(rig: FollowRig, hook: Receiver) -> None:
    endpoint = add(rig, hook)
    hook.answers = [500, 503]
    tell(rig)
    failed(rig, endpoint, "http_500")
    rig.clock.advance(int(_RETRY_MS * 0.8) - 1)
    tell(rig)  # a new event does not get around the pause
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        ((due_ms,),) = database.execute("SELECT next_attempt_at_ms FROM webhook_deliveries WHERE attempts > 0")
    database.close()
    assert 0.8 * _RETRY_MS <= due_ms - (rig.clock.now_ms() - int(_RETRY_MS * 0.8) + 1) <= 1.2 * _RETRY_MS
    assert len(hook.came) == 1
    rig.clock.advance(_RETRY_MS)
    failed(rig, endpoint, "http_503")
    assert len(hook.came) == 2
    rig.clock.advance(4 * _RETRY_MS)
    wait_until(lambda: len(hook.taken) == 2)
    assert len({event["id"] for event in hook.taken}) == 2


def test_what_waited_for_an_endpoint_that_is_back_is_sent_at_once_and_in_order(rig: FollowRig, hook: Receiver) -> None:
    endpoint = add(rig, hook)
    hook.answers = [500]
    tell(rig, 20)
    failed(rig, endpoint, "http_500")
    # Some were tried before, and more often: their next attempts are an hour away.
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        database.execute(
            "UPDATE webhook_deliveries SET next_attempt_at_ms = next_attempt_at_ms + 3600000 "
            "WHERE position % 3 = 0 AND attempts = 0"
        )
    database.close()
    rig.clock.advance(2 * _RETRY_MS)
    wait_until(lambda: len(hook.taken) == 20)
    assert hook.positions == sorted(hook.positions)
    wait_until(lambda: queue(rig, endpoint)["pending"] == 0)


@pytest.mark.long
def test_a_dead_endpoint_and_a_slow_one_never_delay_another(rig: FollowRig, hook: Receiver, other: Receiver) -> None:
    dead = add(rig, f"http://127.0.0.1:{free_port()}/")
    other.gate.clear()
    add(rig, other)
    add(rig, hook)
    tell(rig, 30)
    wait_until(lambda: len(hook.taken) == 30)
    assert other.taken == []
    assert len(other.came) <= 1  # one attempt at a time
    assert queue(rig, dead)["pending"] == 30
    other.gate.set()
    wait_until(lambda: len(other.taken) == 30)


@pytest.mark.long
def test_names_whose_servers_never_answer_delay_no_other_endpoint(
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
    count = min(32, (os.cpu_count() or 1) + 4) + 1  # one more than the threads that everybody shares
    with follow_rig(tmp_path, webhooks={"max_endpoints": count + 1, "timeout_ms": 60_000}) as rig:
        try:
            for number in range(count):
                add(rig, f"http://{number}.dead.example/")
            tell(rig)
            wait_until(lambda: len(asked) == count)
            add(rig, hook.url.replace("127.0.0.1", "localhost"))
            tell(rig)
            wait_until(lambda: hook.taken)
        finally:
            over.set()


@pytest.mark.long
def test_an_answer_that_never_comes_counts_as_a_failure_after_the_time_allowed(tmp_path: Path, hook: Receiver) -> None:
    with follow_rig(tmp_path, webhooks={"timeout_ms": 150}) as rig:
        endpoint = add(rig, hook)
        hook.gate.clear()
        tell(rig)
        failed(rig, endpoint, "timeout")
        hook.gate.set()
        hook.taken.clear()
        rig.clock.advance(2 * _RETRY_MS)
        wait_until(lambda: hook.taken)


def test_410_switches_an_endpoint_off_and_enabling_it_sends_what_it_missed(rig: FollowRig, hook: Receiver) -> None:
    endpoint = add(rig, hook)
    hook.answers = [410]
    tell(rig)
    wait_until(lambda: rig.admin("GET", f"/v1/webhook-endpoints/{endpoint}").json()["disabled_at_ms"])
    assert rig.admin("GET", f"/v1/webhook-endpoints/{endpoint}").json()["disabled_reason"] == "http_410"
    tell(rig, 3)
    rig.clock.advance(2 * _RETRY_MS)
    assert len(hook.came) == 1
    assert rig.admin("POST", f"/v1/webhook-endpoints/{endpoint}/enable").json()["disabled_at_ms"] is None
    wait_until(lambda: len(hook.taken) == 4)


@pytest.mark.long
def test_an_endpoint_that_is_enabled_after_days_has_its_three_days_anew(tmp_path: Path, hook: Receiver) -> None:
    with follow_rig(tmp_path) as rig:
        endpoint = add(rig, hook)
        hook.answers = [410]
        tell(rig, 3)
        wait_until(
            lambda: rig.admin("GET", f"/v1/webhook-endpoints/{endpoint}").json()["disabled_reason"] == "http_410"
        )
        hook.secrets = []  # its library goes by the real clock
        rig.clock.advance(4 * _DAY_MS)
        hook.answers = [500]
        rig.admin("POST", f"/v1/webhook-endpoints/{endpoint}/enable")
        failed(rig, endpoint, "http_500")
        assert queue(rig, endpoint)["given_up"] == 0
        rig.clock.advance(2 * _RETRY_MS)
        wait_until(lambda: len(hook.taken) == 3)


@pytest.mark.long
@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(rig: FollowRig, hook: Receiver, other: Receiver, status: int) -> None:
    endpoint = add(rig, hook)
    hook.headers = {"location": other.url}
    hook.answers = [status]
    tell(rig)
    failed(rig, endpoint, f"http_{status}")
    assert other.came == []


def count_looks(rig: FollowRig, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The endpoints that workers look after from now on, one for each look."""
    looked: list[str] = []
    dispatcher, plain = rig.following.dispatcher, rig.following.dispatcher._attempt

    async def attempt(name: str, *args: Any) -> bool:
        more = await plain(name, *args)
        looked.append(name)
        return more

    monkeypatch.setattr(dispatcher, "_attempt", attempt)
    return looked


def test_retry_after_is_honoured_and_nothing_else_is_sent_to_the_endpoint_before(
    rig: FollowRig, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = add(rig, hook)
    hook.headers, hook.answers = {"retry-after": "120"}, [429]
    tell(rig)
    failed(rig, endpoint, "http_429")
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        ((due_ms,),) = database.execute("SELECT next_attempt_at_ms FROM webhook_deliveries")
    database.close()
    assert due_ms == rig.clock.now_ms() + 120_000
    rig.clock.advance(119_999)
    looked = count_looks(rig, monkeypatch)
    tell(rig)  # nor is another event sent before that
    wait_until(lambda: len(looked) >= 3)
    assert len(hook.came) == 1
    rig.clock.advance(1)
    wait_until(lambda: len(hook.taken) == 2)


@pytest.mark.long
def test_after_three_days_an_event_is_given_up_and_a_newer_one_is_not(tmp_path: Path, hook: Receiver) -> None:
    with follow_rig(tmp_path) as rig:
        endpoint = add(rig, hook)
        hook.secrets = []  # the library checks the time against the machine's clock
        hook.answers = [500, 500]
        tell(rig)
        failed(rig, endpoint, "http_500")
        rig.clock.advance(3 * _DAY_MS)
        wait_until(lambda: queue(rig, endpoint)["given_up"] == 1)
        assert len(hook.came) == 2
        rig.clock.advance(_DAY_MS)
        tell(rig)
        wait_until(lambda: hook.positions == [2])


@pytest.mark.long
def test_what_waits_for_an_endpoint_that_is_dead_for_three_days_is_given_up_as_a_whole(tmp_path: Path) -> None:
    with follow_rig(tmp_path) as rig:
        endpoint = add(rig, f"http://127.0.0.1:{free_port()}/")
        tell(rig, 10)
        attempts = 0
        while queue(rig, endpoint)["given_up"] < 10:
            attempts += 1
            assert attempts < 12
            rig.clock.advance(_DAY_MS)
            wait_until(partial(attempted_or_given_up, rig, endpoint, attempts))


def attempted_or_given_up(rig: FollowRig, endpoint: str, attempts: int) -> bool:
    """Whether one more attempt was made, or the last one ended it."""
    return made_attempts(rig, attempts) or bool(queue(rig, endpoint)["given_up"] == 10)


def made_attempts(rig: FollowRig, count: int) -> bool:
    """Whether at least so many attempts were made."""
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        ((made,),) = database.execute("SELECT coalesce(sum(attempts), 0) FROM webhook_deliveries")
    database.close()
    return bool(made >= count)


@pytest.mark.long
def test_after_a_restart_what_was_not_taken_is_sent(tmp_path: Path, hook: Receiver) -> None:
    with ExitStack() as first:
        rig = first.enter_context(follow_rig(tmp_path))
        hook.answers = [500]
        endpoint = add(rig, hook)
        tell(rig, 2)
        failed(rig, endpoint, "http_500")
        rig.clock.advance(2 * _RETRY_MS)
        hook.gate.clear()
        wait_until(lambda: len(hook.came) == 2)  # on its way when the process ends
        with served(create_app(rig.settings, rig.clock)):
            hook.gate.set()
            rig.clock.advance(60_000)
            wait_until(lambda: {1, 2} <= set(hook.positions))


@pytest.mark.long
def test_a_full_queue_lets_later_events_wait_in_the_log_and_loses_none(tmp_path: Path, hook: Receiver) -> None:
    with follow_rig(tmp_path, webhooks={"max_pending": 5}) as rig:
        endpoint = add(rig, hook)
        hook.answers = [500]
        tell(rig, 23)
        failed(rig, endpoint, "http_500")
        state = queue(rig, endpoint)
        assert (state["pending"], state["unqueued"]) == (5, 18)
        rig.clock.advance(2 * _RETRY_MS)
        wait_until(lambda: len(hook.taken) == 23)
        assert hook.positions == list(range(1, 24))


def test_replay_sends_one_event_or_all_after_a_position_again_under_the_same_ids(
    rig: FollowRig, hook: Receiver
) -> None:
    endpoint = add(rig, hook)
    tell(rig, 4)
    wait_until(lambda: len(hook.taken) == 4)
    before = [event["id"] for event in hook.taken]
    replay = f"/v1/webhook-endpoints/{endpoint}/replay"
    assert rig.admin("POST", replay, json={"event": before[1]}).json() == {"events": 1}
    wait_until(lambda: len(hook.taken) == 5)
    assert rig.admin("POST", replay, json={"after": hook.positions[1]}).json() == {"events": 2}
    wait_until(lambda: len(hook.taken) == 7)
    assert [event["id"] for event in hook.taken[4:]] == [before[1], before[2], before[3]]
    for body in ({}, {"event": before[0], "after": 1}):
        assert rig.admin("POST", replay, json=body).status_code == 422
    assert rig.admin("POST", replay, json={"after": hook.positions[3] + 1}).status_code == 422
    assert rig.admin("POST", replay, json={"event": "evt_" + "0" * 32}).status_code == 404


@pytest.mark.long
def test_for_a_day_after_a_rotation_both_secrets_verify_and_then_only_the_new_one(
    tmp_path: Path, hook: Receiver
) -> None:
    with follow_rig(tmp_path) as rig:
        endpoint = add(rig, hook)
        rotated = rig.admin("POST", f"/v1/webhook-endpoints/{endpoint}/rotate-secret").json()
        assert rotated["secret"] != hook.secrets[0]
        hook.secrets.append(rotated["secret"])
        tell(rig)
        wait_until(lambda: hook.taken)
        endpoints = rig.following.endpoints
        assert endpoints.find(endpoint).secrets == (hook.secrets[1], hook.secrets[0])
        rig.clock.advance(_DAY_MS)
        assert endpoints.find(endpoint).secrets == (hook.secrets[1],)


def test_an_endpoint_gets_only_the_types_it_asked_for(rig: FollowRig, hook: Receiver) -> None:
    add(rig, hook, types=["binding.lost"])
    tell(rig, 2)
    tell(rig, 1, EventType.LOST)
    wait_until(lambda: hook.taken)
    assert [event["type"] for event in hook.came] == ["binding.lost"]


def test_an_endpoint_gets_no_event_from_before_it_was_added(rig: FollowRig, hook: Receiver) -> None:
    tell(rig, 2)
    add(rig, hook)
    tell(rig)
    wait_until(lambda: hook.taken)
    assert len(hook.came) == 1
    newest = rig.platform("GET", "/v1/events?limit=500").json()["events"][-1]
    assert hook.taken == [newest]


def test_a_deleted_endpoint_gets_nothing_more(rig: FollowRig, hook: Receiver, other: Receiver) -> None:
    endpoint = add(rig, hook)
    add(rig, other)
    assert rig.admin("DELETE", f"/v1/webhook-endpoints/{endpoint}").status_code == 204
    tell(rig)
    wait_until(lambda: other.taken)
    assert hook.came == []
    assert rig.admin("GET", f"/v1/webhook-endpoints/{endpoint}").status_code == 404
    assert rig.admin("DELETE", f"/v1/webhook-endpoints/{endpoint}").status_code == 404


def test_an_endpoint_that_does_not_open_is_told_of_and_the_others_are_served(
    rig: FollowRig, hook: Receiver, other: Receiver
) -> None:
    """As where an old secret of the vault was removed too early."""
    bad = add(rig, other)
    with sqlite3.connect(rig.folder / "gateway.sqlite3") as database:
        database.execute("UPDATE webhook_endpoints SET secret_sealed = url_sealed, url_sealed = x'00'")
    database.close()
    good = add(rig, hook)
    tell(rig)
    wait_until(lambda: hook.taken)
    troubles = wait_until(lambda: rig.support("GET", "/v1/status").json()["worker_troubles"])
    assert troubles == [f"webhooks to {bad}: stored data does not open: is a vault secret missing?"]
    assert [each["id"] for each in rig.admin("GET", "/v1/webhook-endpoints").json()["endpoints"]] == [good]
    assert rig.admin("DELETE", f"/v1/webhook-endpoints/{bad}").status_code == 204
    wait_until(lambda: not rig.support("GET", "/v1/status").json()["worker_troubles"])
    assert other.came == []


@pytest.mark.long
def test_an_unexpected_end_of_the_webhooks_is_shown_and_the_gateway_stays_fit_for_work(tmp_path: Path) -> None:
    with follow_rig(tmp_path) as rig:

        def broken() -> set[str]:
            raise RuntimeError("text that is not to be told")

        rig.following.endpoints.active = broken  # type: ignore[method-assign]
        rig.following.wakeups.wake()
        wait_until(lambda: rig.support("GET", "/v1/status").json()["worker_troubles"])
        status = rig.support("GET", "/v1/status").json()
        assert status["worker_troubles"] == [
            "webhooks: ended by an unexpected RuntimeError; see the log, and start the gateway again"
        ]
        assert status["ready"]


# --- addresses


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("192.0.0.192", False),
        ("192.0.0.9", False),
        ("192.88.99.1", False),
        ("::ffff:192.88.99.1", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:7f00:1::", False),
    ],
)
def test_only_addresses_of_the_open_internet_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_the_address_is_checked_when_the_connection_is_made_and_not_only_before() -> None:
    sockets = PublicSockets()
    with pytest.raises(OSError, match="not public"):
        sockets((2, 1, 6, "", ("127.0.0.1", 443)))
    assert sockets.refused


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://[::1]/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/",
    ],
)
def test_a_private_address_is_refused_when_an_endpoint_is_added(guarded: FollowRig, url: str) -> None:
    answer = guarded.admin("POST", "/v1/webhook-endpoints", json={"url": url})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "url")


@pytest.mark.parametrize(
    ("host", "result"),
    [
        ("localhost", "address_refused"),
        ("0x7f000001", "address_refused"),
        ("127.1", "InvalidUrlClientError"),
        ("2130706433", "InvalidUrlClientError"),
    ],
)
def test_a_name_that_leads_to_a_private_address_is_never_connected_to(
    guarded: FollowRig, hook: Receiver, host: str, result: str
) -> None:
    endpoint = add(guarded, hook.url.replace("127.0.0.1", host))
    tell(guarded)
    failed(guarded, endpoint, result)
    assert hook.came == []


@pytest.mark.long
@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example.com/",
        "http://hooks.example.com/",
        "https://user:secret@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https:///nohost",
        "https://hooks.example.com/a b",
        "https://hooks.example.com:99999/",
        "https://[::1/",
        "https://" + "h" * 1_999,
    ],
)
def test_a_url_that_is_none_or_not_encrypted_is_refused(strict: FollowRig, url: str) -> None:
    answer = strict.admin("POST", "/v1/webhook-endpoints", json={"url": url})
    assert answer.status_code == 422
    assert "secret" not in answer.text


# --- who may, and what is kept


def test_only_an_admin_manages_endpoints(rig: FollowRig, hook: Receiver) -> None:
    endpoint = add(rig, hook)
    for client in (rig.platform, rig.support):
        assert client("POST", "/v1/webhook-endpoints", json={"url": hook.url}).status_code == 403
        assert client("GET", "/v1/webhook-endpoints").status_code == 403
        assert client("GET", f"/v1/webhook-endpoints/{endpoint}").status_code == 403
        assert client("DELETE", f"/v1/webhook-endpoints/{endpoint}").status_code == 403
        for action in ("replay", "enable", "rotate-secret"):
            assert client("POST", f"/v1/webhook-endpoints/{endpoint}/{action}", json={"after": 0}).status_code == 403
    assert rig.nobody("GET", "/v1/webhook-endpoints").status_code == 401


def test_a_secret_is_shown_once_and_neither_it_nor_the_url_is_in_the_database(rig: FollowRig) -> None:
    url = "http://hooks.example.com/token-in-a-path-9f8e7d"
    made = rig.admin("POST", "/v1/webhook-endpoints", json={"url": url}).json()
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert rig.admin("GET", "/v1/webhook-endpoints").json() == {"endpoints": [made]}
    kept = b"".join(file.read_bytes() for file in rig.folder.glob("gateway.sqlite3*"))
    assert secret.removeprefix("whsec_").encode() not in kept
    assert b"token-in-a-path" not in kept


def test_the_number_of_endpoints_is_bounded(strict: FollowRig) -> None:
    for _ in range(2):
        add(strict, "https://hooks.example.com/")
    answer = strict.admin("POST", "/v1/webhook-endpoints", json={"url": "https://hooks.example.com/"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:standing:problem:too-many-endpoints")


@pytest.mark.parametrize("types", [[], ["binding.unheard-of"]])
def test_types_that_are_none_are_refused(rig: FollowRig, types: list[str]) -> None:
    answer = rig.admin("POST", "/v1/webhook-endpoints", json={"url": "http://hooks.example.com/", "types": types})
    assert answer.status_code == 422


@pytest.mark.long
def test_by_default_nothing_goes_out_unencrypted_or_to_a_private_address_and_three_days_are_tried() -> None:
    defaults = WebhookSettings()
    assert (defaults.allow_http, defaults.allow_private_addresses) == (False, False)
    assert (defaults.retry_initial_ms, defaults.give_up_after_ms) == (_RETRY_MS, 3 * _DAY_MS)
