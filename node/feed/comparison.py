"""Compares the states of a view or a full file with the store: which of them are not in the store yet."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from standing.ledger.attestations.identity import canonical_number
from standing.ledger.errors import InvalidValue
from standing.ledger.service.database import Database
from standing.node.accounts.changes import AccountChange, Trouble
from standing.node.accounts.quarantine import Quarantine
from standing.node.accounts.store import Account, AccountStore, apply_change, count_accounts
from standing.node.feed.settings import ALWAYS_TAKEN
from standing.node.storage import schema
from standing.node.storage.database import in_chunks


@dataclass(frozen=True, slots=True)
class Difference:
    """A state that the store does not have. `index`: its position among the states; `known`: None for a new account."""

    index: int
    change: AccountChange
    known: Account | None

    def earliest_ms(self, last_ms: int) -> int:
        """The first time at which the feed accepts the change, where everything up to `last_ms` has been promised.

        A change that replaces another number concerns that number's bindings too, about which something was promised.
        """
        if self.known is None:
            return 0 if self.change.replaces is None else last_ms + 1
        return max(last_ms + 1, self.known.effective_at_ms)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`seen`: the store's ids of the known accounts that were stated."""

    differences: list[Difference]
    seen: list[int]


def compare_states(connection: Connection, accounts: AccountStore, states: Sequence[AccountChange]) -> Comparison:
    """Compare states by content, whenever they took effect.

    A replacement or an unbinding in a state counts only while there is something to do: a state is stated again and
    again, and must not end a binding made after an unbinding. Raises: InvalidValue (with the index).
    """
    numbers: list[str] = []
    stated, replaced = set(), {}
    for index, state in enumerate(states):
        try:
            numbers.append(canonical_number(state.number, state.number_type or "account"))
            if numbers[-1] in stated:
                # For example an account with two holders: the row read last would win each time.
                raise InvalidValue("number", "stated twice", "each account once")
            stated.add(numbers[-1])
            if state.replaces is not None:
                replaced[index] = canonical_number(state.replaces, "account", "replaces")
        except InvalidValue as error:
            raise error.within(f"changes[{index}]") from error
    found = accounts.find(connection, {*numbers, *replaced.values()})
    asked_about = [found[number] for number in replaced.values() if number in found]
    asked_about += [found[n] for n, state in zip(numbers, states, strict=True) if state.unbind and n in found]
    granted = _granted_at_ms(connection, asked_about)
    differences = []
    seen = []
    for index, (number, state) in enumerate(zip(numbers, states, strict=True)):
        known = found.get(number)
        change = state
        if known is not None:
            assert known.id is not None
            seen.append(known.id)
            ending = [
                p for p in state.unbind if granted[known.id].get(p, state.effective_at_ms + 1) <= state.effective_at_ms
            ]
            change = state if ending == state.unbind else state.model_copy(update={"unbind": ending})
            predecessor = found.get(replaced.get(index, ""))
            moves = predecessor is not None and bool(granted[predecessor.id])
            if not (ending or moves) and _same(known, state):
                continue
        differences.append(Difference(index, change, known))
    return Comparison(differences, seen)


def news(
    connection: Connection, accounts: AccountStore, quarantine: Quarantine, bad: Sequence[AccountChange]
) -> tuple[list[int], list[AccountChange]]:
    """The store's ids of the known accounts among the unstated ones, and the changes that the store does not have."""
    numbers = [change.number for change in bad]
    found = accounts.find(connection, numbers)
    listed = quarantine.never_stated(connection, [number for number in numbers if number not in found])
    new = []
    for change in bad:
        known = found.get(change.number)
        if change.number not in listed and (known is None or not known.unstated.issuperset(change.unstated)):
            new.append(change)
    return [account.id for account in found.values() if account.id is not None], new


def missing_from(account: Account, at_ms: int, trouble: Trouble) -> AccountChange:
    """A change that makes an account unstated because a file or view with unreadable rows does not state it."""
    return AccountChange.not_understood(account.number, at_ms, AccountChange.STATE_FIELDS, trouble)


def rows_or_accounts(database: Database, rows: int, bad: int) -> int:
    """What the bad rows of a source that states only what changed are compared with (`too_many_bad`): the accounts of
    the store, or its rows where they are more. The accounts are counted only where the answer depends on them."""
    if bad <= ALWAYS_TAKEN:
        return rows
    with database.read() as connection:
        return max(rows, count_accounts(connection))


def _same(known: Account, state: AccountChange) -> bool:
    try:
        stated = apply_change(known, state)
    except InvalidValue:
        return False  # the feed reports what does not fit, and decides about the account
    return replace(stated, effective_at_ms=known.effective_at_ms) == known


def _granted_at_ms(connection: Connection, accounts: Sequence[Account]) -> dict[int | None, dict[str, int]]:
    """For each account id its active bindings, as platform to when they were granted."""
    granted: dict[int | None, dict[str, int]] = defaultdict(dict)
    ids = [account.id for account in accounts]
    table = schema.bindings
    for chunk in in_chunks(ids):
        query = select(table.c.account_id, table.c.platform, table.c.granted_at_ms).where(
            table.c.account_id.in_(chunk), table.c.ended_at_ms.is_(None)
        )
        for row in connection.execute(query):
            granted[row.account_id][row.platform] = row.granted_at_ms
    return granted
