"""The feed: the one door for the core. An entry is durable before it is acknowledged, and may be sent again.

Everything that a publication will need is checked here, so that nothing that gets in can block what comes after it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import Connection, insert, select, update

from ledger.clock import Clock
from ledger.errors import Conflict, InvalidValue, NotFound, Overloaded
from ledger.identity import canonical_number
from ledger.service.database import Database
from ledger.service.vault import Vault
from node import outbox, schema
from node.accounts import Account, AccountStore, apply_change, open_account, unbound
from node.changes import AccountChange, FeedEntry, FeedReceipt
from node.faults import Faults, no_faults

#: How far an entry's time may be ahead of the node's clock, in milliseconds; the ledger allows no more.
AHEAD_ALLOWANCE_MS = 5_000


class FeedOutOfOrder(Conflict):
    """The entry is older than the last one."""


class EntryDiffers(Conflict):
    """An entry with this time is here already, with another content."""


class Feed:
    """Takes entries in. `on_change` is called after each new one: there is something to publish."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        bank_secret: bytes,
        clock: Clock,
        *,
        max_waiting: int,
        on_change: Callable[[], None],
        faults: Faults = no_faults,
    ) -> None:
        self._database = database
        self._vault = vault
        self._accounts = AccountStore(vault)
        self._bank_secret = bank_secret
        self._clock = clock
        self._max_waiting = max_waiting
        self._on_change = on_change
        self._faults = faults

    def accept(self, entry: FeedEntry) -> FeedReceipt:
        """Take an entry in, whole or not at all; the same entry again is answered as before.

        Raises: FeedOutOfOrder, EntryDiffers, InvalidValue (naming the change and field), Overloaded.
        """
        digest = self._vault.lookup("feed entry", entry.model_dump_json())
        now_ms = self._clock.now_ms()
        with self._database.write() as connection:
            known = connection.execute(
                select(schema.feed_entries).where(schema.feed_entries.c.as_of_ms == entry.as_of_ms)
            ).one_or_none()
            if known is not None:
                if known.digest != digest:
                    raise EntryDiffers(
                        f"as_of_ms: an entry of {entry.as_of_ms} with another content is here already; "
                        "allowed: the same content again, or a later as_of_ms"
                    )
                return FeedReceipt.model_validate(known._mapping, from_attributes=True)
            last_ms = outbox.last_as_of_ms(connection)
            self._check_time(entry, last_ms, now_ms)
            if entry.changes and outbox.waiting(connection) >= self._max_waiting:
                raise Overloaded(f"{self._max_waiting} attestations wait for the ledger already", retry_after_s=5)
            receipt = FeedReceipt(
                as_of_ms=entry.as_of_ms, changes=len(entry.changes), attestations=0, received_at_ms=now_ms
            )
            connection.execute(insert(schema.feed_entries).values(digest=digest, **receipt.model_dump()))
            receipt.attestations = self._apply(connection, entry, last_ms)
            connection.execute(
                update(schema.feed_entries)
                .where(schema.feed_entries.c.as_of_ms == entry.as_of_ms)
                .values(attestations=receipt.attestations)
            )
        self._faults("feed_committed")
        self._on_change()
        return receipt

    def receipt(self, as_of_ms: int) -> FeedReceipt:
        """The receipt of an entry taken in before. Raises: NotFound."""
        with self._database.read() as connection:
            known = connection.execute(
                select(schema.feed_entries).where(schema.feed_entries.c.as_of_ms == as_of_ms)
            ).one_or_none()
        if known is None:
            raise NotFound(f"there is no feed entry of {as_of_ms}")
        return FeedReceipt.model_validate(known._mapping, from_attributes=True)

    def _check_time(self, entry: FeedEntry, last_ms: int, now_ms: int) -> None:
        if entry.as_of_ms < last_ms:
            raise FeedOutOfOrder(
                f"as_of_ms: {entry.as_of_ms} is older than the last entry; allowed: later than {last_ms}"
            )
        if entry.as_of_ms > now_ms + AHEAD_ALLOWANCE_MS:
            raise InvalidValue(
                "as_of_ms", "ahead of this node's clock", f"at most {AHEAD_ALLOWANCE_MS} ms ahead of {now_ms}"
            )

    def _apply(self, connection: Connection, entry: FeedEntry, last_ms: int) -> int:
        """Apply the entry's changes and queue what follows for the ledger. Returns: how many attestations."""
        numbers = []
        for index, change in enumerate(entry.changes):
            with _place(index):
                # Without a type stated, any well-formed number may look an account up.
                numbers.append(canonical_number(change.number, change.number_type or "account"))
        accounts = self._accounts.find(connection, numbers)
        bound = _active_bindings(connection, accounts)
        queued = 0
        for index, (number, change) in enumerate(zip(numbers, entry.changes, strict=True)):
            with _place(index):
                known = accounts.get(number)
                _check_effective(known, change, entry.as_of_ms, last_ms)
                account = open_account(change, number) if known is None else apply_change(known, change)
            accounts[number] = account
            for binding, platform in list(bound[number].items()):
                terms = account.terms(self._bank_secret, binding, platform)
                if platform in change.unbind:
                    terms = unbound(terms)
                    end_binding(connection, binding, change.effective_at_ms)
                    del bound[number][binding]
                outbox.put(
                    connection,
                    binding=binding,
                    effective_at_ms=change.effective_at_ms,
                    terms=terms,
                    holds_from_ms=last_ms + 1,
                    entry_as_of_ms=entry.as_of_ms,
                )
                queued += 1
        for account in accounts.values():
            self._accounts.save(connection, account)
        return queued


def end_binding(connection: Connection, binding: bytes, ended_at_ms: int) -> None:
    """Mark a binding as ended."""
    connection.execute(update(schema.bindings).where(schema.bindings.c.id == binding).values(ended_at_ms=ended_at_ms))


def _active_bindings(connection: Connection, accounts: Mapping[str, Account]) -> dict[str, dict[bytes, str]]:
    """For each account number its bindings that have not ended, as binding id to platform."""
    by_id = {account.id: number for number, account in accounts.items()}
    found: dict[str, dict[bytes, str]] = defaultdict(dict)
    ids = list(by_id)
    for start in range(0, len(ids), 500):
        query = select(schema.bindings.c.id, schema.bindings.c.account_id, schema.bindings.c.platform).where(
            schema.bindings.c.account_id.in_(ids[start : start + 500]), schema.bindings.c.ended_at_ms.is_(None)
        )
        for row in connection.execute(query):
            found[by_id[row.account_id]][row.id] = row.platform
    return found


def _check_effective(account: Account | None, change: AccountChange, as_of_ms: int, last_ms: int) -> None:
    """That the change took effect after all that was promised before, and not after the entry's own time.

    An account that was not known yet had no binding, so nothing was promised about it.
    """
    lowest = 0 if account is None else max(last_ms + 1, account.effective_at_ms)
    if not lowest <= change.effective_at_ms <= as_of_ms:
        raise InvalidValue("effective_at_ms", "out of range", f"{lowest} to {as_of_ms}, in the account's own order")


@contextmanager
def _place(index: int) -> Iterator[None]:
    """Lets the errors of a change say which one it is."""
    try:
        yield
    except InvalidValue as error:
        raise error.within(f"changes[{index}]") from error
