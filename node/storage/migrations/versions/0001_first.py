"""The first schema of the node."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

#: A table that every revision of this service has and no other service: it tells whose a database is.
OWN_TABLE = "publications"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "feed_entries",
        sa.Column("as_of_ms", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("received_at_ms", sa.BigInteger, nullable=False),
        sa.Column("changes", sa.Integer, nullable=False),
        sa.Column("attestations", sa.Integer, nullable=False),
    )
    op.create_table(
        "accounts",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("number_lookup", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("number_sealed", sa.LargeBinary, nullable=False),
        sa.Column("number_type", sa.String(8), nullable=False),
        sa.Column("holder_sealed", sa.LargeBinary, nullable=False),
        sa.Column("holder_lookup", sa.LargeBinary, index=True),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("debit_allowed", sa.Boolean, nullable=False),
        sa.Column("credit_allowed", sa.Boolean, nullable=False),
        sa.Column("currency", sa.Integer, nullable=False),
        sa.Column("transaction_limit_minor", sa.BigInteger, nullable=False),
        sa.Column("daily_limit_minor", sa.BigInteger, nullable=False),
        sa.Column("monthly_limit_minor", sa.BigInteger, nullable=False),
        sa.Column("yearly_limit_minor", sa.BigInteger, nullable=False),
        sa.Column("daily_credit_limit_minor", sa.BigInteger, nullable=False),
        sa.Column("yearly_credit_limit_minor", sa.BigInteger, nullable=False),
        sa.Column("account_class", sa.Integer, nullable=False),
        sa.Column("effective_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "bindings",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("account_id", sa.BigInteger, sa.ForeignKey("accounts.id"), nullable=False),
        sa.Column("platform", sa.String(32), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("request_digest", sa.LargeBinary, nullable=False),
        sa.Column("granted_at_ms", sa.BigInteger, nullable=False),
        sa.Column("grant_signature", sa.LargeBinary, nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("herd", sa.BigInteger, index=True),
        sa.UniqueConstraint("platform", "request_id", name="uq_bindings_request"),
    )
    op.create_index(
        "uq_bindings_active",
        "bindings",
        ["account_id", "platform"],
        unique=True,
        sqlite_where=sa.text("ended_at_ms IS NULL"),
        postgresql_where=sa.text("ended_at_ms IS NULL"),
    )
    op.create_table(
        "publications",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column("contract", sa.String(42), nullable=False),
        sa.Column("previous", sa.LargeBinary, nullable=False),
        sa.Column("watermark_ms", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("attestations", sa.LargeBinary, nullable=False),
        sa.Column("signer", sa.String(42), nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.Column("signed_at_ms", sa.BigInteger, nullable=False),
        sa.Column("transaction_hash", sa.LargeBinary),
        sa.Column("transaction_nonce", sa.BigInteger),
        sa.Column("submitted_at_ms", sa.BigInteger),
        sa.Column("block_number", sa.BigInteger),
        sa.Column("in_block_at_ms", sa.BigInteger),
    )
    op.create_table(
        "outbox",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("binding_id", sa.LargeBinary, sa.ForeignKey("bindings.id"), nullable=False, index=True),
        sa.Column("effective_at_ms", sa.BigInteger, nullable=False),
        sa.Column("terms", sa.LargeBinary, nullable=False),
        sa.Column("holds_from_ms", sa.BigInteger, nullable=False),
        sa.Column("entry_as_of_ms", sa.BigInteger, sa.ForeignKey("feed_entries.as_of_ms"), index=True),
        sa.Column("publication", sa.BigInteger, sa.ForeignKey("publications.number"), index=True),
    )
    published = sa.text("publication IS NOT NULL")
    op.create_index(
        "ix_outbox_published",
        "outbox",
        ["binding_id", "effective_at_ms"],
        sqlite_where=published,
        postgresql_where=published,
    )
