"""A node that is stepped by hand, on a chain that holds transactions back."""

from collections.abc import Iterator

import pytest

from tests.node.publishing.stepping import Stepped
from tests.world import World


@pytest.fixture
def stepped(a_world: World) -> Iterator[Stepped]:
    made = Stepped(a_world)
    yield made
    made.close()
