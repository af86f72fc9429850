"""Bindings by when they were made: the follower looks for new ones at every turn, and must not read all of them."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index("ix_bindings_created_at_ms", "bindings", ["created_at_ms"])
