"""Gateways that send webhooks, and receivers of them."""

from collections.abc import Iterator

import pytest

from tests.gateway.follower_rig import FollowRig, follow_rig
from tests.gateway.webhook_receiver import Receiver, receiver


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowRig]:
    with follow_rig(tmp_path_factory.mktemp("webhooks")) as made:
        yield made


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowRig]:
    """A rig with production's restrictions on endpoints."""
    webhooks = {"allow_http": False, "allow_private_addresses": False, "max_endpoints": 2}
    with follow_rig(tmp_path_factory.mktemp("strict"), webhooks=webhooks) as made:
        yield made


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FollowRig]:
    """A rig that refuses private addresses but allows the receiver's plain HTTP."""
    with follow_rig(tmp_path_factory.mktemp("guarded"), webhooks={"allow_private_addresses": False}) as made:
        yield made


@pytest.fixture
def rig(shared: FollowRig) -> Iterator[FollowRig]:
    """The module's rig, with no endpoints but the test's own."""
    yield shared
    for endpoint in shared.admin("GET", "/v1/webhook-endpoints").json()["endpoints"]:
        shared.admin("DELETE", f"/v1/webhook-endpoints/{endpoint['id']}")


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as made:
        yield made
        assert made.broken == []


@pytest.fixture
def other() -> Iterator[Receiver]:
    with receiver() as made:
        yield made
        assert made.broken == []
