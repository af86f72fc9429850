"""Sign-in to the console by an identity provider: which sign-ins were answered."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "console_states",
        sa.Column("state_sha256", sa.String(64), primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_console_states_at_ms", "console_states", ["at_ms"])
