"""Accounts whose bank cannot say at the moment how they are."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "unstated_accounts",
        sa.Column("number_lookup", sa.LargeBinary, primary_key=True),
        sa.Column("number_sealed", sa.LargeBinary, nullable=False),
        sa.Column("account_id", sa.BigInteger, sa.ForeignKey("accounts.id")),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("problem", sa.String(500), nullable=False),
    )
    op.create_index("ix_unstated_accounts_account_id", "unstated_accounts", ["account_id"])
