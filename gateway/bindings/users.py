"""The users known to this gateway: those who have bound an account or tried to."""

from sqlalchemy import Connection, exists, or_, select

from standing.gateway.storage import schema
from standing.ledger.errors import NotFound

_TABLES = (schema.bindings, schema.pending_bindings, schema.binding_refusals, schema.binding_failures, schema.holds)


def check_known(connection: Connection, user_id: str) -> None:
    """Check that a user has bound an account or tried to; a misspelt id must not look like a user without accounts.

    Raises: NotFound.
    """
    known = or_(*(exists().where(table.c.user_id == user_id) for table in _TABLES))
    if not connection.scalar(select(known)):
        raise NotFound("user_id: no user with this id here; allowed: one who has bound an account or tried to")
