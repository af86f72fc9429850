"""The node's database: migrations keep existing rows and produce the schema of the code; no personal data in clear."""

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import QueuePool, create_engine, event, insert, make_url, select, text

from localnet import LocalNet
from standing.ledger.clock import SystemClock
from standing.ledger.service import diagnosis
from standing.ledger.service.database import Database, migrate
from standing.ledger.service.leader import lock_of
from standing.ledger.service.settings import SettingsError
from standing.node.accounts.bank_secrets import BankSecrets
from standing.node.accounts.store import check_bank_secrets
from standing.node.feed import cursors
from standing.node.feed.cursors import Cursor
from standing.node.publishing import publications
from standing.node.storage import schema
from standing.node.storage.database import DatabaseUnavailable, NodeDatabase, opened, opened_to_look, opened_unchanged
from standing.node.storage.leadership import Leadership, Standby
from tests.databases import new_database, on_postgresql
from tests.world import ACCOUNT, CLAIM_FIELDS, PLATFORM, wait_until

_FOLDER = Path(schema.__file__).parent / "migrations"


def _upgrade(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_the_newest_revision_makes_exactly_the_schema_of_the_code(tmp_path: Path) -> None:
    database = Database(new_database(tmp_path, "node"))
    migrate(database, "standing.node.storage")
    with database.write() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
    database.close()


def test_an_upgrade_from_the_first_schema_keeps_every_row(tmp_path: Path) -> None:
    database = Database(new_database(tmp_path, "node"))
    _upgrade(database, "0001")
    rows: dict[str, dict[str, Any]] = {
        "feed_entries": {"as_of_ms": 7, "digest": b"d", "received_at_ms": 8, "changes": 1, "attestations": 1},
        "accounts": {
            "id": 1,
            "number_lookup": b"l",
            "number_sealed": b"n",
            "number_type": "card",
            "holder_sealed": b"h",
            "status": 1,
            "debit_allowed": True,
            "credit_allowed": False,
            "currency": 156,
            "transaction_limit_minor": -1,
            "daily_limit_minor": 5,
            "monthly_limit_minor": 7,
            "yearly_limit_minor": 8,
            "daily_credit_limit_minor": 9,
            "yearly_credit_limit_minor": -1,
            "account_class": 2,
            "effective_at_ms": 6,
        },
        "bindings": {
            "id": b"b" * 32,
            "account_id": 1,
            "platform": PLATFORM,
            "request_id": "request-1",
            "request_digest": b"r",
            "granted_at_ms": 6,
            "grant_signature": b"s",
            "ended_at_ms": None,
        },
        "publications": {
            "number": 1,
            "chain_id": 5,
            "contract": "0x" + "11" * 20,
            "previous": b"p",
            "watermark_ms": 7,
            "digest": b"d",
            "attestations": b"a",
            "signer": "0x" + "22" * 20,
            "signature": b"s",
            "signed_at_ms": 9,
            "transaction_hash": b"t",
            "transaction_nonce": 3,
            "submitted_at_ms": 9,
            "block_number": 2,
            "in_block_at_ms": 10,
        },
        "outbox": {
            "id": 1,
            "binding_id": b"b" * 32,
            "effective_at_ms": 6,
            "terms": b"t",
            "holds_from_ms": 1,
            "entry_as_of_ms": 7,
            "publication": 1,
        },
    }
    with database.write() as connection:
        for table, row in rows.items():
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
    migrate(database, "standing.node.storage")
    with database.read() as connection:
        for table, row in rows.items():
            kept = connection.execute(text(f"SELECT {', '.join(row)} FROM {table}")).one()._mapping
            assert {name: bytes(v) if isinstance(v, memoryview) else v for name, v in kept.items()} == row
        sent = connection.execute(text("SELECT publication, nonce FROM transactions")).one()
        assert tuple(sent) == (1, 3)
        deployment = connection.execute(text("SELECT chain_id, contract, base_number FROM deployments")).one()
        assert tuple(deployment) == (5, "0x" + "11" * 20, 0)
    database.close()


def test_unmined_publications_are_found_without_scanning_mined_ones(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/node.sqlite3")
    migrate(database, "standing.node.storage")
    asked: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    with database.read() as connection:
        publications.unfinished(connection)
        plan = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + asked[-1], (0,)).all()
    assert "ix_publications_unfinished" in str(plan)
    database.close()


def test_a_new_leader_looks_its_oldest_and_newest_binding_up_without_scanning_all(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/node.sqlite3")
    migrate(database, "standing.node.storage")
    asked: list[Any] = []
    event.listen(database.engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2:4]))
    with database.read() as connection:
        check_bank_secrets(connection, BankSecrets([secrets.token_bytes(32)]))
        queries = [each for each in asked if "FROM bindings" in each[0]]
        plans = [
            str(connection.exec_driver_sql("EXPLAIN QUERY PLAN " + query, given).all()) for query, given in queries
        ]
    assert len(plans) == 2
    assert all("ix_bindings_active_granted" in plan and "TEMP B-TREE" not in plan for plan in plans)
    database.close()


def test_an_exhausted_connection_pool_is_a_transient_outage(tmp_path: Path) -> None:
    database = NodeDatabase(f"sqlite:///{tmp_path}/node.sqlite3")
    migrate(database, "standing.node.storage")
    pool = database.engine.pool
    assert isinstance(pool, QueuePool)
    pool._timeout = 0.01
    with ExitStack() as stack:
        for _ in range(pool.size() + pool._max_overflow):
            stack.enter_context(database.engine.connect())
        with pytest.raises(DatabaseUnavailable, match="no connection"), database.read():
            pass
    with database.read():
        pass
    database.close()


@pytest.mark.parametrize(
    ("place", "said"),
    [("missing/node.sqlite3", "unable to open database file"), ("noise.sqlite3", "file is not a database")],
)
def test_a_store_that_cannot_be_used_is_named_with_what_its_driver_says(tmp_path: Path, place: str, said: str) -> None:
    (tmp_path / "noise.sqlite3").write_bytes(b"no database" * 1_000)
    with (
        pytest.raises(DatabaseUnavailable, match=rf"{place} cannot be used \({said}\): is it the right file"),
        opened(f"sqlite:///{tmp_path}/{place}"),
    ):
        pass


def test_a_full_disk_is_a_transient_outage_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    database = NodeDatabase(f"sqlite:///{tmp_path}/node.sqlite3")
    migrate(database, "standing.node.storage")

    def fill(pages: int) -> None:
        with database.write() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")  # never below the pages in use
            for source in ("small", "large" * 100_000):
                cursors.save(connection, Cursor("file", {"source": source}), 0)

    with pytest.raises(DatabaseUnavailable):
        fill(1)
    with database.read() as connection:
        assert cursors.load(connection, "file") is None
    fill(1_000_000)
    database.close()


@pytest.mark.postgresql
def test_leadership_is_not_held_in_a_transaction_that_could_be_ended(tmp_path: Path) -> None:
    database = NodeDatabase(new_database(tmp_path, "node"))
    lock = lock_of(database, "leader")
    assert lock.hold()
    with database.read() as connection:
        holders = text(
            "SELECT state FROM pg_stat_activity JOIN pg_locks USING (pid) "
            "WHERE locktype = 'advisory' AND datname = current_database()"
        )
        assert connection.execute(holders).scalars().all() == ["idle"]
    lock.release()
    database.close()


@pytest.mark.postgresql
def test_a_read_only_server_after_a_fail_over_is_a_transient_outage(tmp_path: Path) -> None:
    url = new_database(tmp_path, "node")
    with opened(url):
        pass
    demoted = make_url(url).update_query_dict({"options": "-c default_transaction_read_only=on"})
    database = NodeDatabase(demoted.render_as_string(hide_password=False))
    leadership = Leadership(database, SystemClock())
    assert not leadership.look()
    with pytest.raises(Standby, match="the database cannot be used"):
        leadership.require()
    database.close()


PERSONAL = (
    ACCOUNT["number"],
    ACCOUNT["holder_name"],
    ACCOUNT["id_document_number"],
    ACCOUNT["phone"],
    ACCOUNT["phone"].removeprefix("+86"),
)


@pytest.mark.long
def test_no_request_puts_personal_data_in_clear_into_logs_or_database(tmp_path: Path) -> None:
    net = LocalNet(tmp_path, PLATFORM)
    try:
        net.start_ledger()
        bank = net.add_bank("YUNXCNB0", "Yunxi", database_url=new_database(tmp_path, "node"), log_level="debug")
        net.start_bank(bank)
        core, platform = ({"Authorization": f"Bearer {key}"} for key in (bank.core_key, bank.platform_key))
        at = SystemClock().now_ms()
        change = {**ACCOUNT, "effective_at_ms": at}
        claim = {"request_id": "request-1", **{name: ACCOUNT[name] for name in CLAIM_FIELDS}}
        calls: list[tuple[str, dict[str, str], Any]] = [
            ("/v1/feed", core, {"as_of_ms": at, "changes": [{**change, "currency": "XXY"}]}),
            ("/v1/feed", core, {"as_of_ms": at, "changes": [{**change, "colour": ACCOUNT["holder_name"]}]}),
            ("/v1/feed", core, {"as_of_ms": at, "changes": [change]}),
            ("/v1/bindings", platform, {**claim, "holder_name": "somebody else", "request_id": "request-2"}),
            ("/v1/bindings", platform, {**claim, "id_document_number": ACCOUNT["number"], "request_id": "request-3"}),
            ("/v1/bindings", platform, claim),
            ("/v1/bindings", platform, {**claim, "request_id": "request-4"}),
        ]
        answers = [httpx.post(bank.url + path, headers=key, json=body, timeout=20) for path, key, body in calls]
        assert [answer.status_code for answer in answers] == [422, 422, 200, 200, 200, 200, 409]
        refused = [answer.text for answer in answers if answer.status_code >= 400 or "refused" in answer.text]
        wait_until(lambda: httpx.get(bank.url + "/v1/status", headers=core).json()["on_ledger"] >= 1)
        metrics = httpx.get(bank.url + "/metrics").text
        assert bank.process is not None
        bank.process.stop()
        log = bank.process.log.read_text()
        assert "leadership_taken" in log
        for value in PERSONAL:
            for where, content in {"log": log, "metrics": metrics, "refusals": "".join(refused)}.items():
                assert value not in content, f"{value} is in the {where}"
        _assert_sealed(bank.settings["database_url"], tmp_path)
    finally:
        net.stop()


def _assert_sealed(url: str, folder: Path) -> None:
    if on_postgresql():
        engine = create_engine(url)
        with engine.begin() as connection:
            names = connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars()
            held = [connection.execute(text(f"SELECT CAST(t AS text) FROM {name} t")).scalars().all() for name in names]
        engine.dispose()
        content = str(held).encode()
        assert b"jinqiao-pay" in content, "the bindings were searched"
        as_hex = True
    else:
        files = [path for path in folder.rglob("node.sqlite3*") if path.is_file()]
        content = b"".join(path.read_bytes() for path in files)
        assert b"jinqiao-pay" in content
        as_hex = False
    for value in PERSONAL:
        assert value.encode() not in content
        assert not as_hex or value.encode().hex().encode() not in content


@pytest.mark.postgresql
def test_a_role_that_may_not_create_tables_is_found_before_the_first_start_and_gets_one_line(tmp_path: Path) -> None:
    url = make_url(new_database(tmp_path, "node"))
    role = f"poor_{secrets.token_hex(4)}"
    owner = create_engine(url, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        connection.execute(text("REVOKE CREATE ON SCHEMA public FROM PUBLIC"))
    poor = url.set(username=role).render_as_string(hide_password=False)
    (finding,) = diagnosis.database(poor, "standing.node.storage")
    assert (finding.state, "may not create tables" in finding.text) == (diagnosis.State.WRONG, True)
    with pytest.raises(
        SettingsError, match=r"^database_url: the database does not work: permission denied.*$"
    ) as caught:
        opened(poor).__enter__()
    assert "\n" not in str(caught.value)
    with owner.connect() as connection:
        connection.execute(text(f"DROP ROLE {role}"))
    owner.dispose()


@pytest.mark.parametrize("open_it", [opened, opened_unchanged, opened_to_look])
def test_a_database_that_is_away_is_named_with_what_its_driver_says_and_without_its_password(
    open_it: Callable[[str], AbstractContextManager[NodeDatabase]],
) -> None:
    pytest.importorskip("psycopg", reason="the extra standing[postgresql] is not installed")
    with pytest.raises(DatabaseUnavailable) as caught, open_it("postgresql+psycopg://standing:hidden@127.0.0.1:9/db"):
        pass
    text = str(caught.value)
    assert text.startswith("postgresql+psycopg://standing:***@127.0.0.1:9/db cannot be used (")
    assert "Connection refused" in text
    assert "hidden" not in text


def test_a_report_on_a_store_that_is_not_there_makes_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/node.sqlite3"
    with opened_to_look(url) as database, database.read() as connection:
        assert connection.scalar(select(schema.publications.c.number)) is None
    assert not list(tmp_path.iterdir())
    with opened(url) as database, database.write() as connection:
        connection.execute(insert(schema.off_boardings).values(platform="p", asked_at_ms=1, ended=0))
    with opened_to_look(url) as database, database.read() as connection:
        assert connection.scalar(select(schema.off_boardings.c.platform)) == "p", "the store itself"
