"""Early warning: each bank's staleness, hour by hour."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "bank_hours",
        sa.Column("bank", sa.String(11), primary_key=True),
        sa.Column("hour_ms", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("figures", sa.Text, nullable=False),
    )
    op.create_table(
        "bank_paces",
        sa.Column("bank", sa.String(11), primary_key=True),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("to_ms", sa.BigInteger, nullable=False),
        sa.Column("watermark_ms", sa.BigInteger),
        sa.Column("suspended", sa.Boolean, nullable=False),
        sa.Column("slowing_since_ms", sa.BigInteger),
    )
