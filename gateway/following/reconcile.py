"""Reconciliation: every active binding is read at one pinned block and compared with this gateway's state.

This is the old nightly batch, kept as a safety net: no decision ever uses its result. It reports which bindings can no
longer work, with the reason and the user's remedy (they are marked until a later run finds them usable); where the
ledger and the follower's state differ; and which banks are silent, suspended, or below an earlier watermark of theirs.

It reads in batches, with a pause after each, over its own connections, and never holds the writing thread for longer
than a batch's marks take.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy import Row, bindparam, delete, func, insert, select
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from standing.gateway.bindings.banks import BankDirectory
from standing.gateway.bindings.bound import adopt, bound_of
from standing.gateway.decisions.caps import Used
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.rules import Reason, decide
from standing.gateway.following import bank_watch
from standing.gateway.following.reconcile_report import (
    BANK_NOT_SERVED,
    BankFinding,
    DeadFinding,
    Drift,
    DriftFinding,
    Report,
)
from standing.gateway.ledger_reading.nodes import BlockRule
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.attestations.money import currency_number
from standing.ledger.attestations.sealing import NO_BINDING
from standing.ledger.attestations.terms import IdentityTags
from standing.ledger.chain.client import Head, LedgerClient
from standing.ledger.chain.codec import Record
from standing.ledger.clock import MINUTE_MS, Clock
from standing.ledger.errors import LedgerUnreachable
from standing.ledger.service.vault import Vault

#: Reasons from which a binding does not recover on its own.
DEAD_REASONS = frozenset({Reason.NO_ATTESTATION, Reason.ATTESTATION_UNREADABLE, Reason.UNBOUND, Reason.ACCOUNT_CLOSED})
#: A binding's first attestation follows soon after the grant. For this long, its absence is not reported.
GRACE_MS = 10 * MINUTE_MS
#: How many findings of one kind a report lists. It counts all of them.
MAX_LISTED = 1_000
#: How many runs' reports are kept.
KEPT_RUNS = 30

_ATTEMPTS = 4
_ANY_CURRENCY = currency_number("CNY")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class BatchPace:
    """The batch size, and the pause after each batch in ms."""

    batch: int = 200
    pause_ms: int = 20


class Reconciler:
    """Makes runs, one at a time. `run` blocks, so it needs a thread of its own."""

    def __init__(
        self,
        *,
        storage: Storage,
        vault: Vault,
        banks: BankDirectory,
        ledger: LedgerClient,
        policy: Policy,
        clock: Clock,
        rule: BlockRule,
        pace: BatchPace,
    ) -> None:
        self._storage = storage
        self._vault = vault
        self._directory = banks
        self._banks = {bank.bic: bank for bank in banks}
        self._ledger = ledger
        self._policy = policy
        self._clock = clock
        self._rule = rule
        self._pace = pace

    def use(self, policy: Policy) -> None:
        """Use another policy from the next run on."""
        self._policy = policy

    def run(self, progress: Progress | None = None, stopping: Callable[[], bool] = lambda: False) -> Report | None:
        """Reconcile now. `progress` gets (done, all) after each batch.

        Returns: the report, which is stored as well; None where the run was stopped early. Raises: LedgerUnreachable,
        StorageUnavailable.
        """
        self._banks = {bank.bic: bank for bank in self._directory}
        started_at_ms = self._clock.now_ms()
        pinned = self._pinned()
        log = structlog.get_logger()
        log.info("reconcile_started", block=pinned.number)
        report = Report(started_at_ms, pinned.number, "0x" + pinned.hash.hex(), pinned.time_s * 1000)
        with self._storage.read() as connection:
            total = connection.scalar(select(func.count()).where(schema.bindings.c.ended_at_ms.is_(None))) or 0
            follower = connection.execute(select(schema.follower)).one_or_none()
        self._check_banks(report, pinned)
        for rows in self._batches():
            if stopping():
                return None
            self._check(report, rows, pinned, follower)
            if progress is not None:
                progress(report.checked, max(total, report.checked))
            time.sleep(self._pace.pause_ms / 1000)
        # Without finality blocks may disappear; the records read then belong to no block of the chain.
        report.block_is_still_there = self._ledger.head(pinned.number).hash == pinned.hash
        report.ended_at_ms = self._clock.now_ms()
        self._storage.writer.submit(self._store, report).result()
        log.info(
            "reconciled",
            block=pinned.number,
            checked=report.checked,
            dead=report.dead_count,
            drift=report.drift_count,
            took_ms=report.ended_at_ms - started_at_ms,
        )
        return report

    def _pinned(self) -> Head:
        head = self._ledger.head("finalized" if self._rule.tag == "finalized" else "latest")
        return self._ledger.head(max(0, head.number - self._rule.depth)) if self._rule.depth else head

    def _batches(self) -> Iterator[Sequence[Row[Any]]]:
        """All active bindings, each with the follower's state of it, in the order of their ids."""
        own, followed = schema.bindings, schema.binding_states
        query = (
            select(
                own,
                followed.c.publication.label("followed_publication"),
                followed.c.tag_and_head.label("followed_tag_and_head"),
                followed.c.tail.label("followed_tail"),
                followed.c.block_number.label("followed_block_number"),
                schema.dead_bindings.c.reason.label("dead_reason"),
            )
            .select_from(own.outerjoin(followed).outerjoin(schema.dead_bindings))
            .where(own.c.ended_at_ms.is_(None), own.c.binding > bindparam("after"))
            .order_by(own.c.binding)
            .limit(self._pace.batch)
        )
        after = b""
        while True:
            with self._storage.read() as connection:
                rows = connection.execute(query, {"after": after}).all()
            if not rows:
                return
            yield rows
            after = rows[-1].binding

    def _read(self, queries: Sequence[tuple[str, bytes]], pinned: Head) -> Sequence[Record]:
        """Records at the pinned block. A failed read is repeated, also at another node. Raises: LedgerUnreachable."""
        for attempt in Retrying(
            retry=retry_if_exception_type(LedgerUnreachable),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(multiplier=0.2, max=2),
            reraise=True,
        ):
            with attempt:
                reading = self._ledger.read(queries, pinned.number)
                if reading.block_number != pinned.number:
                    raise LedgerUnreachable(f"a node answers for block {reading.block_number}, not {pinned.number}")
                return reading.records
        raise AssertionError("tenacity returns or raises")

    def _check_banks(self, report: Report, pinned: Head) -> None:
        bics = sorted(self._banks)
        records = self._read([(bic, NO_BINDING) for bic in bics], pinned)
        with self._storage.read() as connection:
            states = {row.bank: row for row in connection.execute(select(schema.bank_states))}
        now_ms = self._clock.now_ms()
        for bic, record in zip(bics, records, strict=True):
            staleness_ms = now_ms - record.watermark_ms if record.watermark_ms else None
            row = states.get(bic)
            report.banks.append(
                BankFinding(
                    bank=bic,
                    watermark_ms=record.watermark_ms or None,
                    staleness_ms=staleness_ms,
                    suspended=record.suspended,
                    silent=bank_watch.is_silent(record.watermark_ms, self._policy, now_ms),
                    watermark_went_back=row is not None
                    and row.block_number <= pinned.number
                    and row.watermark_ms > record.watermark_ms,
                )
            )

    def _check(self, report: Report, rows: Sequence[Row[Any]], pinned: Head, follower: Row[Any] | None) -> None:
        served = [row for row in rows if row.bank in self._banks]
        records = dict(
            zip(
                (row.binding for row in served),
                self._read([(row.bank, row.binding) for row in served], pinned) if served else (),
                strict=True,
            )
        )
        floors = self._floors(served, records)
        now_ms = self._clock.now_ms()
        marks: dict[bytes, str | None] = {}
        for row in rows:
            record = records.get(row.binding)
            floor = floors.get(row.binding, row.floor)
            reason = self._reason(row, record, floor, now_ms)
            report.checked += 1
            dead_reason = None
            if record is None:
                dead_reason = BANK_NOT_SERVED
            elif reason is not None and reason in DEAD_REASONS:
                dead_reason = reason.value
            report.count(row.bank, dead_reason or (reason.value if reason is not None else "well"))
            if dead_reason is not None:
                if row.dead_reason != dead_reason:
                    marks[row.binding] = dead_reason
                report.dead_count += 1
                if len(report.dead) < MAX_LISTED:
                    report.dead.append(DeadFinding("0x" + row.binding.hex(), row.bank, row.user_id, dead_reason))
            elif row.dead_reason is not None:
                marks[row.binding] = None
            if record is not None and (drift := _drift(row, record, floor, pinned, follower)) is not None:
                report.drift_count += 1
                if len(report.drift) < MAX_LISTED:
                    believed = floor if drift is Drift.BELOW_FLOOR else row.followed_publication
                    report.drift.append(
                        DriftFinding("0x" + row.binding.hex(), row.bank, drift, record.publication, believed)
                    )
        if marks:
            self._storage.writer.submit(self._mark, marks, pinned, now_ms).result()

    def _floors(self, rows: Sequence[Row[Any]], records: Mapping[bytes, Record]) -> dict[bytes, int]:
        """The floors to compare the records with, where they differ from the rows.

        A decision made since the block was pinned may have read a later record and raised the floor by it. Where the
        present ledger has reached the floor, nothing went back.
        """
        below = [row for row in rows if records[row.binding].publication < row.floor]
        if not below:
            return {}
        newest = self._read([(row.bank, row.binding) for row in below], self._pinned())
        return {
            row.binding: records[row.binding].publication
            for row, now in zip(below, newest, strict=True)
            if now.publication >= row.floor
        }

    def _reason(self, row: Row[Any], record: Record | None, floor: int, now_ms: int) -> Reason | None:
        """The reason that prevents the smallest payment, or else the smallest withdrawal.

        Silence and suspension of the bank are disregarded: they are not properties of the binding. None: nothing
        prevents either, or it is too early to say.
        """
        if record is None:
            return None
        bank = self._banks[row.bank]
        bound = bound_of(row, bank, self._vault)
        terms = bound.open(record)
        if terms is not None and row.unvouched:
            bound = replace(bound, tags=IdentityTags.unpack(adopt(row.tags, row.unvouched, terms.tags)))
        live = record._replace(watermark_ms=now_ms, suspended=False)
        reasons = [
            decide(
                Question(kind, 1, terms.currency if terms is not None else _ANY_CURRENCY),
                record=live,
                terms=terms,
                expected=bound.tags,
                ended=False,
                floor=floor,
                used=Used(0, 0, 0),
                policy=self._bank_policy,
                now_ms=now_ms,
            ).reason
            for kind in Kind
        ]
        reason = next((reason for reason in reasons if reason is not None), None)
        if reason is Reason.NO_ATTESTATION and now_ms - row.created_at_ms < GRACE_MS:
            return None
        return reason

    @property
    def _bank_policy(self) -> Policy:
        """The policy without the platform's own risk rules, which are about transactions."""
        return self._policy if not self._policy.risk else self._policy.model_copy(update={"risk": ()})

    def _mark(self, marks: dict[bytes, str | None], pinned: Head, now_ms: int) -> None:
        table = schema.dead_bindings
        with self._storage.write() as connection:
            connection.execute(delete(table).where(table.c.binding.in_(list(marks))))
            dead = [
                {"binding": binding, "reason": reason, "since_ms": now_ms, "block_number": pinned.number}
                for binding, reason in marks.items()
                if reason is not None
            ]
            if dead:
                connection.execute(insert(table), dead)

    def _store(self, report: Report) -> None:
        runs, dead, own = schema.reconcile_runs, schema.dead_bindings, schema.bindings
        with self._storage.write() as connection:
            # A binding that the platform has ended in the meantime no longer counts as dead.
            ended = select(own.c.binding).where(own.c.ended_at_ms.is_not(None))
            connection.execute(delete(dead).where(dead.c.binding.in_(ended)))
            connection.execute(
                insert(runs).values(
                    started_at_ms=report.started_at_ms,
                    ended_at_ms=report.ended_at_ms,
                    block_number=report.block_number,
                    checked=report.checked,
                    dead=report.dead_count,
                    drift=report.drift_count,
                    report=report.to_json(),
                )
            )
            newest = select(runs.c.run).order_by(runs.c.run.desc()).limit(KEPT_RUNS).subquery()
            connection.execute(delete(runs).where(runs.c.run < select(func.min(newest.c.run)).scalar_subquery()))


def last_run(storage: Storage) -> str | None:
    """The report of the last run, as JSON. Raises: StorageUnavailable."""
    runs = schema.reconcile_runs
    with storage.read() as connection:
        found: str | None = connection.scalar(select(runs.c.report).order_by(runs.c.run.desc()).limit(1))
        return found


def last_started_at_ms(storage: Storage) -> int | None:
    """When the last completed run began. Raises: StorageUnavailable."""
    with storage.read() as connection:
        runs = schema.reconcile_runs
        # Not the latest time: one that a clock ahead of the present gave would stay the latest.
        found: int | None = connection.scalar(select(runs.c.started_at_ms).order_by(runs.c.run.desc()).limit(1))
        return found


def _drift(row: Row[Any], record: Record, floor: int, pinned: Head, follower: Row[Any] | None) -> Drift | None:
    """How the ledger's record differs from this gateway's state; None where it does not, or where the follower is
    not at the pinned block."""
    if record.publication < floor:
        return Drift.BELOW_FLOOR
    drift = None
    if follower is None:
        pass  # without a follower there is no state to compare with
    elif row.followed_publication is None:
        drift = Drift.NOT_FOLLOWED if row.created_at_ms < follower.adopted_to_ms else None
    elif row.followed_block_number > pinned.number:
        pass  # the follower has seen a later block than the pinned one
    elif record.publication < row.followed_publication:
        drift = Drift.LEDGER_WENT_BACK
    elif record.publication > row.followed_publication:
        drift = Drift.FOLLOWER_MISSED if follower.block_number >= pinned.number else None
    else:
        sealed, followed = (record.tag_and_head, record.tail), (row.followed_tag_and_head, row.followed_tail)
        drift = Drift.TERMS_DIFFER if record.publication and sealed != followed else None
    return drift
