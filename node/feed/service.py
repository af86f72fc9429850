"""The feed: the one way in for the core. An entry is durable before it is acknowledged, and may be sent again.

Everything that a publication will need is checked here, so that nothing that gets in can block what follows.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import structlog
from sqlalchemy import Connection, select

from standing.ledger.attestations.identity import canonical_number
from standing.ledger.attestations.terms import Terms
from standing.ledger.clock import Clock
from standing.ledger.errors import Conflict, InvalidValue
from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault
from standing.node.accounts.bank_secrets import BankSecrets
from standing.node.accounts.changes import AccountChange, FeedEntry, FeedReceipt, Trouble, limits_rounded
from standing.node.accounts.quarantine import Quarantine
from standing.node.accounts.store import Account, AccountStore, apply_change, open_account, unbound
from standing.node.bindings.replacement import take_over
from standing.node.bindings.unbinding import end_binding
from standing.node.fault_points import Faults, no_faults
from standing.node.feed import cursors
from standing.node.feed.cursors import Cursor
from standing.node.feed.entries import begin, check_turn, finish, known_receipt
from standing.node.feed.records import number_problem
from standing.node.publishing import outbox
from standing.node.publishing.outbox import AHEAD_ALLOWANCE_MS
from standing.node.storage import schema
from standing.node.storage.database import in_chunks

_log = structlog.get_logger()


class FeedTaken(Conflict):
    """The node reads the core itself, so no other source may feed: the watermark is the promise of one source."""


@dataclass(frozen=True, slots=True)
class Correction:
    """The effect of changes without an entry: the number of `attestations` that follow, and of changes skipped because
    their account has changed since (`changed_since`)."""

    attestations: int
    changed_since: int


class Feed:
    """Accepts entries. Calls `on_change` after each new one, because there is then something to publish. `source` names
    the node's own source, if it reads the core itself.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        bank_secret: BankSecrets,
        clock: Clock,
        *,
        max_waiting: int,
        on_change: Callable[[], None],
        faults: Faults = no_faults,
        source: str | None = None,
    ) -> None:
        self._database = database
        self._vault = vault
        self._accounts = AccountStore(vault)
        self._quarantine = Quarantine(vault, clock)
        self._bank_secret = bank_secret
        self._clock = clock
        self._max_waiting = max_waiting
        self._on_change = on_change
        self._faults = faults
        self._source = source
        #: How far the core's last entry was ahead of this machine's clock, if it was refused for that; otherwise 0.
        self.refused_ahead_ms = 0

    def push(self, entry: FeedEntry) -> FeedReceipt:
        """As `accept`, for a core that calls the node. Raises: FeedTaken, and what `accept` raises."""
        if self._source is not None:
            raise FeedTaken(
                f"this node reads the core itself ({self._source}); allowed: one source only, see the node's settings"
            )
        return self.accept(entry, unstate_bad=entry.on_bad_change == "unstate")

    def accept(
        self,
        entry: FeedEntry,
        cursor: Cursor | None = None,
        *,
        unstate_bad: bool = False,
    ) -> FeedReceipt:
        """Accept an entry, or a part of one, whole or not at all. The same content again gets the same answer.

        `cursor` moves in the same transaction. `unstate_bad`: a change that does not fit its account makes that account
        unstated; otherwise it refuses the entry.

        Raises: FeedOutOfOrder, EntryDiffers, InvalidValue (naming the change
        and field), Overloaded.
        """
        digest = self._vault.lookup("feed entry", entry.model_dump_json())
        now_ms = self._clock.now_ms()
        with self._database.write() as connection:
            begun = connection.execute(
                select(schema.feed_entries).where(schema.feed_entries.c.as_of_ms == entry.as_of_ms)
            ).one_or_none()
            known = None if begun is None else known_receipt(connection, entry, begun, digest)
            if known is not None:
                return known
            last_ms = outbox.last_as_of_ms(connection)
            check_turn(connection, entry, begun)
            self._check_clock(entry.as_of_ms)
            self._check_room(connection, entry.changes)
            receipt = FeedReceipt(
                as_of_ms=entry.as_of_ms,
                part=entry.part,
                complete=entry.complete,
                changes=len(entry.changes),
                attestations=0,
                received_at_ms=now_ms,
                limits_rounded=limits_rounded(entry.changes),
            )
            begin(connection, receipt, digest)
            queued = self._apply(
                connection, entry.changes, last_ms=last_ms, as_of_ms=entry.as_of_ms, unstate_bad=unstate_bad
            )
            receipt.attestations = queued
            finish(connection, receipt, digest)
            if cursor is not None:
                cursors.save(connection, cursor, now_ms)
        self._faults("feed_committed")
        self._on_change()
        return receipt

    def correct(
        self, changes: Sequence[AccountChange], *, source_ms: int | None = None, unstate_bad: bool = False
    ) -> Correction:
        """Accept changes that the core should have stated before its last entry, or states ahead of its next one.

        They promise nothing, so the watermark stays. A change that took effect before the last entry counts from right
        after it, because what was promised does not change afterwards. Whole or not at all. `source_ms`: the
        time of the changes' source; an account that has changed since is left unchanged.

        Raises: InvalidValue (naming the change and field), Overloaded.
        """
        latest_ms = self.latest_ms()
        for index, change in enumerate(changes):
            # Otherwise the account's next change, which must be later, could not be stated for a while.
            if change.effective_at_ms > latest_ms:
                with _place(index):
                    raise InvalidValue("effective_at_ms", "ahead of this node's clock", f"at most {latest_ms}")
        with self._database.write() as connection:
            self._check_room(connection, changes)
            wanted = changes if source_ms is None else self._not_changed_since(connection, changes, source_ms)
            last_ms = outbox.last_as_of_ms(connection)
            queued = self._apply(connection, wanted, last_ms=last_ms, as_of_ms=None, unstate_bad=unstate_bad)
        self._faults("feed_committed")
        self._on_change()
        return Correction(attestations=queued, changed_since=len(changes) - len(wanted))

    def _check_clock(self, as_of_ms: int) -> None:
        """Check that an entry is not ahead of this node's clock. Raises: InvalidValue."""
        latest_ms = self.latest_ms()
        was_refused, self.refused_ahead_ms = self.refused_ahead_ms > 0, 0
        if as_of_ms > latest_ms:
            self.refused_ahead_ms = as_of_ms - latest_ms + AHEAD_ALLOWANCE_MS
            if not was_refused:
                _log.warning("core_ahead_of_clock", as_of_ms=as_of_ms, latest_ms=latest_ms)
            raise InvalidValue("as_of_ms", "ahead of this node's clock", f"at most {latest_ms}")

    def _not_changed_since(
        self, connection: Connection, changes: Sequence[AccountChange], source_ms: int
    ) -> list[AccountChange]:
        """The changes of accounts that have not changed after a time."""
        numbers, _ = _canonical_numbers(changes)
        newest_ms = {n: found.effective_at_ms for n, found in self._accounts.find(connection, numbers).items()}
        pairs = zip(numbers, changes, strict=True)
        return [change for number, change in pairs if newest_ms.get(number, 0) <= source_ms]

    def latest_ms(self) -> int:
        """The latest time that the core may state now, slightly ahead of this node's clock."""
        return self._clock.now_ms() + AHEAD_ALLOWANCE_MS

    def next_ms(self) -> int:
        """The node's time now, or right after the last entry where that is later."""
        return max(self._clock.now_ms(), self.last_as_of_ms() + 1)

    def last_as_of_ms(self) -> int:
        """The time of the core's last entry; 0 before its first."""
        with self._database.read() as connection:
            return outbox.last_as_of_ms(connection)

    def next_part(self, as_of_ms: int) -> int:
        """The number of the next part of the entry of `as_of_ms`; 1 where there is none, or it is complete."""
        with self._database.read() as connection:
            begun = connection.execute(
                select(schema.feed_entries.c.parts).where(
                    schema.feed_entries.c.as_of_ms == as_of_ms, ~schema.feed_entries.c.complete
                )
            ).scalar_one_or_none()
        return 1 if begun is None else int(begun) + 1

    def _check_room(self, connection: Connection, changes: Sequence[AccountChange]) -> None:
        if changes:
            outbox.check_room(connection, self._max_waiting)

    def _apply(
        self,
        connection: Connection,
        changes: Sequence[AccountChange],
        *,
        last_ms: int,
        as_of_ms: int | None,
        unstate_bad: bool,
    ) -> int:
        """Apply changes and queue the resulting attestations. Returns: how many.

        `as_of_ms` names the entry; without one, the changes come late or early, see `correct`.
        """
        if unstate_bad:
            changes = [_with_numbers(change) for change in changes]
        numbers, replaced_numbers = _canonical_numbers(changes)
        accounts = self._accounts.find(connection, {*numbers, *replaced_numbers.values()})
        before = dict(accounts)
        bound = _active_bindings(connection, accounts)
        troubles: dict[str, AccountChange] = {}
        of_replaced: dict[str, AccountChange] = {}
        to_queue: list[tuple[bytes, Terms]] = []  # what is put into the outbox, in its order
        put = partial(outbox.put_all, connection, holds_from_ms=last_ms + 1, entry_as_of_ms=as_of_ms)
        queued = 0
        for index, (number, stated) in enumerate(zip(numbers, changes, strict=True)):
            replaced = accounts.get(replaced_numbers.get(index, ""))
            known = accounts.get(number)
            change = stated
            if not stated.unstated:
                try:
                    with _place(index):
                        change, account = _applied(number, known, replaced, stated, last_ms, as_of_ms)
                except InvalidValue as error:
                    if not unstate_bad:
                        raise
                    change = _not_understood(stated, error)
            if change.unstated:
                troubles[number] = change
                if replaced is not None:
                    of_replaced[replaced.number] = change
                if known is None or (known.unstated.issuperset(change.unstated) and not change.unbind):
                    continue
                account, change = _unstate(known, change, last_ms)
            elif replaced is not None:
                account = replace(account, id=self._accounts.save(connection, account))
                assert account.id is not None
                put(to_queue)
                to_queue = []
                queued += take_over(
                    connection,
                    replaced=replaced,
                    replaced_bound=bound[replaced.number],
                    account_id=account.id,
                    bound=bound[number],
                    go_on=change.replaced_bindings == "go_on",
                    effective_at_ms=change.effective_at_ms,
                    bank_secret=self._bank_secret,
                    holds_from_ms=last_ms + 1,
                    entry_as_of_ms=as_of_ms,
                )
            accounts[number] = account
            to_queue += (due := self._statements(connection, account, change, bound[number]))
            queued += len(due)
        put(to_queue)
        changed = [number for number in dict.fromkeys(numbers) if number in accounts]
        self._accounts.save_all(connection, [accounts[number] for number in changed])
        self._quarantine.update(connection, list(dict.fromkeys(numbers)), before, accounts, troubles)
        # It is unknown whether the replaced accounts' bindings moved or ended, unless the entry states those accounts.
        unclear = [_unclear(number, change) for number, change in of_replaced.items() if number not in numbers]
        if unclear:
            queued += self._apply(connection, unclear, last_ms=last_ms, as_of_ms=as_of_ms, unstate_bad=True)
        return queued

    def _statements(
        self, connection: Connection, account: Account, change: AccountChange, bound: dict[bytes, str]
    ) -> list[tuple[bytes, Terms]]:
        """The account's terms for each of its bindings, and last terms for those that the change ends."""
        statements = []
        for binding, platform in list(bound.items()):
            terms = account.terms(self._bank_secret, binding, platform)
            if platform in change.unbind:
                terms = unbound(terms, change.effective_at_ms)
                end_binding(connection, binding, change.effective_at_ms)
                del bound[binding]
            statements.append((binding, terms))
        return statements


def _canonical_numbers(changes: Sequence[AccountChange]) -> tuple[list[str], dict[int, str]]:
    """The changes' numbers, and by index the numbers that they replace. Raises: InvalidValue."""
    numbers = []
    replaced = {}
    for index, change in enumerate(changes):
        with _place(index):
            # Without a stated type, any well-formed number may look up an account.
            numbers.append(canonical_number(change.number, change.number_type or "account"))
            if change.replaces is not None:
                replaced[index] = canonical_number(change.replaces, "account", "replaces")
                if replaced[index] == numbers[-1]:
                    raise InvalidValue("replaces", "the account itself", "the number that it had before")
    return numbers, replaced


def _active_bindings(connection: Connection, accounts: Mapping[str, Account]) -> dict[str, dict[bytes, str]]:
    """For each account number its active bindings, binding id to platform."""
    by_id = {account.id: number for number, account in accounts.items()}
    found: dict[str, dict[bytes, str]] = defaultdict(dict)
    for chunk in in_chunks(list(by_id)):
        query = select(schema.bindings.c.id, schema.bindings.c.account_id, schema.bindings.c.platform).where(
            schema.bindings.c.account_id.in_(chunk), schema.bindings.c.ended_at_ms.is_(None)
        )
        for row in connection.execute(query):
            found[by_id[row.account_id]][row.id] = row.platform
    return found


def _check_effective(
    account: Account | None, replaced: Account | None, change: AccountChange, last_ms: int, as_of_ms: int | None
) -> AccountChange:
    """The change, if it took effect after everything that earlier entries vouched for, and not after the entry's own
    time.

    An account that was not known yet had no binding, so nothing was promised about it. Statements about a replaced
    number remain valid, so its successor counts from the last of them at the earliest. Without an entry, a late change
    counts from the first time that it still can. Raises: InvalidValue.
    """
    lowest = 0
    if account is not None or replaced is not None:
        lowest = max(last_ms + 1, account.effective_at_ms if account is not None else 0)
    effective_at_ms = max(change.effective_at_ms, replaced.effective_at_ms if replaced is not None else 0)
    if as_of_ms is None:
        effective_at_ms = max(lowest, effective_at_ms)
    elif change.effective_at_ms < lowest or effective_at_ms > as_of_ms:
        raise InvalidValue("effective_at_ms", "out of range", f"{lowest} to {as_of_ms}, in the account's own order")
    return change.counting_from(effective_at_ms)


def _applied(
    number: str,
    known: Account | None,
    replaced: Account | None,
    stated: AccountChange,
    last_ms: int,
    as_of_ms: int | None,
) -> tuple[AccountChange, Account]:
    """A change with the time from which it counts, and the account after it. Raises: InvalidValue."""
    change = _check_effective(known, replaced, stated, last_ms, as_of_ms)
    return change, open_account(change, number, replaced) if known is None else apply_change(known, change)


def _with_numbers(change: AccountChange) -> AccountChange:
    """The change itself, or one that makes its account unstated if a number in it is wrong but the account can be
    identified."""
    wrong = number_problem(change)
    return change if wrong is None else _not_understood(change, wrong)


def _unstate(known: Account, change: AccountChange, last_ms: int) -> tuple[Account, AccountChange]:
    """An account with further fields unstated, and the change with the time from which that counts."""
    change = change.counting_from(max(last_ms + 1, known.effective_at_ms, change.effective_at_ms))
    unstated = known.unstated.union(change.unstated)
    return replace(known, effective_at_ms=change.effective_at_ms, unstated=unstated), change


def _unclear(number: str, successor: AccountChange) -> AccountChange:
    """A change that makes an account unstated, because what replaces it cannot be understood."""
    source = "feed" if successor.trouble is None else successor.trouble.source
    trouble = Trouble(source, "the statement about the account that replaces it cannot be understood")
    return AccountChange.not_understood(number, successor.effective_at_ms, ["status"], trouble)


def _not_understood(change: AccountChange, error: InvalidValue) -> AccountChange:
    """The change to record in place of one that did not fit its account: everything that it stated must be stated
    again."""
    named = [name for name in AccountChange.ACCOUNT_FIELDS if getattr(change, name) is not None]
    trouble = Trouble("feed" if change.trouble is None else change.trouble.source, str(error))
    kept = {"unbind": change.unbind, "replaces": change.replaces}
    return AccountChange.not_understood(change.number, change.effective_at_ms, named, trouble, stated=kept)


@contextmanager
def _place(index: int) -> Iterator[None]:
    """Name the change in its errors."""
    try:
        yield
    except InvalidValue as error:
        raise error.within(f"changes[{index}]") from error
