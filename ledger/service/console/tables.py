"""The tables of a console's sessions, the same in the database of either service."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, String, Table


@dataclass(frozen=True, slots=True)
class SessionTables:
    """The tables of sessions and failed attempts."""

    sessions: Table
    failures: Table


def session_tables(metadata: MetaData) -> SessionTables:
    """Add the tables to a schema.

    Sessions: `token_sha256` is the hash of the cookie's token, `key_sha256` the API key that opened the session,
    `issuer` the identity provider that vouched for the person; one of the two is null. Failures: `address` is a
    keyed hash; rows older than the lock-out are deleted.
    """
    sessions = Table(
        "console_sessions",
        metadata,
        Column("token_sha256", String(64), primary_key=True),
        Column("caller", String(64), nullable=False),
        Column("role", String(16), nullable=False),
        Column("key_sha256", String(64)),
        Column("issuer", String(500)),
        Column("started_at_ms", BigInteger, nullable=False),
        Column("seen_at_ms", BigInteger, nullable=False),
        Column("ends_at_ms", BigInteger, nullable=False),
    )
    failures = Table(
        "console_failures",
        metadata,
        Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
        Column("address", String(64), nullable=False),
        Column("at_ms", BigInteger, nullable=False, index=True),
    )
    Index("ix_console_failures_address", failures.c.address, failures.c.at_ms)
    return SessionTables(sessions, failures)
