"""The publications that are not in a block yet, found without a look at all those that are."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_UNFINISHED = sa.text("in_block_at_ms IS NULL")


def upgrade() -> None:
    op.create_index(
        "ix_publications_unfinished",
        "publications",
        ["number"],
        sqlite_where=_UNFINISHED,
        postgresql_where=_UNFINISHED,
    )
