"""Support's search: attempts to bind that failed, and ids of users without their capitals and without their end."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "binding_failures",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("bank", sa.String(11), nullable=False),
        sa.Column("number_masked", sa.String(34), nullable=False),
        sa.Column("why", sa.String(120), nullable=False),
    )
    op.create_index("ix_binding_failures_at_ms", "binding_failures", ["at_ms"])
    op.create_index("ix_binding_failures_user", "binding_failures", ["user_id", "at_ms"])
    # A prefix of text in the order of a language is no range of an index, so PostgreSQL compares by bytes here.
    by_bytes = " text_pattern_ops" if op.get_bind().dialect.name == "postgresql" else ""
    for table in ("binding_failures", "bindings"):
        op.create_index(f"ix_{table}_folded_user", table, [sa.text(f"lower(user_id){by_bytes}")])
