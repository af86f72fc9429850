"""Everything here runs only with `make test-network`: it needs the network's engine."""

from pathlib import Path

import pytest

from tests.network.hosts import hosts_in_use


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder, so that none is forgotten."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.network)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.option.markexpr == "network":
        terminalreporter.write_line(hosts_in_use())
