"""Alembic's entry: runs the node's migrations on the connection that `ledger.service.database.migrate` hands over."""

from alembic import context

from node.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
