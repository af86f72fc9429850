"""The event log: up to which position events may be missing."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("follower", sa.Column("pruned_to", sa.BigInteger))
