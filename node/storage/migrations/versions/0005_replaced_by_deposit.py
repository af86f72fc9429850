"""The binding that ends where the amount of a micro-deposit is named."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("micro_deposits", sa.Column("replaces", sa.LargeBinary))
