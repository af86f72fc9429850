"""Erases the node's data of an account and its holder, once nobody relies on it any more.

The ledger keeps sealed terms that nobody can link to the account, because the list of its bindings is erased here too.
"""

from sqlalchemy import Connection, delete, func, or_, select

from standing.ledger.attestations.identity import canonical_number
from standing.ledger.errors import Conflict, NotFound
from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault
from standing.node.storage import schema


class StillBound(Conflict):
    """Bindings of the account have not ended, or their end is not on the ledger yet."""


def erase(database: Database, vault: Vault, number: str) -> int:
    """Delete an account with its bindings and micro-deposits, in one transaction. Returns: how many bindings it had.

    Raises: NotFound, InvalidValue, StillBound.
    """
    lookup = vault.lookup("number", canonical_number(number, "account"))
    accounts, bindings, deposits = schema.accounts, schema.bindings, schema.micro_deposits
    outbox, restatements = schema.outbox, schema.restatements
    with database.write() as connection:
        account = connection.execute(
            select(accounts.c.id).where(accounts.c.number_lookup == lookup)
        ).scalar_one_or_none()
        unstated = schema.unstated_accounts
        listed = connection.execute(delete(unstated).where(unstated.c.number_lookup == lookup)).rowcount
        if account is None:
            if listed:
                return 0  # it was never understood, so nothing else is stored
            raise NotFound("there is no such account")
        _check_unbound(connection, account)
        its = select(bindings.c.id).where(bindings.c.account_id == account)
        count = connection.execute(select(func.count()).select_from(its.subquery())).scalar_one()
        for table, hangs_on_it in (
            (restatements, restatements.c.binding_id.in_(its)),
            (outbox, outbox.c.binding_id.in_(its)),
            (deposits, or_(deposits.c.account_id == account, deposits.c.binding_id.in_(its))),
            (bindings, bindings.c.account_id == account),
            (accounts, accounts.c.id == account),
        ):
            connection.execute(delete(table).where(hangs_on_it))
    return int(count)


def _check_unbound(connection: Connection, account: int) -> None:
    """Check that every binding of the account has ended, on the ledger too. Raises: StillBound."""
    bindings, outbox, publications = schema.bindings, schema.outbox, schema.publications
    active = select(func.count()).where(bindings.c.account_id == account, bindings.c.ended_at_ms.is_(None))
    count = connection.execute(active).scalar_one()
    if count:
        raise StillBound(f"{count} bindings of the account have not ended; allowed: none")
    unpublished = (
        select(outbox.c.id)
        .join(bindings, bindings.c.id == outbox.c.binding_id)
        .outerjoin(publications, publications.c.number == outbox.c.publication)
        .where(bindings.c.account_id == account, publications.c.in_block_at_ms.is_(None))
    )
    restated = (
        select(schema.restatements.c.binding_id)
        .join(bindings, bindings.c.id == schema.restatements.c.binding_id)
        .where(bindings.c.account_id == account)
    )
    if any(connection.execute(query.limit(1)).first() is not None for query in (unpublished, restated)):
        raise StillBound("the end of its bindings is not on the ledger yet; wait until it is")
