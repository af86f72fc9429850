"""The demo's page in a real Chromium: desk, ledger, shop."""

import re

import httpx
import pytest
from playwright.sync_api import Browser, expect

from demo_page import app as demo_page
from demo_page import visitor as visitors
from demo_page.stage import Stage
from tests.browser.browsing import WIDTHS, fits, high_contrast_colour, serious_findings, shoot, tab_order, visitor
from tests.browser.demo_visits import OUTCOMES, PATIENT_MS, buy, page_of, settled, switch, the_day, verdicts

pytestmark = pytest.mark.browser

_LONG_MS = 90_000
_FROZEN = {"en": "The bank has frozen", "zh": "该账户已被银行冻结"}


def test_the_page_counts_the_snapshots_wrong_answers_of_the_day(chromium: Browser, served: tuple[str, Stage]) -> None:
    wrong = {"accept": "decline", "refuse": "approve"}
    expected = sum(one.snapshot == wrong[one.event["bank_would"]] for one in the_day())
    with page_of(chromium, served[0], 1440) as page:
        expect(page.locator("#day-snapshot")).to_have_text(str(expected))
        expect(page.locator("#day-standing")).to_have_text("0")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_frozen_card_is_declined_where_the_snapshot_approves_at_every_width_in_both_languages(
    chromium: Browser, served: tuple[str, Stage], width: int, language: str
) -> None:
    url, _ = served
    texts = OUTCOMES[language]
    with page_of(chromium, url, width, language) as page:
        buy(page, "coffee")
        verdicts(page, texts["approve"], texts["approve"])
        switch(page, "freeze", on=True)
        settled(page)
        expect(page.locator("#events li").first).to_be_visible()
        buy(page, "headphones")
        verdicts(page, texts["decline"], texts["approve"])
        expect(page.locator("#standing-why")).to_contain_text(_FROZEN[language])
        expect(page.locator("#snapshot")).to_have_class(re.compile(r"approve wrong"))
        assert fits(page)
        assert serious_findings(page) == []
        shoot(page, f"demo-{width}-{language}")


def test_high_contrast_shows_which_switches_are_on_and_the_banks_age(
    chromium: Browser, served: tuple[str, Stage]
) -> None:
    with page_of(chromium, served[0], 1440) as page:
        switch(page, "limit", on=True)
        on, off = (high_contrast_colour(page, f'[data-act="{each}"] .knob') for each in ("limit", "freeze"))
        assert on != off
        switch(page, "limit", on=False)
        assert high_contrast_colour(page, "#gauge") != high_contrast_colour(page, ".gauge")
        settled(page)
        assert high_contrast_colour(page, "#trail .done", "::after") != high_contrast_colour(page, "body")


def test_a_lower_limit_and_a_new_phone_take_effect_at_once(chromium: Browser, served: tuple[str, Stage]) -> None:
    with page_of(chromium, served[0], 1440) as page:
        switch(page, "limit", on=True)
        settled(page)
        buy(page, "camera")
        verdicts(page, "Declined", "Approved")
        switch(page, "limit", on=False)
        switch(page, "phone", on=True)
        settled(page)
        buy(page, "book")
        verdicts(page, "In review", "Approved")


def test_a_silent_banks_last_attestation_approves_nothing_once_it_is_too_old(
    chromium: Browser, served: tuple[str, Stage]
) -> None:
    with page_of(chromium, served[0], 1440) as page:
        switch(page, "silence", on=True)
        expect(page.locator("#age")).to_have_class("late", timeout=PATIENT_MS)
        buy(page, "coffee")
        verdicts(page, "In review", "Approved")
        switch(page, "freeze", on=True)
        expect(page.locator("#ledger-facts")).to_contain_text("has not reported it yet")
        switch(page, "silence", on=False)
        expect(page.locator("#age")).not_to_have_class("late", timeout=PATIENT_MS)
        settled(page)
        buy(page, "book")
        verdicts(page, "Declined", "Approved")


def test_an_answer_from_before_the_banks_last_change_says_so(chromium: Browser, served: tuple[str, Stage]) -> None:
    with page_of(chromium, served[0], 1440) as page:
        buy(page, "coffee")
        expect(page.locator("#asked")).to_contain_text("can this payment go through?")
        expect(page.locator("#truth")).to_have_text("At the bank: no objection.")
        switch(page, "freeze", on=True)
        settled(page)
        expect(page.locator("#asked")).to_contain_text("answered before the bank's last change")
        expect(page.locator("#truth")).to_have_text("At the bank, at that time: no objection.")
        assert serious_findings(page) == []
        buy(page, "coffee")
        expect(page.locator("#asked")).to_contain_text("can this payment go through?")


def test_where_the_bank_keeps_a_change_back_the_page_admits_that_standing_was_wrong_too(
    chromium: Browser, served: tuple[str, Stage]
) -> None:
    with page_of(chromium, served[0], 1440, "zh") as page:
        switch(page, "silence", on=True)
        switch(page, "freeze", on=True)
        buy(page, "coffee")
        verdicts(page, "通过", "通过")
        expect(page.locator("#truth")).to_contain_text("两者均判断有误：银行的变更当时尚未上链。Standing 最多采信")


def test_an_answer_without_the_ledger_says_that_the_age_is_unknown(
    chromium: Browser, served: tuple[str, Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = {"en": "It cannot be checked.", "zh": "暂时无法查询。"}
    answer: dict[str, object] = {
        "outcome": "review",
        "reason": "ledger_unreachable",
        "message": message,
        "staleness_ms": None,
    }

    async def unread(_path: str, _body: object) -> dict[str, object]:
        return answer

    with page_of(chromium, served[0], 1440) as page:
        monkeypatch.setattr(served[1], "_ask", unread)
        buy(page, "coffee")
        expect(page.locator("#standing-facts")).to_contain_text("age of the information unknown")


def test_a_newcomer_reads_what_the_page_shows_and_what_to_try(chromium: Browser, served: tuple[str, Stage]) -> None:
    for language, expected in (("en", "freeze the card, then buy a coffee"), ("zh", "先冻结银行卡，再买一杯咖啡")):
        with page_of(chromium, served[0], 360, language) as page:
            expect(page.locator(".intro")).to_contain_text(expected)


def test_a_page_that_gets_no_words_says_so_and_tries_again(chromium: Browser, served: tuple[str, Stage]) -> None:
    with visitor(chromium, served[0], 360, allowed=("net::ERR_FAILED",)) as page:
        page.route("**/static/words.json", lambda route: route.abort())
        page.goto("/")
        expect(page.locator("#trouble")).to_contain_text("演示程序无响应，本页正在重试")
        page.unroute("**/static/words.json")
        expect(page.locator("#play")).not_to_be_empty(timeout=PATIENT_MS)
        expect(page.locator("#trouble")).to_be_hidden()


def test_autoplay_runs_until_a_visitor_takes_over_and_can_be_restarted(
    chromium: Browser, served: tuple[str, Stage]
) -> None:
    with page_of(chromium, served[0], 1440) as page:
        page.locator("#play").click()
        expect(page.locator("#scene")).to_contain_text("is warned before the next payment fails", timeout=PATIENT_MS)
        expect(page.locator("#early-came")).to_have_class("came", timeout=_LONG_MS)
        expect(page.locator("#early-factors")).to_contain_text("Payments like yours often exceed")
        expect(page.locator("#early-came")).to_have_class("came true", timeout=_LONG_MS)
        expect(page.locator("#scene")).to_contain_text("freezes the card", timeout=_LONG_MS)
        expect(page.locator('[data-act="freeze"]')).to_have_attribute("aria-pressed", "true", timeout=PATIENT_MS)
        expect(page.locator('[data-item="headphones"]')).to_have_class("good bought", timeout=PATIENT_MS)
        page.locator('[data-item="coffee"]').click()
        expect(page.locator("#scene")).to_contain_text("Your turn", timeout=PATIENT_MS)
        expect(page.locator('[data-act="freeze"]')).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize(("language", "told"), [("en", "Too many pages are open"), ("zh", "打开的页面过多")])
def test_a_page_beyond_the_most_says_so_and_goes_on_once_there_is_room(
    chromium: Browser, served: tuple[str, Stage], monkeypatch: pytest.MonkeyPatch, language: str, told: str
) -> None:
    with visitor(chromium, served[0], 1440, language, allowed=("503",)) as page:
        with monkeypatch.context() as full:
            full.setattr(demo_page, "_MAX_STREAMS", 0)
            page.goto("/")
            expect(page.locator("#trouble")).to_contain_text(told)
        expect(page.locator("#play")).not_to_be_empty(timeout=PATIENT_MS)
        expect(page.locator("#trouble")).to_be_hidden()


@pytest.mark.parametrize("width", [360, 768, 1024, 1280, 1440])
def test_the_names_of_the_goods_fit_their_buttons(chromium: Browser, served: tuple[str, Stage], width: int) -> None:
    with visitor(chromium, served[0], width) as page:
        page.goto("/")
        for good in page.locator(".good").all():
            expect(good.locator("b")).not_to_be_empty()
            assert good.evaluate("each => each.scrollWidth <= each.clientWidth"), good.inner_text()


def test_a_page_whose_demo_does_not_respond_says_so_in_either_language_and_goes_on_once_it_does(
    chromium: Browser, served: tuple[str, Stage]
) -> None:
    with visitor(chromium, served[0], 1440, allowed=("ERR_",)) as page:
        page.goto("/")
        expect(page.locator("#age")).to_contain_text(re.compile("[0-9]"))
        page.route("**/stream", lambda route: route.abort("connectionrefused"))
        page.reload()
        expect(page.locator("#trouble")).to_contain_text("The demo does not respond")
        page.locator("#language").click()
        expect(page.locator("#trouble")).to_contain_text("演示程序无响应")
        expect(page.locator("#age")).to_have_text("–")
        page.reload()
        expect(page.locator("#trouble")).to_contain_text("演示程序无响应")
        page.unroute("**/stream")
        expect(page.locator("#age")).to_contain_text(re.compile("[0-9]"))
        expect(page.locator("#trouble")).to_be_hidden()


@pytest.mark.parametrize(("language", "told"), [("en", "gateway does not respond"), ("zh", "平台网关无响应")])
def test_a_gateway_that_does_not_respond_is_named_and_the_banks_age_is_not_guessed(
    chromium: Browser, served: tuple[str, Stage], monkeypatch: pytest.MonkeyPatch, language: str, told: str
) -> None:
    url, stage = served
    with page_of(chromium, url, 1440, language) as page:
        with monkeypatch.context() as down:
            down.setattr(stage, "_gateway", httpx.AsyncClient(base_url="http://127.0.0.1:9"))
            expect(page.locator("#trouble")).to_contain_text(told)
            expect(page.locator("#age")).to_have_text("–")
            expect(page.locator("#age")).not_to_have_class("late")
        expect(page.locator("#trouble")).to_be_hidden()
        expect(page.locator("#age")).to_contain_text(re.compile("[0-9]"))


def test_everything_is_reached_by_tab_in_the_order_of_the_page(chromium: Browser, served: tuple[str, Stage]) -> None:
    with page_of(chromium, served[0], 1440) as page:
        reached = tab_order(page)
        names = (
            "Autoplay",
            "中文",
            "Freeze",
            "Lower",
            "Change",
            "Silence",
            "Coffee",
            "Book",
            "Headphones",
            "Camera",
        )
        at = [next(index for index, each in enumerate(reached) if name in each) for name in names]
        assert at == sorted(at)
        page.locator('[data-item="coffee"]').focus()
        page.keyboard.press("Enter")
        verdicts(page, "Approved", "Approved")


@pytest.mark.parametrize(
    ("path", "headers", "body", "allowed"),
    [
        ("/act", {}, {"what": "rob", "on": True}, "freeze"),
        ("/act", {}, {"what": "freeze", "on": "yes"}, "what, on"),
        ("/pay", {}, {"item": "<script>"}, "coffee"),
        ("/pay", {}, {"item": "coffee" * 200}, "500 bytes"),
        ("/pay", {"Origin": "http://elsewhere.example"}, {"item": "coffee"}, "another site"),
    ],
)
def test_requests_that_the_page_would_not_send_are_refused(
    served: tuple[str, Stage], path: str, headers: dict[str, str], body: dict[str, object], allowed: str
) -> None:
    answer = httpx.post(served[0].rstrip("/") + path, headers=headers, json=body)
    assert answer.status_code == 400
    assert allowed in answer.json()["problem"]


def test_requests_under_another_host_name_are_refused(served: tuple[str, Stage]) -> None:
    assert httpx.get(served[0], headers={"Host": "evil.example"}).status_code == 400
    assert "script-src 'self'" in httpx.get(served[0]).headers["Content-Security-Policy"]
    assert visitors.BIC not in httpx.get(served[0]).text
