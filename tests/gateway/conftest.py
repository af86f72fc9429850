"""Fixtures of the gateway's tests."""

import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from standing.gateway.storage.database import Storage
from standing.ledger.service.database import Database, migrate
from tests.databases import new_database
from tests.gateway.gateway_rig import Rig, rig
from tests.world import wait_until


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def _logs_go_to_standard_error() -> Iterator[None]:
    """Log as a served gateway does: a command's output must not mix with the logs of a gateway in this process."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    yield
    structlog.reset_defaults()


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    """A gateway's new database."""
    database = Database(new_database(tmp_path, "gateway"))
    migrate(database, "standing.gateway.storage")
    with closing(Storage(database)) as made:
        yield made


@pytest.fixture(scope="module")
def shared_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One rig for the tests of a module."""
    with rig(tmp_path_factory.mktemp("rig")) as made:
        yield made


@pytest.fixture
def a_rig(shared_rig: Rig) -> Iterator[Rig]:
    """The module's rig with every fault undone, a fresh publication from each bank, and the test's own people."""
    shared_rig.heartbeat()
    wait_until(lambda: not shared_rig.app.state.gateway.following.troubles)
    yield shared_rig
    shared_rig.chain.down = False
    for bank in shared_rig.banks.values():
        bank.trouble = None


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Undo the logging set-up of a command that ran in this process."""
    configured, hook = structlog.get_config(), threading.excepthook
    yield
    structlog.configure(**configured)
    threading.excepthook = hook
