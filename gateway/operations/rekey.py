"""Re-keying: everything that the vault has encrypted is encrypted again, under a new secret.

Every column whose name ends in `_sealed` holds values that the vault has encrypted. An account is found by a keyed hash
of its number, which is not stored. That key must outlive every secret, so it is kept in the database, encrypted like
the rest. Whoever had both an old secret and a copy of the database of that time can still test guesses of
numbers against the hashes; a new secret does not undo that.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, bindparam, func, select, tuple_, update

from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.storage.vault import replace_secret
from standing.ledger.service.vault import Vault

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """How many values were checked, and how many were encrypted again; the others were under the newest secret."""

    seen: int
    renewed: int


def sealed_columns() -> list[Column[Any]]:
    """Every column with values that the vault has encrypted."""
    return [
        column for table in schema.metadata.sorted_tables for column in table.columns if column.name.endswith("_sealed")
    ]


def count_sealed(storage: Storage) -> int:
    """How many values there are, for a progress bar. Raises: StorageUnavailable."""
    with storage.read() as connection:
        return sum(
            connection.scalar(select(func.count(column)).select_from(column.table)) or 0 for column in sealed_columns()
        )


def rekey(storage: Storage, vault: Vault, on_progress: Callable[[int], None] = lambda _: None) -> Rekeyed:
    """Encrypt everything under the newest secret that is not yet. `on_progress` gets how many values were checked.

    Works in transactions of 500 values, during live traffic; if interrupted, run it again. A gateway that was not
    restarted with the newest secret, or has the older one in front, stores nothing from then on that it would have to
    encrypt. Raises: StorageUnavailable (also where something opens with none of the secrets; everything before it is
    done).
    """
    storage.write_all(lambda connection: replace_secret(connection, vault))
    seen = renewed = 0
    for column in sealed_columns():
        after: tuple[Any, ...] | None = None
        while True:
            step = storage.write_all(lambda connection: _step(connection, vault, column, after))  # noqa: B023 - at once
            seen, renewed = seen + step.seen, renewed + step.renewed
            if step.last is None:
                break
            after = step.last
            on_progress(seen)
    return Rekeyed(seen, renewed)


@dataclass(frozen=True, slots=True)
class _Step:
    seen: int
    renewed: int
    last: tuple[Any, ...] | None  # primary key of the last one checked; None: there was none


def _step(connection: Connection, vault: Vault, column: Column[Any], after: tuple[Any, ...] | None) -> _Step:
    table = column.table
    assert isinstance(table, Table)
    keys = list(table.primary_key.columns)
    query = select(*keys, column).where(column.is_not(None)).order_by(*keys).limit(_BATCH).with_for_update()
    if after is not None:
        query = query.where(tuple_(*keys) > after)
    rows = connection.execute(query).all()
    old = [row for row in rows if not vault.is_newest(row[-1])]
    if old:
        names = [f"of_{key.name}" for key in keys]
        connection.execute(
            update(table)
            .where(*(key == bindparam(name) for key, name in zip(keys, names, strict=True)))
            .values({column.name: bindparam("new_sealed")}),
            [
                {**dict(zip(names, row[:-1], strict=True)), "new_sealed": vault.seal(vault.unseal(row[-1]))}
                for row in old
            ],
        )
    return _Step(len(rows), len(old), tuple(rows[-1][:-1]) if rows else None)
