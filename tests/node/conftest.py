"""Fixtures of the node's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node.stepped_node import SteppedNode
from tests.world import World


@pytest.fixture
def site(a_world: World, tmp_path: Path) -> Iterator[SteppedNode]:
    made = SteppedNode(a_world, tmp_path)
    yield made
    made.stop()
