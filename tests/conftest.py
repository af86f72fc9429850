"""Fixtures for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import World, world


@pytest.fixture
def a_world(tmp_path: Path) -> Iterator[World]:
    """A world of its own for one test: a chain with the contract, no bank yet."""
    with world(tmp_path) as made:
        yield made
