"""Fixtures of this folder."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.node.node_tools import (
    Staffed,
)
from tests.world import Bank, World


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def staffed(a_world: World, stack: ExitStack) -> Staffed:
    return Staffed(a_world, stack)


@pytest.fixture
def bank(staffed: Staffed) -> Bank:
    return staffed.bank
