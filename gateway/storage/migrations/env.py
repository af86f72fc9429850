"""Alembic: runs the gateway's migrations on the connection that `migrate` passes in."""

from alembic import context

from standing.gateway.storage.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
