"""A user calls: "my payment fails!" Support fixes it by clicks alone, over a real node, gateway and ledger."""

import pytest
from playwright.sync_api import Browser, Page, expect

from standing.ledger.service.api_keys import new_key
from tests.browser.browsing import high_contrast_colour, shoot, visitor
from tests.world import ACCOUNT, MAX_STALENESS_MS, World, wait_until

pytestmark = pytest.mark.browser

_NUMBER = ACCOUNT["number"]
_PATIENT_MS = 60_000
#: Holds the account once a second payment above 100.00 yuan in all is asked for within ten minutes.
_BURST = {
    "rule": "velocity",
    "name": "burst",
    "currency": "CNY",
    "over_minor": 10_000,
    "within_minutes": 10,
    "hold_minutes": 600,
}


def act(page: Page, label: str, reason: str) -> None:
    """Open an action's form, state the reason, and submit it by a double click, as many people click everything."""
    page.locator("summary", has_text=label).click()
    form = page.locator("details[open] form")
    form.locator('[name="reason"]').fill(reason)
    with page.expect_navigation():
        form.get_by_role("button", name=label).dblclick(delay=60)


def find_account(page: Page, user: str, binding: str) -> None:
    """From the first page to the user's account, as support on the phone does."""
    page.get_by_role("link", name="Find", exact=True).click()
    page.locator('input[name="q"]').fill(user)
    page.locator('input[name="q"]').press("Enter")
    page.locator(f'a[href="/console/accounts/{binding}"]').first.click()
    expect(page.locator(".crumb")).to_contain_text(user)


def test_support_fixes_a_payment_blocked_by_a_lost_publication_and_a_hold(chromium: Browser, a_world: World) -> None:
    bank = a_world.start_bank(publisher={"resend_after_ms": 3_600_000})
    bank.change(ACCOUNT)
    (support, support_hash), (admin, admin_hash), (platform_key, platform_hash) = new_key(), new_key(), new_key()
    keys = [
        {"name": "wang.fang", "role": "support", "sha256": support_hash},
        {"name": "head-of-support", "role": "admin", "sha256": admin_hash},
        {"name": "checkout", "role": "platform", "sha256": platform_hash},
    ]
    policy = {"freshness": [{"up_to_minor": "any", "max_staleness_ms": MAX_STALENESS_MS}], "risk": [_BURST]}
    platform = a_world.start_platform(follower={"poll_ms": 10}, api_keys=keys, policy=policy)
    platform.key = platform_key
    binding = platform.bind(bank.bic)
    user = str(platform.get(f"/v1/bindings/{binding}").json()["user_id"])

    # Two payments on one evening: the second is held. Then the bank freezes the card, and lifts that again.
    assert platform.decide(binding, amount_minor=9_000)["outcome"] == "approve"
    assert platform.decide(binding, amount_minor=9_000)["reason"] == "risk_hold"
    bank.change({"number": _NUMBER, "status": "frozen", "debit_allowed": False, "credit_allowed": False})
    assert platform.decide(binding, amount_minor=500)["reason"] == "account_frozen"
    a_world.chain.holding = True
    bank.feed({"number": _NUMBER, "status": "active", "debit_allowed": True, "credit_allowed": True})
    platform.key = support
    path = f"/v1/bindings/{binding}/trail"
    wait_until(lambda: platform.get(path).json()["changes"][0]["hops"][3]["state"] == "done")
    wait_until(lambda: a_world.chain.mempool.taken)  # noted as submitted before it is sent
    platform.key = platform_key
    a_world.clock.advance(31_000)
    a_world.chain.lose()

    with visitor(chromium, platform.url, 1440) as page:
        page.set_default_timeout(_PATIENT_MS)
        page.goto("/console")
        page.locator('input[name="key"]').fill(support)
        page.get_by_role("button", name="Sign in").click()
        find_account(page, user, binding)

        # Why it failed, in the user's terms, and which hop of the bank's change is stalled.
        expect(page.get_by_text("The bank has frozen this account").first).to_be_visible()
        expect(page.locator(".trail .stalled")).to_have_count(1)
        dots = [high_contrast_colour(page, f".trail {each} .dot") for each in (".done", ".stalled", ".waiting")]
        assert len(set(dots)) == len(dots), dots
        expect(page.get_by_text("burst").first).to_be_visible()
        shoot(page, "story-stalled-1440-en")
        act(page, "Ask the bank to publish again", "The user's bank says that the card is active again")

        # The bank's attestation has arrived; only the hold remains.
        wait_until(lambda: platform.decide(binding, amount_minor=500)["reason"] == "risk_hold")
        find_account(page, user, binding)
        expect(page.get_by_text("The bank has frozen this account")).to_have_count(0)
        act(page, "Lift the hold", "Called back: both payments are the user's own")
        expect(page.get_by_role("status")).to_contain_text("The hold is lifted.")
        expect(page.get_by_text("burst")).to_have_count(0)

    assert platform.decide(binding, amount_minor=500)["outcome"] == "approve"
    platform.key = admin
    acts = platform.get("/v1/audit").json()["entries"]
    assert [(each["caller"], each["action"], each["outcome"]) for each in acts] == [
        ("wang.fang", "lift_hold", "done"),
        ("wang.fang", "resync", "done"),
    ]
    assert "both payments are the user's own" in acts[0]["reason"]
