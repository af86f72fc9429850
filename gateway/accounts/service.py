"""A user's bound accounts, each with its present state: the list "my bound accounts" of the platform's app.

Every account is read from the ledger when the list is requested. If the ledger is unreachable, the list still shows
each account, with an unknown state.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import Row

from standing.gateway.access.admission import Admission
from standing.gateway.accounts.health import NOT_SERVED, Condition, condition
from standing.gateway.bindings.banks import Bank, BankDirectory
from standing.gateway.bindings.bound import Bound, adopt
from standing.gateway.bindings.service import MAX_LISTED, Bindings, StoredBinding, stored_binding, stored_bindings
from standing.gateway.bindings.users import check_known
from standing.gateway.decisions.caps import Caps, Used, caps_of
from standing.gateway.decisions.holds import RiskBook
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.reservations import used_now
from standing.gateway.decisions.rules import decide
from standing.gateway.decisions.usage import AccountDay, day_of
from standing.gateway.ledger_reading.reader import Reader, Seen
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.attestations.limits import NO_LIMITS
from standing.ledger.attestations.money import currency_code
from standing.ledger.attestations.terms import IdentityTags, Terms
from standing.ledger.chain.codec import Record
from standing.ledger.clock import Clock
from standing.ledger.errors import LedgerUnreachable

_SMALLEST_MINOR = 1
#: The currency of the question if there are no terms; no check uses it then.
_ANY_CURRENCY = 156


@dataclass(frozen=True, slots=True)
class AccountView:
    """One bound account of a user with its state. `bank` is None if it is no longer in the settings."""

    stored: StoredBinding
    bank: Bank | None
    condition: Condition
    staleness_ms: int | None


class Accounts:
    """Lists users' accounts with their states."""

    def __init__(
        self,
        *,
        storage: Storage,
        bindings: Bindings,
        banks: BankDirectory,
        reader: Reader,
        policy: Policy,
        clock: Clock,
        max_waiting: int,
    ) -> None:
        self._storage = storage
        self._bindings = bindings
        self._banks = banks
        self._reader = reader
        self._policy = policy
        self._clock = clock
        self._admission = Admission(max_waiting, "lists of accounts")

    def use(self, policy: Policy) -> None:
        """Apply another policy from now on."""
        self._policy = policy

    async def of_user(self, user_id: str, *, only: bytes | None = None) -> list[AccountView]:
        """A user's accounts, newest first, at most MAX_LISTED, without those that the platform ended. `only`: a
        binding, to have no more than its account.

        An account at a bank that is no longer in the settings counts as ended, and comes last.

        Raises: NotFound (no such user), Overloaded, StorageUnavailable.
        """
        with self._admission:
            rows = await self._storage.reading(self._rows, user_id, only)
            served = [row for row in rows if self._banks.get(row.bank) is not None]
            bounds = [await self._bindings.bound(row.binding) for row in served]
            seen = await asyncio.gather(
                *(self._read(bound, row.floor) for row, bound in zip(served, bounds, strict=True))
            )
            views = await self._storage.reading(self._views, served, bounds, seen)
        unserved = [row for row in rows if self._banks.get(row.bank) is None]
        return views + [AccountView(stored_binding(row), None, NOT_SERVED, None) for row in unserved]

    async def _read(self, bound: Bound, floor: int) -> Seen | None:
        try:
            return await self._reader.read(bound.bank_bytes, bound.binding, floor=floor)
        except LedgerUnreachable:
            return None  # check 1 decides

    def _rows(self, user_id: str, only: bytes | None) -> Sequence[Row[Any]]:
        table = schema.bindings
        query = stored_bindings().where(table.c.user_id == user_id, table.c.ended_at_ms.is_(None))
        if only is not None:
            query = query.where(table.c.binding == only)
        with self._storage.read() as connection:
            check_known(connection, user_id)
            return connection.execute(
                query.order_by(table.c.created_at_ms.desc(), table.c.binding).limit(MAX_LISTED)
            ).all()

    def _views(
        self, rows: Sequence[Row[Any]], bounds: Sequence[Bound], seen: Sequence[Seen | None]
    ) -> list[AccountView]:
        now_ms = self._clock.now_ms()
        accounts = [_Account.at(row, bound, each, now_ms) for row, bound, each in zip(rows, bounds, seen, strict=True)]
        with self._storage.read() as connection:
            risk = RiskBook(connection, self._policy.risk, {row.binding: row.account for row in rows}, now_ms)
            wanted = {each.day(kind): each.caps(kind) for each in accounts for kind in Kind}
            used = used_now(connection, wanted, now_ms)
        return [self._view(each, used, risk, now_ms) for each in accounts]

    def _view(self, account: "_Account", used: Mapping[AccountDay, Used], risk: RiskBook, now_ms: int) -> AccountView:
        decisions = {
            kind: decide(
                Question(kind, _SMALLEST_MINOR, account.currency),
                record=account.record,
                terms=account.terms,
                expected=account.bound.tags,
                ended=False,
                floor=account.row.floor,
                used=used[account.day(kind)],
                policy=self._policy,
                now_ms=now_ms,
                risk=risk.facts(account.bound.binding, account.row.created_at_ms),
            )
            for kind in Kind
        }
        return AccountView(
            stored=stored_binding(account.row),
            bank=self._banks.of_binding(account.row.bank),
            condition=condition(decisions),
            staleness_ms=decisions[Kind.PAYMENT].staleness_ms,
        )


@dataclass(frozen=True, slots=True)
class _Account:
    """An account with its record on the ledger, ready for the decision table."""

    row: Row[Any]
    bound: Bound
    record: Record | None
    terms: Terms | None
    currency: int
    today: date

    @classmethod
    def at(cls, row: Row[Any], ready: Bound, seen: Seen | None, now_ms: int) -> "_Account":
        terms = ready.open(seen.record) if seen is not None else None
        tags = row.tags if terms is None or not row.unvouched else adopt(row.tags, row.unvouched, terms.tags)
        currency = terms.currency if terms is not None else _ANY_CURRENCY
        return cls(
            row=row,
            bound=replace(ready, tags=IdentityTags.unpack(tags)),
            record=seen.record if seen is not None else None,
            terms=terms,
            currency=currency,
            today=day_of(now_ms, ready.zone),
        )

    def day(self, kind: Kind) -> AccountDay:
        """The account's day for one kind of transaction."""
        return AccountDay(self.bound.account, self.today, currency_code(self.currency), kind)

    def caps(self, kind: Kind) -> Caps:
        """The bank's limits for one kind of transaction."""
        return caps_of(self.terms.limits if self.terms is not None else NO_LIMITS, kind)
