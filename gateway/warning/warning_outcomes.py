"""The outcome of each warning: whether a use failed within the horizon, and for the reason that the warning named."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from standing.gateway.decisions.rules import Reason
from standing.gateway.events.types import EventType
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.warning import risk_store
from standing.gateway.warning.risk_rules import FORETOLD
from standing.gateway.warning.risk_words import sign_of
from standing.gateway.warning.signs import Sign

#: The most warnings of a binding that are looked up, newest first, unless fewer are wanted.
MAX_SHOWN = 5
_MAX_FAILURES = 50


@dataclass(frozen=True, slots=True)
class Failure:
    """A use that failed after a warning. `factor`: the factor that named this reason; None: the warning named
    another."""

    transaction_id: str
    decided_at_ms: int
    reason: str
    factor: Sign | None


@dataclass(frozen=True, slots=True)
class Warned:
    """One `binding.at_risk` event. `per_mille`: None where a plain rule warned. `still_at_risk`: the risk has persisted
    since. `failure`: the first use until `until_ms` that failed for a named reason, otherwise the first that failed
    at all."""

    event: str
    warned_at_ms: int
    until_ms: int
    per_mille: int | None
    factors: tuple[Sign, ...]
    still_at_risk: bool
    failure: Failure | None


class Warnings:
    """Looks warnings up. Raises StorageUnavailable."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def of(self, binding: bytes, most: int = MAX_SHOWN) -> list[Warned]:
        """The warnings of a binding that are still in the event log, newest first."""
        return await self._storage.reading(self._read, binding, most)

    def _read(self, binding: bytes, most: int) -> list[Warned]:
        with self._storage.read() as connection:
            return _warnings_of(connection, binding, most)


def _warnings_of(connection: Connection, binding: bytes, most: int) -> list[Warned]:
    table = schema.events.c
    rows = connection.execute(
        select(schema.events)
        .where(table.binding == binding, table.type == EventType.AT_RISK.value)
        .order_by(table.position.desc())
        .limit(most)
    ).all()
    stored = risk_store.risks_of(connection, [binding]).get(binding) if rows else None
    found = []
    for index, row in enumerate(rows):
        data = json.loads(row.data)
        factors = [factor["code"] for factor in data["factors"]]
        # Where a cause was reported again, the risk was gone in between, so the older warning has ended.
        later = {json.loads(each.data)["cause"] for each in rows[:index]}
        still_at_risk = stored is not None and data["cause"] in stored.reported and data["cause"] not in later
        until_ms = row.observed_at_ms + data["horizon_ms"]
        failed = risk_store.failures(connection, binding, row.observed_at_ms, until_ms, most=_MAX_FAILURES)
        found.append(
            Warned(
                event=row.id,
                warned_at_ms=row.observed_at_ms,
                until_ms=until_ms,
                per_mille=data["per_mille"],
                factors=tuple(sign_of(name) for name in factors),
                still_at_risk=still_at_risk,
                failure=_failure(failed, factors),
            )
        )
    return found


def _failure(rows: Sequence[Row[Any]], factors: Sequence[str]) -> Failure | None:
    named = [(row, next((name for name in factors if Reason(row.reason) in FORETOLD[name]), None)) for row in rows]
    chosen = next((each for each in named if each[1] is not None), named[0] if named else None)
    if chosen is None:
        return None
    row, name = chosen
    return Failure(row.transaction_id, row.decided_at_ms, row.reason, sign_of(name) if name is not None else None)
