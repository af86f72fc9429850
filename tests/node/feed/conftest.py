"""A bank and the folder that its core writes files into."""

from pathlib import Path

import pytest

from tests.world import Bank, World


@pytest.fixture
def bank(a_world: World) -> Bank:
    return a_world.start_bank()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drop"
    made.mkdir()
    return made
