"""Databases for tests: SQLite files, or, where STANDING_TEST_DATABASE names a PostgreSQL server, databases there.

`hardhat-free-scripts/with_postgres.py` starts such a server and sets the variable.
"""

import os
import re
import secrets
from pathlib import Path

from sqlalchemy import create_engine, make_url, text


def on_postgresql() -> bool:
    """Whether the tests' databases are PostgreSQL's."""
    return bool(os.environ.get("STANDING_TEST_DATABASE"))


def new_database(folder: Path, name: str) -> str:
    """The URL of a new, empty database; `folder` is where an SQLite file goes."""
    server = os.environ.get("STANDING_TEST_DATABASE")
    if not server:
        return f"sqlite:///{folder}/{name}.sqlite3"
    # The test's name is in it, so that a connection left open can be traced to its test.
    test = re.sub(r"[^a-z0-9]+", "_", os.environ.get("PYTEST_CURRENT_TEST", "").lower().rpartition("::")[2])[:40]
    made = f"{name}_{secrets.token_hex(4)}_{test}"[:63]
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {made}"))
    engine.dispose()
    return make_url(server).set(database=made).render_as_string(hide_password=False)
