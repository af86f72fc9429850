"""The pages that show each service's API load nothing from other hosts."""

import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.gateway.gateway_rig import rig
from tests.world import World


def _check_page(base: str, page: str) -> None:
    shown = httpx.get(base + page, timeout=60)
    assert shown.status_code == 200
    loaded = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", shown.text)
    assert any(one.endswith(".js") for one in loaded)
    for one in loaded:
        target = urljoin(base + page, one)
        assert urlsplit(target).netloc == urlsplit(base).netloc, one
        assert httpx.get(target, timeout=60).status_code == 200, one


@pytest.fixture(scope="module")
def gateway_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with rig(tmp_path_factory.mktemp("rig")) as made:
        yield made.url


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_gateways_api_pages_work_without_the_internet(gateway_url: str, page: str) -> None:
    _check_page(gateway_url, page)


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_nodes_api_pages_work_without_the_internet(a_world: World, page: str) -> None:
    _check_page(a_world.start_bank().url, page)
