"""A gateway whose follower moves only when a test says so."""

from collections.abc import Iterator

import pytest

from tests.gateway.follower_rig import FollowRig, follow_rig


@pytest.fixture(scope="module")
def shared_follow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowRig]:
    with follow_rig(tmp_path_factory.mktemp("follow")) as made:
        yield made


@pytest.fixture
def rig(shared_follow: FollowRig) -> Iterator[FollowRig]:
    """The module's rig, its banks heard just now, and everything so far told of."""
    shared_follow.heartbeat()
    yield shared_follow.settle()
    shared_follow.undo()
