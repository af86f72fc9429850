"""Each bank's staleness, minute by minute, for the console's charts."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "bank_ages",
        sa.Column("minute_ms", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("bank", sa.String(11), primary_key=True),
        sa.Column("worst_age_ms", sa.BigInteger, nullable=False),
    )
