"""The node's console in a real Chromium: every page at every width, in both languages, without scripts, by keyboard."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import insert

from standing.ledger.service.api_keys import ApiKey, new_key
from standing.node.storage import schema
from tests.browser.browsing import WIDTHS, fits, serious_findings, shoot, tab_order, visitor
from tests.node.node_tools import account
from tests.world import ACCOUNT, Bank, wait_until, world

pytestmark = pytest.mark.browser

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
PAGES = ("", "rows", "publications", "platforms", "keys")


@dataclass(frozen=True)
class Standing:
    """A bank's node with something on every page, and its operator's key."""

    bank: Bank
    key: str


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """Names and problems are attacks wherever possible."""
    with _started(tmp_path_factory.mktemp("hostile"), f"ops {SCRIPT}") as made:
        _attack(made.bank)
        yield made


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """A node without hostile data."""
    with _started(tmp_path_factory.mktemp("calm"), "chen.jie") as made:
        yield made


@contextmanager
def _started(folder: Path, operator: str) -> Iterator[Standing]:
    with world(folder) as made, ExitStack() as stack:
        (drop := folder / "drop").mkdir()
        bank = made.make_bank(
            drop_folder={"path": drop, "poll_ms": 50},
            micro_deposit={"policy": "phone_differs", "payout_folder": folder / "none"},
        )
        key, digest = new_key()
        bank.settings.api_keys.append(ApiKey(name=operator, role="operator", sha256=digest))
        bank.start(stack)
        _busy(bank, drop)
        yield Standing(bank, key)


def _busy(bank: Bank, drop: Path) -> None:
    """A binding, a deposit whose payout fails, and an account with an unknown status."""
    rows: list[dict[str, Any]] = [dict(ACCOUNT), account(1), account(2), account(3, status="asleep")]
    as_of_ms = bank.clock.advance(10)
    at = datetime.fromtimestamp(as_of_ms // 1_000, UTC)
    name = f"full-{at:%Y%m%dT%H%M%S}.{as_of_ms % 1_000:03d}Z.jsonl"
    (drop / f".{name}").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (drop / f".{name}").rename(drop / name)
    wait_until(lambda: bank.get("/v1/status").json()["unstated_accounts"])
    assert bank.bind().json()["outcome"] == "granted"
    assert bank.bind({**account(1), "phone": "+8613900000000"}).json()["outcome"] == "micro_deposit"
    bank.clock.advance(97_300)


def _attack(bank: Bank) -> None:
    with bank.node.database.write() as connection:
        connection.execute(
            insert(schema.unstated_accounts).values(
                number_lookup=b"x" * 32,
                number_sealed=bank.secrets.vault().seal_text("12345678"),
                since_ms=bank.clock.now_ms(),
                fields=json.dumps(["status", SCRIPT]),
                source=SCRIPT,
                problem=f"{SCRIPT} {'long' * 40}",
            )
        )
        connection.execute(insert(schema.off_boardings).values(platform=SCRIPT[:32], asked_at_ms=1, ended=0))


def sign_in(page: Page, standing: Standing) -> None:
    page.goto("/console")
    page.locator('input[name="key"]').focus()
    page.keyboard.type(standing.key)
    with page.expect_navigation():
        page.keyboard.press("Enter")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_too_wide_inaccessible_or_runs_an_injected_script(
    chromium: Browser, standing: Standing, width: int, language: str
) -> None:
    with visitor(chromium, standing.bank.url, width, language) as page:
        page.on("dialog", lambda dialog: pytest.fail(f"a script of a stranger ran: {dialog.message}"))
        page.goto("/console")
        assert fits(page)
        assert serious_findings(page) == []
        sign_in(page, standing)
        for path in PAGES:
            page.goto(f"/console/{path}")
            expect(page.locator("h1")).to_have_count(1)
            expect(page.locator('nav a[aria-current="page"]')).to_have_count(1)
            assert fits(page), path
            assert serious_findings(page) == [], path
            assert page.locator("main img").count() == 0, path
            shoot(page, f"node-{path or 'now'}-{width}-{language}")


def test_everything_works_without_scripts_and_by_clicks(chromium: Browser, calm: Standing) -> None:
    with visitor(chromium, calm.bank.url, 1440, scripts=False) as page:
        page.goto("/console")
        page.locator('input[name="key"]').fill(calm.key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("h1")).to_contain_text(calm.bank.bic)
        shoot(page, "node-calm-en")
        page.get_by_role("link", name="Unstated accounts").click()
        expect(page.get_by_text("line 4").first).to_be_visible()
        page.get_by_role("button", name="中文").click()
        expect(page.locator("h1")).to_contain_text("待修正数据")
        page.get_by_role("button", name="退出登录").click()
        expect(page.get_by_role("button", name="登录", exact=True)).to_be_visible()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_column_of_a_table_is_cut_off_in_a_wide_window(chromium: Browser, calm: Standing, language: str) -> None:
    with visitor(chromium, calm.bank.url, 1280, language) as page:
        sign_in(page, calm)
        for path in ("publications", "platforms"):
            page.goto(f"/console/{path}")
            assert page.locator(".scroll").evaluate("each => each.scrollWidth <= each.clientWidth"), path


def test_every_control_is_reached_by_tab(chromium: Browser, standing: Standing) -> None:
    with visitor(chromium, standing.bank.url, 1440) as page:
        sign_in(page, standing)
        for path in PAGES:
            page.goto(f"/console/{path}")
            controls = page.locator("a[href], button, summary, input:not([type=hidden]), [tabindex='0']")
            visible = [each.inner_text() for each in controls.all() if each.is_visible()]
            assert len(tab_order(page)) == len(visible), path
