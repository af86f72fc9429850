"""Accounts that are unstated: the core stated something about them that cannot be understood. Listed until it is
corrected."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection, delete, func, insert, select, update

from standing.ledger.clock import Clock, SystemClock
from standing.ledger.service.vault import Vault
from standing.node.accounts.changes import AccountChange, Trouble
from standing.node.accounts.store import Account
from standing.node.storage import schema
from standing.node.storage.database import in_chunks

_MAX_SOURCE = 255
_MAX_PROBLEM = 500


@dataclass(frozen=True, slots=True)
class Unstated:
    """An account that is unstated. `number` is personal data: show it masked. `known`: something stated about it was
    understood once."""

    number: str
    known: bool
    since_ms: int
    fields: tuple[str, ...]
    source: str
    problem: str


class Quarantine:
    """The list of accounts that are unstated."""

    def __init__(self, vault: Vault, clock: Clock | None = None) -> None:
        self._vault = vault
        self._clock = clock or SystemClock()
        self._table = schema.unstated_accounts

    def update(
        self,
        connection: Connection,
        numbers: Collection[str],
        before: Mapping[str, Account],
        after: Mapping[str, Account],
        troubles: Mapping[str, AccountChange],
    ) -> None:
        """Bring the list up to date with changes of some numbers, whose accounts are saved already.

        `before` and `after` are the accounts among them; `troubles` the changes that made one unstated.
        """
        unknown = [number for number in numbers if number not in before]
        never_stated = self.never_stated(connection, unknown) if unknown else set()
        restated = []
        for number in numbers:
            held = before[number].unstated if number in before else frozenset[str]()
            now = after.get(number)
            left = frozenset(troubles[number].unstated) if now is None else now.unstated
            if not left:
                if held or number in never_stated:
                    restated.append(number)
            elif held == left or (now is None and number in never_stated):
                continue  # it is listed
            elif left < held:
                self._narrow(connection, number, left)
            else:
                self._put(connection, number, left, troubles.get(number))
        self._clear(connection, restated)

    def _put(self, connection: Connection, number: str, fields: frozenset[str], change: AccountChange | None) -> None:
        """List an account, or replace its entry."""
        trouble = None if change is None else change.trouble
        if trouble is None:
            why = "so is the account that it replaces" if change is None else "the core cannot say how it is"
            trouble = Trouble("feed", why)
        lookup = self._vault.lookup("number", number)
        accounts = schema.accounts
        query = select(accounts.c.id).where(accounts.c.number_lookup == lookup)
        self._clear(connection, [number])
        connection.execute(
            insert(self._table).values(
                number_lookup=lookup,
                number_sealed=self._vault.seal_text(number),
                account_id=connection.execute(query).scalar_one_or_none(),
                since_ms=change.effective_at_ms if change is not None else self._clock.now_ms(),
                fields=json.dumps(sorted(fields)),
                source=trouble.source[:_MAX_SOURCE],
                problem=trouble.problem[:_MAX_PROBLEM],
            )
        )
        structlog.get_logger().warning(
            "account_unstated", number=f"…{number[-4:]}", source=trouble.source, problem=trouble.problem
        )

    def _narrow(self, connection: Connection, number: str, fields: Iterable[str]) -> None:
        """Note that fewer fields are left to be stated again."""
        connection.execute(
            update(self._table)
            .where(self._table.c.number_lookup == self._vault.lookup("number", number))
            .values(fields=json.dumps(sorted(fields)))
        )

    def _clear(self, connection: Connection, numbers: Iterable[str]) -> None:
        """Take accounts off the list: they are stated again."""
        lookups = [self._vault.lookup("number", number) for number in numbers]
        for chunk in in_chunks(lookups):
            connection.execute(delete(self._table).where(self._table.c.number_lookup.in_(chunk)))

    def never_stated(self, connection: Connection, numbers: Iterable[str]) -> set[str]:
        """The numbers about which nothing was ever understood."""
        if (
            connection.execute(
                select(self._table.c.since_ms).where(self._table.c.account_id.is_(None)).limit(1)
            ).first()
            is None
        ):
            return set()
        by_lookup = {self._vault.lookup("number", number): number for number in numbers}
        found: set[str] = set()
        for chunk in in_chunks(list(by_lookup)):
            query = select(self._table.c.number_lookup).where(
                self._table.c.number_lookup.in_(chunk), self._table.c.account_id.is_(None)
            )
            found.update(by_lookup[lookup] for lookup in connection.execute(query).scalars())
        return found

    def listed(self, connection: Connection, at_most: int) -> list[Unstated]:
        """The accounts that are unstated, the longest listed first."""
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
