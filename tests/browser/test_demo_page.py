"""The demo's page in a real Chromium, over a whole network of real processes: desk, ledger, shop."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from demo_day import PLATFORM, POLICY, Decided, load_accounts, load_lines
from demo_page import app as demo_page
from demo_page import visitor as visitors
from demo_page.stage import Stage
from demo_snapshot import Snapshot
from localnet import LocalNet
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Question
from standing.ledger.attestations.money import currency_number
from tests.browser.browsing import WIDTHS, fits, high_contrast_colour, serious_findings, shoot, tab_order, visitor

pytestmark = pytest.mark.browser

BICS = ("YUNXCNB0", "HAIYCNS0001")
_PATIENT_MS = 60_000
_LONG_MS = 90_000
_TEXTS = {
    "en": {"decline": "Declined", "approve": "Approved", "review": "In review", "frozen": "The bank has frozen"},
    "zh": {"decline": "拒绝", "approve": "通过", "review": "人工审核", "frozen": "该账户已被银行冻结"},
}


def the_day() -> Iterator[Decided]:
    """The day as it must be decided, each decision with the real answer of last night's snapshot."""
    policy = Policy.model_validate(POLICY)
    accounts = {row["number"]: {**row, "bank": bic} for bic in BICS for row in load_accounts(bic)}
    snapshots = {
        user["user_id"]: Snapshot.of(accounts[user["number"]], user)
        for user in load_lines("users.jsonl")
        if user["number"] in accounts
    }
    for event in load_lines("trace.jsonl"):
        if event["kind"] == "transaction":
            kind, expected = Kind(event["transaction"]), event["expect"]
            snapshot = snapshots[event["user_id"]]
            question = Question(kind, event["amount_minor"], currency_number(event["currency"]))
            answer = snapshot.decide(question, policy)
            if expected["outcome"] == "approve" and kind is Kind.PAYMENT and event["then"] == "capture":
                snapshot.used_minor[kind] += event["amount_minor"]
            yield Decided(event, expected["outcome"], expected["reason"], 0, answer)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Stage]]:
    net = LocalNet(tmp_path_factory.mktemp("demo-page"), PLATFORM)
    try:
        net.start_ledger()
        demo_page.add_bank(net)
        net.add_gateway(policy=POLICY)
        net.gateway_settings["warning"] = {"busy_percent": 100}
        net.start_gateway()
        day = list(the_day())
        with demo_page.opened(net, len(day)) as opened:
            for decided in day:
                opened[1].show_decision(decided)
            yield opened
    finally:
        net.stop()


@contextmanager
def page_of(browser: Browser, url: str, width: int, language: str = "en") -> Iterator[Page]:
    """The page without autoplay, with the desk in its initial state."""
    with visitor(browser, url, width, language) as page:
        page.goto("/")
        expect(page.locator("#play")).not_to_be_empty()
        if page.locator("#play").get_attribute("aria-pressed") == "true":
            page.locator("#play").click()
        expect(page.locator("#play")).to_have_attribute("aria-pressed", "false")
        for what in ("silence", "freeze", "limit", "phone"):
            switch(page, what, on=False)
        settled(page)
        yield page


def switch(page: Page, what: str, *, on: bool) -> None:
    """Set a switch of the desk by a click."""
    button = page.locator(f'[data-act="{what}"]')
    if button.get_attribute("aria-pressed") != str(on).lower():
        button.click()
    expect(button).to_have_attribute("aria-pressed", str(on).lower())


def settled(page: Page) -> None:
    """Wait until the last change is on the ledger."""
    expect(page.locator("#trail li").nth(4)).to_have_class("done", timeout=_PATIENT_MS)


def verdicts(page: Page, standing: str, snapshot: str) -> None:
    """Wait for the verdicts of both platforms."""
    expect(page.locator("#standing-outcome")).to_have_text(standing, timeout=_PATIENT_MS)
    expect(page.locator("#snapshot-outcome")).to_have_text(snapshot, timeout=_PATIENT_MS)


def buy(page: Page, item: str) -> None:
    """Click on an item, and wait until the verdicts are about it."""
    page.locator(f'[data-item="{item}"]').click()
    expect(page.locator(f'[data-item="{item}"]')).to_have_class("good bought", timeout=_PATIENT_MS)


def as_admin(stage: Stage, method: str, path: str, body: Any = None) -> Any:
    """The gateway's answer to its administrator."""
    headers = {"Authorization": f"Bearer {stage.net.admin_key}", "Standing-Reason": "a test"}
    answer = httpx.request(method, stage.net.gateway_url + path, headers=headers, json=body, timeout=60)
    assert answer.is_success, answer.text
    return answer.json()


def scored(stage: Stage) -> None:
    """Wait until the gateway has seen the last change, and then for a run of scoring."""
    for attempt in _patiently():
        with attempt:
            change = as_admin(stage, "GET", f"/v1/bindings/{stage.binding}/trail")["changes"][0]
            assert next(hop for hop in change["hops"] if hop["name"] == "observed")["state"] == "done"
    asked = as_admin(stage, "POST", "/v1/scoring")["asked_at_ms"]
    for attempt in _patiently():
        with attempt:
            last = as_admin(stage, "GET", "/v1/scoring")["last"]
            assert last is not None
            assert last["began_at_ms"] >= asked
            assert last["ended_at_ms"] is not None


def _patiently() -> Retrying:
    return Retrying(stop=stop_after_delay(60), wait=wait_fixed(0.05), retry=retry_if_exception_type(AssertionError))


def predicted(stage: Stage, *, on: bool) -> None:
    """Include the visitor in predictions, or exclude them."""
    as_admin(stage, "PUT", f"/v1/users/{visitors.USER}/prediction", {"predicted": on, "reason": "a test"})


def warnings_of(stage: Stage) -> list[str]:
    """The warnings about the visitor's account, by their events."""
    return [each["event"] for each in as_admin(stage, "GET", f"/v1/bindings/{stage.binding}/warnings")["warnings"]]


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
    texts = _TEXTS[language]
    with page_of(chromium, url, width, language) as page:
        buy(page, "coffee")
        verdicts(page, texts["approve"], texts["approve"])
        switch(page, "freeze", on=True)
        settled(page)
        expect(page.locator("#events li").first).to_be_visible()
        buy(page, "headphones")
        verdicts(page, texts["decline"], texts["approve"])
        expect(page.locator("#standing-why")).to_contain_text(texts["frozen"])
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
        expect(page.locator("#age")).to_have_class("late", timeout=_PATIENT_MS)
        buy(page, "coffee")
        verdicts(page, "In review", "Approved")
        switch(page, "freeze", on=True)
        expect(page.locator("#ledger-facts")).to_contain_text("has not reported it yet")
        switch(page, "silence", on=False)
        expect(page.locator("#age")).not_to_have_class("late", timeout=_PATIENT_MS)
        settled(page)
        buy(page, "book")
        verdicts(page, "Declined", "Approved")


_WARNED = {
    "en": (
        "Payments like yours often exceed",
        "Ask the bank to raise the limit",
        "Came true",
        "Early warning",
    ),
    "zh": ("您的常见付款金额可能超过", "请向银行申请提高限额", "预警应验", "失败前的预警"),
}


@pytest.mark.parametrize(("width", "language"), [(360, "zh"), (768, "en"), (1440, "en"), (1440, "zh")])
def test_a_warning_appears_before_the_payment_fails_and_is_confirmed(
    chromium: Browser, served: tuple[str, Stage], width: int, language: str
) -> None:
    url, stage = served
    what, to_do, true, on_console = _WARNED[language]
    with page_of(chromium, url, width, language) as page:
        scored(stage)
        buy(page, "camera")
        verdicts(page, _TEXTS[language]["approve"], _TEXTS[language]["approve"])
        before = page.locator("#early-title").text_content()
        switch(page, "limit", on=True)
        expect(page.locator("#early-factors")).to_contain_text(what, timeout=_PATIENT_MS)
        expect(page.locator("#early-title")).not_to_have_text(before or "-", timeout=_PATIENT_MS)
        expect(page.locator("#early-factors")).to_contain_text(to_do)
        expect(page.locator("#early-came")).to_have_class("came")
        buy(page, "camera")
        verdicts(page, _TEXTS[language]["decline"], _TEXTS[language]["approve"])
        expect(page.locator("#early-came")).to_have_class("came true", timeout=_PATIENT_MS)
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


def test_autoplay_runs_until_a_visitor_takes_over_and_can_be_restarted(
    chromium: Browser, served: tuple[str, Stage]
) -> None:
    with page_of(chromium, served[0], 1440) as page:
        page.locator("#play").click()
        expect(page.locator("#scene")).to_contain_text("is warned before the next payment fails", timeout=_PATIENT_MS)
        expect(page.locator("#early-came")).to_have_class("came", timeout=_LONG_MS)
        expect(page.locator("#early-factors")).to_contain_text("Payments like yours often exceed")
        expect(page.locator("#early-came")).to_have_class("came true", timeout=_LONG_MS)
        expect(page.locator("#scene")).to_contain_text("freezes the card", timeout=_LONG_MS)
        expect(page.locator('[data-act="freeze"]')).to_have_attribute("aria-pressed", "true", timeout=_PATIENT_MS)
        expect(page.locator('[data-item="headphones"]')).to_have_class("good bought", timeout=_PATIENT_MS)
        page.locator('[data-item="coffee"]').click()
        expect(page.locator("#scene")).to_contain_text("Your turn", timeout=_PATIENT_MS)
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
        expect(page.locator("#play")).not_to_be_empty(timeout=_PATIENT_MS)
        expect(page.locator("#trouble")).to_be_hidden()


@pytest.mark.parametrize("width", [360, 768, 1024, 1280, 1440])
def test_the_names_of_the_goods_fit_their_buttons(chromium: Browser, served: tuple[str, Stage], width: int) -> None:
    with visitor(chromium, served[0], width) as page:
        page.goto("/")
        for good in page.locator(".good").all():
            expect(good.locator("b")).not_to_be_empty()
            assert good.evaluate("each => each.scrollWidth <= each.clientWidth"), good.inner_text()


@pytest.mark.parametrize(("language", "told"), [("en", "The demo does not respond"), ("zh", "演示程序无响应")])
def test_a_page_whose_demo_does_not_respond_says_so_and_goes_on_once_it_does(
    chromium: Browser, served: tuple[str, Stage], language: str, told: str
) -> None:
    with visitor(chromium, served[0], 1440, language, allowed=("ERR_",)) as page:
        page.route("**/stream", lambda route: route.abort("connectionrefused"))
        page.goto("/")
        expect(page.locator("#trouble")).to_contain_text(told)
        expect(page.locator("#age")).to_have_text("–")
        page.unroute("**/stream")
        expect(page.locator("#age")).to_contain_text(re.compile("[0-9]"))
        expect(page.locator("#trouble")).to_be_hidden()


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
        expect(page.locator("#early-title")).not_to_have_text(before or "-", timeout=_PATIENT_MS)
        buy(page, "camera")
        expect(page.locator("#early-came")).to_have_class("came true", timeout=_PATIENT_MS)
        for item in ("coffee", "book") * 3:
            buy(page, item)
        expect(page.locator("#early-why")).to_contain_text("The amount exceeds the bank's limit for one transaction")


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
