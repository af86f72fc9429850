"""The follower: which ledger its position is on."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("follower", sa.Column("ledger", sa.String(128)))
