"""The follower's memory, the log of events, and their deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _follower()
    op.create_table(
        "events",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("bank", sa.String(11), nullable=False),
        sa.Column("binding", sa.LargeBinary),
        sa.Column("publication", sa.BigInteger),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("happened_at_ms", sa.BigInteger, nullable=False),
        sa.Column("observed_at_ms", sa.BigInteger, nullable=False, index=True),
        sa.Column("data", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_binding", "events", ["binding", "publication"])
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.String(24), primary_key=True),
        sa.Column("url_sealed", sa.LargeBinary, nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary, nullable=False),
        sa.Column("old_secret_sealed", sa.LargeBinary),
        sa.Column("old_secret_until_ms", sa.BigInteger),
        sa.Column("types", sa.Text),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("disabled_at_ms", sa.BigInteger),
        sa.Column("disabled_reason", sa.String(64)),
        sa.Column("queued_to", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column(
            "endpoint", sa.String(24), sa.ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("position", sa.BigInteger, sa.ForeignKey("events.position", ondelete="CASCADE"), primary_key=True),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("queued_at_ms", sa.BigInteger, nullable=False),
        sa.Column("next_attempt_at_ms", sa.BigInteger, nullable=False),
        sa.Column("last_attempt_at_ms", sa.BigInteger),
        sa.Column("delivered_at_ms", sa.BigInteger),
        sa.Column("last_result", sa.String(64)),
    )
    op.create_index(
        "ix_webhook_deliveries_due", "webhook_deliveries", ["endpoint", "state", "next_attempt_at_ms", "position"]
    )
    op.create_index("ix_webhook_deliveries_position", "webhook_deliveries", ["position"])


def _follower() -> None:
    op.create_table(
        "follower",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("block_hash", sa.LargeBinary, nullable=False),
        sa.Column("adopted_to_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "followed_blocks",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "binding_states",
        sa.Column("binding", sa.LargeBinary, sa.ForeignKey("bindings.binding"), primary_key=True),
        sa.Column("publication", sa.BigInteger, nullable=False),
        sa.Column("tag_and_head", sa.LargeBinary, nullable=False),
        sa.Column("tail", sa.LargeBinary, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("recheck", sa.Boolean, nullable=False, index=True),
    )
    op.create_table(
        "bank_states",
        sa.Column("bank", sa.String(11), primary_key=True),
        sa.Column("watermark_ms", sa.BigInteger, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("silent", sa.Boolean, nullable=False),
        sa.Column("suspended", sa.Boolean, nullable=False),
    )
    op.create_table(
        "observations",
        sa.Column("binding", sa.LargeBinary, sa.ForeignKey("bindings.binding"), primary_key=True),
        sa.Column("publication", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("effective_at_ms", sa.BigInteger, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("block_time_ms", sa.BigInteger, nullable=False),
        sa.Column("observed_at_ms", sa.BigInteger, nullable=False, index=True),
        sa.Column("restated", sa.Boolean, nullable=False),
    )
