"""Chromium for tests: new visitors whose browser console must stay free of errors, and checks for every page."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

#: Without these, Chromium contacts Google's hosts at each start; a test machine may be offline.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDTHS = (360, 768, 1440)
#: axe-core's serious and critical findings are barriers; the rest are recommendations.
_SERIOUS = ("serious", "critical")


@contextmanager
def chromium_started() -> Iterator[Browser]:
    """Debian's Chromium."""
    path = shutil.which("chromium")
    assert path is not None, "Chromium is missing: apt-get install chromium"
    expect.set_options(timeout=60_000)  # the browser and all services share two cores
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()


@contextmanager
def visitor(
    browser: Browser, url: str, width: int, language: str = "en", *, scripts: bool = True, allowed: tuple[str, ...] = ()
) -> Iterator[Page]:
    """A page of a new visitor. No error may appear in the browser's console, except those that contain an `allowed`
    text."""
    context = browser.new_context(
        base_url=url,
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
    assert [each for each in errors if not any(text in each for text in allowed)] == []


def fits(page: Page) -> bool:
    """Whether the page does not scroll horizontally."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def serious_findings(page: Page) -> list[str]:
    """The barriers that axe-core finds, each as its rule and the first element."""
    page.emulate_media(reduced_motion="reduce")  # colours are judged at rest, not halfway through an animation
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in _SERIOUS]


def high_contrast_colour(page: Page, selector: str, pseudo: str = "") -> str:
    """The background of the first such element, or of its pseudo-element, in the colours of the user's system."""
    page.emulate_media(forced_colors="active", reduced_motion="reduce")
    shown = page.locator(selector).first.evaluate(
        "(at, pseudo) => getComputedStyle(at, pseudo || null).backgroundColor", pseudo
    )
    page.emulate_media(forced_colors="none", reduced_motion="reduce")
    return str(shown)


def tab_order(page: Page, most: int = 200) -> list[str]:
    """The controls that Tab reaches from the top of the page, by name, until it wraps around."""
    page.evaluate("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')")
    reached: list[str] = []
    for _ in range(most):
        page.keyboard.press("Tab")
        name = page.evaluate(
            """() => { const at = document.activeElement; if (!at || at === document.body) return null;
            if (at.dataset.tabbed) return null; at.dataset.tabbed = "yes";
            return at.getAttribute("aria-label") || at.textContent.trim() || at.name || at.tagName }"""
        )
        if name is None:
            break
        reached.append(str(name))
    page.evaluate("document.querySelectorAll('[data-tabbed]').forEach(each => delete each.dataset.tabbed)")
    return reached


def shoot(page: Page, name: str, *, full_page: bool = True) -> None:
    """Take a screenshot if STANDING_SCREENSHOTS names a folder."""
    folder = os.environ.get("STANDING_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=full_page)
