"""The console's pages of operation over HTTP: banks, today, reconciliation, webhooks, audit; and closing reviews."""

import json
import re
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import delete, insert, select, update

from standing.gateway.console.webhooks import told
from standing.gateway.following.reconcile_report import BankFinding, DeadFinding, Drift, DriftFinding, Report
from standing.gateway.operations.service import BankStatus, GatewayStatus
from standing.gateway.storage import schema
from standing.ledger.attestations.binding_protocol import Claim
from standing.ledger.attestations.terms import Status
from standing.ledger.errors import LedgerMismatch
from standing.ledger.service.console.words import Words
from standing.ledger.service.languages import LANGUAGES
from tests.console_browser import Browser, signed_in
from tests.gateway.gateway_rig import Rig, rig


@pytest.fixture
def admin(a_rig: Rig) -> Iterator[Browser]:
    with signed_in(a_rig.url, a_rig.keys["admin"]) as browser:
        yield browser


def acts(a_rig: Rig, action: str) -> list[dict[str, str]]:
    entries = a_rig.client("admin")("GET", "/v1/audit").json()["entries"]
    return [entry for entry in entries if entry["action"] == action]


def test_a_review_is_closed_with_its_reason_in_the_audit_and_only_once(a_rig: Rig, admin: Browser) -> None:
    person = a_rig.bound()
    person.bank.change(person.number, holder=Claim(**person.claim | {"phone": "+8613900000001"}))
    asked = person.decide()
    path = f"/console/decisions/{asked['transaction_id']}"
    assert "The review is closed" not in admin.open(path + "?done=reviewed"), "anybody can write an address"
    text = admin.submit(path + "/review", outcome="decline", reason="The user does not know of it")
    assert "Reviewed" in text
    assert "The review is closed." in text
    assert acts(a_rig, "close_review")[0]["reason"] == "The user does not know of it"
    admin.open("/console/")
    again = admin.submit(path + "/review", outcome="approve", reason="A second thought")
    assert "already closed with the other outcome" in again


@pytest.mark.parametrize(
    ("outcome", "label", "message"),
    [
        ("decline", "Declined", "did not approve it"),
        ("approve", "Approved", "have checked this transaction and approved it"),
    ],
)
def test_a_closed_review_shows_its_outcome_and_the_users_message_instead_of_the_open_ones(
    a_rig: Rig, admin: Browser, outcome: str, label: str, message: str
) -> None:
    person = a_rig.bound()
    person.bank.change(person.number, holder=Claim(**person.claim | {"phone": "+8613900000003"}))
    asked = person.decide()
    path = f"/console/decisions/{asked['transaction_id']}"
    admin.open(path)
    text = admin.submit(path + "/review", outcome=outcome, reason="The user called back")
    assert f'<span class="tag {outcome}">{label}</span></h1>' in text
    assert message in text
    assert "being checked by our staff" not in text
    account = admin.open(f"/console/accounts/{person.binding}")
    assert f'<span class="tag {outcome}">{label}</span> <span class="muted small">after review</span>' in account
    assert "In review" not in account


def test_the_page_of_a_decision_says_that_its_message_is_for_the_user_and_copies_it(a_rig: Rig, admin: Browser) -> None:
    decided = a_rig.bound().decide(amount_minor=600_000)
    text = admin.open(f"/console/decisions/{decided['transaction_id']}")
    assert "<h2>What to tell the user</h2>" in text
    assert f'id="say-zh">{decided["message"]["zh"]}</p>' in text
    assert 'data-copy="say-zh"' in text


def test_the_page_of_a_decision_says_when_its_reservation_was_captured(a_rig: Rig, admin: Browser) -> None:
    decided = a_rig.bound().decide()
    path = f"/v1/decisions/{decided['transaction_id']}"
    page = f"/console/decisions/{decided['transaction_id']}"
    assert re.search(r"Reservation</dt><dd>reserved · until \d{4}-\d\d-\d\d", admin.open(page))
    a_rig.platform("POST", f"{path}/capture").raise_for_status()
    assert re.search(r"Reservation</dt><dd>captured · \d{4}-\d\d-\d\d \d\d:\d\d", admin.open(page))


def test_a_closed_review_is_counted_by_its_outcome_today_and_told_so_in_the_trail(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with rig(tmp_path_factory.mktemp("reviewed")) as own:
        browser = Browser(own.url)
        browser.sign_in(own.keys["support"])
        person = own.bound()
        person.bank.change(person.number, holder=Claim(**person.claim | {"phone": "+8613900000004"}))
        path = f"/console/decisions/{person.decide()['transaction_id']}"
        browser.open(path)
        browser.submit(path + "/review", outcome="decline", reason="The user does not know of it")
        today = browser.open("/console/today")
        assert '<span class="tag decline">Declined</span> <span class="muted small">after review</span>' in today
        assert "In review" not in today
        assert "bar-review" not in today
        own.clock.advance(1_000)
        card = browser.open(f"/console/banks/{person.bank.bic}")
        assert "Sent to review" in card
        assert "In review" not in card
        plain = own.support("GET", f"/v1/bindings/{person.binding}/trail").json()["plain"]
        assert any("decline after review" in line for line in plain["en"])
        assert not any("being checked" in line for line in plain["en"])
        browser.http.close()


def test_the_reconciliation_page_names_banks_and_says_what_it_leaves_out(a_rig: Rig, admin: Browser) -> None:
    gateway = a_rig.app.state.gateway
    bic, found = next(iter(a_rig.banks)), "0x" + "ab" * 32
    report = Report(0, 1, "0x00", 0, ended_at_ms=1, block_is_still_there=True, drift_count=1_500, dead_count=1_500)
    report.drift = [DriftFinding(found, bic, Drift.NOT_FOLLOWED, 0, None)] * 250
    report.dead = [DeadFinding(found, bic, "u-1", "bank_not_served")] * 250
    report.banks = [BankFinding(bic, 1, 1, False, False, watermark_went_back=True)]
    with gateway.storage.write() as connection:
        row = dict.fromkeys(("started_at_ms", "ended_at_ms", "block_number", "checked", "dead", "drift"), 1)
        connection.execute(delete(schema.reconcile_runs))
        connection.execute(insert(schema.reconcile_runs).values(**row, report=report.to_json()))
    text = admin.open("/console/reconciliation")
    assert f"Bank {bic}" in text
    assert f">{bic}<" not in text
    assert text.count("Only the first 200 are shown.") == 2
    assert f"Bank {bic}: the ledger shows an older watermark" in text
    assert "Bank no longer served" in text
    assert "bank_not_served" not in text


def test_a_list_longer_than_the_page_says_so_with_the_true_count_and_leads_to_every_open_review(
    a_rig: Rig, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("standing.gateway.console.lookups.MAX_LISTED", 2)
    with a_rig.app.state.gateway.storage.write() as connection:
        for index in range(3):
            values = {"hold_id": f"h_{index:024x}", "user_id": "u-1", "rule": "new", "why": "New", "why_zh": "新"}
            times = {"began_at_ms": a_rig.clock.now_ms() + index, "ends_at_ms": a_rig.clock.now_ms() + 60_000}
            connection.execute(insert(schema.holds).values(**values, **times, whole=False))
    for index in range(3):
        person = a_rig.bound()
        person.bank.change(person.number, holder=Claim(**person.claim | {"phone": f"+861390000001{index}"}))
        person.decide()
    text = admin.open("/console/")
    assert text.count("Only the 2 oldest are shown.") == 2
    assert 'role="region" aria-label="Awaiting review"' in text
    counts = [int(count) for count in re.findall(r'<span class="count">([0-9]+)</span>', text)]
    assert counts[0] == 3
    assert counts[1] >= 3
    shown = re.findall('/console/decisions/([^"/]+)', text)
    while later := re.search(r'href="([^"]+/reviews\?after=[^"]+)">Later ones', text):
        text = admin.open(later[1])
        shown += re.findall('/console/decisions/([^"/]+)', text)
    ids = select(schema.decisions.c.transaction_id).where(schema.REVIEW_IS_OPEN)
    with a_rig.app.state.gateway.storage.read() as connection:
        assert shown == list(connection.scalars(ids.order_by("decided_at_ms", "transaction_id")))
    with a_rig.app.state.gateway.storage.write() as connection:
        connection.execute(update(schema.bindings).values(number_masked="****4821"))
    found = admin.submit("/console/find", q="4821")
    assert "Only the 2 newest are shown." in found
    assert found.count('href="/console/accounts/0x') == 2
    admin.open("/console/reviews?after=none")
    assert admin.page.status_code == 404


def test_staff_cannot_overrule_the_banks_attestation(a_rig: Rig, admin: Browser) -> None:
    person = a_rig.bound()
    person.bank.change(person.number, holder=Claim(**person.claim | {"phone": "+8613900000002"}))
    asked = person.decide()
    person.bank.change(person.number, status=Status.FROZEN, debit_allowed=False)
    path = f"/console/decisions/{asked['transaction_id']}"
    admin.open(path)
    assert "does not allow this now" in admin.submit(path + "/review", outcome="approve", reason="The user insists")
    assert admin.page.status_code == 409


def test_events_are_replayed_by_admins_only_and_from_a_valid_position(a_rig: Rig, admin: Browser) -> None:
    chief = a_rig.client("admin")
    chief.why = "A new endpoint"
    made = chief("POST", "/v1/webhook-endpoints", json={"url": "https://example.com/hook"}).json()
    path = f"/console/webhooks/{made['id']}/replay"
    assert "https://example.com/hook" in admin.open("/console/webhooks")
    admin.submit(path, after="0", reason="The receiver lost its database")
    assert admin.page.status_code == 200
    assert "The events will be sent again." in admin.page.text
    assert acts(a_rig, "replay")[0]["outcome"] == "done"
    for both in ({"after": "0", "event": "evt_1"}, {}):
        assert "either event or after" in admin.submit(path, reason="Which of the two?", **both)
        admin.open("/console/webhooks")
    admin.submit(path, after="-1", reason="A slip of the hand")
    assert admin.page.status_code == 422
    with signed_in(a_rig.url, a_rig.keys["support"]) as support:
        assert "Your role does not allow this" in support.submit(path, after="0", reason="Curiosity")


@pytest.mark.parametrize(
    ("result", "english", "chinese"),
    [
        (None, "–", "–"),
        ("http_503", "HTTP 503", "HTTP 503"),
        ("timeout", "no answer in time", "超时未应答"),
        ("ClientConnectorDNSError", "the host’s name cannot be resolved", "域名无法解析"),
        ("ClientOSError", "ClientOSError", "ClientOSError"),
    ],
)
def test_why_an_event_was_not_delivered_is_told_in_words(result: str | None, english: str, chinese: str) -> None:
    found = [told(Words("standing.gateway.console", each, ZoneInfo("UTC")), result) for each in LANGUAGES]
    assert sorted(found) == sorted([english, chinese])


def test_a_silent_bank_is_red_and_an_unreachable_ledger_is_reported(tmp_path_factory: pytest.TempPathFactory) -> None:
    with rig(tmp_path_factory.mktemp("silent")) as own:
        browser = Browser(own.url)
        browser.sign_in(own.keys["support"])
        assert ">up to date</span>" in browser.open("/console/banks")
        own.clock.advance(6 * 60_000)
        silent = browser.open("/console/banks")
        assert re.search(r'class="tag blocked"[^>]*>silent</span>', silent)
        assert "card blocked-edge" in silent
        own.chain.down = True
        unread = browser.open("/console/banks")
        assert 'class="age-now">cannot be read right now<' in unread
        assert "card unknown-edge" in unread
        browser.http.close()


def test_a_bank_that_has_published_nothing_is_not_called_unreadable(
    a_rig: Rig, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_: GatewayStatus) -> list[BankStatus]:
        return [BankStatus(bank, None, None, False, False, 1) for bank in a_rig.app.state.gateway.banks]

    monkeypatch.setattr(GatewayStatus, "banks", nothing)
    text = admin.open("/console/banks")
    assert 'class="age-now">nothing published yet<' in text
    assert 'class="age-now">cannot be read right now<' not in text


def test_without_scripts_the_banks_page_says_that_its_ages_are_of_when_it_was_loaded(admin: Browser) -> None:
    assert "<noscript> when this page was loaded</noscript>" in admin.open("/console/banks")


def test_the_period_of_a_banks_chart_ends_with_a_date_and_both_ends_name_the_zone(a_rig: Rig, admin: Browser) -> None:
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\+8"
    assert re.search(f"{moment} to {moment}", admin.open("/console/banks"))


def test_a_banks_score_card_is_shown_by_day_week_and_month(a_rig: Rig, admin: Browser) -> None:
    person = a_rig.bound()
    person.decide()
    bic = person.bank.bic
    assert f'href="/console/banks/{bic}"' in admin.open("/console/banks")
    week = admin.open(f"/console/banks/{bic}")
    assert "Bindings made" in week
    assert week.count("<svg") == 2
    for period in ("day", "month"):
        assert f"<strong>{period.capitalize()}</strong>" in admin.open(f"/console/banks/{bic}?period={period}")
    admin.open("/console/banks/DEUTDEFF")
    assert admin.page.status_code == 422
    admin.open(f"/console/banks/{bic}?period=year")
    assert admin.page.status_code == 404


def test_the_banks_stream_carries_ages_and_ends_with_the_session(a_rig: Rig, admin: Browser) -> None:
    with admin.http.stream("GET", "/console/banks/stream") as streamed:
        assert streamed.headers["content-type"].startswith("text/event-stream")
        lines = streamed.iter_lines()
        ages = json.loads(next(line for line in lines if line.startswith("data: ")).removeprefix("data: "))
        assert set(ages) == set(a_rig.banks)
        a_rig.clock.advance(15 * 60_000)
        assert "event: end" in list(lines)
    nobody = httpx.get(a_rig.url + "/console/banks/stream")
    assert nobody.text.split() == ["event:", "end", "data:"]


def test_a_stream_that_is_opened_again_and_again_does_not_keep_its_session_alive(a_rig: Rig, admin: Browser) -> None:
    for _ in range(3):
        a_rig.clock.advance(6 * 60_000)
        with admin.http.stream("GET", "/console/banks/stream") as streamed:
            assert next(streamed.iter_lines()).startswith("event: ")
    assert "Sign in" in admin.open("/console/banks")


def test_empty_reconciliation_and_today_pages_say_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    with rig(tmp_path_factory.mktemp("empty")) as own:
        browser = Browser(own.url)
        browser.sign_in(own.keys["support"])
        assert "No reconciliation has run yet" in browser.open("/console/reconciliation")
        assert "No decisions were made" in browser.open("/console/today")
        browser.http.close()


def test_the_audit_and_refused_forms_are_in_the_readers_language(a_rig: Rig) -> None:
    browser = Browser(a_rig.url, **{"Accept-Language": "zh-CN"})
    browser.sign_in(a_rig.keys["admin"])
    asked = a_rig.bound().decide()
    path = f"/console/decisions/{asked['transaction_id']}/review"
    browser.open("/console/")
    refused = browser.submit(path, outcome="approve", reason="用户来电")
    assert "决策结果为通过；仅限转人工审核的交易" in refused
    browser.open("/console/")
    short = browser.submit(path, outcome="approve", reason="-")
    chief = a_rig.client("admin")
    chief.why = "A new receiver"
    assert chief("POST", "/v1/webhook-endpoints", json={}).status_code == 422
    assert "reason：缺失、过短或过长；允许：操作原因，3 到 300 个 UTF-8 字符" in short
    audit = browser.open("/console/audit")
    assert "<strong>人工审核</strong>" in audit
    assert "未完成：该交易未转人工审核" in audit
    assert "close_review" not in audit
    assert "NotInReview" not in audit
    assert "未完成：请求格式有误" in audit
    assert "RequestValidationError" not in audit
    browser.http.close()


def test_the_lines_of_the_verified_evidence_are_in_the_readers_language(a_rig: Rig) -> None:
    browser = Browser(a_rig.url, **{"Accept-Language": "zh-CN"})
    browser.sign_in(a_rig.keys["support"])
    person = a_rig.bound()
    a_rig.clock.advance(60_000)  # blocks are a second apart, so the chain's time has run ahead
    a_rig.heartbeat()
    approved = person.decide()
    person.bank.change(person.number, status=Status.FROZEN, debit_allowed=False)
    for decided in (approved, person.decide()):
        text = browser.open(f"/console/decisions/{decided['transaction_id']}/verification")
        checks = text[text.index('id="evidence"') :]
        lines = re.findall(r'<span class="muted"( lang="en")?>([^<]+)</span>', checks)
        assert len(lines) >= 11
        assert [line for _, line in lines if not re.search(r"[\u4e00-\u9fff]", line)] == []
        assert [line for english, line in lines if english] == []
    browser.http.close()


def test_an_error_without_a_message_of_its_own_is_headed_by_the_problems_title(
    a_rig: Rig, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mismatch(*_: object) -> None:
        raise LedgerMismatch("every ledger node belongs to another ledger")

    monkeypatch.setattr(a_rig.app.state.gateway.reviews, "close", mismatch)
    for language, title in (("en", "The ledger cannot be used at the moment"), ("zh", "账本暂时不可用")):
        admin.http.headers["Accept-Language"] = language
        admin.open("/console/")
        text = admin.submit("/console/decisions/t-1/review", outcome="approve", reason="The user called")
        assert f"<h1>{title}</h1>" in text


def test_admins_get_from_an_account_or_a_decision_to_what_staff_did_there_and_back(a_rig: Rig, admin: Browser) -> None:
    person, other = a_rig.bound(), a_rig.bound()
    path = f"/console/accounts/{person.binding}"
    for each in (person, other):
        admin.open(f"/console/accounts/{each.binding}")
        admin.submit(f"/console/accounts/{each.binding}/resync", reason=f"ticket of {each.user_id}")
    listed = re.search('href="(/console/audit[^"]+)"', admin.open(path))
    assert listed is not None
    text = admin.open(listed.group(1))
    assert f"ticket of {person.user_id}" in text
    assert f"ticket of {other.user_id}" not in text
    assert f'href="{path}"' in text
    decided = person.decide(transaction_id="a:b.c")
    assert "/console/audit?about=a%3Ab.c" in admin.open(f"/console/decisions/{decided['transaction_id']}")
    with signed_in(a_rig.url, a_rig.keys["support"]) as staff:
        assert "/console/audit" not in staff.open(path)


def test_the_page_of_a_decision_says_what_was_captured_and_refunded_and_who_closed_its_review(
    a_rig: Rig, admin: Browser
) -> None:
    person = a_rig.bound()
    paid = person.decide(amount_minor=5_000)["transaction_id"]
    a_rig.platform("POST", f"/v1/decisions/{paid}/capture", json={"amount_minor": 4_000})
    a_rig.platform("POST", f"/v1/decisions/{paid}/refunds", json={"refund_id": "r-1", "amount_minor": 1_500})
    text = admin.open(f"/console/decisions/{paid}")
    assert re.search(r"<dd>captured · [^<]+ · 40\.00 CNY</dd>", text)
    assert re.search(r"<dt>Refunded</dt><dd>15\.00 CNY</dd>", text)
    person.bank.change(person.number, holder=Claim(**person.claim | {"phone": "+8613900000009"}))
    path = f"/console/decisions/{person.decide()['transaction_id']}"
    admin.open(path)
    text = admin.submit(path + "/review", outcome="decline", reason="The user called back")
    assert re.search(r"UTC\+8 · admin</p>", text)


@pytest.mark.parametrize(("language", "first"), [("en-GB", "say-en"), ("zh-CN", "say-zh")])
def test_what_to_tell_the_user_comes_first_in_the_language_of_the_page(a_rig: Rig, language: str, first: str) -> None:
    person = a_rig.bound()
    with signed_in(a_rig.url, a_rig.keys["support"], **{"Accept-Language": language}) as browser:
        text = browser.open(f"/console/accounts/{person.binding}")
    assert re.findall('id="(say-[a-z]+)"', text)[0] == first
