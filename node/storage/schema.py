"""The node's tables. The newest Alembic revision makes exactly these; a test compares the two.

Personal data is never in the clear: numbers are found by keyed hashes, numbers and holders are encrypted
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
    Text,
    UniqueConstraint,
    true,
)

from standing.ledger.service.console.tables import session_tables
from standing.ledger.service.database import LimitMinor

metadata = MetaData()

#: SQLite numbers rows by itself only for a primary key declared INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")

#: The core's entries, one row each. The newest `as_of_ms` is the time up to which the core has fed.
feed_entries = Table(
    "feed_entries",
    metadata,
    Column("as_of_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False),  # keyed hash of the content, to recognise a repetition
    Column("received_at_ms", BigInteger, nullable=False),
    Column("changes", Integer, nullable=False),
    Column("attestations", Integer, nullable=False),
    # False: more changes up to this time follow, so nothing is promised yet.
    Column("complete", Boolean, nullable=False, server_default=true()),
    Column("parts", Integer, nullable=False, server_default="1"),
)

#: The parts of an entry that came in several, to recognise each again.
feed_parts = Table(
    "feed_parts",
    metadata,
    Column("as_of_ms", BigInteger, ForeignKey("feed_entries.as_of_ms"), primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("changes", Integer, nullable=False),
    Column("attestations", Integer, nullable=False),
    Column("complete", Boolean, nullable=False),
)

#: How far each source of the feed has been read. It moves in the transaction that takes in what was read.
feed_cursors = Table(
    "feed_cursors",
    metadata,
    Column("source", String(64), primary_key=True),
    Column("position", Text, nullable=False),  # the source's own JSON; nothing personal
    Column("moved_at_ms", BigInteger, nullable=False),
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
    Column("holder_lookup", LargeBinary, index=True),  # keyed hash of the ID document; null where the bank has none
    Column("status", Integer, nullable=False),
    Column("debit_allowed", Boolean, nullable=False),
    Column("credit_allowed", Boolean, nullable=False),
    Column("currency", Integer, nullable=False),
    Column("transaction_limit_minor", LimitMinor, nullable=False),
    Column("daily_limit_minor", LimitMinor, nullable=False),
    Column("monthly_limit_minor", LimitMinor, nullable=False),
    Column("yearly_limit_minor", LimitMinor, nullable=False),
    Column("daily_credit_limit_minor", LimitMinor, nullable=False),
    Column("yearly_credit_limit_minor", LimitMinor, nullable=False),
    Column("account_class", Integer, nullable=False),  # 0: not stated
    Column("effective_at_ms", BigInteger, nullable=False),
)

#: Accounts about which the core stated something that cannot be understood, or that a broken file or view left out.
#: They are listed until they are stated again. `account_id` is null where nothing was ever understood.
unstated_accounts = Table(
    "unstated_accounts",
    metadata,
    Column("number_lookup", LargeBinary, primary_key=True),
    Column("number_sealed", LargeBinary, nullable=False),
    Column("account_id", BigInteger, ForeignKey("accounts.id"), index=True),
    Column("since_ms", BigInteger, nullable=False),
    Column("fields", Text, nullable=False),  # JSON: the names of those that are to be stated again
    Column("source", String(255), nullable=False),  # where it was stated; nothing personal
    Column("problem", String(500), nullable=False),
)

#: One account at one platform. Each pair has at most one that has not ended.
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
    Column("herd", BigInteger, index=True),  # see node.publishing.herds; null: granted without one
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
Index(
    "ix_bindings_active_granted",
    bindings.c.granted_at_ms,
    sqlite_where=bindings.c.ended_at_ms.is_(None),
    postgresql_where=bindings.c.ended_at_ms.is_(None),
)

#: How much may still be asked, for each platform and each of its users: token buckets in thousandths.
velocity = Table(
    "velocity",
    metadata,
    Column("bucket", LargeBinary, primary_key=True),  # keyed hash of the platform or user
    Column("level_milli", BigInteger, nullable=False),  # below zero: in debt
    Column("at_ms", BigInteger, nullable=False, index=True),
)

#: Small amounts paid in to show who holds an account. The amounts themselves are stored nowhere.
micro_deposits = Table(
    "micro_deposits",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("account_id", BigInteger, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("platform", String(32), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("request_digest", LargeBinary, nullable=False),
    Column("differs", String(64), nullable=False),  # what is to be settled, and how each field compares
    Column("amount_hash", LargeBinary, nullable=False),  # keyed, with the deposit's id
    Column("holder_hash", LargeBinary, nullable=False),  # of what the bank had of the holder then
    Column("wrong_hashes", LargeBinary, nullable=False),  # of the wrong amounts named so far, 32 bytes each
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("paid_at_ms", BigInteger),  # when the payout took the order; null: not yet
    Column("binding_id", LargeBinary, ForeignKey("bindings.id")),  # what it led to; null: nothing yet
    Column("replaces", LargeBinary),  # the binding that ends with that
    UniqueConstraint("platform", "request_id", name="uq_micro_deposits_request"),
)

#: Platforms whose bindings all end, and which are granted no new ones.
off_boardings = Table(
    "off_boardings",
    metadata,
    Column("platform", String(32), primary_key=True),
    Column("asked_at_ms", BigInteger, nullable=False),
    Column("ended", Integer, nullable=False),  # bindings ended so far
    Column("finished_at_ms", BigInteger),
)

#: The publications that this bank has signed: one content per number, for ever.
publications = Table(
    "publications",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("chain_id", BigInteger, nullable=False),
    Column("contract", String(42), nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("watermark_ms", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("attestations", LargeBinary, nullable=False),  # their words, 96 bytes each
    Column("signer", String(42), nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("signed_at_ms", BigInteger, nullable=False),
    Column("transaction_hash", LargeBinary),
    Column("transaction_nonce", BigInteger),
    Column("submitted_at_ms", BigInteger),
    Column("block_number", BigInteger),
    Column("in_block_at_ms", BigInteger),
)

# Queried at every step of the publisher. Each heartbeat leaves a row for ever, and all but the newest few are in
# blocks.
Index(
    "ix_publications_unfinished",
    publications.c.number,
    sqlite_where=publications.c.in_block_at_ms.is_(None),
    postgresql_where=publications.c.in_block_at_ms.is_(None),
)

#: Terms on their way to the ledger, in order. Until a row is published, the watermark stays below `holds_from_ms`.
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
    Column("queued_at_ms", BigInteger),  # null: from the feed, whose entry has its own time
)

# Each publication asks for the last time of its bindings, whose histories grow for ever.
Index(
    "ix_outbox_published",
    outbox.c.binding_id,
    outbox.c.effective_at_ms,
    sqlite_where=outbox.c.publication.is_not(None),
    postgresql_where=outbox.c.publication.is_not(None),
)

#: Every transaction ever signed to submit a publication. Those with one nonce differ only in their fee.
transactions = Table(
    "transactions",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("publication", BigInteger, ForeignKey("publications.number"), nullable=False, index=True),
    Column("sender", String(42)),  # the account whose nonce it is; null: signed by a version that did not note it
    Column("nonce", BigInteger, nullable=False),
    Column("gas_price_wei", BigInteger, nullable=False),
    Column("prepared_at_ms", BigInteger, nullable=False),
)

#: The deployments of the ledger that this store has published to; the newest counts. Publications up to `base_number`
#: belong to earlier ones.
deployments = Table(
    "deployments",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("chain_id", BigInteger, nullable=False),
    Column("contract", String(42), nullable=False),
    Column("base_number", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
)

#: One row: how often leadership of this store has changed hands. A node with an older number may not sign.
leadership = Table(
    "leadership",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
)

#: Recoveries of an old store; until the core has fed again from `core_from_ms` to `core_until_ms`, nothing is signed.
recoveries = Table(
    "recoveries",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("core_from_ms", BigInteger, nullable=False),
    Column("core_until_ms", BigInteger, nullable=False),
    Column("fed_again_at_ms", BigInteger),
)

#: Bindings whose present state goes to the ledger before anything else. One that this store does not know (`known`
#: false) is ended: with `terms` for `platform` where its record could be opened, unreadable otherwise.
restatements = Table(
    "restatements",
    metadata,
    Column("binding_id", LargeBinary, primary_key=True),
    Column("floor_ms", BigInteger, nullable=False),  # not before this: the record on the ledger took effect then
    Column("known", Boolean, nullable=False),
    Column("platform", String(32)),
    Column("terms", LargeBinary),
)

#: Sessions of the console, and failed attempts to sign in.
console = session_tables(metadata)
