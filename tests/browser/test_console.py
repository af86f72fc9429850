"""The console in a real Chromium: widths, languages, keyboard, scripts off, and a support story played by clicks.

Screenshots go to the folder that STANDING_SCREENSHOTS names, where it does.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from standing.ledger.attestations.terms import Status
from tests.gateway.gateway_rig import Person, Rig, rig

pytestmark = pytest.mark.browser

#: Without these, Chromium asks Google's hosts at each start; a test machine may have no way out.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_WIDTHS = (360, 768, 1440)
_WORDS = {"en": ("Sign in", "Frozen"), "zh": ("登录", "账户冻结")}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path is not None, "Chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(tmp_path_factory.mktemp("console")) as made:
        yield made


@pytest.fixture(scope="module")
def frozen(standing: Rig) -> Person:
    """Somebody with decisions of several kinds, whose account is frozen by now."""
    person = standing.bound()
    person.decide(amount_minor=20_000)
    person.decide(amount_minor=600_000)
    person.bank.change(person.number, status=Status.FROZEN, debit_allowed=False, credit_allowed=False)
    person.decide(amount_minor=5_000)
    return person


@contextmanager
def page_of(
    browser: Browser, standing: Rig, width: int, language: str = "en", *, scripts: bool = True
) -> Iterator[Page]:
    """A page of a new visitor. Nothing may be written to the browser's console as an error."""
    context = browser.new_context(
        base_url=standing.url,
        viewport={"width": width, "height": 900},
        locale={"en": "en-GB", "zh": "zh-CN"}[language],
        java_script_enabled=scripts,
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def sign_in(page: Page, standing: Rig) -> None:
    """Sign in by the keyboard alone."""
    page.goto("/console")
    page.locator('input[name="key"]').focus()
    page.keyboard.type(standing.keys["support"])
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.locator('input[name="q"]')).to_be_visible()


def find(page: Page, wanted: str) -> None:
    """Type into the search box, and press Enter."""
    page.goto("/console")
    page.locator('input[name="q"]').focus()
    page.keyboard.type(wanted)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def fits(page: Page) -> bool:
    """Whether nothing of the page stands beyond its right edge."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def shoot(page: Page, name: str) -> None:
    """A screenshot, where somebody asked for them."""
    folder = os.environ.get("STANDING_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", _WIDTHS)
def test_every_page_fits_every_width_in_both_languages_without_an_error(
    chromium: Browser, standing: Rig, frozen: Person, width: int, language: str
) -> None:
    sign_in_word, frozen_word = _WORDS[language]
    with page_of(chromium, standing, width, language) as page:
        page.goto("/console")
        expect(page.get_by_role("button", name=sign_in_word)).to_be_visible()
        assert fits(page), "sign in"
        shoot(page, f"sign-in-{width}-{language}")
        sign_in(page, standing)
        assert fits(page), "find"
        find(page, frozen.user_id)
        assert fits(page), "a user"
        shoot(page, f"find-{width}-{language}")
        page.goto(f"/console/accounts/{frozen.binding}")
        expect(page.get_by_text(frozen_word).first).to_be_visible()
        assert fits(page), "an account"
        shoot(page, f"account-{width}-{language}")
        with page.expect_navigation():
            page.locator('a[href*="/console/decisions/"]').first.click()
        assert "/console/decisions/" in page.url
        assert fits(page), "a decision"
        shoot(page, f"decision-{width}-{language}")


def test_what_only_reads_works_without_scripts(chromium: Browser, standing: Rig, frozen: Person) -> None:
    with page_of(chromium, standing, 1440, scripts=False) as page:
        page.goto("/console")
        page.locator('input[name="key"]').fill(standing.keys["support"])
        page.get_by_role("button", name="Sign in").click()
        page.locator('input[name="q"]').fill(frozen.number[-4:])
        page.locator('input[name="q"]').press("Enter")
        expect(page.get_by_text("Frozen").first).to_be_visible()


def test_every_control_has_a_name_and_the_page_a_language_and_one_heading(
    chromium: Browser, standing: Rig, frozen: Person
) -> None:
    with page_of(chromium, standing, 1440) as page:
        sign_in(page, standing)
        for path in ("/console/", f"/console/accounts/{frozen.binding}"):
            page.goto(path)
            assert page.locator("html").get_attribute("lang") == "en"
            assert page.locator("h1").count() == 1, path
            nameless = page.evaluate(
                """() => [...document.querySelectorAll('input:not([type=hidden]), button, select, textarea, a[href]')]
                .filter(each => !(each.labels?.length || each.textContent.trim() || each.getAttribute('aria-label')))
                .map(each => each.outerHTML)"""
            )
            assert nameless == [], path


def test_support_finds_a_frozen_account_tells_the_user_why_and_asks_for_a_resync(
    chromium: Browser, standing: Rig, frozen: Person
) -> None:
    with page_of(chromium, standing, 1440) as page:
        sign_in(page, standing)
        find(page, frozen.user_id)
        page.locator(f'a[href="/console/accounts/{frozen.binding}"]').first.click()
        expect(page.get_by_text("The bank has frozen this account").first).to_be_visible()
        page.locator("summary", has_text="Ask the bank to publish again").click()
        page.locator('form[action$="/resync"] [name="reason"]').fill("The user says that the bank lifted the freeze.")
        with page.expect_navigation():
            page.locator('form[action$="/resync"] button').click()
        audited = standing.client("admin")("GET", "/v1/audit").json()["entries"]
        assert any("lifted the freeze" in str(entry) for entry in audited)
