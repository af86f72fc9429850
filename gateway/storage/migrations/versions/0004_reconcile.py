"""Runs of the reconciliation, and the bindings that it found dead."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "reconcile_runs",
        sa.Column("run", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("started_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("checked", sa.BigInteger, nullable=False),
        sa.Column("dead", sa.BigInteger, nullable=False),
        sa.Column("drift", sa.BigInteger, nullable=False),
        sa.Column("report", sa.Text, nullable=False),
    )
    op.create_table(
        "dead_bindings",
        sa.Column("binding", sa.LargeBinary, sa.ForeignKey("bindings.binding"), primary_key=True),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
    )
