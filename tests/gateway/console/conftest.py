"""Browsers on a rig's console."""

from collections.abc import Iterator

import pytest

from tests.console_browser import Browser
from tests.gateway.gateway_rig import Rig


@pytest.fixture
def visitor(a_rig: Rig) -> Iterator[Browser]:
    browser = Browser(a_rig.url)
    yield browser
    browser.http.close()


@pytest.fixture
def staff(a_rig: Rig, visitor: Browser) -> Browser:
    visitor.sign_in(a_rig.keys["support"])
    return visitor
