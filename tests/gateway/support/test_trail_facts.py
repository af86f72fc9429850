"""What a trail makes of its sources: the ledger, the bank's node, and this gateway's own records."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import insert

from standing.gateway.events import log as event_log
from standing.gateway.events.types import Event, EventType
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.support import trail
from standing.gateway.support.hops import Facts, Hop, HopName, HopState, hops_of
from standing.gateway.support.settings import TrailSettings
from standing.gateway.support.trail import Cause, ChangeTrail, NodeHop, NodePublication, Trails

_BANK, _BINDING = "YUNXCNB0", b"b" * 32


def _own(newest_seen: int = 0, **changes: Any) -> Any:
    return trail._Own(
        **{"observed": {}, "notified": {}, "used": {}, "last_decision": None} | changes, newest_seen=newest_seen
    )


def _node(number: int | None, effective_at_ms: int = 1_000, in_block_at_ms: int | None = None) -> NodeHop:
    signed = NodePublication(number=number or 1, signed_at_ms=2_000, in_block_at_ms=in_block_at_ms)
    return NodeHop(effective_at_ms=effective_at_ms, entry_as_of_ms=1, publication=signed if number else None)


# --- what is known of each change


@pytest.mark.parametrize(("on_ledger", "newest_seen"), [(8, 0), (0, 8)], ids=["by the ledger", "by the follower"])
def test_changes_that_wait_at_the_bank_come_first_and_what_is_overtaken_waits_for_nothing(
    on_ledger: int, newest_seen: int
) -> None:
    hops = [_node(None, 5_000), _node(None, 6_000), _node(7), _node(8), _node(9)]
    facts = trail._facts(hops, _own(newest_seen), on_ledger)
    assert [(each.publication, each.effective_at_ms) for each in facts[:2]] == [(None, 6_000), (None, 5_000)]
    assert [(each.publication, each.on_ledger, each.overtaken, each.reports) for each in facts[2:]] == [
        (9, False, False, True),
        (8, True, False, True),
        (7, True, True, False),
    ]


@pytest.mark.parametrize(
    ("node_ms", "used_ms", "in_block_ms"),
    [
        (None, None, 10_000),
        (10_400, None, 10_400),  # finer than a block's whole seconds
        (9_000, None, 10_000),
        (12_000, None, 10_900),  # the node looked late: the follower had seen it by then
        (12_000, 10_200, 10_200),  # and a payment before that
    ],
)
def test_a_change_was_in_a_block_by_the_time_that_anyone_here_saw_or_used_it(
    node_ms: int | None, used_ms: int | None, in_block_ms: int
) -> None:
    row = SimpleNamespace(effective_at_ms=1_000, block_time_ms=10_000, observed_at_ms=10_900)
    own = _own(7, observed={7: row}, used={7: used_ms} if used_ms is not None else {})
    (facts,) = trail._facts([_node(7, in_block_at_ms=node_ms)], own, 7)
    assert (facts.in_block_at_ms, facts.observed_at_ms, facts.used_at_ms) == (in_block_ms, 10_900, used_ms)


def _stalled_at(*names: HopName | None) -> list[ChangeTrail]:
    hops = [(Hop(name, HopState.STALLED),) if name is not None else () for name in names]
    return [ChangeTrail(9 - index, 1_000, each) for index, each in enumerate(hops)]


@pytest.mark.parametrize(
    ("changes", "troubles", "stalled"),
    [
        ([None, HopName.SIGNED, HopName.IN_BLOCK], [Cause.BANK_SILENT], (HopName.IN_BLOCK, None)),
        ([HopName.NOTIFIED, HopName.OBSERVED], [], (HopName.OBSERVED, None)),
        ([HopName.NOTIFIED], [Cause.BANK_SILENT], (HopName.ACCEPTED, Cause.BANK_SILENT)),
        ([None], [Cause.BANK_SILENT, Cause.BANK_SUSPENDED], (HopName.IN_BLOCK, Cause.BANK_SUSPENDED)),
        ([HopName.NOTIFIED], [Cause.NODE_UNREACHABLE], (HopName.NOTIFIED, None)),
        ([], [], (None, None)),
    ],
)
def test_the_oldest_stall_counts_then_the_banks_trouble_and_the_platforms_own_endpoint_last(
    changes: list[HopName | None], troubles: list[Cause], stalled: tuple[HopName | None, Cause | None]
) -> None:
    assert trail._first_stalled(_stalled_at(*changes), troubles) == stalled


# --- this gateway's own records


@pytest.fixture
def storage(storage: Storage) -> Storage:
    """A database with one binding, whose publication 7 made two events."""
    texts = {"bank": _BANK, "user_id": "u", "number_masked": "*", "number_type": "card"}
    blobs = dict.fromkeys(("account", "key_sealed", "tags", "grant_signature"), b"")
    numbers = dict.fromkeys(("granted_at_ms", "created_at_ms", "floor"), 0)
    events = [Event(kind, _BANK, _BINDING, 7, 1, 1, 1, {}) for kind in (EventType.FROZEN, EventType.LIMITS_CHANGED)]
    with storage.write() as connection:
        connection.execute(insert(schema.bindings).values(binding=_BINDING, **texts, **blobs, **numbers))
        event_log.append(connection, events)
    return storage


def _endpoint(**changes: Any) -> dict[str, Any]:
    blank = {"url_sealed": b"", "secret_sealed": b"", "created_at_ms": 1, "queued_to": 0, "disabled_at_ms": None}
    return blank | {"types": None} | changes


@pytest.mark.parametrize(
    ("endpoint", "delivered", "notified"),
    [
        (None, {}, {}),
        (_endpoint(), {}, {7: None}),
        (_endpoint(types='["binding.frozen"]'), {}, {7: None}),
        (_endpoint(types='["binding.lost"]'), {}, {}),
        (_endpoint(disabled_at_ms=1), {}, {}),
        (_endpoint(queued_to=2), {}, {}),
        (_endpoint(queued_to=2), {1: None}, {7: None}),
        (_endpoint(queued_to=2), {1: 40, 2: 20}, {7: 20}),
        (_endpoint(queued_to=2), {1: 20, 2: None}, {7: 20}),
    ],
    ids=["no endpoint", "coming", "wanted", "unwanted", "disabled", "passed", "queued", "the first", "one of two"],
)
def test_a_change_is_notified_once_an_endpoint_that_wants_it_has_accepted_an_event(
    storage: Storage, endpoint: dict[str, Any] | None, delivered: dict[int, int | None], notified: dict[int, int | None]
) -> None:
    blank = {"endpoint": "we_1", "state": "pending", "attempts": 0, "queued_at_ms": 1, "next_attempt_at_ms": 1}
    with storage.write() as connection:
        if endpoint is not None:
            connection.execute(insert(schema.webhook_endpoints).values(id="we_1", **endpoint))
        for position, at_ms in delivered.items():
            row = blank | {"position": position, "delivered_at_ms": at_ms}
            connection.execute(insert(schema.webhook_deliveries).values(row))
        assert trail._notified(connection, _BINDING, [7]) == notified
        assert trail._notified(connection, _BINDING, [8]) == {}


def _decided(at_ms: int, publication: int) -> dict[str, Any]:
    fixed = {"binding": _BINDING, "kind": "payment", "amount_minor": 1, "currency": "CNY", "outcome": "approve"}
    return fixed | {
        "transaction_id": f"t{at_ms}",
        "decided_at_ms": at_ms,
        "answer": json.dumps({"publication": publication}),
    }


def _observed(block_time_ms: int = 0) -> Any:
    return SimpleNamespace(binding=_BINDING, publication=7, effective_at_ms=100, block_time_ms=block_time_ms)


def test_a_change_is_used_by_the_first_decision_on_it_or_on_a_repeat_and_not_by_one_on_the_next(
    storage: Storage,
) -> None:
    observed = _observed()
    with storage.write() as connection:
        assert trail._first_use(connection, observed, before=None) is None
        assert trail._last_decision(connection, _BINDING) is None
        connection.execute(insert(schema.decisions), [_decided(110, 5), _decided(120, 8), _decided(130, 9)])
        assert trail._first_use(connection, observed, before=None) == 120
        assert trail._first_use(connection, observed, before=9) == 120
        assert trail._first_use(connection, observed, before=8) is None
        last = trail._last_decision(connection, _BINDING)
    assert last is not None
    assert (last.transaction_id, last.publication) == ("t130", 9)


def test_old_terms_that_were_asked_for_again_are_used_however_many_payments_there_were_since(storage: Storage) -> None:
    """The block's clock may be ahead of this machine's."""
    asked_ms = 10**9
    with storage.write() as connection:
        earlier = [_decided(110 + index, 5) for index in range(300)]
        connection.execute(insert(schema.decisions), [*earlier, _decided(asked_ms - 600_000, 7)])
        assert trail._first_use(connection, _observed(asked_ms), before=None) == asked_ms - 600_000


def test_a_repeat_is_a_change_only_where_the_banks_node_names_it_and_the_newest_are_shown(storage: Storage) -> None:
    times = dict.fromkeys(("effective_at_ms", "block_number", "block_time_ms", "observed_at_ms"), 1)
    rows = [times | {"binding": _BINDING, "publication": each, "restated": each in {20, 21}} for each in range(1, 22)]
    with storage.write() as connection:
        connection.execute(insert(schema.observations), rows)
    nothing = cast(Any, None)
    trails = Trails(
        storage=storage,
        bindings=nothing,
        banks=nothing,
        nodes=nothing,
        reader=nothing,
        policy=nothing,
        clock=nothing,
        settings=nothing,
    )
    own = trails._look_up(_BINDING, [20])
    assert sorted(own.observed) == [*range(11, 20), 20]
    assert own.newest_seen == 21


def test_a_hop_that_must_have_happened_is_done_though_no_time_is_known() -> None:
    found = hops_of(Facts(7, 1_000, node_asked=False, on_ledger=True), TrailSettings(), 60_000)
    assert [hop.state.value for hop in found[1:5]] == ["unknown", "unknown", "unknown", "done"]
    assert [(hop.state.value, hop.took_ms) for hop in found[5:]] == [
        ("stalled", 59_000),
        ("waiting", None),  # nobody knows for how long: it waits for the one before
        ("waiting", None),
    ]
