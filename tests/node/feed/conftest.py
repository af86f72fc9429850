"""A bank and the sources of its feed: a folder of files, or a SQL view."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.node_tools import SqlCore
from tests.world import Bank, World


@pytest.fixture
def bank(a_world: World) -> Bank:
    return a_world.start_bank()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drop"
    made.mkdir()
    return made


@pytest.fixture
def core(tmp_path: Path, a_world: World) -> Iterator[SqlCore]:
    """A core whose view the test reads, pass by pass."""
    made = SqlCore(tmp_path, a_world.clock.now_ms())
    yield made
    made.close()
