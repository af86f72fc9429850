"""A gateway whose follower moves only when a test moves it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.follower_rig import FollowRig, follow_rig
from tests.gateway.gateway_rig import rig as gateway_rig


@pytest.fixture(scope="module")
def shared_follow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowRig]:
    with follow_rig(tmp_path_factory.mktemp("follow")) as made:
        yield made


@pytest.fixture
def rig(shared_follow: FollowRig) -> Iterator[FollowRig]:
    """The module's rig, with a fresh publication from each bank and all earlier events discarded."""
    shared_follow.heartbeat()
    yield shared_follow.settle()
    shared_follow.undo()


@pytest.fixture
def alone(tmp_path: Path) -> Any:
    """A rig whose gateway neither follows the ledger nor reconciles, so that a test sets the state of both."""
    with gateway_rig(tmp_path, follower={"enabled": False}, reconcile_every_minutes="never") as made:
        yield made
