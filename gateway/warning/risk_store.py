"""Storage of risks: the model, scores that wait for their outcome, the last report on each binding, and opt-outs.
Every function works within the caller's transaction and decides nothing."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from standing.gateway.decisions.rules import Outcome
from standing.gateway.storage import schema
from standing.gateway.warning.risk_facts import FEATURES, HORIZON_MS, NOT_OF_THE_BINDING
from standing.gateway.warning.risk_model import RiskModel
from standing.ledger.errors import InvalidValue

_MODEL_ID = 1
#: No factors, as JSON.
NO_FACTORS = "[]"
_NOT_OF_THE_BINDING = [reason.value for reason in NOT_OF_THE_BINDING]


@dataclass(frozen=True, slots=True)
class StoredRisk:
    """The last report on a binding. `per_mille`: None where no model had learned enough; `factors` are then
    those of plain rules. `reported`: the causes that count as reported. `checked_up_at_ms`: when the last monthly
    check-up was made."""

    per_mille: int | None
    factors: tuple[str, ...]
    reported: frozenset[str]
    scored_at_ms: int
    checked_up_at_ms: int


@dataclass(frozen=True, slots=True)
class RiskFigures:
    """How many bindings are at risk, what the model has learned from, and when the last run began."""

    at_risk: int
    learned: int
    ran_at_ms: int | None


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run that began. `ended_at_ms`: None while it runs, or where it was stopped. `counts`: what the last
    completed run did, by name; None before the first."""

    began_at_ms: int
    ended_at_ms: int | None
    counts: Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class Sample:
    """A score that waits for its outcome."""

    binding: bytes
    scored_at_ms: int
    features: Mapping[str, float]


def load_model(connection: Connection) -> RiskModel:
    """The stored model; a new one where there is none. Raises: InvalidValue (not a model of this version)."""
    text = connection.scalar(select(schema.risk_model.c.model).where(schema.risk_model.c.id == _MODEL_ID))
    return RiskModel.from_json(text) if text is not None else RiskModel()


def save_model(connection: Connection, model: RiskModel, now_ms: int) -> None:
    """Replace the stored model."""
    _save(connection, {"model": model.to_json(), "learned_at_ms": now_ms})


def ran_at_ms(connection: Connection) -> int | None:
    """When the last run began; None before the first."""
    return _time(connection, schema.risk_model.c.ran_at_ms)


def learned_at_ms(connection: Connection) -> int | None:
    """When something was last learned; None before that."""
    return _time(connection, schema.risk_model.c.learned_at_ms)


def asked_at_ms(connection: Connection) -> int | None:
    """Since when a run is requested; None where none is."""
    return _time(connection, schema.risk_model.c.asked_at_ms)


def last_run(connection: Connection) -> LastRun | None:
    """The last run; None before the first."""
    table = schema.risk_model
    row = connection.execute(select(table).where(table.c.id == _MODEL_ID)).one_or_none()
    if row is None or row.ran_at_ms is None:
        return None
    return LastRun(row.ran_at_ms, row.ended_at_ms, json.loads(row.last_run) if row.last_run is not None else None)


def mark_run(connection: Connection, now_ms: int) -> None:
    """Record that a run begins, which answers every request for one."""
    _save(connection, {"ran_at_ms": now_ms, "ended_at_ms": None, "asked_at_ms": None})


def mark_end(connection: Connection, now_ms: int, counts: Mapping[str, int]) -> None:
    """Record that the run has ended, and what it did."""
    _save(connection, {"ended_at_ms": now_ms, "last_run": json.dumps(counts)})


def ask_for_run(connection: Connection, now_ms: int) -> None:
    """Record that a run was requested."""
    _save(connection, {"asked_at_ms": now_ms})


def _time(connection: Connection, column: Any) -> int | None:
    found: int | None = connection.scalar(select(column).where(schema.risk_model.c.id == _MODEL_ID))
    return found


def _save(connection: Connection, values: dict[str, Any]) -> None:
    table = schema.risk_model
    if not connection.execute(update(table).where(table.c.id == _MODEL_ID).values(**values)).rowcount:
        connection.execute(insert(table).values(**({"id": _MODEL_ID, "model": RiskModel().to_json()} | values)))


def figures(connection: Connection, warn_per_mille: int) -> RiskFigures:
    """Totals over all bindings; at risk are only those that have not ended."""
    risks, own = schema.binding_risks.c, schema.bindings.c
    by_rule = and_(risks.per_mille.is_(None), risks.factors != NO_FACTORS)
    query = (
        select(func.count())
        .join_from(schema.binding_risks, schema.bindings, own.binding == risks.binding)
        .where(or_(risks.per_mille >= warn_per_mille, by_rule), own.ended_at_ms.is_(None))
    )
    at_risk = connection.scalar(query) or 0
    try:
        learned = load_model(connection).learned
    except InvalidValue:
        learned = 0  # the next run starts with a new model
    return RiskFigures(at_risk, learned, ran_at_ms(connection))


def due_samples(connection: Connection, now_ms: int, most: int) -> list[Sample]:
    """The oldest scores whose horizon has passed."""
    table = schema.risk_samples
    rows = connection.execute(
        select(table)
        .where(table.c.scored_at_ms <= now_ms - HORIZON_MS)
        .order_by(table.c.scored_at_ms, table.c.binding)
        .limit(most)
    )
    found = []
    for row in rows:
        values = json.loads(row.features)
        # From an older version: nothing can be learned from it.
        named = dict(zip(FEATURES, values, strict=True)) if len(values) == len(FEATURES) else {}
        found.append(Sample(row.binding, row.scored_at_ms, named))
    return found


def outcomes(connection: Connection, samples: Sequence[Sample]) -> list[bool]:
    """For each score, whether a use within its horizon failed for a reason of the binding's own."""
    return [
        bool(failures(connection, each.binding, each.scored_at_ms, each.scored_at_ms + HORIZON_MS, most=1))
        for each in samples
    ]


def failures(connection: Connection, binding: bytes, since_ms: int, until_ms: int, *, most: int) -> Sequence[Row[Any]]:
    """The first uses of a binding within a time that failed for a reason of its own, oldest first."""
    table = schema.decisions.c
    query = (
        select(table.transaction_id, table.decided_at_ms, table.reason)
        .where(
            table.binding == binding,
            table.decided_at_ms >= since_ms,
            table.decided_at_ms < until_ms,
            table.outcome != Outcome.APPROVE.value,
            table.reason.not_in(_NOT_OF_THE_BINDING),
        )
        .order_by(table.decided_at_ms)
        .limit(most)
    )
    return list(connection.execute(query))


def add_samples(connection: Connection, samples: Iterable[Sample]) -> None:
    """Keep scores until their outcomes are known."""
    rows = [
        {
            "binding": each.binding,
            "scored_at_ms": each.scored_at_ms,
            "features": json.dumps([round(each.features[name], 6) for name in FEATURES]),
        }
        for each in samples
    ]
    if rows:
        connection.execute(insert(schema.risk_samples), rows)


def drop_samples(connection: Connection, samples: Sequence[Sample]) -> int:
    """Delete scores that have been learned from. Returns: how many were still there."""
    table = schema.risk_samples
    return sum(
        connection.execute(
            delete(table).where(table.c.binding == each.binding, table.c.scored_at_ms == each.scored_at_ms)
        ).rowcount
        for each in samples
    )


def risks_of(connection: Connection, bindings: Sequence[bytes]) -> dict[bytes, StoredRisk]:
    """The last reports on bindings."""
    table = schema.binding_risks
    return {
        row.binding: StoredRisk(
            row.per_mille,
            tuple(json.loads(row.factors)),
            frozenset(json.loads(row.reported)),
            row.scored_at_ms,
            row.checked_up_at_ms,
        )
        for row in connection.execute(select(table).where(table.c.binding.in_(list(bindings))))
    }


def save_risks(connection: Connection, risks: Mapping[bytes, StoredRisk]) -> None:
    """Store the new reports on bindings."""
    table = schema.binding_risks
    if risks:
        connection.execute(delete(table).where(table.c.binding.in_(list(risks))))
        connection.execute(
            insert(table),
            [
                {
                    "binding": binding,
                    "per_mille": risk.per_mille,
                    "factors": json.dumps(list(risk.factors)),
                    "reported": json.dumps(sorted(risk.reported)),
                    "scored_at_ms": risk.scored_at_ms,
                    "checked_up_at_ms": risk.checked_up_at_ms,
                }
                for binding, risk in risks.items()
            ],
        )


def opted_out_at_ms(connection: Connection, user_id: str) -> int | None:
    """When a user opted out of predictions; None if they did not."""
    table = schema.risk_opt_outs.c
    found: int | None = connection.scalar(select(table.since_ms).where(table.user_id == user_id))
    return found


def set_opted_out(connection: Connection, user_id: str, opted_out: bool, now_ms: int) -> int | None:
    """Opt a user out and delete the scores of their bindings, or opt them in again.

    Returns: when the user opted out; None if they are opted in.
    """
    table, own = schema.risk_opt_outs, schema.bindings.c
    since_ms = opted_out_at_ms(connection, user_id)
    if not opted_out:
        connection.execute(delete(table).where(table.c.user_id == user_id))
        return None
    if since_ms is None:
        connection.execute(insert(table).values(user_id=user_id, since_ms=now_ms))
    theirs = select(own.binding).where(own.user_id == user_id)
    for stored in (schema.risk_samples, schema.binding_risks):
        connection.execute(delete(stored).where(stored.c.binding.in_(theirs)))
    return since_ms if since_ms is not None else now_ms
