"""The first schema of the gateway."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

#: A table that every revision of this service has and no other service: it tells whose a database is.
OWN_TABLE = "decisions"


def upgrade() -> None:
    op.create_table(
        "bindings",
        sa.Column("binding", sa.LargeBinary, primary_key=True),
        sa.Column("bank", sa.String(11), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False, index=True),
        sa.Column("number_masked", sa.String(34), nullable=False),
        sa.Column("number_type", sa.String(8), nullable=False),
        sa.Column("account", sa.LargeBinary, nullable=False),
        sa.Column("key_sealed", sa.LargeBinary, nullable=False),
        sa.Column("tags", sa.LargeBinary, nullable=False),
        sa.Column("granted_at_ms", sa.BigInteger, nullable=False),
        sa.Column("grant_signature", sa.LargeBinary, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("bank_notified_at_ms", sa.BigInteger),
        sa.Column("floor", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("transaction_id", sa.String(64), primary_key=True),
        sa.Column("binding", sa.LargeBinary, sa.ForeignKey("bindings.binding"), nullable=False, index=True),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("outcome", sa.String(8), nullable=False),
        sa.Column("reason", sa.String(32)),
        sa.Column("decided_at_ms", sa.BigInteger, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
    )
    op.create_table(
        "reservations",
        sa.Column("transaction_id", sa.String(64), sa.ForeignKey("decisions.transaction_id"), primary_key=True),
        sa.Column("account", sa.LargeBinary, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("settled_at_ms", sa.BigInteger),
    )
    op.create_table(
        "usage",
        sa.Column("account", sa.LargeBinary, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("currency", sa.String(3), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("used_minor", sa.BigInteger, nullable=False),
    )
