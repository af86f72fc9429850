"""Attempts to send, deployments of the ledger, leadership, recoveries and what is to be stated again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "transactions",
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        sa.Column("publication", sa.BigInteger, sa.ForeignKey("publications.number"), nullable=False, index=True),
        sa.Column("nonce", sa.BigInteger, nullable=False),
        sa.Column("gas_price_wei", sa.BigInteger, nullable=False),
        sa.Column("prepared_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "deployments",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column("contract", sa.String(42), nullable=False),
        sa.Column("base_number", sa.BigInteger, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "leadership",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "recoveries",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("core_from_ms", sa.BigInteger, nullable=False),
        sa.Column("core_until_ms", sa.BigInteger, nullable=False),
        sa.Column("fed_again_at_ms", sa.BigInteger),
    )
    op.create_table(
        "restatements",
        sa.Column("binding_id", sa.LargeBinary, primary_key=True),
        sa.Column("floor_ms", sa.BigInteger, nullable=False),
        sa.Column("known", sa.Boolean, nullable=False),
        sa.Column("platform", sa.String(32)),
        sa.Column("terms", sa.LargeBinary),
    )
    # What was sent before this revision had one attempt; its price was not kept, and 0 is bumped like any other.
    op.execute(
        "INSERT INTO transactions (hash, publication, nonce, gas_price_wei, prepared_at_ms) "
        "SELECT transaction_hash, number, transaction_nonce, 0, submitted_at_ms FROM publications "
        "WHERE transaction_hash IS NOT NULL"
    )
    # Before this revision a store could publish to one deployment only: that of its newest publication.
    op.execute(
        "INSERT INTO deployments (chain_id, contract, base_number, since_ms) "
        "SELECT chain_id, contract, 0, signed_at_ms FROM publications ORDER BY number DESC LIMIT 1"
    )
