"""Playwright comes with `make test-browser` alone. Without it no test here is collected."""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

collect_ignore_glob = [] if find_spec("playwright") is not None else ["test_*.py"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One Chromium for all tests."""
    from tests.browser.browsing import chromium_started  # noqa: PLC0415 - there only with Playwright

    with chromium_started() as browser:
        yield browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The demo's page on a network of its own: its URL and its stage."""
    from tests.browser.demo_visits import demo_served  # noqa: PLC0415 - there only with Playwright

    with demo_served(tmp_path_factory.mktemp("demo-page")) as opened:
        yield opened
