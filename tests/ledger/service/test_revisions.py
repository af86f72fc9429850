"""A schema of a newer version is left alone and reported."""

from pathlib import Path

import pytest
from sqlalchemy import text

from standing.ledger.errors import InvalidValue
from standing.ledger.service import diagnosis
from standing.ledger.service.database import Database, is_of_this_version, migrate, revisions

_PACKAGE = "standing.node.storage"


def _findings(url: str) -> list[tuple[str, str]]:
    return [(finding.state.name, finding.text) for finding in diagnosis.database(url, _PACKAGE)]


def test_a_schema_is_reported_as_missing_current_older_or_newer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/node.sqlite3"
    ((state, sentence),) = _findings(url)
    assert (state, "first start creates it" in sentence, list(tmp_path.iterdir())) == ("WELL", True, [])
    database = Database(url)
    migrate(database, _PACKAGE)
    present, newest, known, _ = revisions(database, _PACKAGE)
    assert (present, known) == (newest, True)
    assert "up to date" in _findings(url)[0][1]
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert (_findings(url)[0][0], "back it up first" in _findings(url)[0][1]) == ("LOOK", True)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert (_findings(url)[0][0], "newer version" in _findings(url)[0][1]) == ("WRONG", True)
    with pytest.raises(InvalidValue, match="revision 9999 by a newer version"):
        migrate(database, _PACKAGE)
    database.close()


@pytest.mark.parametrize(("owner", "other"), [("node", "gateway"), ("gateway", "node")])
def test_the_database_of_the_other_service_is_refused_and_left_as_it_is(tmp_path: Path, owner: str, other: str) -> None:
    """Revisions of both have the same names: a gateway upgraded a node's store, which then did not start any more."""
    url = f"sqlite:///{tmp_path}/{owner}.sqlite3"
    database = Database(url)
    migrate(database, f"standing.{owner}.storage")
    before = revisions(database, f"standing.{owner}.storage")
    with pytest.raises(InvalidValue, match="database_url: the database is another service's"):
        migrate(database, f"standing.{other}.storage")
    assert not is_of_this_version(database, f"standing.{other}.storage")
    assert revisions(database, f"standing.{owner}.storage") == before
    migrate(database, f"standing.{owner}.storage")
    database.close()
    (finding,) = diagnosis.database(url, f"standing.{other}.storage")
    assert (finding.state.name, "is another service's" in finding.text) == ("WRONG", True)


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    ((state, sentence),) = _findings(f"sqlite:///{tmp_path}/none/node.sqlite3")
    assert (state, "is not a folder" in sentence) == ("WRONG", True)


def test_an_unreachable_server_is_reported_without_its_password() -> None:
    pytest.importorskip("psycopg", reason="the extra standing[postgresql] is not installed")
    ((state, sentence),) = _findings("postgresql+psycopg://standing:secret@127.0.0.1:9/standing")
    assert (state, "cannot be used" in sentence, "secret" in sentence) == ("WRONG", True, False)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("?sslmode=requird", 'invalid sslmode value: "requird"'),
        ("?sslmodee=require", 'invalid connection option "sslmodee"'),
        ("?password=hidden", "Connection refused"),
        ("?sslmode=hidden&password=hidden", "(OperationalError)"),  # the driver repeats what is the password
    ],
)
def test_the_driver_says_why_a_server_cannot_be_used_unless_that_shows_the_password(query: str, reason: str) -> None:
    """Whether it is a mistyped option, a missing database or a refused password, doctor had said "OperationalError"."""
    pytest.importorskip("psycopg", reason="the extra standing[postgresql] is not installed")
    ((state, sentence),) = _findings(f"postgresql+psycopg://standing@127.0.0.1:9/standing{query}")
    assert (state, reason in sentence, "password" in sentence) == ("WRONG", True, False), sentence
    assert "hidden" not in sentence.replace("sslmode=hidden", "")
