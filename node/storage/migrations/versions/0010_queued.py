"""When terms that come from a request, not from the feed, were queued."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("queued_at_ms", sa.BigInteger))
