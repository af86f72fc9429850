"""Settlement in parts, expiry, refunds, holds, bindings in progress, audit, the vault's own keys."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

#: Earlier reservations had no expiry; open ones of payments get as long as a day's limit could matter. Those of
#: withdrawals keep none: the money may have been paid out.
_LIFETIME_OF_OLD_MS = 24 * 3600 * 1000


def upgrade() -> None:
    op.add_column("bindings", sa.Column("unvouched", sa.String(64)))
    op.add_column("bindings", sa.Column("replaces", sa.LargeBinary))
    op.drop_index("ix_decisions_binding", "decisions")
    op.create_index("ix_decisions_binding_decided", "decisions", ["binding", "decided_at_ms"])
    _reservations()
    op.create_table(
        "holds",
        sa.Column("hold_id", sa.String(32), primary_key=True),
        sa.Column("binding", sa.LargeBinary, sa.ForeignKey("bindings.binding"), index=True),
        sa.Column("user_id", sa.String(64), nullable=False, index=True),
        sa.Column("rule", sa.String(32), nullable=False),
        sa.Column("why", sa.String(200), nullable=False),
        sa.Column("why_zh", sa.String(200), nullable=False),
        sa.Column("whole", sa.Boolean, nullable=False),
        sa.Column("began_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ends_at_ms", sa.BigInteger, nullable=False),
        sa.Column("lifted_at_ms", sa.BigInteger),
        sa.Column("lifted_by", sa.String(64)),
    )
    op.create_table(
        "binding_refusals",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_binding_refusals_user", "binding_refusals", ["user_id", "at_ms"])
    op.create_table(
        "pending_bindings",
        sa.Column("bank", sa.String(11), primary_key=True),
        sa.Column("request_id", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(64), nullable=False, index=True),
        sa.Column("deposit", sa.LargeBinary, nullable=False),
        sa.Column("number_masked", sa.String(34), nullable=False),
        sa.Column("number_type", sa.String(8), nullable=False),
        sa.Column("account", sa.LargeBinary, nullable=False),
        sa.Column("identity_sealed", sa.LargeBinary),
        sa.Column("replaces", sa.LargeBinary),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("binding", sa.LargeBinary),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "audit",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at_ms", sa.BigInteger, nullable=False, index=True),
        sa.Column("caller", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(140), nullable=False, index=True),
        sa.Column("reason_sealed", sa.LargeBinary, nullable=False),
        sa.Column("outcome", sa.String(64)),
        sa.Column("finished_at_ms", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "vault_keys",
        sa.Column("purpose", sa.String(32), primary_key=True),
        sa.Column("key_sealed", sa.LargeBinary, nullable=False),
    )


def _reservations() -> None:
    op.add_column("reservations", sa.Column("expires_at_ms", sa.BigInteger))
    op.add_column("reservations", sa.Column("captured_minor", sa.BigInteger))
    op.add_column("reservations", sa.Column("refunded_minor", sa.BigInteger, nullable=False, server_default="0"))
    decided_at_ms = "(SELECT decided_at_ms FROM decisions WHERE decisions.transaction_id = reservations.transaction_id)"
    op.execute(
        f"UPDATE reservations SET expires_at_ms = {decided_at_ms} + {_LIFETIME_OF_OLD_MS} "  # noqa: S608
        "WHERE kind = 'payment'"
    )
    op.execute("UPDATE reservations SET captured_minor = amount_minor WHERE state = 'captured'")
    op.create_index("ix_reservations_due", "reservations", ["account", "state", "expires_at_ms"])
    op.create_table(
        "refunds",
        sa.Column("transaction_id", sa.String(64), sa.ForeignKey("reservations.transaction_id"), primary_key=True),
        sa.Column("refund_id", sa.String(64), primary_key=True),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("refunded_at_ms", sa.BigInteger, nullable=False),
    )
