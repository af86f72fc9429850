"""The ledger transactions of publications, as the store has them: which were made, and what became of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, insert, or_, select, update

from standing.ledger.attestations.publication import Domain
from standing.ledger.chain.client import Receipt
from standing.ledger.chain.sender import Prepared
from standing.ledger.service.database import Database
from standing.node.storage import schema


class TransactionStore:
    """The transactions of one sending account, and of the publications that they carry. Raises as `Database` does.

    An account before this one, whose key was replaced, has transactions here too: their nonces are not this one's.
    """

    def __init__(self, database: Database, sender: str) -> None:
        self._database = database
        self._sender = sender

    def count_nonces(self, first: int, end: int) -> int:
        """For how many of the account's nonces, from `first` and below `end`, there is a transaction."""
        nonce = schema.transactions.c.nonce
        query = select(func.count(nonce.distinct())).where(self._is_ours(), nonce >= first, nonce < end)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def highest_nonce(self, domain: Domain) -> int | None:
        """The account's highest nonce of a publication that is on its way to this ledger; None where there is none."""
        publications = schema.publications.c
        query = (
            select(func.max(publications.transaction_nonce))
            .join(schema.transactions, schema.transactions.c.hash == publications.transaction_hash)
            .where(
                self._is_ours(),
                publications.in_block_at_ms.is_(None),
                publications.contract == domain.contract,
                publications.chain_id == domain.chain_id,
            )
        )
        with self._database.read() as connection:
            highest: int | None = connection.execute(query).scalar_one()
        return highest

    def sent(self, transaction_hash: bytes) -> bool:
        """Whether a transaction is the account's own."""
        query = select(schema.transactions.c.hash).where(
            schema.transactions.c.hash == transaction_hash, self._is_ours()
        )
        with self._database.read() as connection:
            return connection.execute(query).one_or_none() is not None

    def _is_ours(self) -> ColumnElement[bool]:
        sender = schema.transactions.c.sender
        return or_(sender == self._sender, sender.is_(None))  # null: from before accounts were stored

    def paid_wei(self, number: int, nonce: int) -> int:
        """The highest gas price offered so far for a publication's transaction with this nonce; 0 for none."""
        table = schema.transactions.c
        query = select(func.max(table.gas_price_wei)).where(table.publication == number, table.nonce == nonce)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one() or 0)

    def hashes(self, number: int, *, all_nonces: bool) -> Sequence[bytes]:
        """The transactions of a publication, the newest first: all, or those with the nonce in use."""
        table = schema.transactions.c
        query = select(table.hash).where(table.publication == number).order_by(table.prepared_at_ms.desc())
        if not all_nonces:
            in_use = select(schema.publications.c.transaction_nonce).where(schema.publications.c.number == number)
            query = query.where(table.nonce == in_use.scalar_subquery())
        with self._database.read() as connection:
            return connection.execute(query).scalars().all()

    def add(self, number: int, prepared: Prepared, now_ms: int) -> None:
        """Store a transaction, unless it is there already, as the one in use for a publication."""
        table = schema.transactions
        with self._database.write() as connection:
            known = connection.execute(select(table.c.hash).where(table.c.hash == prepared.hash)).one_or_none()
            if known is None:
                connection.execute(
                    insert(table).values(
                        hash=prepared.hash,
                        publication=number,
                        sender=self._sender,
                        nonce=prepared.nonce,
                        gas_price_wei=prepared.gas_price_wei,
                        prepared_at_ms=now_ms,
                    )
                )
            connection.execute(
                update(schema.publications)
                .where(schema.publications.c.number == number)
                .values(transaction_hash=prepared.hash, transaction_nonce=prepared.nonce, submitted_at_ms=now_ms)
            )

    def update_publication(self, number: int, **values: Any) -> None:
        """Change columns of a publication."""
        with self._database.write() as connection:
            connection.execute(
                update(schema.publications).where(schema.publications.c.number == number).values(**values)
            )

    def note_blocks(self, receipts: Mapping[int, Receipt | None], now_ms: int) -> None:
        """Store that publications are in blocks: by number, the receipt of the transaction that brought it there; None
        where it was another party's."""
        if not receipts:
            return
        table = schema.publications.c
        noted = (
            update(schema.publications)
            .where(table.number == bindparam("seen"))
            .values(block_number=bindparam("block"), in_block_at_ms=now_ms)
        )
        blocks = {number: None if receipt is None else receipt["blockNumber"] for number, receipt in receipts.items()}
        with self._database.write() as connection:
            connection.execute(noted, [{"seen": number, "block": block} for number, block in blocks.items()])
