"""Accounts that are unstated: the core said something of them that cannot be understood. Listed until it is mended."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, insert, select, update

from standing.ledger.service.vault import Vault
from standing.node.accounts.changes import Trouble
from standing.node.storage import schema

_MAX_SOURCE = 255
_MAX_PROBLEM = 500
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Unstated:
    """An account that is unstated. `number` is personal data: show it masked. `known`: it was understood once."""

    number: str
    known: bool
    since_ms: int
    fields: tuple[str, ...]
    source: str
    problem: str


class Quarantine:
    """The list of accounts that are unstated."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._table = schema.unstated_accounts

    def put(
        self,
        connection: Connection,
        number: str,
        account_id: int | None,
        fields: Iterable[str],
        since_ms: int,
        trouble: Trouble,
    ) -> None:
        """List an account, or list it anew."""
        self.clear(connection, [number])
        connection.execute(
            insert(self._table).values(
                number_lookup=self._vault.lookup("number", number),
                number_sealed=self._vault.seal_text(number),
                account_id=account_id,
                since_ms=since_ms,
                fields=json.dumps(sorted(fields)),
                source=trouble.source[:_MAX_SOURCE],
                problem=trouble.problem[:_MAX_PROBLEM],
            )
        )

    def narrow(self, connection: Connection, number: str, fields: Iterable[str]) -> None:
        """Note that fewer fields are left to be stated again."""
        connection.execute(
            update(self._table)
            .where(self._table.c.number_lookup == self._vault.lookup("number", number))
            .values(fields=json.dumps(sorted(fields)))
        )

    def clear(self, connection: Connection, numbers: Iterable[str]) -> None:
        """Take accounts off the list: they are stated again."""
        lookups = [self._vault.lookup("number", number) for number in numbers]
        for start in range(0, len(lookups), _CHUNK):
            connection.execute(
                delete(self._table).where(self._table.c.number_lookup.in_(lookups[start : start + _CHUNK]))
            )

    def never_stated(self, connection: Connection, numbers: Iterable[str]) -> set[str]:
        """Those of the numbers of which nothing was ever understood."""
        if (
            connection.execute(
                select(self._table.c.since_ms).where(self._table.c.account_id.is_(None)).limit(1)
            ).first()
            is None
        ):
            return set()
        by_lookup = {self._vault.lookup("number", number): number for number in numbers}
        lookups = list(by_lookup)
        found: set[str] = set()
        for start in range(0, len(lookups), _CHUNK):
            query = select(self._table.c.number_lookup).where(
                self._table.c.number_lookup.in_(lookups[start : start + _CHUNK]), self._table.c.account_id.is_(None)
            )
            found.update(by_lookup[lookup] for lookup in connection.execute(query).scalars())
        return found

    def listed(self, connection: Connection, at_most: int) -> list[Unstated]:
        """The accounts that are unstated, those of the longest standing first."""
        table = self._table
        rows = connection.execute(select(table).order_by(table.c.since_ms, table.c.number_lookup).limit(at_most))
        return [
            Unstated(
                number=self._vault.unseal_text(row.number_sealed),
                known=row.account_id is not None,
                since_ms=row.since_ms,
                fields=tuple(json.loads(row.fields)),
                source=row.source,
                problem=row.problem,
            )
            for row in rows
        ]


def count(connection: Connection) -> int:
    """How many accounts are unstated."""
    return int(connection.execute(select(func.count()).select_from(schema.unstated_accounts)).scalar_one())
