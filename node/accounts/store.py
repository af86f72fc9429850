"""Accounts: the present state of each, as the core last stated it, and how a feed change updates it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from standing.ledger.attestations.identity import (
    HolderKind,
    Identity,
    kind_of_scheme,
)
from standing.ledger.attestations.limits import LIMIT_FIELDS, NO_LIMITS, NOTHING, Limits
from standing.ledger.attestations.money import NO_LIMIT, check_in_use, currency_number
from standing.ledger.attestations.sealing import identity_tags
from standing.ledger.attestations.terms import Status, Terms
from standing.ledger.errors import InvalidValue
from standing.ledger.service.vault import Vault, VaultError
from standing.node.accounts.bank_secrets import BankSecrets
from standing.node.accounts.changes import AccountChange, LimitValue
from standing.node.accounts.holders import apply_identity, words_of_name
from standing.node.storage import schema
from standing.node.storage.database import in_chunks

#: Sets the columns that the rows name (`AccountStore._state`).
_UPDATE = update(schema.accounts).where(schema.accounts.c.id == bindparam("known_id"))
_ACCOUNTS = select(schema.accounts, schema.unstated_accounts.c.fields.label("unstated_fields")).outerjoin(
    schema.unstated_accounts, schema.unstated_accounts.c.number_lookup == schema.accounts.c.number_lookup
)
#: The values of a change that states no limits.
_NO_LIMIT_STATED = [None] * len(LIMIT_FIELDS)


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `id` is the store's own, None before it is saved. `account_class` is 0 where it is not stated.

    `holder_kind`: a person or an organisation. The identity's document and phone are empty where the bank has none.
    """

    id: int | None
    number: str
    number_type: str
    identity: Identity
    status: Status
    debit_allowed: bool
    credit_allowed: bool
    currency: int
    limits: Limits
    effective_at_ms: int
    account_class: int = 0
    #: Fields for which the core's statement could not be understood. Not empty: the account is unstated.
    unstated: frozenset[str] = frozenset()
    holder_kind: HolderKind = "person"
    #: The words of a name that may have a middle name; empty for accounts that have not changed since these words are
    #: stored. They are not part of the state: two statements that differ only in them are equal.
    name_words: tuple[str, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:  # the number is personal data
        return f"Account(id={self.id})"

    def terms(self, bank_secret: BankSecrets, binding: bytes, platform: str) -> Terms:
        """The bank's statement about one of the account's bindings."""
        key = bank_secret.binding_key(binding, platform)
        terms = Terms(
            status=self.status,
            debit_allowed=self.debit_allowed,
            credit_allowed=self.credit_allowed,
            currency=self.currency,
            effective_at_ms=self.effective_at_ms,
            limits=self.limits,
            tags=identity_tags(binding, key, self.identity),
            account_class=self.account_class,
            organisation=self.holder_kind == "organisation",
        )
        if not self.unstated:
            return terms
        # The limits stay: a platform compares attestations, and would report that each of them changed.
        return replace(terms, status=Status.UNSTATED, debit_allowed=False, credit_allowed=False)


def unbound(terms: Terms, ended_at_ms: int) -> Terms:
    """The last terms of a binding that ended at that time: nothing is allowed any more."""
    return replace(
        terms,
        status=Status.UNBOUND,
        debit_allowed=False,
        credit_allowed=False,
        effective_at_ms=ended_at_ms,
        limits=NOTHING,
    )


def open_account(change: AccountChange, number: str, like: Account | None = None) -> Account:
    """The account that the first change of an unknown number states.

    `like` is the account that this one replaces: what the change does not state is copied from it, except the status.
    Raises: InvalidValue where something is left unstated, or a value breaks its bounds.
    """
    needed = AccountChange.STATE_FIELDS if like is None else ("status",)
    missing = [field for field in needed if getattr(change, field) is None]
    if missing:
        raise InvalidValue(
            "number",
            "no such account, and a new one must state " + ", ".join(missing),
            "a known account, or a new one with these fields",
        )
    if change.currency is not None:
        check_in_use(change.currency)
    if like is not None:
        copied = replace(like, id=None, number=number, number_type=change.number_type or like.number_type)
        return apply_change(copied, change)
    blank = Account(
        id=None,
        number=number,
        number_type=change.number_type or "",
        identity=Identity("", "", ""),
        status=Status.ACTIVE,
        debit_allowed=False,
        credit_allowed=False,
        currency=0,
        limits=NO_LIMITS,
        effective_at_ms=change.effective_at_ms,
        holder_kind=kind_of_scheme(change.id_document_scheme),
    )
    return apply_change(blank, change)


def apply_change(account: Account, change: AccountChange) -> Account:
    """The account after a change; what the change does not state stays.

    A currency may be one that is withdrawn: the account that it was opened with is still there. Raises: InvalidValue.
    """
    stated: dict[str, Any] = {"effective_at_ms": change.effective_at_ms}
    if account.unstated:
        left = frozenset(name for name in account.unstated if getattr(change, name) is None)
        if all(getattr(change, name) is not None for name in change.STATE_FIELDS):
            # A change with the whole state settles every field except limits that it leaves out, which keep their old
            # values.
            left = left.intersection(LIMIT_FIELDS)
        stated["unstated"] = left
    if change.holder_kind is not None:
        stated["holder_kind"] = change.holder_kind
    if change.status is not None:
        stated["status"] = Status[change.status.upper()]
    for permission in ("debit_allowed", "credit_allowed"):
        if getattr(change, permission) is not None:
            stated[permission] = getattr(change, permission)
    if change.currency is not None:
        stated["currency"] = currency_number(change.currency)
    if change.account_class is not None:
        stated["account_class"] = change.account_class
    stated["limits"] = _limits(account.limits, change)
    if change.number_type is not None and change.number_type != account.number_type:
        raise InvalidValue("number_type", "not what the account was opened with", account.number_type)
    identity = apply_identity(account.identity, change)
    return replace(account, identity=identity, name_words=words_of_name(account.name_words, change), **stated)


def _limits(held: Limits, change: AccountChange) -> Limits:
    """The limits after a change. Raises: InvalidValue."""
    stated: list[LimitValue | None] = [getattr(change, name) for name in LIMIT_FIELDS]
    if stated == _NO_LIMIT_STATED:
        return held
    return Limits.of(
        *(
            getattr(held, name) if limit is None else NO_LIMIT if limit == "none" else limit
            for name, limit in zip(LIMIT_FIELDS, stated, strict=True)
        )
    )


def count_accounts(connection: Connection) -> int:
    """How many accounts the store has."""
    return int(connection.execute(select(func.count()).select_from(schema.accounts)).scalar_one())


def check_bank_secrets(connection: Connection, bank_secrets: BankSecrets) -> None:
    """Check that the oldest and the newest active binding were made under one of the secrets.

    Without its secret, a binding's attestations would be sealed with a key that its platform does not have, and would
    remain unreadable even once the secret is back. Raises: InvalidValue.
    """
    table = schema.bindings.c
    active = select(table.id).where(table.ended_at_ms.is_(None)).limit(1)
    for order in (table.granted_at_ms, table.granted_at_ms.desc()):
        binding = connection.execute(active.order_by(order)).scalar_one_or_none()
        if binding is not None and not bank_secrets.made(binding):
            raise InvalidValue(
                "bank secrets",
                "one under which active bindings were granted is missing",
                "all versions with active bindings, in bank_secret_file and newer_bank_secret_files",
            )


class AccountStore:
    """Accounts in the database: numbers found by keyed hash, numbers and holders encrypted."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def check_vault(self, connection: Connection) -> None:
        """Check that the vault has the secrets of this store.

        With another oldest secret, no account would be found: a change would seem to concern a new account without
        bindings, and would never be published. Raises: VaultError.
        """
        table = schema.accounts.c
        columns = select(table.number_lookup, table.number_sealed)
        oldest = connection.execute(columns.order_by(table.id).limit(1)).one_or_none()
        newest = connection.execute(columns.order_by(table.id.desc()).limit(1)).one_or_none()
        if oldest is None or newest is None:
            return
        self._vault.unseal(newest.number_sealed)
        if self._vault.lookup("number", self._vault.unseal_text(oldest.number_sealed)) != oldest.number_lookup:
            raise VaultError(
                "stored accounts cannot be found: is the oldest vault secret missing, or not the last one?"
            )

    def find(self, connection: Connection, numbers: Iterable[str]) -> dict[str, Account]:
        """The accounts among `numbers` (canonical), by number."""
        by_lookup = {self._vault.lookup("number", number): number for number in numbers}
        found = {}
        for chunk in in_chunks(list(by_lookup)):
            for row in connection.execute(_ACCOUNTS.where(schema.accounts.c.number_lookup.in_(chunk))):
                number = by_lookup[row.number_lookup]
                found[number] = self._account(row, number)
        return found

    def get(self, connection: Connection, account_id: int) -> Account:
        """The account of a known id."""
        row = connection.execute(_ACCOUNTS.where(schema.accounts.c.id == account_id)).one()
        return self._account(row, self._vault.unseal_text(row.number_sealed))

    def save(self, connection: Connection, account: Account) -> int:
        """Insert or update one account. Returns: its id."""
        if account.id is not None:
            self.save_all(connection, [account])
            return account.id
        inserted = connection.execute(insert(schema.accounts), self._new_row(account)).inserted_primary_key
        assert inserted is not None  # the table has one
        return int(inserted[0])

    def save_all(self, connection: Connection, accounts: Iterable[Account]) -> None:
        """Insert or update accounts, each number once, in two statements."""
        new, known = [], []
        for account in accounts:
            if account.id is None:
                new.append(self._new_row(account))
            else:
                known.append({"known_id": account.id, **self._state(account)})
        if new:
            connection.execute(insert(schema.accounts), new)
        if known:
            connection.execute(_UPDATE, known)

    def _new_row(self, account: Account) -> dict[str, Any]:
        return {
            "number_lookup": self._vault.lookup("number", account.number),
            "number_sealed": self._vault.seal_text(account.number),
            "number_type": account.number_type,
            **self._state(account),
        }

    def _state(self, account: Account) -> dict[str, Any]:
        document = account.identity.id_document
        return {
            "holder_sealed": self._vault.seal_text(_holder_json(account)),
            "holder_lookup": self._vault.lookup("holder", document) if document else None,
            "status": int(account.status),
            "debit_allowed": account.debit_allowed,
            "credit_allowed": account.credit_allowed,
            "currency": account.currency,
            **{name: getattr(account.limits, name) for name in LIMIT_FIELDS},
            "account_class": account.account_class,
            "effective_at_ms": account.effective_at_ms,
        }

    def _account(self, row: Any, number: str) -> Account:
        holder: dict[str, Any] = json.loads(self._vault.unseal_text(row.holder_sealed))
        kind: HolderKind = holder.pop(_KIND, "person")
        words: str = holder.pop(_WORDS, "")
        return Account(
            id=row.id,
            number=number,
            number_type=row.number_type,
            identity=Identity(**holder),
            status=Status(row.status),
            debit_allowed=row.debit_allowed,
            credit_allowed=row.credit_allowed,
            currency=row.currency,
            limits=Limits.of(*(getattr(row, name) for name in LIMIT_FIELDS)),
            effective_at_ms=row.effective_at_ms,
            account_class=row.account_class,
            unstated=frozenset() if row.unstated_fields is None else frozenset(json.loads(row.unstated_fields)),
            holder_kind=kind,
            name_words=tuple(words.split()),
        )


#: The holder's kind among the sealed identity fields; absent in rows that are older than it.
_KIND = "kind"
#: The words of the holder's name, likewise; absent where a name has none in the middle.
_WORDS = "words"


def _holder_json(account: Account) -> str:
    held = account.identity
    fields = {"name": held.name, "id_document": held.id_document, "phone": held.phone, _KIND: account.holder_kind}
    if account.name_words:
        fields[_WORDS] = " ".join(account.name_words)
    return json.dumps(fields, ensure_ascii=False)
