"""Whose nonce a transaction has: after the sending key was replaced, those of its predecessor fill no gap."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("transactions", sa.Column("sender", sa.String(42)))
