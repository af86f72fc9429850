"""Reconciliation without a chain: which block it reads, what it finds of banks, and what a report holds."""

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert, select

from standing.gateway.decisions.policy import Policy
from standing.gateway.following import reconcile
from standing.gateway.following.reconcile import BatchPace, Reconciler, last_run
from standing.gateway.following.reconcile_report import BANK_NOT_SERVED, Drift, Report
from standing.gateway.ledger_reading.nodes import BlockRule
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.chain.client import Head
from standing.ledger.chain.codec import Reading, Record
from standing.ledger.clock import ManualClock

_BANK = "YUNXCNB0"
_NOW_MS = 1_800_000_000_000


class _Ledger:
    """A ledger at block 20, of which 15 is final. Every bank's watermark is 1,000."""

    def __init__(self, replaced: int | None = None) -> None:
        self.asked: list[int | str] = []
        self._replaced = replaced  # this block has another hash from the second time on

    def head(self, block: int | str = "latest") -> Head:
        number = {"latest": 20, "finalized": 15}.get(str(block), block)
        assert isinstance(number, int)
        again = number == self._replaced and number in self.asked
        self.asked.append(number)
        return Head(number, b"another" if again else b"%d" % number, 0)

    def read(self, queries: Any, block: int) -> Reading:
        return Reading(block, 0, tuple(Record(0, b"", b"", 1_000, suspended=False) for _ in queries))


def _reconciler(storage: Storage, **changed: Any) -> Reconciler:
    usual = {"vault": None, "banks": [SimpleNamespace(bic=_BANK)], "ledger": _Ledger(), "rule": BlockRule()} | changed
    pace = BatchPace(batch=2, pause_ms=0)
    return Reconciler(storage=storage, policy=Policy(), clock=ManualClock(_NOW_MS), pace=pace, **usual)


def _run(storage: Storage, **changed: Any) -> Report:
    made = _reconciler(storage, **changed).run()
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("rule", "block"),
    [(BlockRule(), 20), (BlockRule("finalized"), 15), (BlockRule(depth=3), 17), (BlockRule(depth=99), 0)],
)
def test_a_run_reads_the_block_that_decisions_read(storage: Storage, rule: BlockRule, block: int) -> None:
    assert _run(storage, rule=rule).block_number == block


def test_a_bank_that_was_added_since_the_start_is_in_the_next_report(storage: Storage) -> None:
    banks = [SimpleNamespace(bic=_BANK)]
    made = _reconciler(storage, banks=banks)
    banks.append(SimpleNamespace(bic="JINQCNB0"))
    report = made.run()
    assert report is not None
    assert [bank.bank for bank in report.banks] == ["JINQCNB0", _BANK]


@pytest.mark.parametrize(("replaced", "there"), [(None, True), (20, False)])
def test_a_report_says_whether_its_block_is_still_there(storage: Storage, replaced: int | None, there: bool) -> None:
    assert _run(storage, ledger=_Ledger(replaced)).block_is_still_there is there


@pytest.mark.parametrize(
    ("seen_ms", "block", "went_back"),
    [(1_001, 20, True), (1_001, 19, True), (1_000, 20, False), (1_001, 21, False)],
    ids=["higher", "higher, long ago", "the same", "in a later block"],
)
def test_a_watermark_went_back_where_a_higher_one_was_seen_by_the_block_that_was_read(
    storage: Storage, seen_ms: int, block: int, went_back: bool
) -> None:
    state = {"watermark_ms": seen_ms, "block_number": block, "silent": False, "suspended": False}
    with storage.write() as connection:
        connection.execute(insert(schema.bank_states).values(bank=_BANK, **state))
    assert [bank.watermark_went_back for bank in _run(storage).banks] == [went_back]


def _bound(storage: Storage, *names: bytes, ended_at_ms: int | None = None) -> None:
    """Bindings at a bank that is no longer served: whatever the ledger says, they cannot be used."""
    texts = {"bank": "GONECNB0", "user_id": "u", "number_masked": "*", "number_type": "card"}
    blobs = dict.fromkeys(("account", "key_sealed", "tags", "grant_signature"), b"")
    times = {"granted_at_ms": 0, "created_at_ms": 0, "floor": 0, "ended_at_ms": ended_at_ms}
    with storage.write() as connection:
        for name in names:
            connection.execute(insert(schema.bindings).values(binding=name, **texts, **blobs, **times))


def _dead(storage: Storage) -> dict[bytes, tuple[str, int]]:
    with storage.read() as connection:
        rows = connection.execute(select(schema.dead_bindings)).all()
    return {row.binding: (row.reason, row.since_ms) for row in rows}


def test_a_report_counts_every_dead_binding_and_lists_as_many_as_it_may(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "MAX_LISTED", 2)
    _bound(storage, b"a", b"b", b"c")
    _bound(storage, b"d", ended_at_ms=1)
    report = _run(storage)
    assert (report.checked, report.dead_count, len(report.dead)) == (3, 3, 2)
    assert report.reasons == {"GONECNB0": {BANK_NOT_SERVED: 3}}
    assert set(_dead(storage)) == {b"a", b"b", b"c"}


def test_a_mark_says_why_a_binding_is_dead_now_and_since_when(storage: Storage) -> None:
    _bound(storage, b"a", b"b")
    _bound(storage, b"c", ended_at_ms=1)
    marks = {b"a": "account_closed", b"b": BANK_NOT_SERVED, b"c": BANK_NOT_SERVED}
    with storage.write() as connection:
        for name, reason in marks.items():
            mark = {"binding": name, "reason": reason, "since_ms": 1, "block_number": 1}
            connection.execute(insert(schema.dead_bindings).values(mark))
    _run(storage)
    assert _dead(storage) == {b"a": (BANK_NOT_SERVED, _NOW_MS), b"b": (BANK_NOT_SERVED, 1)}


def test_the_newest_reports_are_kept_and_the_last_of_them_is_shown(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "KEPT_RUNS", 2)
    for replaced in (20, 20, None):
        last = _run(storage, ledger=_Ledger(replaced)).to_json()
    with storage.read() as connection:
        assert connection.scalars(select(schema.reconcile_runs.c.run)).all() == [2, 3]
    assert last_run(storage) == last
    assert '"block_is_still_there": true' in last


@pytest.mark.parametrize(
    ("publication", "changed", "drift"),
    [
        (4, {}, Drift.BELOW_FLOOR),
        (5, {}, None),
        (5, {"sealed": (b"other", b"tail")}, Drift.TERMS_DIFFER),
        (6, {}, Drift.FOLLOWER_MISSED),
        (6, {"follower_at": 19}, None),
        (6, {"state_at": 21}, None),
        (5, {"followed": 6}, Drift.LEDGER_WENT_BACK),
        (5, {"followed": 6, "state_at": 20}, Drift.LEDGER_WENT_BACK),
        (5, {"followed": 6, "state_at": 21}, None),
        (5, {"followed": None}, Drift.NOT_FOLLOWED),
        (5, {"followed": None, "bound_ms": 1_000}, None),
        (6, {"follower_at": None}, None),
    ],
)
def test_a_binding_drifted_only_where_ledger_and_follower_speak_of_the_same_time(
    publication: int, changed: dict[str, Any], drift: Drift | None
) -> None:
    """The floor is 5; block 20 is read, and the follower is there. It adopted the bindings made before 1,000."""
    usual: dict[str, Any] = {"followed": 5, "state_at": 20, "follower_at": 20, "bound_ms": 999, "sealed": (b"h", b"t")}
    at = SimpleNamespace(**usual | changed)
    row: Any = SimpleNamespace(
        followed_publication=at.followed,
        followed_block_number=at.state_at,
        followed_tag_and_head=b"h",
        followed_tail=b"t",
        created_at_ms=at.bound_ms,
    )
    follower: Any = SimpleNamespace(block_number=at.follower_at, adopted_to_ms=1_000)
    head, tail = at.sealed
    record = Record(publication, head, tail, 0, suspended=False)
    found = reconcile._drift(row, record, 5, Head(20, b"", 0), follower if at.follower_at is not None else None)
    assert found is drift
