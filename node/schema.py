"""The node's tables. The newest Alembic revision makes exactly these; a test compares the two.

What is personal is never in the clear: numbers are found by keyed hashes, numbers and holders are encrypted
(`ledger.service.vault`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from ledger.service.database import LimitMinor

metadata = MetaData()

#: SQLite counts up by itself only for a primary key declared INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")

#: What the core said, one row an entry; the newest `as_of_ms` is how far the core has spoken.
feed_entries = Table(
    "feed_entries",
    metadata,
    Column("as_of_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False),  # keyed hash of the content, to know a repetition
    Column("received_at_ms", BigInteger, nullable=False),
    Column("changes", Integer, nullable=False),
    Column("attestations", Integer, nullable=False),
)

#: The present state of each account, as the core last stated it.
accounts = Table(
    "accounts",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("number_lookup", LargeBinary, nullable=False, unique=True),
    Column("number_sealed", LargeBinary, nullable=False),
    Column("number_type", String(8), nullable=False),
    Column("holder_sealed", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("debit_allowed", Boolean, nullable=False),
    Column("credit_allowed", Boolean, nullable=False),
    Column("currency", Integer, nullable=False),
    Column("transaction_limit_minor", LimitMinor, nullable=False),
    Column("daily_limit_minor", LimitMinor, nullable=False),
    Column("effective_at_ms", BigInteger, nullable=False),
)

#: One account at one platform. At most one that has not ended for each pair.
bindings = Table(
    "bindings",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("account_id", BigInteger, ForeignKey("accounts.id"), nullable=False),
    Column("platform", String(32), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("request_digest", LargeBinary, nullable=False),
    Column("granted_at_ms", BigInteger, nullable=False),
    Column("grant_signature", LargeBinary, nullable=False),
    Column("ended_at_ms", BigInteger),
    UniqueConstraint("platform", "request_id", name="uq_bindings_request"),
)
Index(
    "uq_bindings_active",
    bindings.c.account_id,
    bindings.c.platform,
    unique=True,
    sqlite_where=bindings.c.ended_at_ms.is_(None),
    postgresql_where=bindings.c.ended_at_ms.is_(None),
)

#: The publications this bank has signed: one content for each number, for ever.
publications = Table(
    "publications",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("contract", String(42), nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("watermark_ms", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("attestations", LargeBinary, nullable=False),  # their words, 128 bytes each
    Column("signer", String(42), nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("signed_at_ms", BigInteger, nullable=False),
    Column("transaction_hash", LargeBinary),
    Column("transaction_nonce", BigInteger),
    Column("submitted_at_ms", BigInteger),
    Column("block_number", BigInteger),
    Column("in_block_at_ms", BigInteger),
)

#: Terms on their way to the ledger, in order. `holds_from_ms`: until the row is published, the watermark stays below.
outbox = Table(
    "outbox",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("binding_id", LargeBinary, ForeignKey("bindings.id"), nullable=False, index=True),
    Column("effective_at_ms", BigInteger, nullable=False),
    Column("terms", LargeBinary, nullable=False),
    Column("holds_from_ms", BigInteger, nullable=False),
    Column("entry_as_of_ms", BigInteger, ForeignKey("feed_entries.as_of_ms"), index=True),  # null: not from the feed
    Column("publication", BigInteger, ForeignKey("publications.number"), index=True),  # null: waiting
)
