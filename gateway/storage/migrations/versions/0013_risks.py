"""Early warning: the model of bindings at risk, its scores, what was reported, and who opted out."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "risk_model",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("learned_at_ms", sa.BigInteger),
        sa.Column("ran_at_ms", sa.BigInteger),
        sa.Column("ended_at_ms", sa.BigInteger),
        sa.Column("last_run", sa.Text),
        sa.Column("asked_at_ms", sa.BigInteger),
    )
    op.create_table(
        "risk_samples",
        sa.Column("binding", sa.LargeBinary, sa.ForeignKey("bindings.binding"), primary_key=True),
        sa.Column("scored_at_ms", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("features", sa.Text, nullable=False),
    )
    op.create_index("ix_risk_samples_scored", "risk_samples", ["scored_at_ms", "binding"])
    op.create_table(
        "binding_risks",
        sa.Column("binding", sa.LargeBinary, sa.ForeignKey("bindings.binding"), primary_key=True),
        sa.Column("per_mille", sa.Integer),
        sa.Column("factors", sa.Text, nullable=False),
        sa.Column("reported", sa.Text, nullable=False),
        sa.Column("scored_at_ms", sa.BigInteger, nullable=False),
        sa.Column("checked_up_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "risk_opt_outs",
        sa.Column("user_id", sa.String(64), primary_key=True),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
    )
