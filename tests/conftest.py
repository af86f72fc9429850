"""Fixtures for all tests."""

import os
import ssl
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from alembic import command
from eth_keyfile import keyfile
from hypothesis import HealthCheck, settings

from standing.ledger.service.memory import settle_memory
from tests.migrations import played_once
from tests.world import World, world

# Commands speak the language of the environment, here and in the processes that tests start.
os.environ["LANGUAGE"] = "en"

# How long an example takes depends on the machine's other work, and is no promise of ours.
settings.register_profile("standing", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("standing")


def pytest_collection_finish() -> None:
    """Garbage is collected as in the services: by default, a twentieth of the suite's processor time is the collector's
    walks through what was imported and collected."""
    settle_memory()


@pytest.fixture(scope="session", autouse=True)
def _certificates_are_read_once() -> Iterator[None]:
    """Each HTTP client would read the CA certificates again, for 40 ms; the tests make thousands of clients."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="session", autouse=True)
def _proxies_are_not_looked_up() -> Iterator[None]:
    """requests reads the whole environment at each call, and fails if pytest writes to it meanwhile, as it does for
    every test: a thread of a gateway or node would end."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("requests.utils", "httpx._utils"):
            patch.setattr(f"{module}.getproxies", dict)
        yield


@pytest.fixture(scope="session", autouse=True)
def _schemas_are_made_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "upgrade", played_once(command.upgrade))
        yield


_work_factor = keyfile.get_default_work_factor_for_kdf


@pytest.fixture(scope="session", autouse=True)
def _keystores_are_made_quickly() -> Iterator[None]:
    """A keystore's scrypt takes most of a second on purpose, and a hundred tests make keystores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyfile, _work_factor.__name__, lambda _kdf: 4_096)
        yield


@pytest.fixture
def usual_keystores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keystores as costly to guess as in production."""
    monkeypatch.setattr(keyfile, _work_factor.__name__, _work_factor)


@pytest.fixture
def usual_depth() -> Iterator[None]:
    """The recursion limit of production: the development chain raises it a hundredfold."""
    raised = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000)
    yield
    sys.setrecursionlimit(raised)


@pytest.fixture
def a_world(tmp_path: Path) -> Iterator[World]:
    """A world of its own for one test: a chain with the contract, no bank yet."""
    with world(tmp_path) as made:
        yield made
