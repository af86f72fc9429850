"""Bindings by their account: a risk rule looks at all bindings of one, whichever of them is decided on."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_index("ix_bindings_account", "bindings", ["account"])
