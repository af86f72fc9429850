"""Events: every type from a real change at a real bank, differences, and the log's pages and retention."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from standing.gateway.events import log as event_log
from standing.gateway.events.types import Event, EventType, binding_changes
from standing.ledger.attestations.limits import NO_LIMITS, NOTHING, Limits
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.attestations.terms import IdentityTags, Status, Terms
from standing.ledger.chain import governance
from tests.gateway.follower_rig import FollowRig, follow_rig
from tests.world import (
    ACCOUNT,
    BANK_ADMIN,
    GUARDIAN,
    MAX_STALENESS_MS,
    REGISTRAR,
    Bank,
    Platform,
    World,
    wait_until,
    world,
)

TAGS = IdentityTags(b"nam", b"doc", b"pho")
ACTIVE = Terms(
    status=Status.ACTIVE,
    debit_allowed=True,
    credit_allowed=True,
    currency=156,
    effective_at_ms=1,
    limits=replace(NO_LIMITS, transaction_limit_minor=5_000, daily_limit_minor=9_000),
    tags=TAGS,
)
FROZEN = replace(ACTIVE, status=Status.FROZEN)


def _limits(**changes: int) -> Limits:
    return replace(ACTIVE.limits, **changes)


# --- differences


@pytest.mark.parametrize(
    ("previous", "changes", "types"),
    [
        (ACTIVE, {}, []),
        (ACTIVE, {"status": Status.FROZEN}, [("binding.frozen", ("status",))]),
        (ACTIVE, {"status": Status.FROZEN, "debit_allowed": False}, [("binding.frozen", ("status", "debit_allowed"))]),
        (ACTIVE, {"status": Status.LOST}, [("binding.lost", ("status",))]),
        (ACTIVE, {"status": Status.DORMANT}, [("binding.changed", ("status",))]),
        (ACTIVE, {"status": Status.CLOSED}, [("binding.closed", ("status",))]),
        (ACTIVE, {"status": Status.UNBOUND}, [("binding.unbound", ("status",))]),
        (ACTIVE, {"status": Status.UNBOUND, "limits": NOTHING}, [("binding.unbound", ("status",))]),
        (replace(ACTIVE, status=Status.UNBOUND), {"limits": NOTHING}, []),
        (FROZEN, {"status": Status.ACTIVE}, [("binding.cleared", ("status",))]),
        (FROZEN, {"status": Status.LOST}, [("binding.lost", ("status",))]),
        (FROZEN, {"debit_allowed": False}, [("binding.changed", ("debit_allowed",))]),
        (ACTIVE, {"credit_allowed": False}, [("binding.changed", ("credit_allowed",))]),
        (ACTIVE, {"currency": 840}, [("binding.changed", ("currency",))]),
        (ACTIVE, {"status": Status.UNSTATED}, [("binding.unstated", ("status",))]),
        (replace(ACTIVE, status=Status.UNSTATED), {"status": Status.ACTIVE}, [("binding.cleared", ("status",))]),
        (ACTIVE, {"effective_at_ms": 2}, []),
        (ACTIVE, {"tags": replace(TAGS, phone=bytes(3))}, []),
        (
            ACTIVE,
            {"limits": _limits(yearly_credit_limit_minor=1)},
            [("binding.limits_changed", ("yearly_credit_limit_minor",))],
        ),
        (
            ACTIVE,
            {"limits": _limits(transaction_limit_minor=1)},
            [("binding.limits_changed", ("transaction_limit_minor",))],
        ),
        (
            ACTIVE,
            {"limits": _limits(daily_limit_minor=2**64 - 1)},
            [("binding.limits_changed", ("daily_limit_minor",))],
        ),
        (ACTIVE, {"tags": replace(TAGS, phone=b"ooo")}, [("binding.identity_changed", ("phone",))]),
        (
            ACTIVE,
            {"tags": IdentityTags(b"111", b"222", b"333")},
            [("binding.identity_changed", ("name", "id_document", "phone"))],
        ),
        (
            ACTIVE,
            {"status": Status.FROZEN, "limits": _limits(daily_limit_minor=0), "tags": replace(TAGS, name=b"ema")},
            [
                ("binding.frozen", ("status",)),
                ("binding.limits_changed", ("daily_limit_minor",)),
                ("binding.identity_changed", ("name",)),
            ],
        ),
    ],
)
def test_each_difference_between_two_attestations_is_an_event_naming_the_changed_fields(
    previous: Terms, changes: dict[str, Any], types: list[tuple[str, tuple[str, ...]]]
) -> None:
    found = binding_changes(previous, replace(previous, **changes), first=False, bound=TAGS)
    assert [(change.type.value, change.fields) for change in found] == types


@pytest.mark.parametrize(
    ("current", "types"),
    [
        (ACTIVE, ["binding.usable"]),
        # Withdrawals are possible.
        (replace(ACTIVE, limits=_limits(daily_limit_minor=0), debit_allowed=False), ["binding.usable"]),
        (replace(ACTIVE, credit_allowed=False), ["binding.usable"]),
        (replace(ACTIVE, debit_allowed=False, credit_allowed=False), []),
        (FROZEN, ["binding.frozen"]),
        (replace(ACTIVE, tags=replace(TAGS, name=b"ema")), ["binding.identity_changed"]),
        (None, ["binding.unreadable"]),
    ],
)
def test_the_first_attestation_is_compared_with_an_active_account_of_the_bound_holder(
    current: Terms | None, types: list[str]
) -> None:
    assert [change.type.value for change in binding_changes(None, current, first=True, bound=TAGS)] == types


def test_an_unreadable_attestation_is_reported_once_and_so_is_its_end() -> None:
    assert [c.type for c in binding_changes(ACTIVE, None, first=False, bound=TAGS)] == [EventType.UNREADABLE]
    assert binding_changes(None, None, first=False, bound=TAGS) == []
    assert [c.type for c in binding_changes(None, ACTIVE, first=False, bound=TAGS)] == [EventType.CLEARED]
    assert [c.type for c in binding_changes(None, FROZEN, first=False, bound=TAGS)] == [EventType.FROZEN]


# --- every type from a real change at a real bank


class City:
    """A world with one bank and its platform, shared by the table; each row has its own account."""

    def __init__(self, made: World) -> None:
        self.world = made
        self.bank: Bank = made.start_bank()
        self.bank.change({**ACCOUNT, "number": "A000", "number_type": "account"})
        self.bank.heartbeat()  # before its first publication the gateway would report the bank as silent
        self.platform: Platform = made.start_platform(follower={"poll_ms": 10})
        self._accounts = 0

    def bound(self) -> tuple[str, str]:
        """A new account's number, and its binding."""
        self._accounts += 1
        number = f"A{self._accounts:03d}"
        account = {**ACCOUNT, "number": number, "number_type": "account"}
        self.bank.change(account)
        binding = self.platform.bind(self.bank.bic, account)
        wait_until(partial(self.has_events, f"/v1/events?binding={binding}", 1))  # usable
        return number, binding

    def has_events(self, path: str, count: int) -> bool:
        """Whether that many events have arrived."""
        return len(self.events(path)) >= count

    def events(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.platform.get(path).json()["events"]
        return found


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with world(tmp_path_factory.mktemp("city")) as made:
        yield City(made)


ROWS: list[tuple[list[dict[str, Any]], list[str]]] = [
    ([{"status": "dormant"}], ["binding.changed"]),
    ([{"debit_allowed": False}], ["binding.changed"]),
    ([{"currency": "USD"}], ["binding.changed"]),
    ([{"status": "frozen"}], ["binding.frozen"]),
    ([{"status": "frozen"}, {"status": "active"}], ["binding.frozen", "binding.cleared"]),
    ([{"status": "lost"}], ["binding.lost"]),
    ([{"status": "closed"}], ["binding.closed"]),
    ([{"unbind": ["jinqiao-pay"]}], ["binding.unbound"]),
    ([{"transaction_limit_minor": 1}], ["binding.limits_changed"]),
    ([{"daily_limit_minor": "none"}], ["binding.limits_changed"]),
    ([{"holder_name": "诸葛松"}], ["binding.identity_changed"]),
    ([{"phone": "+8613800138000"}], ["binding.identity_changed"]),
    ([{"id_document_number": "11010519491231002X"}], ["binding.identity_changed"]),
]


@pytest.mark.long
@pytest.mark.parametrize(("changes", "types"), ROWS)
def test_every_kind_of_change_at_the_bank_becomes_its_event(
    city: City, changes: list[dict[str, Any]], types: list[str]
) -> None:
    number, binding = city.bound()
    path = f"/v1/events?binding={binding}"
    for count, change in enumerate(changes, start=1):
        as_of_ms = city.bank.change({"number": number, **change})
        wait_until(partial(city.has_events, path, 1 + count))
        assert city.events(path)[-1]["data"]["effective_at_ms"] == as_of_ms
    assert [event["type"] for event in city.events(path)] == ["binding.usable", *types]


@pytest.mark.long
def test_silence_return_suspension_and_reinstatement_of_a_real_bank_become_events(city: City) -> None:
    watermark_ms = city.bank.heartbeat()

    def types() -> list[str]:
        return [event["type"] for event in city.events("/v1/events?limit=500") if event["data"]["binding"] is None]

    assert types() == []
    city.world.clock.advance(watermark_ms + MAX_STALENESS_MS + 1 - city.world.clock.now_ms())
    wait_until(lambda: types() == ["bank.silent"])
    city.bank.heartbeat()
    wait_until(lambda: types() == ["bank.silent", "bank.back"])
    bic, client = city.bank.bic, city.world.client
    governance.execute(client, governance.suspend(bic), GUARDIAN)
    wait_until(lambda: types() == ["bank.silent", "bank.back", "bank.suspended"])
    step = governance.reinstate(bic, city.bank.signer.address, LocalSigner(BANK_ADMIN).address)
    governance.execute(client, step, REGISTRAR)
    wait_until(lambda: types() == ["bank.silent", "bank.back", "bank.suspended", "bank.reinstated"])


def test_the_tables_above_cover_every_event_type() -> None:
    by_bank = {kind for _, types in ROWS for kind in types}
    elsewhere = {"bank.silent", "bank.back", "bank.suspended", "bank.reinstated"}
    elsewhere |= {"binding.usable", "decision.reviewed"}  # usable precedes each row; test_reviews covers the other
    only_by_a_faulty_bank = {"binding.unreadable"}  # covered by test_follower
    elsewhere |= {"bank.slowing", "binding.at_risk", "binding.check_up"}  # covered by tests/gateway/warning
    elsewhere |= {"binding.unstated"}  # covered by the node's tests of quarantine
    assert {kind.value for kind in EventType} == by_bank | elsewhere | only_by_a_faulty_bank


# --- the log


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[FollowRig]:
    with follow_rig(tmp_path) as made:
        yield made


def put(rig: FollowRig, count: int, *, observed_at_ms: int | None = None) -> None:
    """Write events into the log, as the follower does."""
    at_ms = rig.clock.now_ms() if observed_at_ms is None else observed_at_ms
    events = [
        Event(EventType.FROZEN, rig.bank.bic, bytes([index]) * 32, index, 7, at_ms, at_ms, {"status": "frozen"})
        for index in range(count)
    ]
    with rig.app.state.gateway.storage.write() as connection:
        event_log.append(connection, events)


@pytest.mark.long
def test_pages_go_through_the_log_in_order_and_end_empty(rig: FollowRig) -> None:
    put(rig, 7)
    seen, after = [], 0
    while True:
        page = rig.platform("GET", f"/v1/events?after={after}&limit=3").json()
        if not page["events"]:
            break
        assert len(page["events"]) <= 3
        seen += [event["data"]["publication"] for event in page["events"]]
        after = page["next_after"]
    assert seen == list(range(7))
    only = rig.support("GET", f"/v1/events?binding=0x{'05' * 32}").json()["events"]
    assert [event["data"]["publication"] for event in only] == [5]


@pytest.mark.long
@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=501", "binding=0x12", f"after={2**63}"])
def test_an_invalid_page_query_is_refused_by_field(rig: FollowRig, query: str) -> None:
    answer = rig.platform("GET", f"/v1/events?{query}")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == query.partition("=")[0]


@pytest.mark.long
def test_old_events_are_pruned_in_bounded_steps_and_their_positions_never_reused(rig: FollowRig) -> None:
    day_ms = 24 * 3600 * 1000
    keep_ms = rig.settings.follower.keep_days * day_ms
    put(rig, 3, observed_at_ms=rig.clock.now_ms() - keep_ms - 1)
    put(rig, 2, observed_at_ms=rig.clock.now_ms() - keep_ms)
    *_, fourth, fifth = [event["position"] for event in rig.platform("GET", "/v1/events").json()["events"]]
    rig.following.follower.step()
    rig.follow()
    left = rig.platform("GET", "/v1/events").json()
    assert (left["oldest"], [event["position"] for event in left["events"]]) == (fourth, [fourth, fifth])
    rig.clock.advance(2 * day_ms)
    rig.heartbeat()
    assert [event["type"] for event in rig.follow()] == []
    left = rig.platform("GET", "/v1/events").json()  # the newest stays to mark the end of the log
    assert (left["oldest"], [event["position"] for event in left["events"]]) == (fifth, [fifth])
    put(rig, 1)
    before, sixth = [event["position"] for event in rig.platform("GET", "/v1/events").json()["events"]]
    assert before == fifth < sixth
    rig.clock.advance(day_ms // 24)
    rig.heartbeat()
    rig.follow()
    assert rig.platform("GET", "/v1/events").json()["oldest"] == sixth
