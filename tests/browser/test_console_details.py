"""Details of the console for staff who paste, print or listen: what was copied, where the keyboard begins, what paper
leaves out."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.browsing import visitor
from tests.browser.test_console import find, sign_in
from tests.gateway.gateway_rig import Rig, rig

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(tmp_path_factory.mktemp("details")) as made:
        yield made


def test_only_the_sentence_that_was_copied_last_is_marked_as_copied(chromium: Browser, it: Rig) -> None:
    with visitor(chromium, it.url, 1440) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        sign_in(page, it)
        page.goto(f"/console/accounts/{it.bound().binding}")
        for language in ("English", "Chinese"):
            page.get_by_role("button", name=f"Copy {language}").click()
            expect(page.locator("[data-copy].done")).to_have_text([f"Copy {language}"])
        assert "该账户可正常付款和提现" in page.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("scripts", [True, False])
def test_the_keyboard_begins_at_the_key_also_after_a_refused_one_and_hears_why(
    chromium: Browser, it: Rig, scripts: bool
) -> None:
    with visitor(chromium, it.url, 1440, scripts=scripts, allowed=("403",)) as page:
        page.goto("/console")
        page.keyboard.type("sk_wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_label("API key")).to_be_focused()
        expect(page.get_by_label("API key")).to_have_accessible_description(re.compile("cannot be used here"))
        page.keyboard.type(it.keys["support"])
        page.keyboard.press("Enter")
        expect(page.locator("#q")).to_be_focused()


def test_the_title_says_that_a_search_found_nothing(chromium: Browser, it: Rig) -> None:
    with visitor(chromium, it.url, 1440) as page:
        sign_in(page, it)
        find(page, "nobody-at-all")
        expect(page).to_have_title("Nothing found · Standing")


def test_a_printed_part_of_a_list_says_that_it_is_one(
    chromium: Browser, it: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("standing.gateway.console.account._DECISIONS", 2)
    person = it.bound()
    with visitor(chromium, it.url, 768) as page:
        sign_in(page, it)
        told = page.get_by_text("This is not the whole list.")
        for decisions, partly in ((2, False), (1, True)):
            for _ in range(decisions):
                person.decide()
            page.goto(f"/console/accounts/{person.binding}")
            expect(told).to_be_hidden()
            page.emulate_media(media="print")
            expect(told).to_be_visible(visible=partly)
            page.emulate_media(media="screen")
