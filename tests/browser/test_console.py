"""The console in a real Chromium: widths, languages, keyboard, scripts off, and a support story played by clicks.

Screenshots go to the folder that STANDING_SCREENSHOTS names, if set.
"""

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from standing.gateway.following import bank_ages
from standing.gateway.following.bank_ages import MinuteAge
from standing.gateway.settings import GatewaySettings
from standing.gateway.storage.database import Storage
from standing.ledger.attestations.binding_protocol import Claim
from standing.ledger.attestations.terms import Status
from standing.ledger.clock import MINUTE_MS
from standing.ledger.service.console.words import Words
from standing.ledger.service.languages import Language
from tests.browser.browsing import WIDTHS, fits, serious_findings, shoot, tab_order, visitor
from tests.gateway.gateway_rig import BICS, Person, Rig

pytestmark = pytest.mark.browser

_TEXTS = {"en": ("Sign in", "Frozen"), "zh": ("登录", "账户冻结")}


SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
_TO_LOOPBACK = {"allow_http": True, "allow_private_addresses": True}


class HostileRig(Rig):
    """Banks whose names are attacks: everything on a page must stay text."""

    def _settings(self, urls: dict[str, str], changed: dict[str, Any]) -> GatewaySettings:
        settings = super()._settings(urls, changed)
        hostile = [bank.model_copy(update={"name": bank.name + SCRIPT}) for bank in settings.banks]
        return settings.model_copy(update={"banks": type(settings.banks)(hostile)})


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    kind = Rig if os.environ.get("STANDING_SCREENSHOTS") else HostileRig  # pictures are for people
    with ExitStack() as stack:
        yield kind(stack, tmp_path_factory.mktemp("console"), webhooks=_TO_LOOPBACK)


@pytest.fixture(scope="module")
def frozen(standing: Rig) -> Person:
    """A user with decisions of several kinds, whose account is frozen by now."""
    person = standing.bound()
    person.decide(amount_minor=20_000)
    person.decide(amount_minor=600_000)
    person.bank.change(person.number, status=Status.FROZEN, debit_allowed=False, credit_allowed=False)
    person.decide(amount_minor=5_000)
    return person


def page_of(
    browser: Browser, standing: Rig, width: int, language: str = "en", *, scripts: bool = True
) -> AbstractContextManager[Page]:
    """A page of a new visitor of the console."""
    return visitor(browser, standing.url, width, language, scripts=scripts)


def sign_in(page: Page, standing: Rig, role: str = "support") -> None:
    """Sign in by the keyboard alone."""
    page.goto("/console")
    page.locator('input[name="key"]').focus()
    page.keyboard.type(standing.keys[role])
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


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_every_width_in_both_languages_without_an_error(
    chromium: Browser, standing: Rig, frozen: Person, width: int, language: str
) -> None:
    sign_in_text, frozen_text = _TEXTS[language]
    with page_of(chromium, standing, width, language) as page:
        page.goto("/console")
        expect(page.get_by_role("button", name=sign_in_text)).to_be_visible()
        assert fits(page), "sign in"
        shoot(page, f"sign-in-{width}-{language}")
        sign_in(page, standing)
        assert fits(page), "find"
        find(page, frozen.user_id)
        assert fits(page), "a user"
        shoot(page, f"find-{width}-{language}")
        page.goto(f"/console/accounts/{frozen.binding}")
        expect(page.get_by_text(frozen_text).first).to_be_visible()
        assert fits(page), "an account"
        shoot(page, f"account-{width}-{language}")
        with page.expect_navigation():
            page.locator('a[href*="/console/decisions/"]').first.click()
        assert "/console/decisions/" in page.url
        assert fits(page), "a decision"
        shoot(page, f"decision-{width}-{language}")


def test_reading_pages_work_without_scripts(chromium: Browser, standing: Rig, frozen: Person) -> None:
    with page_of(chromium, standing, 1440, scripts=False) as page:
        page.goto("/console")
        page.locator('input[name="key"]').fill(standing.keys["support"])
        page.get_by_role("button", name="Sign in").click()
        page.locator('input[name="q"]').fill(frozen.number[-4:])
        page.locator('input[name="q"]').press("Enter")
        expect(page.get_by_text("Frozen").first).to_be_visible()


@pytest.fixture(scope="module")
def busy(standing: Rig, frozen: Person) -> Person:
    """A user with an open review, and content for every other page, hostile wherever possible."""
    person = standing.bound()
    person.bank.change(person.number, holder=Claim(**person.claim | {"phone": "+8613912345678"}))
    assert person.decide(amount_minor=2_000)["outcome"] == "review"
    admin = standing.client("admin")
    admin.why = "A new endpoint " + SCRIPT
    hostile = "http://127.0.0.1:9/?a=%3Cscript%3E'\"&lt;"
    assert admin("POST", "/v1/webhook-endpoints", json={"url": hostile}).status_code == 201
    _a_day_with_silence(standing)
    standing.support("POST", f"/v1/bindings/{frozen.binding}/resync", json={"reason": "Why " + SCRIPT})
    return person


def _a_day_with_silence(standing: Rig) -> None:
    """A day of the follower's observations: one bank is silent for an hour and a half, and an hour is missing."""
    storage: Storage = standing.app.state.services[Storage]
    now_ms = standing.clock.now_ms()
    for minute in range(1_440):
        if not 900 <= minute < 960:
            silent_ms = max(0, minute - 400) * MINUTE_MS if minute < 490 else 0
            ages = [
                MinuteAge(BICS[0], now_ms - (1_440 - minute) * MINUTE_MS, 700 + silent_ms),
                MinuteAge(BICS[1], now_ms - (1_440 - minute) * MINUTE_MS, 400 + 90 * (minute % 7)),
            ]
            storage.write_all(partial(bank_ages.write, ended=ages))


#: The path of every page; those of admin keys last.
_PAGES = ("", "accounts/{binding}", "decisions/{transaction}", "banks", "today", "reconciliation", "webhooks", "audit")


def pages(busy: Person) -> list[str]:
    """The addresses of all pages, filled in."""
    listed = busy.rig.platform("GET", f"/v1/decisions?binding={busy.binding}").json()["decisions"]
    known = {"binding": busy.binding, "transaction": listed[0]["transaction_id"]}
    return ["/console/" + page.format(**known) for page in _PAGES]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_admin_page_is_too_wide_inaccessible_or_runs_an_injected_script(
    chromium: Browser, standing: Rig, busy: Person, width: int, language: str
) -> None:
    with page_of(chromium, standing, width, language) as page:
        # A dialog would mean that a script ran; it would also block the test.
        page.on("dialog", lambda dialog: pytest.fail(f"a script of a stranger ran: {dialog.message}"))
        sign_in(page, standing, "admin")
        for path in pages(busy):
            page.goto(path)
            expect(page.locator("h1")).to_have_count(1)
            assert fits(page), path
            assert serious_findings(page) == [], path
            assert page.locator("main img").count() == 0, path
            shoot(page, f"admin-{path.split('/')[2] or 'find'}-{width}-{language}")


def test_back_leads_from_an_account_to_the_results_of_the_search(
    chromium: Browser, standing: Rig, frozen: Person
) -> None:
    with page_of(chromium, standing, 1440) as page:
        sign_in(page, standing)
        find(page, frozen.user_id)
        page.locator(f'a[href$="{frozen.binding}"]').first.click()
        expect(page.locator(".crumb")).to_contain_text(frozen.user_id)
        page.go_back()
        expect(page.locator("h2").first).to_have_text(f"User {frozen.user_id}")


def test_every_control_is_reached_by_tab_in_the_order_of_the_page(
    chromium: Browser, standing: Rig, busy: Person
) -> None:
    with page_of(chromium, standing, 1440) as page:
        sign_in(page, standing, "admin")
        for path in pages(busy):
            page.goto(path)
            expect(page.locator("#evidence[data-load] a.primary")).to_have_count(0)  # the verified evidence has arrived
            controls = page.locator("a[href], button, summary, input:not([type=hidden]), [tabindex='0']")
            # The skip link is off the page until it has the focus, and still a control.
            visible = [each.inner_text() for each in controls.all() if each.is_visible()]
            assert len(tab_order(page)) == len(visible), path


def test_the_banks_page_is_live_and_shows_silence_as_a_mark_and_as_text(
    chromium: Browser, standing: Rig, busy: Person
) -> None:
    with page_of(chromium, standing, 1440) as page:
        sign_in(page, standing)
        with page.expect_response("**/banks/stream") as streamed:
            page.goto("/console/banks")
        assert streamed.value.headers["content-type"].startswith("text/event-stream")
        silent = page.locator("section", has_text=BICS[0])
        expect(silent.locator("rect.silent")).to_have_count(1)
        expect(silent.locator("rect.unseen").first).to_be_attached()
        expect(silent.get_by_role("img")).to_have_attribute("aria-label", re.compile("silent spans: 1"))
        standing.clock.advance(5_000)
        expect(silent.locator(".age-now")).to_have_text(re.compile("^([5-9]|[0-9]{2}) s$"))
        standing.heartbeat()


def test_a_banks_label_and_colour_follow_its_live_age_both_ways(chromium: Browser, standing: Rig) -> None:
    with page_of(chromium, standing, 1440) as page:
        standing.heartbeat()
        sign_in(page, standing)
        page.goto("/console/banks")
        card = page.locator("section", has_text=BICS[0])
        expect(card.locator("h2 .tag")).to_have_text("up to date")
        standing.clock.advance(6 * MINUTE_MS)
        expect(card.locator("h2 .tag")).to_have_text("silent")
        expect(card).to_have_class("card blocked-edge")
        expect(card.locator(".age-now")).to_have_text(re.compile("^6 min"))
        standing.heartbeat()
        expect(card.locator("h2 .tag")).to_have_text("up to date")
        expect(card).to_have_class("card good-edge")
        standing.chain.down = True
        try:
            expect(card).to_have_class("card unknown-edge")
            expect(card.locator(".age-now")).to_have_text("cannot be read right now")
            expect(card.locator("h2 .tag")).to_be_hidden()
        finally:
            standing.chain.down = False
        expect(card).to_have_class("card good-edge")


def test_an_open_banks_page_that_hears_nothing_calls_no_bank_up_to_date_and_recovers(
    chromium: Browser, standing: Rig
) -> None:
    with visitor(chromium, standing.url, 1440, allowed=("502",)) as page:
        standing.heartbeat()
        sign_in(page, standing)
        page.route("**/banks/stream", lambda route: route.fulfill(status=502))  # as a proxy answers during a restart
        page.clock.install()
        page.goto("/console/banks")
        card = page.locator("section", has_text=BICS[0])
        expect(card.locator("h2 .tag")).to_have_text("up to date")
        page.clock.run_for(12_000)
        expect(card.locator("h2 .tag")).to_be_hidden()
        expect(card.locator(".age-now")).to_have_text("cannot be read right now")
        page.unroute("**/banks/stream")
        with page.expect_response("**/banks/stream"):
            page.clock.run_for(12_000)
        expect(card.locator("h2 .tag")).to_have_text("up to date")


def test_a_computer_that_wakes_after_the_end_of_its_session_shows_the_sign_in_and_no_old_age(
    chromium: Browser, standing: Rig
) -> None:
    with visitor(chromium, standing.url, 1440, allowed=("ERR_",)) as page:
        standing.heartbeat()
        sign_in(page, standing)
        page.route("**/banks/stream", lambda route: route.abort("internetdisconnected"))
        page.clock.install()
        page.goto("/console/banks")
        page.unroute("**/banks/stream")
        standing.clock.advance(60 * MINUTE_MS)
        standing.heartbeat()
        page.clock.run_for(12_000)
        expect(page.locator("#key")).to_be_visible()
        assert page.url.endswith("/console/sign-in?next=/console/banks")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_script_writes_ages_in_the_servers_units(chromium: Browser, standing: Rig, language: Language) -> None:
    words = Words("standing.gateway.console", language, ZoneInfo("UTC"))
    with page_of(chromium, standing, 1440, language) as page:
        sign_in(page, standing)
        page.goto("/console/banks")
        for seconds in (10, 59, 60, 61, 3_600, 3_661, 180_000, 86_400, 90_061, -61):
            shown = page.evaluate(f"span({seconds * 1000}, document.querySelector('[data-stream]').dataset)")
            assert shown == words.span(seconds * 1000)


def test_an_age_on_an_open_account_page_does_not_grow_old_with_the_page(
    chromium: Browser, standing: Rig, frozen: Person
) -> None:
    with page_of(chromium, standing, 1440) as page:
        standing.heartbeat()
        sign_in(page, standing)
        page.clock.install()
        page.goto(f"/console/accounts/{frozen.binding}")
        age = page.locator("dd", has_text="when this page was loaded").locator("span").first
        before = age.inner_text()
        page.clock.run_for(10 * MINUTE_MS)
        expect(age).to_have_text(before)
        expect(age).not_to_have_class("late")


def test_today_counts_decisions_and_the_misses_of_a_nightly_snapshot(
    chromium: Browser, standing: Rig, frozen: Person
) -> None:
    with page_of(chromium, standing, 1440) as page:
        sign_in(page, standing)
        page.goto("/console/today")
        exposed = page.locator("#exposure")
        expect(exposed.get_by_text("Account frozen").first).to_be_visible()
        exposed.locator("li a").first.click()
        expect(page.locator("h1")).to_contain_text("t-")


def test_a_decisions_outcome_and_link_are_seen_on_a_phone_without_scrolling_its_table(
    chromium: Browser, standing: Rig, frozen: Person
) -> None:
    with page_of(chromium, standing, 360) as page:
        sign_in(page, standing)
        page.goto(f"/console/accounts/{frozen.binding}")
        for seen, at_least in (("table .tag", 60), ("table a", 48)):
            box = page.locator(seen).first.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + at_least <= 360 - 35, seen  # the card's edge


def test_support_has_no_admin_pages_in_the_menu_and_is_refused_at_their_address(
    chromium: Browser, standing: Rig
) -> None:
    with visitor(chromium, standing.url, 1440, allowed=("403",)) as page:
        sign_in(page, standing)
        assert not {"Webhooks", "Audit"} & set(page.locator("nav a").all_inner_texts())
        for path in ("audit", "webhooks"):
            page.goto(f"/console/{path}")
            expect(page.get_by_text("Your role does not allow this")).to_be_visible()


def test_a_user_calls_and_support_closes_the_review_by_clicks_alone_and_the_payment_goes_through(
    chromium: Browser, standing: Rig
) -> None:
    person = standing.bound()
    person.bank.change(person.number, holder=Claim(**person.claim | {"phone": "+8613911112222"}))
    asked = person.decide(amount_minor=3_000)
    assert (asked["outcome"], asked["reason"]) == ("review", "phone_changed")
    with page_of(chromium, standing, 1440) as page:
        sign_in(page, standing)
        page.locator(f'a[href$="/decisions/{asked["transaction_id"]}"]').click()
        expect(page.get_by_text("Phone changed at the bank").first).to_be_visible()
        page.locator('#review [name="reason"]').fill("Called back: it is the user's new phone")
        page.get_by_role("button", name="Approve").click()
        expect(page.locator("#review h2")).to_contain_text("Approved")
    closed = standing.platform("GET", f"/v1/decisions/{asked['transaction_id']}").json()
    assert (closed["review"]["outcome"], closed["reservation"]["state"]) == ("approve", "reserved")


def test_support_finds_a_frozen_account_with_its_reason_and_requests_a_resync(
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


def test_a_printed_account_has_what_it_says_and_nothing_to_click(
    chromium: Browser, standing: Rig, frozen: Person
) -> None:
    with page_of(chromium, standing, 768) as page:
        sign_in(page, standing)
        page.goto(f"/console/accounts/{frozen.binding}")
        page.emulate_media(media="print")
        expect(page.get_by_text("Frozen").first).to_be_visible()
        expect(page.get_by_text("Page opened by")).to_be_visible()
        # Otherwise a page that begins with a long list is printed as a heading on an empty sheet.
        assert page.locator(".card").first.evaluate("each => getComputedStyle(each).breakInside") == "auto"
        for clicked in ("header", "nav", "form", "summary", "button", "a.button"):
            shown = [each for each in page.locator(clicked).all() if each.is_visible()]
            assert shown == [], clicked
