"""A run: learn from scores whose outcomes are now known, score every binding in use, and report those at risk.

Until a model has learned enough, plain rules warn (`risk_rules`). A run stays off the hot path. It works in batches,
writes each in one short transaction, and rests after each one so that its share of the time stays within the settings.
It reads only the database, and no decision reads its results. The model and the record of what it learned from are
saved in one transaction, so a run that is killed neither loses an outcome nor learns it twice.
"""

import importlib.util
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, func, select

from standing.gateway.accounts.health import condition
from standing.gateway.bindings.banks import BankDirectory
from standing.gateway.decisions.policy import Policy
from standing.gateway.events import log as event_log
from standing.gateway.events.types import Event, EventType
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.warning import risk_store
from standing.gateway.warning.check_up import seen_of, signs_of
from standing.gateway.warning.risk_facts import HORIZON_MS, features
from standing.gateway.warning.risk_model import RiskModel
from standing.gateway.warning.risk_reads import OnRecord, batch, on_record
from standing.gateway.warning.risk_rules import causes
from standing.gateway.warning.risk_store import Sample, StoredRisk
from standing.gateway.warning.risk_watch import next_warning
from standing.gateway.warning.risk_words import sign_of
from standing.gateway.warning.settings import WarningSettings
from standing.gateway.warning.signs import Sign
from standing.ledger.clock import DAY_MS, Clock
from standing.ledger.errors import InvalidValue
from standing.ledger.service.vault import Vault

#: The most scores per run that are kept to learn from. With more bindings, each day samples different ones.
MAX_SAMPLES = 20_000
_LEARN_AT_ONCE = 500
_CHECK_UP_MS = 30 * DAY_MS
_SPREAD = 2**32


@dataclass(slots=True)
class Run:
    """The counts of a run. `warned`: bindings reported as at risk; `checked_up`: monthly check-ups reported."""

    learned: int = 0
    scored: int = 0
    warned: int = 0
    checked_up: int = 0


class RiskRunner:
    """Makes runs, one at a time. `run` blocks, so it needs a thread of its own."""

    def __init__(
        self,
        *,
        storage: Storage,
        vault: Vault,
        banks: BankDirectory,
        policy: Policy,
        clock: Clock,
        settings: WarningSettings,
        wake: Callable[[], None],
    ) -> None:
        self._storage = storage
        self._vault = vault
        self._banks = banks
        self._policy = policy
        self._clock = clock
        self._settings = settings
        self._wake = wake
        #: The last run in this process.
        self.last: Run | None = None

    def use(self, policy: Policy) -> None:
        """Use another policy from the next run on."""
        self._policy = policy

    def run(self, stop: threading.Event | None = None) -> Run:
        """Learn, score and report now, until `stop` is set. Raises: StorageUnavailable."""
        stop = stop or threading.Event()
        started_ms, run = self._clock.now_ms(), Run()
        self._write(lambda connection: risk_store.mark_run(connection, started_ms))
        model = self._model()
        can_learn = importlib.util.find_spec("sklearn") is not None
        if can_learn:
            self._learn(model, run, started_ms, stop)
        else:
            structlog.get_logger().warning("risk_cannot_learn", missing="scikit-learn; the extra warning")
        with self._storage.read() as connection:
            active = connection.scalar(select(func.count()).where(schema.bindings.c.ended_at_ms.is_(None))) or 0
        kept = _SPREAD * MAX_SAMPLES // max(MAX_SAMPLES, active) if can_learn else 0
        after = b""
        while not stop.is_set():
            began_s = time.perf_counter()
            with self._storage.read() as connection:
                rows = batch(connection, after, self._settings.batch)
                banks = {bank.bic: bank for bank in self._banks}
                known = on_record(connection, rows, banks, self._vault, self._policy, started_ms)
            if not rows:
                break
            after = rows[-1].binding
            self._score(known, model, run, started_ms, kept)
            self._rest(stop, time.perf_counter() - began_s)
        if not stop.is_set():
            ended_ms, counts = self._clock.now_ms(), asdict(run)
            self._write(lambda connection: risk_store.mark_end(connection, ended_ms, counts))
        self.last = run
        structlog.get_logger().info("risks_scored", learned=run.learned, scored=run.scored, warned=run.warned)
        return run

    def _model(self) -> RiskModel:
        try:
            with self._storage.read() as connection:
                return risk_store.load_model(connection)
        except InvalidValue as error:
            structlog.get_logger().warning("risk_model_begins_anew", problem=error.problem)
            return RiskModel()

    def _rest(self, stop: threading.Event, worked_s: float) -> None:
        """Rest for as long as `busy_percent` requires after this much work, or until the run is to end."""
        percent = self._settings.busy_percent
        stop.wait(worked_s * (100 - percent) / percent)

    def _learn(self, model: RiskModel, run: Run, now_ms: int, stop: threading.Event) -> None:
        while not stop.is_set():
            began_s = time.perf_counter()
            with self._storage.read() as connection:
                samples = risk_store.due_samples(connection, now_ms, _LEARN_AT_ONCE)
                failed = risk_store.outcomes(connection, samples)
            if not samples:
                return
            model.learn(
                [(each.features, outcome) for each, outcome in zip(samples, failed, strict=True) if each.features]
            )

            def save(connection: Connection, samples: list[Sample] = samples) -> None:
                risk_store.drop_samples(connection, samples)
                risk_store.save_model(connection, model, now_ms)

            self._write(save)
            run.learned += len(samples)
            self._rest(stop, time.perf_counter() - began_s)

    def _score(self, known: list[OnRecord], model: RiskModel, run: Run, now_ms: int, kept: int) -> None:
        found = {each.row.binding: (each, features(each.facts)) for each in known}
        samples = [
            Sample(binding, now_ms, values) for binding, (_, values) in found.items() if _place(binding, now_ms) < kept
        ]

        def write(connection: Connection) -> tuple[int, int]:
            before = risk_store.risks_of(connection, list(found))
            # Users who opted out since the batch was read stay left out.
            opted_out = set(
                connection.scalars(
                    select(schema.risk_opt_outs.c.user_id).where(
                        schema.risk_opt_outs.c.user_id.in_({each.row.user_id for each in known})
                    )
                )
            )
            included = {binding: pair for binding, pair in found.items() if pair[0].row.user_id not in opted_out}
            risks, events = {}, []
            for binding, (each, values) in included.items():
                risks[binding], fresh_events = self._judge(connection, each, values, model, before.get(binding), now_ms)
                events += fresh_events
            risk_store.save_risks(connection, risks)
            fresh = [
                each
                for each in samples
                if each.binding in included and _is_first_today(before.get(each.binding), now_ms)
            ]
            risk_store.add_samples(connection, fresh)
            event_log.append(connection, events)
            at_risk = sum(event.type is EventType.AT_RISK for event in events)
            return at_risk, len(events) - at_risk

        at_risk, checked_up = self._write(write)
        run.scored += len(found)
        run.warned += at_risk
        run.checked_up += checked_up
        if at_risk or checked_up:
            self._wake()

    def _judge(
        self,
        connection: Connection,
        each: OnRecord,
        values: dict[str, float],
        model: RiskModel,
        before: StoredRisk | None,
        now_ms: int,
    ) -> tuple[StoredRisk, list[Event]]:
        events = []
        if model.is_ready:
            per_mille: int | None = round(1000 * model.probability(values))
            factors = tuple(factor.name for factor in model.factors(values))
        else:
            per_mille, factors = None, causes(values, each.facts)
        # Without a trained model, a plain rule either warns or does not.
        weight = per_mille if per_mille is not None else 1000 * bool(factors)
        last = each.facts.uses[-1] if each.facts.uses else None
        # A user whose last use failed knows already.
        known = last is not None and last.failed and now_ms - last.at_ms < HORIZON_MS
        cause = factors[0] if factors and not known else None
        reported_before = before.reported if before is not None else frozenset()
        news, reported = next_warning(reported_before, weight, cause, warn_per_mille=self._settings.warn_per_mille)
        if news is not None:
            data = {
                "per_mille": per_mille,
                "horizon_ms": HORIZON_MS,
                "cause": news,
                "factors": [_sign_data(sign_of(name)) for name in factors],
            }
            events.append(_event(EventType.AT_RISK, each, data, now_ms))
        # The first check-up is due a month after the binding was first scored.
        checked_up_at_ms = before.checked_up_at_ms if before is not None else now_ms
        if now_ms - checked_up_at_ms >= _CHECK_UP_MS:
            checked_up_at_ms = now_ms
            seen = seen_of(connection, each.row.binding, now_ms)
            signs = signs_of(condition(dict(each.decisions)), seen, None)
            if signs or weight >= self._settings.warn_per_mille:
                data = {"per_mille": per_mille, "signs": [_sign_data(sign) for sign in signs]}
                events.append(_event(EventType.CHECK_UP, each, data, now_ms))
        return StoredRisk(per_mille, factors, reported, now_ms, checked_up_at_ms), events

    def _write(self, work: Callable[[Connection], Any]) -> Any:
        return self._storage.writer.submit(self._storage.write_all, work).result()


def _is_first_today(before: StoredRisk | None, now_ms: int) -> bool:
    """However often runs are made, one score per binding and day is kept to learn from."""
    return before is None or before.scored_at_ms // DAY_MS < now_ms // DAY_MS


def _place(binding: bytes, now_ms: int) -> int:
    """A binding's rank for sampling, different each day."""
    return (int.from_bytes(binding[:4]) + now_ms // DAY_MS * 2_654_435_761) % _SPREAD


def _sign_data(sign: Sign) -> dict[str, Any]:
    return {
        "code": sign.code,
        "what": {"en": sign.what.en, "zh": sign.what.zh},
        "to_do": {"en": sign.to_do.en, "zh": sign.to_do.zh},
    }


def _event(kind: EventType, each: OnRecord, data: dict[str, Any], now_ms: int) -> Event:
    return Event(
        type=kind,
        bank=each.row.bank,
        binding=each.row.binding,
        publication=each.row.reported_publication,
        block_number=0,
        happened_at_ms=now_ms,
        observed_at_ms=now_ms,
        data=data,
    )
