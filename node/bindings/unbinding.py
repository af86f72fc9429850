"""The end of a binding: marked in the store, and queued for the ledger as its last terms."""

from sqlalchemy import Connection, update

from standing.node.accounts.store import Account, unbound
from standing.node.publishing import outbox
from standing.node.publishing.outbox import Issuer
from standing.node.storage import schema


def end_binding(connection: Connection, binding: bytes, ended_at_ms: int) -> None:
    """Mark a binding as ended."""
    connection.execute(update(schema.bindings).where(schema.bindings.c.id == binding).values(ended_at_ms=ended_at_ms))


def end_and_queue(
    connection: Connection, issuer: Issuer, account: Account, *, binding: bytes, platform: str, now_ms: int
) -> None:
    """End a binding and queue its last terms, inside one transaction."""
    # Not before the account's last change: a binding's times never go back.
    ended_at_ms = max(now_ms, account.effective_at_ms)
    end_binding(connection, binding, ended_at_ms)
    outbox.put(connection, binding, unbound(account.terms(issuer.secret, binding, platform), ended_at_ms), now_ms)
