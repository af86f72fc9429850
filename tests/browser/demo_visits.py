"""The demo's page, served over a whole network of real processes, and what a visitor does on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, Page, expect
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from demo_day import PLATFORM, POLICY, Decided, load_accounts, load_lines
from demo_page import app as demo_page
from demo_page.stage import Stage
from demo_snapshot import Snapshot
from localnet import LocalNet
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Question
from standing.ledger.attestations.money import currency_number
from tests.browser.browsing import visitor

BICS = ("YUNXCNB0", "HAIYCNS0001")
PATIENT_MS = 60_000
OUTCOMES = {
    "en": {"decline": "Declined", "approve": "Approved", "review": "In review"},
    "zh": {"decline": "拒绝", "approve": "通过", "review": "人工审核"},
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


@contextmanager
def demo_served(folder: Path) -> Iterator[tuple[str, Stage]]:
    """The page's URL and its stage, after the day has been decided."""
    net = LocalNet(folder, PLATFORM)
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
        if page.locator("#play").get_attribute("data-playing") == "true":
            page.locator("#play").click()
        expect(page.locator("#play")).to_have_attribute("data-playing", "false")
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
    expect(page.locator("#trail li").nth(4)).to_have_class("done", timeout=PATIENT_MS)


def verdicts(page: Page, standing: str, snapshot: str) -> None:
    """Wait for the verdicts of both platforms."""
    expect(page.locator("#standing-outcome")).to_have_text(standing, timeout=PATIENT_MS)
    expect(page.locator("#snapshot-outcome")).to_have_text(snapshot, timeout=PATIENT_MS)


def buy(page: Page, item: str) -> None:
    """Click on an item, and wait until the verdicts are about it."""
    page.locator(f'[data-item="{item}"]').click()
    expect(page.locator(f'[data-item="{item}"]')).to_have_class("good bought", timeout=PATIENT_MS)


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
