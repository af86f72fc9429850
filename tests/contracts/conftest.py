"""A deployment shared by a run's tests; each test's blocks are undone after it."""

from collections.abc import Iterator

import pytest

from tests.contracts.chain import Chain
from tests.contracts.ledger import Issuer, StatusLedger, signer


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "network: needs npm packages or another program; says what is missing")


@pytest.fixture(scope="session")
def deployment() -> StatusLedger:
    return StatusLedger.deploy(Chain())


@pytest.fixture
def ledger(deployment: StatusLedger) -> Iterator[StatusLedger]:
    """A fresh ledger without banks."""
    with deployment.chain.isolated():
        yield deployment


@pytest.fixture
def bank(ledger: StatusLedger) -> Issuer:
    """An admitted bank, without publications."""
    issuer = Issuer("BKCHCNBJ", signer("first bank"), ledger.chain.accounts[4])
    assert issuer.admit(ledger).ok
    return issuer


@pytest.fixture
def other_bank(ledger: StatusLedger) -> Issuer:
    """Another admitted bank, without publications."""
    issuer = Issuer("DEUTDEFF500", signer("second bank"), ledger.chain.accounts[5])
    assert issuer.admit(ledger).ok
    return issuer
