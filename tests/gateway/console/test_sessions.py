"""Signing in to the console by key, and its sessions: who gets in, until when, and forms that must do nothing."""

import re
from pathlib import Path

from tests.console_browser import Browser
from tests.gateway.gateway_rig import Rig, rig


def test_nobody_sees_a_page_without_signing_in(visitor: Browser) -> None:
    assert "Sign in" in visitor.open("/console/accounts/0x" + "00" * 32)
    assert visitor.page.url.path == "/console/sign-in"


def test_a_support_key_opens_a_session_whose_cookie_no_script_reads(a_rig: Rig, visitor: Browser) -> None:
    assert "Find an account" in visitor.sign_in(a_rig.keys["support"])
    cookie = next(
        header for header in visitor.page.history[0].headers.get_list("set-cookie") if "standing_console" in header
    )
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert a_rig.keys["support"] not in cookie


def test_a_platforms_key_and_an_unknown_key_are_refused_alike(a_rig: Rig, visitor: Browser) -> None:
    for key in (a_rig.keys["platform"], "sk_unknown", ""):
        assert "cannot be used here" in visitor.sign_in(key)
        assert visitor.page.status_code == 403


def test_a_session_ends_when_idle_and_at_its_hard_end(a_rig: Rig, staff: Browser) -> None:
    for _ in range(70):  # 9 h 55 min, in steps shorter than the idle end
        a_rig.clock.advance(8 * 60_000 + 30_000)
        assert "Find an account" in staff.open("/console")
    a_rig.clock.advance(5 * 60_000)
    assert "Sign in" in staff.open("/console")
    staff.sign_in(a_rig.keys["support"])
    a_rig.clock.advance(15 * 60_000)
    assert "Sign in" in staff.open("/console")


def test_a_form_sent_after_the_session_ended_says_that_nothing_was_done_and_leads_back_to_its_page(
    a_rig: Rig, staff: Browser
) -> None:
    person = a_rig.bound()
    path = f"/console/accounts/{person.binding}"
    staff.open(path)
    a_rig.clock.advance(15 * 60_000)
    a_rig.heartbeat()
    staff.http.headers["Referer"] = a_rig.url + path
    assert "Your session had ended, so nothing was done." in staff.submit(f"{path}/end", reason="ticket 3")
    assert f'name="next" value="{path}"' in staff.page.text
    assert a_rig.platform("GET", f"/v1/bindings/{person.binding}").json()["ended_at_ms"] is None
    staff.http.headers["Referer"] = "https://elsewhere.example//console//x"
    assert 'name="next" value="/console/"' in staff.submit(f"{path}/end", reason="ticket 3")


def test_signing_out_ends_the_session_and_not_only_the_cookie(staff: Browser) -> None:
    (name, token) = next(iter(staff.http.cookies.items()))
    staff.open("/console")
    staff.submit("/console/sign-out")
    staff.http.cookies.set(name, token, path="/console")
    assert "Sign in" in staff.open("/console")


def test_signing_out_after_the_session_has_ended_asks_nobody_to_sign_in_and_do_it_again(
    a_rig: Rig, staff: Browser
) -> None:
    staff.open("/console/banks")
    a_rig.clock.advance(15 * 60_000)
    a_rig.heartbeat()
    text = staff.submit("/console/sign-out")
    assert "You are signed out of this console." in text
    assert "do it again" not in text
    assert 'name="next" value="/console/"' in text


def test_a_browser_is_signed_in_to_two_gateways_on_one_host_at_once(a_rig: Rig, staff: Browser, tmp_path: Path) -> None:
    """Browsers share cookies between the ports of a host."""
    with rig(tmp_path) as own:
        other = Browser(own.url)
        other.http.cookies.jar = staff.http.cookies.jar
        assert "Find an account" in other.sign_in(own.keys["support"])
        assert "Find an account" in staff.open("/console")
        other.submit("/console/sign-out")
        assert "Find an account" in staff.open("/console")
        other.http.close()


def test_a_search_sent_after_the_session_ended_is_answered_after_the_next_sign_in(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    staff.open("/console")
    a_rig.clock.advance(15 * 60_000)
    a_rig.heartbeat()
    asked = staff.submit("/console/find", q=person.user_id)
    assert "API key" in asked
    assert person.user_id not in str(staff.page.url)
    wanted = re.search('name="next" value="([^"]+)"', asked)
    assert wanted is not None
    assert f"User {person.user_id}" in staff.submit("/console/sign-in", key=a_rig.keys["support"], next=wanted.group(1))


def test_too_many_failed_attempts_lock_an_address_out_for_a_while(a_rig: Rig, visitor: Browser) -> None:
    a_rig.clock.advance(16 * 60_000)  # attempts of other tests are out of the window
    for _ in range(10):
        visitor.sign_in("sk_guessed")
    assert "Too many failed attempts" in visitor.sign_in(a_rig.keys["support"])
    assert visitor.page.status_code == 429
    assert int(visitor.page.headers["Retry-After"]) <= 15 * 60
    a_rig.clock.advance(15 * 60_000)
    a_rig.heartbeat()
    assert "Find an account" in visitor.sign_in(a_rig.keys["support"])


def test_a_form_without_the_sessions_token_or_from_another_site_changes_nothing(a_rig: Rig, staff: Browser) -> None:
    path = f"/console/accounts/{a_rig.bound().binding}/end"
    forged = staff.http.post(path, data={"reason": "forged", "csrf": "0" * 64})
    assert forged.status_code == 403
    staff.open("/console")
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', staff.page.text)
    assert token is not None
    for header in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        sent = staff.http.post(path, data={"reason": "forged", "csrf": token.group(1)}, headers=header)
        assert sent.status_code == 403
    assert (
        a_rig.platform("GET", path.replace("/console/accounts", "/v1/bindings").removesuffix("/end")).json()[
            "ended_at_ms"
        ]
        is None
    )


def test_a_form_of_the_session_before_says_so_without_talk_of_tokens_and_leads_back(a_rig: Rig, staff: Browser) -> None:
    page = f"/console/accounts/{a_rig.bound().binding}"
    staff.open(page)
    before = staff.page
    staff.submit("/console/sign-out")
    staff.sign_in(a_rig.keys["admin"])
    staff.page = before
    staff.http.headers["Referer"] = a_rig.url + page
    text = staff.submit(f"{page}/resync", reason="ticket 7")
    assert "so nothing was done" in text
    assert "csrf:" not in text
    assert f'class="button primary" href="{page}"' in text


def test_a_sign_in_page_that_was_open_in_two_tabs_can_be_sent_again_at_once(a_rig: Rig, visitor: Browser) -> None:
    visitor.open("/console/sign-in?next=/console/today")
    second = visitor.page
    visitor.submit("/console/sign-in", key=a_rig.keys["support"])
    visitor.page = second
    text = visitor.submit("/console/sign-in", key=a_rig.keys["support"], next="/console/today")
    assert "This page was out of date" in text
    assert "The last 24 hours" in visitor.submit("/console/sign-in", key=a_rig.keys["support"], next="/console/today")


def test_back_to_the_sign_in_page_leads_who_is_signed_in_to_the_page_that_was_asked_for(staff: Browser) -> None:
    assert "The last 24 hours" in staff.open("/console/sign-in?next=/console/today")
    assert "Find an account" in staff.open("/console/sign-in?next=//elsewhere.example")
    staff.submit("/console/sign-out")
    assert "API key" in staff.open("/console/sign-in?next=/console/today")


def test_sign_in_never_redirects_to_another_site(visitor: Browser) -> None:
    for target in ("https://elsewhere.example", "//elsewhere.example", "/console//elsewhere.example", "/console/\\x"):
        assert 'name="next" value="/console/"' in visitor.open(f"/console/sign-in?next={target}")
