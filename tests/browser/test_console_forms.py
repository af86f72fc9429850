"""The console's forms under impatient hands, and the longest ids of a platform."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from standing.ledger.attestations.binding_protocol import Claim
from tests.browser.browsing import fits, visitor
from tests.browser.test_console import find, sign_in
from tests.gateway.gateway_rig import Rig, rig

pytestmark = pytest.mark.browser

_HOLDING = {
    "rule": "velocity",
    "name": "v" * 32,
    "currency": "CNY",
    "over_minor": 1,
    "within_minutes": 1,
    "hold_minutes": 600,
}


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    fresh = [{"up_to_minor": "any", "max_staleness_ms": 300_000}]
    with rig(tmp_path_factory.mktemp("forms"), policy={"freshness": fresh, "risk": [_HOLDING]}) as made:
        yield made


def test_an_act_is_sent_once_while_its_answer_is_on_its_way_and_again_if_none_came(chromium: Browser, it: Rig) -> None:
    with visitor(chromium, it.url, 1440) as page:
        sign_in(page, it)
        page.clock.install()
        page.goto(f"/console/accounts/{it.bound().binding}")
        # Forms go nowhere from here on, as on a network that has just broken; those that would have gone are counted.
        page.evaluate(
            """() => { window.gone = 0; addEventListener("submit", (event) => {
            window.gone += event.defaultPrevented ? 0 : 1; event.preventDefault(); }) }"""
        )
        page.locator("summary", has_text="Ask the bank to publish again").click()
        form = page.locator('form[action$="/resync"]')
        form.locator('[name="reason"]').fill("The network is slow today")
        form.locator("button").click()
        expect(form).to_have_attribute("aria-busy", "true")
        page.clock.run_for(20_000)
        form.locator("button").click()
        assert page.evaluate("window.gone") == 1
        page.clock.run_for(20_000)
        expect(form).not_to_have_attribute("aria-busy", "true")
        form.locator("button").click()
        assert page.evaluate("window.gone") == 2


def test_the_page_after_an_act_begins_with_what_was_done(chromium: Browser, it: Rig) -> None:
    with visitor(chromium, it.url, 1440) as page:
        sign_in(page, it)
        page.goto(f"/console/accounts/{it.bound().binding}?done=resync-queued")
        expect(page.get_by_role("status")).to_be_focused()


def test_enter_after_the_reason_of_a_review_decides_nothing(chromium: Browser, it: Rig) -> None:
    person = it.bound()
    person.bank.change(person.number, holder=Claim(**person.claim | {"phone": "+8613911113333"}))
    asked = person.decide(amount_minor=3_000)["transaction_id"]
    with visitor(chromium, it.url, 1440) as page:
        sign_in(page, it)
        page.goto(f"/console/decisions/{asked}")
        reason = page.locator('#review [name="reason"]')
        reason.fill("The user does not know of it")
        reason.press("Enter")
        page.get_by_role("button", name="Decline").click()
        expect(page.locator("#review h2")).to_contain_text("Declined")
        expect(page.get_by_role("status")).to_have_text("The review is closed.")
        expect(page.get_by_role("status")).to_be_focused()
    assert it.platform("GET", f"/v1/decisions/{asked}").json()["review"]["outcome"] == "decline"


def test_the_longest_ids_of_a_platform_fit_a_phone(chromium: Browser, it: Rig) -> None:
    person = it.person()
    person.user_id, transaction = "U" * 64, "T" * 64
    person.binding = person.bind(request_id="bind-longest").json()["binding"]
    assert person.decide(transaction_id=transaction)["reason"] == "risk_hold"
    with visitor(chromium, it.url, 320) as page:
        sign_in(page, it)
        find(page, person.user_id)
        assert fits(page), "found"
        for path in ("", f"accounts/{person.binding}", f"decisions/{transaction}"):
            page.goto(f"/console/{path}")
            page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
            assert fits(page), path


_REASON = "The user called, ticket 4711"


def _typed(page: Page, it: Rig) -> str:
    """The page of a new account on which the reason of a resync is typed."""
    path = f"/console/accounts/{it.bound().binding}"
    page.goto(path)
    page.locator("summary", has_text="Ask the bank to publish again").click()
    page.locator('form[action$="/resync"] [name="reason"]').fill(_REASON)
    return path


def _is_back(page: Page) -> None:
    reason = page.locator('form[action$="/resync"] [name="reason"]')
    expect(reason).to_be_visible()
    expect(reason).to_have_value(_REASON)
    expect(page.locator('form[action$="/end"] [name="reason"]')).to_be_hidden()


def _send(page: Page) -> None:
    page.locator('form[action$="/resync"] button').click()


def test_text_of_a_form_survives_signing_in_again_a_wrong_key_and_another_language(chromium: Browser, it: Rig) -> None:
    with visitor(chromium, it.url, 1440, allowed=("403",)) as page:
        sign_in(page, it)
        _typed(page, it)
        it.clock.advance(15 * 60_000)
        it.heartbeat()
        _send(page)
        for key in ("sk_wrong", it.keys["support"]):
            page.locator('[name="key"]').fill(key)
            page.locator('[name="key"]').press("Enter")
        _is_back(page)
        page.get_by_role("button", name="中文").click()
        expect(page.get_by_role("button", name="English")).to_be_visible()
        _is_back(page)
        _send(page)
        expect(page.get_by_role("status")).to_be_visible()
        # Done: on no page is the text left to be sent a second time.
        expect(page.locator('form[action$="/resync"] [name="reason"]')).to_have_value("")
        page.go_back()
        expect(page.locator('form[action$="/resync"] [name="reason"]')).to_have_value("")


def test_text_of_a_form_survives_a_lost_network_a_reload_and_a_look_at_another_page(chromium: Browser, it: Rig) -> None:
    with visitor(chromium, it.url, 1440, allowed=("ERR_INTERNET_DISCONNECTED",)) as page:
        sign_in(page, it)
        path = _typed(page, it)
        page.context.set_offline(True)
        _send(page)
        page.wait_for_url("chrome-error://**")
        page.context.set_offline(False)
        page.go_back()
        _is_back(page)
        page.reload()
        _is_back(page)
        page.get_by_role("link", name="Banks").click()
        page.wait_for_url("**/console/banks")
        page.goto(path)
        _is_back(page)


def test_text_of_a_form_is_shown_to_nobody_else(chromium: Browser, it: Rig) -> None:
    with visitor(chromium, it.url, 1440) as page:
        sign_in(page, it)
        path = _typed(page, it)
        it.clock.advance(15 * 60_000)
        it.heartbeat()
        _send(page)
        page.locator('[name="key"]').fill(it.keys["admin"])
        page.locator('[name="key"]').press("Enter")
        expect(page.locator(".crumb")).to_be_visible()
        expect(page.locator('form[action$="/resync"] [name="reason"]')).to_have_value("")
        assert page.evaluate("sessionStorage.length") == 0
        _typed(page, it)
        page.get_by_role("button", name="Sign out").click()
        page.locator('[name="key"]').fill(it.keys["admin"])
        page.locator('[name="key"]').press("Enter")
        assert page.evaluate("sessionStorage.length") == 0
        page.goto(path)
        expect(page.locator('form[action$="/resync"] [name="reason"]')).to_have_value("")
