"""Pages of the console over HTTP, with the real gateway: what they say, and attacks that must fail."""

import html
import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert

from standing.gateway.errors import BankNodeUnreachable
from standing.gateway.storage import schema
from standing.ledger.attestations.terms import Status
from tests.console_browser import Browser
from tests.gateway.gateway_rig import BICS, Rig
from tests.world import wait_until

_DAY_MS = 24 * 3_600_000
SCRIPT = "<script>alert(1)</script>"


def test_every_response_has_a_strict_content_policy_and_is_never_cached(staff: Browser) -> None:
    for path in ("/console", "/console/sign-in", "/console/no-such-page", "/console/static/console.css"):
        staff.open(path)
        policy = staff.page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "static" in path or staff.page.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script>|style=|\son\w+=|https?://", staff.open("/console"))


def test_a_user_without_accounts_is_distinguished_from_an_unknown_user(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    staff.open("/console")
    assert f"/console/accounts/{person.binding}" in staff.submit("/console/find", q=person.user_id)
    assert person.user_id not in str(staff.page.url)
    assert f"/console/accounts/{person.binding}" in staff.open(staff.page.url.path)  # after Back, or a reload
    again = staff.http.post("/console/language", data={"to": "zh", "back": staff.page.url.path})
    assert f"用户 {person.user_id}" in again.text
    staff.page = staff.http.post("/console/language", data={"to": "en", "back": "/console/"})
    a_rig.platform("DELETE", f"/v1/bindings/{person.binding}")
    assert "currently has no bound account" in staff.submit("/console/find", q=person.user_id)
    assert "Nothing found" in staff.submit("/console/find", q="u-nobody")


def test_an_account_is_found_by_its_last_four_digits_and_its_binding(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    for typed in (person.number[-4:], person.binding):
        staff.open("/console")
        text = staff.submit("/console/find", q=typed)
        assert f"/console/accounts/{person.binding}" in {staff.page.url.path, *re.findall(r'href="([^"]+)"', text)}
    staff.open("/console")
    assert "Nothing found" in staff.submit("/console/find", q="0x" + "ab" * 32)


def test_search_results_show_each_banks_name_and_never_its_bic(
    a_rig: Rig, staff: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, ended, asked = a_rig.bound(), a_rig.bound(), a_rig.person()
    a_rig.platform("DELETE", f"/v1/bindings/{ended.binding}")
    monkeypatch.setattr(asked.bank, "deposit_minor", 7)
    assert asked.bind().json()["outcome"] == "micro_deposit"
    for person in (kept, ended, asked):
        staff.open("/console")
        text = staff.submit("/console/find", q=person.user_id)
        assert f"<span>Bank {person.bank.bic}</span>" in text
        assert f"<span>{person.bank.bic}</span>" not in text
        assert "Localized(" not in text


def test_an_account_shows_its_health_with_the_remedy_in_both_languages(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    assert "Good" in staff.open(f"/console/accounts/{person.binding}")
    person.bank.change(person.number, status=Status.FROZEN, debit_allowed=False, credit_allowed=False)
    text = staff.open(f"/console/accounts/{person.binding}")
    assert "Blocked" in text
    assert "The bank has frozen this account" in text
    assert "该账户已被银行冻结" in text
    assert person.claim["holder_name"] not in text
    assert person.number not in text


def test_an_account_of_a_user_with_more_accounts_than_a_list_shows_is_not_told_as_ended(
    a_rig: Rig, staff: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("standing.gateway.accounts.service.MAX_LISTED", 1)
    older, newer = a_rig.bound(), a_rig.person()
    newer.user_id = older.user_id
    a_rig.clock.advance(1_000)
    a_rig.heartbeat()
    assert newer.bind(request_id="bind-another").status_code == 201
    text = staff.open(f"/console/accounts/{older.binding}")
    assert '<span class="tag big good">Good</span>' in text
    assert "no longer bound" not in text


def test_limits_show_the_remaining_amounts(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound(daily_limit_minor=100_000)
    person.decide(amount_minor=25_000)
    assert "750.00 CNY left of 1,000.00 CNY" in staff.open(f"/console/accounts/{person.binding}")


def test_an_account_whose_binding_was_ended_says_that_it_can_be_bound_again(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound(daily_limit_minor=100_000)
    path = f"/console/accounts/{person.binding}"
    staff.open(path)
    text = staff.submit(f"{path}/end", reason="ticket 2")
    assert "This account is no longer bound. Bind it again to use it." in text
    assert "该账户已解绑。如需使用，请重新绑定。" in text
    assert "<dd>Unbound</dd>" in text
    assert "The binding is ended." in text
    assert "can no longer be used here" not in text
    assert "left of" not in text
    assert f"{path}/resync" not in text


def test_an_end_that_the_bank_was_not_told_of_can_be_repeated_until_it_is(
    a_rig: Rig, staff: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = a_rig.bound()
    path = f"/console/accounts/{person.binding}"
    staff.open(path)
    with monkeypatch.context() as down:
        down.setattr(a_rig.app.state.gateway.nodes, "unbind", _unreachable)
        assert "The bank’s node is not responding" in staff.submit(f"{path}/end", reason="ticket 4")
    text = staff.open(path)
    assert "The bank has not been told yet that the binding ended." in text
    assert "The binding is ended." in staff.submit(f"{path}/end", reason="ticket 4")
    assert "has not been told yet" not in staff.page.text
    assert f"{path}/end" not in staff.page.text


def test_the_trail_says_what_each_change_was(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    path = f"/console/accounts/{person.binding}"
    wait_until(lambda: "<p>Usable</p>" in staff.open(path))
    person.bank.change(person.number, status=Status.FROZEN, debit_allowed=False)
    wait_until(lambda: "<p>Frozen</p>" in staff.open(path))
    person.bank.change(person.number, status=Status.ACTIVE, debit_allowed=True, transaction_limit_minor=7)
    wait_until(lambda: "<p>Active again · Limits changed: One payment" in staff.open(path))


def test_decisions_of_a_day_long_ago_are_found_by_its_date_at_the_bank(a_rig: Rig, staff: Browser) -> None:
    person, ids = a_rig.bound(), []
    # The next midnight in the bank's zone, UTC+8, in which a day has 24 hours.
    midnight_ms = (a_rig.clock.now_ms() // _DAY_MS + 1) * _DAY_MS + 16 * 3_600_000
    for at_ms in (midnight_ms - 1, midnight_ms, midnight_ms + 60 * _DAY_MS):
        a_rig.clock.advance(at_ms - a_rig.clock.now_ms())
        ids.append(person.decide()["transaction_id"])
    staff.sign_in(a_rig.keys["support"])  # after two months
    page = f"/console/accounts/{person.binding}/decisions"
    assert [each in staff.open(page) for each in ids] == [True, True, True]
    day = datetime.fromtimestamp(midnight_ms / 1000, ZoneInfo("Asia/Shanghai")).date()
    assert [each in staff.open(f"{page}?day={day}") for each in ids] == [True, True, False]
    assert f'value="{day}"' in staff.page.text
    assert [each in staff.open(f"{page}?day={day - timedelta(days=1)}") for each in ids] == [True, False, False]
    assert "up to that day" in staff.open(f"{page}?day=2001-01-01")
    for wrong in ("", "yesterday", "1969-01-01", "9999-12-31"):
        staff.open(f"{page}?day={wrong}")
        assert staff.page.status_code == 404


def test_a_list_of_decisions_says_which_of_two_approved_payments_was_charged(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    paid, given_up, left, part = (person.decide(amount_minor=500)["transaction_id"] for _ in range(4))
    a_rig.platform("POST", f"/v1/decisions/{paid}/capture")
    a_rig.platform("POST", f"/v1/decisions/{paid}/refunds", json={"refund_id": "r-1", "amount_minor": 120})
    a_rig.platform("POST", f"/v1/decisions/{given_up}/void")
    a_rig.platform("POST", f"/v1/decisions/{part}/capture", json={"amount_minor": 300})
    path = f"/console/accounts/{person.binding}"

    def said(of: str) -> str:
        row = next(each for each in staff.page.text.split("<tr>") if f">{of}<" in each)
        return " ".join(html.unescape(re.sub("<[^>]+>", " ", row.partition("</td>")[0])).split())

    for page in (path, f"{path}/decisions"):
        staff.open(page)
        assert said(paid) == "Approved captured · Refunded 1.20 CNY"
        assert said(part) == "Approved captured 3.00 CNY"
        assert said(given_up) == "Approved voided"
        assert said(left) == "Approved reserved"
        assert f"· user {person.user_id}" in staff.page.text
    a_rig.clock.advance(3_600_000)
    staff.sign_in(a_rig.keys["support"])
    staff.open(path)
    assert said(left) == "Approved expired"
    assert f"· user {person.user_id}" in staff.open(f"/console/decisions/{left}"), "whose payment it was"


def test_an_account_that_the_bank_calls_active_and_its_node_unstated_says_where_the_bank_finds_out_why(
    a_rig: Rig, staff: Browser
) -> None:
    person = a_rig.bound()
    path = f"/console/accounts/{person.binding}"
    assert "Unstated accounts" not in staff.open(path)
    person.bank.change(person.number, status=Status.UNSTATED, debit_allowed=False, credit_allowed=False)
    assert "Their node’s console lists it under “Unstated accounts”" in staff.open(path)


def test_a_link_to_a_search_at_another_gateway_says_so(staff: Browser) -> None:
    assert "leads to a search at another gateway" in staff.open("/console/found/abcdef")
    assert staff.page.status_code == 404


async def _unreachable(*_: object) -> bool:
    raise BankNodeUnreachable("the node of YUNXCNB0 does not answer (test); try again later")


def test_every_decision_on_an_account_is_found_from_its_page(a_rig: Rig, staff: Browser) -> None:
    """Of a user who pays often, a payment of yesterday is not among the newest."""
    person = a_rig.bound()
    a_rig.heartbeat()
    wanted = [person.transaction(amount_minor=1) for _ in range(71)]  # decided at one moment
    answer = a_rig.platform("POST", "/v1/decisions:batch", json={"decisions": wanted})
    assert answer.status_code == 200
    text, listed = staff.open(f"/console/accounts/{person.binding}"), []
    for on_page in (20, 50, 1):
        found = re.findall(r'href="/console/decisions/([^"]+)"', text)
        assert len(found) == on_page
        listed += found
        older = re.search(r'href="([^"]+/decisions\?before=[^"]+)">Older decisions', text)
        text = staff.open(older[1]) if older is not None else ""
    assert (sorted(listed), text) == (sorted(each["transaction_id"] for each in wanted), "")


def test_a_decision_shows_its_checks_and_its_evidence_line_by_line(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    person.bank.change(person.number, status=Status.LOST)
    a_rig.clock.advance(60_000)  # blocks are a second apart, so the chain's time has run ahead
    a_rig.heartbeat()
    decided = person.decide()
    text = staff.open(f"/console/decisions/{decided['transaction_id']}")
    assert (
        re.findall(r'<li class="(passed|failed|not-reached)">', text)
        == ["passed"] * 6 + ["failed"] + ["not-reached"] * 8
    )
    verified = staff.open(f"/console/decisions/{decided['transaction_id']}/verification")
    assert "The evidence is valid." in verified, verified
    assert "The decision rested on the bank’s own statement." in verified
    staff.open(f"/console/decisions/{decided['transaction_id']}/evidence.json")
    assert staff.page.json()["evidence"] == decided["evidence"]
    assert "attachment" in staff.page.headers["Content-Disposition"]


def test_an_account_page_says_when_the_ledger_is_unreachable(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    a_rig.chain.down = True
    text = staff.open(f"/console/accounts/{person.binding}")
    assert staff.page.status_code == 200
    assert "cannot be read right now" in text
    assert text.count("Our gateway cannot read the ledger now") == 1


@pytest.mark.parametrize("referer", ["{page}?done=ended", "http://[", "https://elsewhere.example/nothing", ""])
def test_an_act_that_fails_leads_back_to_its_page(a_rig: Rig, staff: Browser, referer: str) -> None:
    person = a_rig.bound()
    page = f"/console/accounts/{person.binding}"
    staff.open(page)
    staff.http.headers["Referer"] = referer.format(page=a_rig.url + page)
    person.bank.trouble = "503"
    try:
        text = staff.submit(f"{page}/resync", reason="The user calls")
    finally:
        person.bank.trouble = None
    assert staff.page.status_code == 503
    assert (f'href="{page}"' in text) == (page in staff.http.headers["Referer"])
    assert 'href="/console/"' in text


def test_a_resync_needs_a_reason_and_is_audited(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    path = f"/console/accounts/{person.binding}"
    staff.open(path)
    staff.submit(f"{path}/resync", reason=" ")
    assert staff.page.status_code == 422
    staff.open(path)
    staff.submit(f"{path}/resync", reason=f"ticket 1 {SCRIPT}")
    assert staff.page.status_code == 200, staff.page.text
    assert "The bank’s node will publish the account’s current state again." in staff.page.text
    entry = a_rig.client("admin")("GET", "/v1/audit", params={"subject": person.binding}).json()["entries"][0]
    assert (entry["caller"], entry["action"], entry["outcome"]) == ("support", "resync", "done")


def test_an_address_confirms_only_what_can_be_done_on_the_page_and_no_end_that_did_not_happen(
    a_rig: Rig, staff: Browser
) -> None:
    path = f"/console/accounts/{a_rig.bound().binding}"
    for done, confirmed in (("hold-lifted", True), ("resync-on-its-way", True), ("ended", False), (SCRIPT, False)):
        text = staff.open(f"{path}?done={done}")
        assert staff.page.status_code == 200
        assert ('role="status"' in text) == confirmed, done
        assert SCRIPT not in text


@pytest.mark.parametrize("form", ["find", "sign-out", "language"])
def test_the_address_of_a_form_leads_back_to_the_start_page_when_it_is_opened(staff: Browser, form: str) -> None:
    assert "Find an account" in staff.open(f"/console/{form}")
    assert staff.page.url.path == "/console/"


def test_a_method_that_a_page_does_not_have_is_refused_in_words(staff: Browser) -> None:
    refused = staff.http.put("/console/today", headers={"Accept-Language": "zh"})
    assert refused.status_code == 405
    assert "该页面不支持这种访问方式" in refused.text
    assert "http-405" not in refused.text


@pytest.mark.parametrize(
    "link", ["found/abc", "accounts/0x12", "decisions/a%20b", "banks/nobank", "banks/YUNXCNB0?period=x"]
)
def test_a_mistyped_link_is_not_found_and_not_an_incomplete_form(staff: Browser, link: str) -> None:
    text = staff.open(f"/console/{link}")
    assert staff.page.status_code == 404
    assert "Not found" in text
    assert "The form is not complete" not in text


def test_lifting_a_hold_in_two_tabs_says_in_words_that_it_was_lifted_before(a_rig: Rig, staff: Browser) -> None:
    hold_id = "h_" + "ab" * 12
    now_ms = a_rig.clock.now_ms()
    hold = {"hold_id": hold_id, "user_id": "u-1", "rule": "new", "why": "New", "why_zh": "新", "whole": False}
    with a_rig.app.state.gateway.storage.write() as connection:
        connection.execute(insert(schema.holds).values(**hold, began_at_ms=now_ms, ends_at_ms=now_ms + 60_000))
    lifted = 0
    for _ in range(2):
        staff.open("/console/")
        text = staff.submit(f"/console/holds/{hold_id}/lift", reason="Checked by phone")
        lifted += "The hold is lifted." in text
    assert lifted == 1
    assert staff.page.status_code == 409
    assert "the hold was lifted before" in text
    assert str(now_ms) not in text


def test_script_in_user_input_stays_text(staff: Browser) -> None:
    staff.open("/console")
    text = staff.submit("/console/find", q=f'"><{SCRIPT}')
    assert SCRIPT not in text
    assert "&lt;script&gt;" in text


def test_the_language_is_the_browsers_until_another_is_chosen(a_rig: Rig) -> None:
    browser = Browser(a_rig.url, **{"Accept-Language": "zh-CN,zh;q=0.9"})
    assert "登录" in browser.open("/console")
    browser.page = browser.http.post("/console/language", data={"to": "en", "back": "/console/sign-in"})
    assert "Sign in" in browser.page.text
    browser.http.close()


def in_chinese(browser: Browser) -> str:
    """Choose Chinese by the form of the page that is open."""
    back = re.search(r'name="back" value="([^"]*)"', browser.page.text)
    assert back is not None
    browser.page = browser.http.post("/console/language", data={"to": "zh", "back": html.unescape(back.group(1))})
    return browser.page.text


def test_another_language_keeps_the_period_of_a_page(a_rig: Rig, staff: Browser) -> None:
    staff.open(f"/console/banks/{BICS[0]}?period=month")
    assert "<strong>一个月</strong>" in in_chinese(staff)
    assert staff.page.url.query == b"period=month"


def test_a_visitor_who_chooses_another_language_still_gets_to_the_page_they_wanted(
    a_rig: Rig, visitor: Browser
) -> None:
    wanted = f"/console/banks/{BICS[0]}?period=month"
    visitor.open(wanted)
    assert "退出登录" not in in_chinese(visitor)
    refused = visitor.submit("/console/sign-in", key="sk_wrong", next=next_of(visitor))
    assert "API 密钥" in refused
    in_chinese(visitor)
    visitor.submit("/console/sign-in", key=a_rig.keys["support"], next=next_of(visitor))
    assert str(visitor.page.url).endswith(wanted)


def next_of(browser: Browser) -> str:
    """Where the sign-in form that is open leads."""
    found = re.search(r'name="next" value="([^"]*)"', browser.page.text)
    assert found is not None
    return html.unescape(found.group(1))


def test_another_language_still_says_that_a_form_after_the_end_of_the_session_did_nothing(visitor: Browser) -> None:
    visitor.open("/console/sign-in?next=/console/banks&undone=1")
    assert "刚才的操作没有执行" in in_chinese(visitor)
