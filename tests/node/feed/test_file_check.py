"""What a check of a feed file needs: a store that a node has made, and room for its temporary data."""

from pathlib import Path

import pytest
import tomli_w
from typer.testing import CliRunner

from standing.node.cli import app as command_line
from standing.node.feed.file_check import CheckUnavailable, StatedNumbers
from tests.node.feed.dropped_files import write_file
from tests.node.node_tools import settings_on_disk
from tests.world import ACCOUNT, Bank, World


@pytest.mark.long
def test_feed_check_says_that_no_node_was_started_on_the_store_yet(a_world: World, folder: Path) -> None:
    bank = a_world.make_bank()
    name = write_file(folder, "full", 1_767_225_600_000, ACCOUNT)
    config = folder / "node.toml"
    config.write_text(tomli_w.dumps(settings_on_disk(bank, folder)))
    result = CliRunner().invoke(command_line, ["feed", "check", str(folder / name), "-c", str(config)])
    assert (result.exit_code, "the node's store is not there yet" in result.stderr) == (1, True)


def test_no_room_for_a_checks_temporary_data_is_an_outage_that_may_pass(bank: Bank) -> None:
    stated = StatedNumbers(bank.secrets.vault())
    stated._file.execute("PRAGMA max_page_count = 4")  # as on a full disk
    numbers = [f"73{index:010d}" for index in range(1_000)]
    stated.turn_to(numbers)
    for number in numbers:
        stated.put(number, 0, None, 1)
    with pytest.raises(CheckUnavailable, match="SQLITE_FULL"):
        stated.turn_to(numbers)
    stated.close()
