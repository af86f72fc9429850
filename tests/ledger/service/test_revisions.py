"""A schema of a newer version is left alone and reported."""

from pathlib import Path

import pytest
from sqlalchemy import text

from standing.ledger.errors import InvalidValue
from standing.ledger.service import diagnosis
from standing.ledger.service.database import Database, migrate, revisions

_PACKAGE = "standing.node.storage"


def _findings(url: str) -> list[tuple[str, str]]:
    return [(finding.state.name, finding.text) for finding in diagnosis.database(url, _PACKAGE)]


def test_a_schema_is_reported_as_missing_current_older_or_newer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/node.sqlite3"
    ((state, sentence),) = _findings(url)
    assert (state, "first start creates it" in sentence, list(tmp_path.iterdir())) == ("WELL", True, [])
    database = Database(url)
    migrate(database, _PACKAGE)
    present, newest, known = revisions(database, _PACKAGE)
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


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    ((state, sentence),) = _findings(f"sqlite:///{tmp_path}/none/node.sqlite3")
    assert (state, "is not a folder" in sentence) == ("WRONG", True)


def test_an_unreachable_server_is_reported_without_its_password() -> None:
    pytest.importorskip("psycopg", reason="the extra standing[postgresql] is not installed")
    ((state, sentence),) = _findings("postgresql+psycopg://standing:secret@127.0.0.1:9/standing")
    assert (state, "cannot be used" in sentence, "secret" in sentence) == ("WRONG", True, False)
