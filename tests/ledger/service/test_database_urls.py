"""Databases that cannot be used, as both command lines meet them: one line, no traceback, and no part of a password."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from standing.gateway.cli import app as gateway
from standing.ledger.service.database import Database, revisions
from standing.node.cli import app as node

_CONTRACT = ["--contract", "0x" + "11" * 20]


def _run(app: Any, arguments: Sequence[object], **options: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)


def _a_node(folder: Path) -> Path:
    assert _run(node, ["init", folder / "n", "--bic", "YUNXCNB0", *_CONTRACT]).exit_code == 0
    return folder / "n" / "node.toml"


def _a_gateway(folder: Path) -> Path:
    config = folder / "g" / "gateway.toml"
    assert _run(gateway, ["init", folder / "g", "--platform", "jinqiao-pay", *_CONTRACT]).exit_code == 0
    (folder / "key").write_text("sk_x\n")
    bank = ["bank", "add", "YUNXCNB0", "--name", "x", "--node-url", "http://127.0.0.1:9", "--key-file", folder / "key"]
    assert _run(gateway, [*bank, "-c", config]).exit_code == 0
    return config


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "not a database URL"),
        ("postgresql+psycopg://standing:se@cr:et@db/x", "not a database URL"),  # "et@db" was taken for the port
        ("postgresql+psycopg://standing:se@cret@db/x", "not a database URL"),  # "cret@db" was taken for the host
        ("nosuch://standing:secret@db/x", "not a database URL"),
        ("mysql://standing:secret@db/x", "not a database URL"),
        ("sqlite://node.sqlite3", "not a database URL"),  # the file's name is the host; was called a database in memory
        ("sqlite://", "in memory, it would be lost with the process"),
    ],
)
def test_an_invalid_database_url_is_found_by_config_check_and_no_part_of_its_password_is_shown(
    tmp_path: Path, url: str, message: str
) -> None:
    for app, config in ((node, _a_node(tmp_path)), (gateway, _a_gateway(tmp_path))):
        for command in (["config", "check"], ["doctor"], ["serve"]):
            result = _run(app, [*command, "-c", config], env={f"STANDING_{config.stem.upper()}_DATABASE_URL": url})
            assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1), result.output
            assert f"database_url: {message}" in result.stderr
            assert not any(part in result.stderr for part in ("cr:et", "et@db", "se@", "secret@"))


def test_a_nodes_invalid_contract_address_is_found_by_config_check(tmp_path: Path) -> None:
    config = _a_node(tmp_path)
    result = _run(node, ["config", "check", "-c", config], env={"STANDING_NODE_LEDGER_CONTRACT": "0x12"})
    assert (result.exit_code, "ledger_contract: not an address" in result.stderr) == (1, True)


def test_commands_whose_database_does_not_answer_end_with_one_line(tmp_path: Path) -> None:
    (policy := tmp_path / "policy.toml").write_text('name = "p"\n')
    url = "postgresql+psycopg://standing:secret@127.0.0.1:9/x"
    by_gateway: list[list[object]] = [
        ["reconcile"],
        ["rekey"],
        ["scorecard"],
        ["policy", "try", policy, "--since", "2026-03-01"],
        ["export", "-o", tmp_path / "export"],
    ]
    by_node: list[list[object]] = [["status"], ["feed", "unstated"], ["export", tmp_path / "export"]]
    for app, config, commands in ((gateway, _a_gateway(tmp_path), by_gateway), (node, _a_node(tmp_path), by_node)):
        for command in commands:
            result = _run(app, [*command, "-c", config], env={f"STANDING_{config.stem.upper()}_DATABASE_URL": url})
            assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1), result.output
            assert result.stderr.startswith("error: ")
            assert "secret" not in result.stderr
    assert not (tmp_path / "export").exists()


def test_a_gateways_commands_neither_make_a_database_nor_take_an_empty_one_for_a_gateways(tmp_path: Path) -> None:
    (policy := tmp_path / "policy.toml").write_text('name = "p"\n')
    config, database = _a_gateway(tmp_path), tmp_path / "elsewhere.sqlite3"
    commands: list[list[object]] = [
        ["reconcile"],
        ["rekey"],
        ["scorecard"],
        ["policy", "try", policy, "--since", "2026-03-01"],
        ["export", "-o", tmp_path / "export"],
    ]
    for command in commands:
        env = {"STANDING_GATEWAY_DATABASE_URL": f"sqlite:///{database}"}
        result = _run(gateway, [*command, "-c", config], env=env)
        assert (result.exit_code, result.stdout) == (1, ""), result.output
        assert "the gateway's database is not there yet" in result.stderr
    assert not database.exists()
    assert not (tmp_path / "export").exists()


def test_a_gateways_commands_leave_a_database_of_an_older_version_as_it_is(tmp_path: Path) -> None:
    (policy := tmp_path / "policy.toml").write_text('name = "p"\n')
    url = f"sqlite:///{tmp_path}/older.sqlite3"
    older = Database(url)
    with older.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('0001')")
    command = ["policy", "try", policy, "--since", "2026-03-01", "-c", _a_gateway(tmp_path)]
    result = _run(gateway, command, env={"STANDING_GATEWAY_DATABASE_URL": url})
    assert (result.exit_code, "another version's" in result.stderr) == (1, True), result.output
    assert revisions(older, "standing.gateway.storage")[0] == "0001"
    older.close()


def test_a_feed_file_is_not_compared_with_a_store_that_is_not_there_yet_and_none_is_made(tmp_path: Path) -> None:
    (file := tmp_path / "core.csv").write_text("number,status\n11050137001000000771,frozen\n")
    config = _a_node(tmp_path)
    result = _run(node, ["feed", "check", file, "--as-of", "2026-01-01T02:00:00Z", "-c", config])
    assert (result.exit_code, "the node's store is not there yet" in result.stderr) == (1, True), result.output
    assert not (config.parent / "node.sqlite3").exists()


def test_a_nodes_reading_commands_neither_make_a_store_nor_take_an_empty_one_for_the_banks(tmp_path: Path) -> None:
    config, commands = _a_node(tmp_path), (["status"], ["feed", "unstated"], ["export", tmp_path / "export"])
    for command in commands:
        result = _run(node, [*command, "-c", config])
        assert (result.exit_code, result.stdout) == (1, ""), result.output
        assert "the node's store is not there yet" in result.stderr
    assert not (config.parent / "node.sqlite3").exists()
    assert not (tmp_path / "export").exists()
