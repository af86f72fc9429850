"""Reviews that staff close, lists of decisions, and since when a binding can be used.

Decisions that were sent to review before this revision are open reviews: nobody could close them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("decisions", sa.Column("review", sa.String(6)))
    op.execute("UPDATE decisions SET review = 'open' WHERE outcome = 'review'")
    op.create_index("ix_decisions_decided", "decisions", ["decided_at_ms", "transaction_id"])
    _partial("ix_decisions_reason", ["reason", "decided_at_ms", "transaction_id"], "reason IS NOT NULL")
    _partial("ix_decisions_open_review", ["decided_at_ms", "transaction_id"], "review = 'open'")
    op.create_table(
        "reviews",
        sa.Column("transaction_id", sa.String(64), sa.ForeignKey("decisions.transaction_id"), primary_key=True),
        sa.Column("outcome", sa.String(8), nullable=False),
        sa.Column("closed_at_ms", sa.BigInteger, nullable=False),
        sa.Column("closed_by", sa.String(64), nullable=False),
        sa.Column("block_number", sa.BigInteger),
        sa.Column("publication", sa.BigInteger),
        sa.Column("staleness_ms", sa.BigInteger),
    )
    op.create_index("ix_reviews_closed_at_ms", "reviews", ["closed_at_ms"])
    op.add_column("binding_states", sa.Column("usable_since_ms", sa.BigInteger))
    # What is known of older bindings: when the oldest observation that is kept was made.
    op.execute(
        "UPDATE binding_states SET usable_since_ms = (SELECT min(observed_at_ms) FROM observations"
        " WHERE observations.binding = binding_states.binding) WHERE publication > 0"
    )


def _partial(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "decisions", columns, sqlite_where=where, postgresql_where=where)
