"""A service's database moves from a file to another database: complete or not at all, and never under a process."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import insert, select
from typer.testing import CliRunner

from standing.gateway.cli import app
from standing.gateway.operations.move_command import _LOCKS
from standing.gateway.settings import EXAMPLE
from standing.gateway.storage import schema
from standing.ledger.errors import Conflict, InvalidValue, NotFound
from standing.ledger.service import diagnosis
from standing.ledger.service.database import Database, _migrations, migrate, revisions
from standing.ledger.service.moving import move
from standing.ledger.service.settings import SettingsError
from standing.node.storage import schema as node_schema
from standing.node.storage.database import DatabaseUnavailable, NodeDatabase, prepare
from standing.node.storage.leadership import Leadership
from tests.databases import new_database
from tests.gateway.gateway_rig import rig
from tests.node.stepped_node import CARD, SteppedNode
from tests.world import World, wait_until

_PACKAGE = "standing.gateway.storage"
_ENTRY = {"at_ms": 1, "caller": "c", "role": "support", "action": "a", "subject": "s", "reason_sealed": b"why"}


def _gateway_move(source: str, target: str, progress: Callable[[int], None] = lambda _rows: None) -> tuple[int, Path]:
    return move(source, target, package=_PACKAGE, metadata=schema.metadata, locks=_LOCKS, progress=progress)


def _rows(url: str, metadata: Any) -> dict[str, list[Any]]:
    database = Database(url)
    with database.read() as connection:
        found = {table.name: sorted(map(repr, connection.execute(select(table)))) for table in metadata.sorted_tables}
    database.close()
    return found


def _source(folder: Path) -> str:
    url = f"sqlite:///{folder}/gateway.sqlite3"
    database = Database(url)
    migrate(database, _PACKAGE)
    with database.write() as connection:
        connection.execute(insert(schema.audit), [_ENTRY] * 1_203)
    database.close()
    return url


def _refusal(file: Path, statement: str) -> str:
    """Why a database refuses a write at once."""
    with closing(sqlite3.connect(file, timeout=0)) as other, pytest.raises(sqlite3.OperationalError) as caught:
        other.execute(statement)
    return str(caught.value)


def test_a_gateways_whole_database_moves_with_its_usage_and_holds_and_not_while_it_runs(tmp_path: Path) -> None:
    source, target = f"sqlite:///{tmp_path}/gateway.sqlite3", new_database(tmp_path, "target")
    with rig(tmp_path, database_url=source) as made:
        person = made.bound(daily_limit_minor=1_500)
        assert person.decide(amount_minor=1_000)["outcome"] == "approve"
        assert person.decide(amount_minor=1_000)["reason"] == "over_daily_limit"
        with made.app.state.gateway.storage.write() as connection:
            hold = {"binding": bytes.fromhex(person.binding[2:]), "user_id": person.user_id, "rule": "r", "why": "w"}
            times = {"began_at_ms": 1, "ends_at_ms": 2}
            connection.execute(insert(schema.holds).values(hold_id="h", why_zh="w", whole=True, **hold, **times))
            connection.execute(insert(schema.audit).values(_ENTRY))
        wait_until(lambda: _rows(source, schema.metadata)["events"])  # so the gateway leads, too
        with pytest.raises(Conflict, match="a process is running"):
            _gateway_move(source, target)
    before = _rows(source, schema.metadata)
    assert all(before[name] for name in ("bindings", "decisions", "reservations", "usage", "holds", "audit", "events"))
    rows, left = _gateway_move(source, target)
    assert (rows, _rows(target, schema.metadata)) == (sum(map(len, before.values())), before)
    assert _rows(f"sqlite:///{left}", schema.metadata) == before
    assert not (tmp_path / "gateway.sqlite3").exists(), "a gateway with the old settings would find it"
    database = Database(target)
    with database.write() as connection:
        entry = connection.execute(insert(schema.audit).values(_ENTRY).returning(schema.audit.c.position)).scalar_one()
    database.close()
    assert entry > len(before["audit"]), "the numbers go on where they were"


def test_a_nodes_store_moves_and_the_node_goes_on_publishing(a_world: World, tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path}/node.sqlite3"
    site = SteppedNode(a_world, tmp_path)
    site.stop()
    site.start(source)
    grant = site.bind_and_publish()
    site.feed({"number": CARD, "status": "frozen"})  # on its way to the ledger
    target = new_database(tmp_path, "target")
    given: dict[str, Any] = {"package": "standing.node.storage", "metadata": node_schema.metadata, "locks": ["leader"]}
    with pytest.raises(Conflict, match="a process is running"):
        move(source, target, **given)
    site.stop()
    move(source, target, **given)
    site.start(target)
    site.publish()
    assert site.status(grant) == "frozen"
    site.stop()


def test_a_move_that_fails_or_is_killed_leaves_the_file_and_moves_nothing(tmp_path: Path) -> None:
    source, target = _source(tmp_path), new_database(tmp_path, "target")
    before = _rows(source, schema.metadata)

    def stop(rows: int) -> None:
        # What a process that has just started wrote now would be lost.
        assert "database is locked" in _refusal(tmp_path / "gateway.sqlite3", "DELETE FROM audit")
        if rows > 500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _gateway_move(source, target, stop)
    assert (_rows(source, schema.metadata), _rows(target, schema.metadata)["audit"]) == (before, [])
    rows, left = _gateway_move(source, target)
    assert rows == 1_203
    for write in ("INSERT INTO audit DEFAULT VALUES", "UPDATE audit SET at_ms = 2", "DELETE FROM audit"):
        assert "this_database_was_moved" in _refusal(left, write)
    with pytest.raises(NotFound, match="not there"):
        _gateway_move(f"sqlite:///{tmp_path}/mistyped.sqlite3", target)
    (tmp_path / "again").mkdir()
    with pytest.raises(Conflict, match=r"not empty \(audit\)"):
        _gateway_move(_source(tmp_path / "again"), target)
    assert (tmp_path / "again" / "gateway.sqlite3").exists()
    (older := tmp_path / "again" / "gateway.sqlite3.moved").write_text("of an earlier move")
    with pytest.raises(Conflict, match="exists already"):
        _gateway_move(f"sqlite:///{tmp_path}/again/gateway.sqlite3", new_database(tmp_path, "another"))
    assert older.read_text() == "of an earlier move"
    with pytest.raises(InvalidValue, match="not an SQLite file"):
        _gateway_move("postgresql+psycopg://standing@127.0.0.1:9/standing", target)
    with pytest.raises(SettingsError, match="database_url: not a database URL") as caught:
        _gateway_move(source, "mysql://standing:hidden@127.0.0.1/standing")
    assert "hidden" not in str(caught.value)


def test_a_gateway_that_started_during_the_move_decides_nothing_on_the_old_file(tmp_path: Path) -> None:
    """It holds no lock yet, as one that a service manager starts again: with it, each limit would hold twice."""
    source, target = f"sqlite:///{tmp_path}/gateway.sqlite3", new_database(tmp_path, "target")
    with rig(tmp_path, database_url=source) as made:
        person = made.bound()
        assert person.decide()["outcome"] == "approve"
        rows, left = move(source, target, package=_PACKAGE, metadata=schema.metadata, locks=())
        answer = made.platform("POST", "/v1/decisions", json=person.transaction())
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:standing:problem:storage-unavailable")
        assert made.nobody("GET", "/readyz").status_code == 503
    assert rows == sum(map(len, _rows(target, schema.metadata).values())), "it wrote nothing to the new one either"
    database = Database(f"sqlite:///{left}")
    with pytest.raises(InvalidValue, match="was moved to another database; allowed: the new one"):
        migrate(database, _PACKAGE)
    database.close()
    (found,) = diagnosis.database(f"sqlite:///{left}", _PACKAGE)
    assert (found.state, "set database_url to that one" in found.text) == (diagnosis.State.WRONG, True)


def test_a_node_that_waited_for_the_lead_during_the_move_signs_nothing_on_the_old_file(
    a_world: World, tmp_path: Path
) -> None:
    source, target = f"sqlite:///{tmp_path}/node.sqlite3", new_database(tmp_path, "target")
    database = NodeDatabase(source)
    prepare(database)
    standby = Leadership(database, a_world.clock)
    move(source, target, package="standing.node.storage", metadata=node_schema.metadata, locks=["leader"])
    with pytest.raises(DatabaseUnavailable):
        standby.take()
    database.close()


def test_a_move_that_was_killed_before_the_file_got_its_name_is_told_when_it_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = _source(tmp_path), new_database(tmp_path, "target")

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            _gateway_move(source, target)
    with pytest.raises(Conflict, match="moved before; now: set database_url to the new database"):
        _gateway_move(source, target)
    assert len(_rows(target, schema.metadata)["audit"]) == 1_203


def test_a_database_that_an_older_version_uses_is_not_upgraded_by_a_move_that_names_it(tmp_path: Path) -> None:
    source, target = _source(tmp_path), Database(new_database(tmp_path, "target"))
    with _migrations(_PACKAGE) as config, target.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0014")
    with pytest.raises(Conflict, match="schema of another version"):
        _gateway_move(source, target.engine.url.render_as_string(hide_password=False))
    assert revisions(target, _PACKAGE).present == "0014"
    target.close()


def test_the_command_says_what_to_do_next(tmp_path: Path) -> None:
    source, target = _source(tmp_path), f"sqlite:///{tmp_path}/target.sqlite3"
    file = tmp_path / "gateway.toml"
    file.write_text(EXAMPLE.replace("sqlite:////var/lib/standing/gateway.sqlite3", source))
    result = CliRunner().invoke(app, ["move-database", target, "--config", str(file)])
    assert result.exit_code == 0
    assert f"1203 rows moved; the file is now {tmp_path}/gateway.sqlite3.moved; now: set database_url" in result.stdout
