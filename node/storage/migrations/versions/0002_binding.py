"""Entries in parts, cursors of feed sources, velocity, micro-deposits, off-boarding."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("feed_entries", sa.Column("complete", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("feed_entries", sa.Column("parts", sa.Integer, nullable=False, server_default="1"))
    op.create_table(
        "feed_parts",
        sa.Column(
            "as_of_ms",
            sa.BigInteger,
            sa.ForeignKey("feed_entries.as_of_ms"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("received_at_ms", sa.BigInteger, nullable=False),
        sa.Column("changes", sa.Integer, nullable=False),
        sa.Column("attestations", sa.Integer, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
    )
    op.create_table(
        "feed_cursors",
        sa.Column("source", sa.String(64), primary_key=True),
        sa.Column("position", sa.Text, nullable=False),
        sa.Column("moved_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "velocity",
        sa.Column("bucket", sa.LargeBinary, primary_key=True),
        sa.Column("level_milli", sa.BigInteger, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "micro_deposits",
        sa.Column("id", sa.LargeBinary, primary_key=True),
        sa.Column("account_id", sa.BigInteger, sa.ForeignKey("accounts.id"), nullable=False, index=True),
        sa.Column("platform", sa.String(32), nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("request_digest", sa.LargeBinary, nullable=False),
        sa.Column("differs", sa.String(64), nullable=False),
        sa.Column("amount_hash", sa.LargeBinary, nullable=False),
        sa.Column("holder_hash", sa.LargeBinary, nullable=False),
        sa.Column("wrong_hashes", sa.LargeBinary, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
        sa.Column("paid_at_ms", sa.BigInteger),
        sa.Column("binding_id", sa.LargeBinary, sa.ForeignKey("bindings.id")),
        sa.UniqueConstraint("platform", "request_id", name="uq_micro_deposits_request"),
    )
    op.create_table(
        "off_boardings",
        sa.Column("platform", sa.String(32), primary_key=True),
        sa.Column("asked_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.Integer, nullable=False),
        sa.Column("finished_at_ms", sa.BigInteger),
    )
