"""Accounts and cards that are reissued, for example after a loss: bindings move to the new one, or end.

A binding keeps its id and key, so the platform and the ledger see only the account's new terms. The replaced account
stays as the core states it, under its own number, but its bindings are no longer about it.
"""

from sqlalchemy import Connection, func, select, update

from standing.node.accounts.bank_secrets import BankSecrets
from standing.node.accounts.store import Account, unbound
from standing.node.bindings.unbinding import end_binding
from standing.node.publishing import outbox
from standing.node.storage import schema


def take_over(
    connection: Connection,
    *,
    replaced: Account,
    replaced_bound: dict[bytes, str],
    account_id: int,
    bound: dict[bytes, str],
    go_on: bool,
    effective_at_ms: int,
    bank_secret: BankSecrets,
    holds_from_ms: int,
    entry_as_of_ms: int | None,
) -> int:
    """Move the active bindings of `replaced` to the account `account_id`, or end them.

    `replaced_bound` and `bound` are the active bindings of the two, binding id to platform; both are updated. If the
    new account already has a binding at a platform, the old account's binding there ends. Terms are queued here only
    for bindings that end. Returns: how many.
    """
    ended = 0
    herd = _herd(connection, bound)
    for binding, platform in list(replaced_bound.items()):
        del replaced_bound[binding]
        if go_on and platform not in bound.values():
            connection.execute(
                update(schema.bindings)
                .where(schema.bindings.c.id == binding)
                .values({"account_id": account_id} if herd is None else {"account_id": account_id, "herd": herd})
            )
            bound[binding] = platform
            continue
        end_binding(connection, binding, effective_at_ms)
        terms = unbound(replaced.terms(bank_secret, binding, platform), effective_at_ms)
        outbox.put_all(connection, [(binding, terms)], holds_from_ms=holds_from_ms, entry_as_of_ms=entry_as_of_ms)
        ended += 1
    return ended


def _herd(connection: Connection, bound: dict[bytes, str]) -> int | None:
    """The herd of the new account's bindings. Those of one account are in one herd: they change together."""
    table = schema.bindings.c
    query = select(func.max(table.herd)).where(table.id.in_(list(bound)))
    return connection.execute(query).scalar_one() if bound else None
