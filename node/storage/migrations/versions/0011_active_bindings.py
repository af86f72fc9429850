"""Active bindings in the order of their grants: each change of the leader looks the oldest and the newest one up."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    active = sa.text("ended_at_ms IS NULL")
    op.create_index(
        "ix_bindings_active_granted", "bindings", ["granted_at_ms"], sqlite_where=active, postgresql_where=active
    )
