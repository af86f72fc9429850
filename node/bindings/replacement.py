"""An account or card issued anew, such as after a loss: its bindings go on with the new one, or end.

The binding's id and key stay, so the platform and the ledger notice nothing but the account's new terms. The account
that was replaced stays as the core states it, under its own number; it is only no longer what the bindings are about.
"""

from sqlalchemy import Connection, update

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
    """Let the active bindings of `replaced` go on with the account `account_id`, or end.

    `replaced_bound` and `bound` are the active bindings of the two, binding id to platform; both are brought up to
    date. Where the new account is bound at a platform already, the old binding there ends. Terms are queued here for
    the bindings that end only. Returns: how many.
    """
    ended = 0
    for binding, platform in list(replaced_bound.items()):
        del replaced_bound[binding]
        if go_on and platform not in bound.values():
            connection.execute(
                update(schema.bindings).where(schema.bindings.c.id == binding).values(account_id=account_id)
            )
            bound[binding] = platform
            continue
        end_binding(connection, binding, effective_at_ms)
        outbox.put(
            connection,
            binding=binding,
            effective_at_ms=effective_at_ms,
            terms=unbound(replaced.terms(bank_secret, binding, platform)),
            holds_from_ms=holds_from_ms,
            entry_as_of_ms=entry_as_of_ms,
        )
        ended += 1
    return ended
