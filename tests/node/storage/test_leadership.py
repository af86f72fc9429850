"""Two nodes on one store: one leads, the other stands by and takes over; the two never both sign."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from standing.ledger.attestations.binding_protocol import BindingRequest
from standing.ledger.service.leader import lock_of
from standing.ledger.service.serve import served
from standing.node.accounts.changes import FeedEntry
from standing.node.app import create_app
from standing.node.composition import Node, build
from standing.node.storage import schema
from standing.node.storage.database import NodeDatabase
from standing.node.storage.leadership import LeadershipLost, Standby
from tests.world import ACCOUNT, CLAIM_FIELDS, PLATFORM, Bank, World, wait_until


@pytest.fixture
def bank(a_world: World) -> Bank:
    return a_world.make_bank()


@pytest.fixture
def twins(bank: Bank) -> Iterator[tuple[Node, Node]]:
    """Two nodes on one store; neither leading yet."""
    first, second = (build(bank.settings, bank.secrets, bank.clock) for _ in range(2))
    yield first, second
    for node in (first, second):
        node.leadership.leave()
        node.database.close()


def test_the_second_of_two_nodes_takes_over_when_the_leader_is_gone(twins: tuple[Node, Node]) -> None:
    first, second = twins
    assert first.leadership.take()
    assert not second.leadership.take()
    assert not second.leadership.active
    first.leadership.leave()
    with first.database.read() as connection, pytest.raises(LeadershipLost):
        first.leadership.confirm(connection)  # although no other has led since
    assert second.leadership.take()
    assert not first.leadership.take()


def test_a_node_that_cannot_store_its_lead_leaves_the_lock_to_another(
    twins: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = twins

    def fail(_connection: object) -> int:
        raise OperationalError("UPDATE", None, Exception("disk full"))

    with monkeypatch.context() as patched:
        patched.setattr(first.leadership, "_count_up", fail)
        assert not first.leadership.look()
    assert "cannot be used" in str(first.leadership.trouble)
    assert second.leadership.take()
    second.leadership.leave()
    assert first.leadership.look()
    assert first.leadership.trouble is None


def test_a_node_that_lost_its_lock_unnoticed_cannot_sign(twins: tuple[Node, Node], bank: Bank) -> None:
    first, second = twins
    assert first.leadership.take()
    bank.node, bank.url = first, ""
    first.feed.accept(_entry(bank))
    # As if the session that held the lock was cut: the lock is free, and the first node does not know it.
    first.leadership._lock.release()
    assert second.leadership.take()
    assert first.leadership.active
    with pytest.raises(LeadershipLost):
        first.publisher.step()
    with second.database.read() as connection:
        assert connection.execute(select(schema.publications)).all() == []
    assert second.publisher.step() == 1


def test_a_node_that_lost_its_lock_unnoticed_stands_by_although_it_has_nothing_to_sign(
    twins: tuple[Node, Node], a_world: World
) -> None:
    """After a restart of PostgreSQL two nodes led, with a feed folder and payouts each, until the core fed again."""
    first, second = twins
    assert first.leadership.take()
    assert first.publisher.step() == 0
    first.leadership._lock.release()
    assert second.leadership.take()
    with pytest.raises(LeadershipLost):
        first.publisher.step()
    a_world.chain.down = True
    with pytest.raises(LeadershipLost):
        first.publisher.step()


@pytest.mark.parametrize(
    ("added", "reason"),
    [
        ({"newer_bank_secrets": (b"\2" * 32,)}, "under which active bindings were granted is missing"),
        ({"vault_secret": b"\2" * 32}, "is a vault secret missing"),
    ],
    ids=["bank secret", "vault secret"],
)
def test_a_standby_that_was_not_restarted_after_a_rotation_does_not_take_over(
    bank: Bank, added: dict[str, Any], reason: str
) -> None:
    """It sealed a freeze under the old secret, so that the platform could not read it, even with the new one back."""
    rotated = replace(bank.secrets, older_vault_secrets=(bank.secrets.vault_secret,) if "vault_secret" in added else ())
    secrets = [replace(rotated, **added), bank.secrets]
    first, second = (build(bank.settings, each, bank.clock) for each in secrets)
    try:
        assert first.leadership.take()
        bank.node = first
        first.feed.accept(_entry(bank))
        request = BindingRequest(request_id="request-1", **{name: ACCOUNT[name] for name in CLAIM_FIELDS})
        assert first.bindings.bind(PLATFORM, request).grant is not None
        first.leadership.leave()
        assert not second.leadership.look()
        with pytest.raises(Standby, match=reason):
            second.leadership.require()
        assert first.leadership.take(), "the lock is free for a node that has the secret"
    finally:
        for node in (first, second):
            node.leadership.leave()
            node.database.close()


def _entry(bank: Bank) -> FeedEntry:
    at = bank.clock.advance(10)
    return FeedEntry.model_validate({"as_of_ms": at, "changes": [{**ACCOUNT, "effective_at_ms": at}]})


@pytest.mark.long
def test_a_standby_serves_reads_and_refuses_changes_until_it_takes_over(bank: Bank, tmp_path: Path) -> None:
    with ExitStack() as first_stack, ExitStack() as second_stack:
        bank.start(first_stack)
        first_url = bank.url
        second = build(bank.settings, bank.secrets, bank.clock)
        second_url = second_stack.enter_context(served(create_app(second)))
        assert httpx.get(first_url + "/readyz").status_code == 200
        assert httpx.get(second_url + "/healthz").status_code == 200
        ready = httpx.get(second_url + "/readyz")
        assert ready.status_code == 503
        assert "another node is the leader on this store" in ready.json()["reason"]

        as_of_ms = bank.feed(ACCOUNT)
        bank.url = second_url
        assert bank.get(f"/v1/feed/{as_of_ms}").status_code == 200, "a standby serves reads"
        for answer in (
            bank.post("/v1/feed", bank.core_key, json={"as_of_ms": as_of_ms, "changes": []}),
            bank.bind(),
        ):
            assert answer.status_code == 503
            assert answer.json()["type"] == "urn:standing:problem:standby"
            assert answer.headers["retry-after"] == "2"
        assert "standing_node_leads 0.0" in httpx.get(second_url + "/metrics").text

        first_stack.close()
        wait_until(lambda: httpx.get(second_url + "/readyz").status_code == 200)
        assert bank.bind().json()["outcome"] == "granted"
        bank.change({"number": ACCOUNT["number"], "status": "frozen"})


def test_a_link_to_a_store_shares_its_lock(tmp_path: Path) -> None:
    (tmp_path / "link.sqlite3").symlink_to(tmp_path / "node.sqlite3")
    databases = [NodeDatabase(f"sqlite:///{tmp_path}/{name}.sqlite3") for name in ("node", "link")]
    locks = [lock_of(database, "leader") for database in databases]
    assert [lock.hold() for lock in locks] == [True, False]
    locks[0].release()
    for database in databases:
        database.close()


@pytest.mark.long
@pytest.mark.parametrize(
    "outage",
    [
        NoConnectionFree("no connection"),
        OperationalError("SELECT", {}, Exception("gone")),
        OSError(24, "Too many open files"),
    ],
    ids=str,
)
def test_a_standby_still_takes_over_after_a_database_outage(
    twins: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch, outage: Exception
) -> None:
    first, second = twins
    assert first.leadership.take()

    def fail() -> bool:
        raise outage

    with monkeypatch.context() as patch:
        patch.setattr(second.leadership._lock, "hold", fail)
        assert not second.leadership.look()
        with pytest.raises(Standby, match="database"):
            second.leadership.require()
    first.leadership.leave()
    assert second.leadership.look()


def test_a_node_whose_leadership_ended_unexpectedly_does_not_blame_another(
    twins: tuple[Node, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> bool:
        raise RuntimeError

    monkeypatch.setattr(twins[0].leadership._lock, "hold", fail)
    with pytest.raises(RuntimeError):
        twins[0].leadership.run(lambda: None)
    with pytest.raises(Standby, match="RuntimeError"):
        twins[0].leadership.require()


def test_a_standby_says_why_it_refuses_a_request(twins: tuple[Node, Node]) -> None:
    first, second = twins
    assert first.leadership.take()
    with pytest.raises(Standby, match="another node is the leader on this store"):
        second.leadership.require()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("part", ["publisher", "housekeeping"])
def test_a_node_with_a_crashed_worker_is_not_ready_and_names_it(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    with ExitStack() as stack:
        bank.start(stack)
        wait_until(lambda: httpx.get(bank.url + "/readyz").status_code == 200)

        def fail(*_: object) -> None:
            raise ZeroDivisionError

        if part == "publisher":
            monkeypatch.setattr(bank.node.publisher, "step", fail)
            bank.node.publisher.wake()
            reason = "its work ended by an unexpected ZeroDivisionError"
        else:
            worker = wait_until(lambda: bank.node.workers._workers)[0]
            monkeypatch.setattr(worker, "task", replace(worker.task, step=fail))
            reason = f"{worker.task.name}: ended by an unexpected ZeroDivisionError"
        assert "ZeroDivisionError" in wait_until(lambda: httpx.get(bank.url + "/readyz").json()["reason"])
        wait_until(lambda: reason in httpx.get(bank.url + "/readyz").json()["reason"])
