"""Early warnings on the demo's page, in a real Chromium: before a payment fails, and whether they came true."""

import pytest
from playwright.sync_api import Browser, expect

from demo_page import visitor as visitors
from demo_page.stage import Stage
from tests.browser.browsing import fits, serious_findings, shoot, visitor
from tests.browser.demo_visits import OUTCOMES, PATIENT_MS, as_admin, buy, page_of, scored, settled, switch, verdicts

pytestmark = pytest.mark.browser

_WARNED = {
    "en": (
        "Payments like yours often exceed",
        "Ask the bank to raise the limit",
        "Came true",
        "Early warning",
    ),
    "zh": ("您的常见付款金额可能超过", "请向银行申请提高限额", "预警应验", "失败前的预警"),
}


def predicted(stage: Stage, *, on: bool) -> None:
    """Include the visitor in predictions, or exclude them."""
    as_admin(stage, "PUT", f"/v1/users/{visitors.USER}/prediction", {"predicted": on, "reason": "a test"})


def warnings_of(stage: Stage) -> list[str]:
    """The warnings about the visitor's account, by their events."""
    return [each["event"] for each in as_admin(stage, "GET", f"/v1/bindings/{stage.binding}/warnings")["warnings"]]


@pytest.mark.parametrize(("width", "language"), [(360, "zh"), (768, "en"), (1440, "en"), (1440, "zh")])
def test_a_warning_appears_before_the_payment_fails_and_is_confirmed(
    chromium: Browser, served: tuple[str, Stage], width: int, language: str
) -> None:
    url, stage = served
    what, to_do, true, on_console = _WARNED[language]
    with page_of(chromium, url, width, language) as page:
        scored(stage)
        buy(page, "camera")
        verdicts(page, OUTCOMES[language]["approve"], OUTCOMES[language]["approve"])
        before = page.locator("#early-title").text_content()
        switch(page, "limit", on=True)
        expect(page.locator("#early-factors")).to_contain_text(what, timeout=PATIENT_MS)
        expect(page.locator("#early-title")).not_to_have_text(before or "-", timeout=PATIENT_MS)
        expect(page.locator("#early-factors")).to_contain_text(to_do)
        expect(page.locator("#early-came")).to_have_class("came")
        buy(page, "camera")
        verdicts(page, OUTCOMES[language]["decline"], OUTCOMES[language]["approve"])
        expect(page.locator("#early-came")).to_have_class("came true", timeout=PATIENT_MS)
        expect(page.locator("#early-outcome")).to_contain_text(true)
        assert fits(page)
        assert serious_findings(page) == []
        shoot(page, f"demo-warning-{width}-{language}")
    (failed, *_) = stage.document()["sales"]
    assert stage.warned is not None
    assert stage.warned["failure"]["transaction_id"] == failed["id"]
    assert stage.warned["failure"]["factor"]["code"] == "over_transaction"
    with visitor(chromium, stage.net.gateway_url, width, language) as page:
        page.goto(f"/console/accounts/{stage.binding}")
        page.locator("#key").fill(stage.net.support_key)
        page.locator("#key").press("Enter")
        expect(page.locator("#key")).to_have_count(0)
        page.goto(f"/console/accounts/{stage.binding}")
        card = page.locator(".warned").first
        expect(card).to_contain_text(on_console)
        expect(card).to_contain_text(what)
        expect(card).to_contain_text(failed["id"])
        assert fits(page)
        assert serious_findings(page) == []
        shoot(page, f"console-warning-{width}-{language}")


def test_a_user_excluded_from_predictions_gets_no_warning_and_the_page_invents_none(
    chromium: Browser, served: tuple[str, Stage]
) -> None:
    url, stage = served
    with page_of(chromium, url, 1440) as page:
        predicted(stage, on=False)
        scored(stage)
        buy(page, "camera")
        verdicts(page, "Approved", "Approved")
        before = warnings_of(stage)
        switch(page, "limit", on=True)
        settled(page)
        scored(stage)
        buy(page, "camera")
        verdicts(page, "Declined", "Approved")
        assert warnings_of(stage) == before
        predicted(stage, on=True)


def test_why_a_warning_came_true_stays_in_words_after_many_more_payments(
    chromium: Browser, served: tuple[str, Stage]
) -> None:
    url, stage = served
    with page_of(chromium, url, 1440) as page:
        scored(stage)
        buy(page, "camera")
        verdicts(page, "Approved", "Approved")
        before = page.locator("#early-title").text_content()
        switch(page, "limit", on=True)
        expect(page.locator("#early-title")).not_to_have_text(before or "-", timeout=PATIENT_MS)
        buy(page, "camera")
        expect(page.locator("#early-came")).to_have_class("came true", timeout=PATIENT_MS)
        for item in ("coffee", "book") * 3:
            buy(page, item)
        expect(page.locator("#early-why")).to_contain_text("The amount exceeds the bank's limit for one transaction")
