"""Feed files that an operator checks or sends by command, with a node or without."""

from pathlib import Path
from typing import Any

import pytest
import tomli_w
from typer.testing import CliRunner

from standing.ledger.attestations.terms import Status
from standing.node.cli import app as command_line
from tests.node.feed.dropped_files import write_file
from tests.node.node_tools import (
    account,
    feed_entries,
    grant_of,
    settings_on_disk,
    status_on_ledger,
)
from tests.world import ACCOUNT, Bank, wait_until


def test_feed_check_validates_a_file_without_a_node_and_writes_nothing(folder: Path) -> None:
    good = write_file(
        folder, "changes", 1_767_225_600_000, {"number": ACCOUNT["number"], "status": "frozen"}, form="csv"
    )
    bad = write_file(folder, "full", 1_767_225_600_001, {**ACCOUNT, "status": "cold"})
    before = sorted(folder.rglob("*"))
    assert CliRunner().invoke(command_line, ["feed", "check", str(folder / good), "--json"]).exit_code == 0
    result = CliRunner().invoke(command_line, ["feed", "check", str(folder / bad), "--json"])
    assert result.exit_code == 1
    assert '"field": "status"' in result.output
    assert '"line": 1' in result.output
    assert sorted(folder.rglob("*")) == before


@pytest.mark.long
def test_a_file_sent_by_command_is_loaded_and_the_running_node_publishes_it(
    bank: Bank, folder: Path, tmp_path: Path
) -> None:
    config = tmp_path / "node.toml"
    config.write_text(tomli_w.dumps(settings_on_disk(bank, tmp_path)))

    def run(command: str, name: str, *options: str) -> Any:
        return CliRunner().invoke(
            command_line, ["feed", command, str(folder / name), "-c", str(config), "--json", *options]
        )

    first = write_file(folder, "full", bank.clock.advance(10), account(1), account(2))
    assert run("send", first).exit_code == 0
    grant = grant_of(bank.bind(account(1)))
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
    unknown = write_file(
        folder, "changes", bank.clock.advance(10), {"number": account(3)["number"], "status": "frozen"}
    )
    judged = run("check", unknown)
    assert (judged.exit_code, '"line": 1' in judged.output) == (0, True), judged.output
    assert '"unstated": 1' in run("send", unknown).output
    bank.feed()
    drifted = {**account(1), "status": "frozen"}
    nightly = write_file(folder, "full", bank.clock.advance(0), drifted, account(2))
    mended = run("send", nightly, "--reconcile")
    assert (mended.exit_code, '"changes": 1' in mended.output) == (0, True), mended.output
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    assert sorted(path.name for path in folder.iterdir()) == sorted([first, unknown, nightly]), (
        "the files stay in place"
    )


@pytest.mark.long
@pytest.mark.parametrize("command", ["check", "send"])
def test_the_command_refuses_a_file_over_the_size_setting(
    bank: Bank, folder: Path, tmp_path: Path, command: str
) -> None:
    config = tmp_path / "node.toml"
    bounded = {"drop_folder": {"path": str(folder), "role": "reconcile", "max_bytes": 1_024}}
    config.write_text(tomli_w.dumps(settings_on_disk(bank, tmp_path) | bounded))
    long = write_file(folder, "full", bank.clock.advance(10), *(account(index) for index in range(12)))
    result = CliRunner().invoke(command_line, ["feed", command, str(folder / long), "-c", str(config), "--json"])
    assert (result.exit_code, '"allowed": "1 to 1024 bytes"' in result.output) == (1, True), result.output
    assert feed_entries(bank) == []
