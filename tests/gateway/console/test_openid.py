"""Sign-in by OpenID Connect: the real gateway against a real provider over HTTP, and attacks that must fail."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from standing.gateway.access import openid as openid_module
from standing.gateway.app import create_app
from standing.ledger.service.console.sessions import csrf_of
from standing.ledger.service.serve import served
from tests.console_browser import Browser
from tests.gateway.gateway_rig import Rig, rig
from tests.gateway.openid_provider import CLIENT_ID, CLIENT_SECRET, FORGED, Provider, provider
from tests.timeouts import PATIENT_MS

CALLBACK = "/console/sign-in/openid/callback"


@pytest.fixture(scope="module")
def openid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Rig, Provider]]:
    folder = tmp_path_factory.mktemp("openid")
    (folder / "secret").write_text(CLIENT_SECRET + "\n")
    with provider() as made:
        console = {
            "key_sign_in": False,
            "openid": {
                "issuer": made.issuer,
                "client_id": CLIENT_ID,
                "client_secret_file": folder / "secret",
                "public_url": "http://127.0.0.1:1",
                "label": "Example ID",
                "name_claim": "preferred_username",
                "role_claim": "groups",
                "timeout_ms": PATIENT_MS,
                "roles": {"payments-support": "support", "payments-admins": "admin"},
            },
        }
        with rig(folder, console=console) as one:
            made.redirect_uri = "http://127.0.0.1:1" + CALLBACK
            yield one, made


@pytest.fixture
def honest(openid: tuple[Rig, Provider]) -> Provider:
    """The module's provider, with every twist undone."""
    one, made = openid
    one.clock.advance(16 * 60_000)  # attempts of other tests are out of the window
    made.person = {"sub": "u-1001", "preferred_username": "li.na", "groups": ["payments-support"]}
    made.twisted, made.header, made.discovery, made.error, made.signing, made.down = {}, {}, {}, None, None, False
    made.now_s = lambda: one.clock.now_ms() // 1_000
    made.rotate()
    return made


@pytest.fixture
def browser(openid: tuple[Rig, Provider], honest: Provider) -> Iterator[Browser]:
    made = Browser(openid[0].url)
    yield made
    made.http.close()


def sign_in_at_provider(browser: Browser, wanted: str = "/console/") -> dict[str, str]:
    """Go to the provider. Returns: the answer it sends through the browser, not yet delivered to the gateway."""
    begun = browser.http.get("/console/sign-in/openid", params={"next": wanted}, follow_redirects=False)
    assert begun.status_code == 303, begun.text
    answered = httpx.get(begun.headers["Location"], follow_redirects=False, timeout=60)
    assert answered.status_code == 302, answered.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answered.headers["Location"]).query).items()}


def return_to_gateway(browser: Browser, answer: dict[str, str]) -> str:
    """Deliver the provider's answer to the gateway."""
    browser.page = browser.http.get(CALLBACK, params=answer)
    return browser.page.text


def sign_in_cookies(browser: Browser) -> list[tuple[str, str]]:
    """The cookies of the browser's sign-ins under way."""
    return [item for item in browser.http.cookies.items() if item[0].startswith("standing_sign_in")]


def refused(browser: Browser, text: str, status: int = 403) -> None:
    """Nobody was signed in, and the page gives the expected reason."""
    assert text in browser.page.text, browser.page.text
    assert browser.page.status_code == status
    assert "Sign in" in browser.open("/console")


def test_a_member_of_a_mapped_group_signs_in_to_the_requested_page_and_out_again(
    openid: tuple[Rig, Provider], browser: Browser
) -> None:
    assert "Sign in with Example ID" in browser.open("/console/banks")
    assert "API key" not in browser.page.text
    assert "/console/sign-in/openid?next=/console/banks" in browser.page.text
    text = return_to_gateway(browser, sign_in_at_provider(browser, "/console/banks"))
    assert 'content="0; url=/console/banks"' in text
    cookies = browser.page.headers.get_list("set-cookie")
    session = next(each for each in cookies if re.match("standing_console_[0-9a-f]{8}=", each))
    assert "HttpOnly" in session
    assert "samesite=strict" in session.lower()
    assert "openid:li.na · Support" in browser.open("/console/banks")
    browser.submit("/console/sign-out")
    out = re.search(r'href="([^"]+)">Sign out of Example ID', browser.page.text)
    assert out is not None, browser.page.text
    address = urlsplit(out.group(1).replace("&amp;", "&"))
    assert parse_qs(address.query) == {
        "client_id": [CLIENT_ID],
        "post_logout_redirect_uri": ["http://127.0.0.1:1/console/sign-in"],
    }
    assert "Sign in" in browser.open("/console/banks")


def test_the_highest_of_several_roles_counts_and_actions_are_audited_under_the_persons_name(
    openid: tuple[Rig, Provider], honest: Provider, browser: Browser
) -> None:
    one, _ = openid
    one.heartbeat()
    honest.person["groups"] = ["payments-support", "everybody", "payments-admins"]
    return_to_gateway(browser, sign_in_at_provider(browser))
    person = one.bound()
    browser.open(f"/console/accounts/{person.binding}")
    browser.submit(f"/console/accounts/{person.binding}/resync", reason="ticket 7")
    assert "openid:li.na" in browser.open("/console/audit")
    assert "ticket 7" in browser.page.text


def test_a_key_rotation_beside_unsupported_keys_is_followed_whether_or_not_tokens_name_their_key(
    honest: Provider, browser: Browser
) -> None:
    named: dict[str, Any]
    for named in ({}, {"kid": None}):
        honest.header = named
        assert "You are signed in" in return_to_gateway(browser, sign_in_at_provider(browser))
        honest.rotate()


@pytest.mark.parametrize(
    "discovery",
    [
        {"authorization_response_iss_parameter_supported": False},
        {"token_endpoint_auth_methods_supported": ["client_secret_post"]},
    ],
    ids=["its answers name no issuer", "it takes the client's secret in the form only"],
)
def test_people_of_a_provider_that_offers_less_sign_in_as_well(
    discovery: dict[str, Any], openid: tuple[Rig, Provider], honest: Provider, browser: Browser
) -> None:
    openid[0].clock.advance(60 * 60_000)  # the provider's metadata is fetched again
    honest.discovery = discovery
    return_to_gateway(browser, sign_in_at_provider(browser))
    assert "openid:li.na" in browser.open("/console/banks")
    openid[0].clock.advance(60 * 60_000)


def test_sign_ins_at_once_are_bounded_and_old_ones_take_no_place(
    openid: tuple[Rig, Provider], browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openid_module, "_MAX_STATES", 1)
    openid[0].clock.advance(10 * 60_000)
    return_to_gateway(browser, sign_in_at_provider(browser))
    assert browser.page.status_code == 200
    second = Browser(openid[0].url)
    return_to_gateway(second, sign_in_at_provider(second))
    assert browser.page.status_code == 200
    assert (second.page.status_code, second.page.headers["Retry-After"]) == (503, "60")
    openid[0].clock.advance(10 * 60_000)
    return_to_gateway(second, sign_in_at_provider(second))
    assert second.page.status_code == 200
    second.http.close()


@pytest.mark.filterwarnings("ignore:JWS algorithm:UserWarning")  # joserfc warns about the attacks
@pytest.mark.parametrize("name", FORGED)
def test_an_invalid_id_token_lets_nobody_in(name: str, honest: Provider, browser: Browser) -> None:
    answer = sign_in_at_provider(browser)
    for part, value in FORGED[name](honest).items():
        setattr(honest, part, value)
    asked = honest.tokens_asked
    return_to_gateway(browser, answer)
    assert honest.tokens_asked == asked + 1, "the attack did not reach the token"
    refused(browser, "The sign-in is not valid")


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "another"},
        {"state": ""},
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"state": "another", "error": "access_denied"},
    ],
    ids=str,
)
def test_an_answer_from_another_sign_in_or_issuer_never_reaches_the_provider(
    changed: dict[str, Any], honest: Provider, browser: Browser
) -> None:
    answer, asked = sign_in_at_provider(browser), honest.tokens_asked
    return_to_gateway(browser, {name: value for name, value in (answer | changed).items() if value is not None})
    assert honest.tokens_asked == asked
    refused(browser, "The sign-in is not valid")


def test_an_answer_brought_by_another_browser_is_refused(
    openid: tuple[Rig, Provider], honest: Provider, browser: Browser
) -> None:
    victim = Browser(openid[0].url)
    sign_in_at_provider(victim)
    return_to_gateway(victim, sign_in_at_provider(browser))
    refused(victim, "The sign-in is not valid")
    victim.http.close()


def test_a_code_and_a_whole_answer_can_be_used_only_once(honest: Provider, browser: Browser) -> None:
    answer = sign_in_at_provider(browser)
    [(name, cookie)] = sign_in_cookies(browser)
    return_to_gateway(browser, answer)
    browser.open("/console/banks")
    browser.submit("/console/sign-out")
    asked = honest.tokens_asked
    browser.http.cookies.set(name, cookie, domain="127.0.0.1", path="/console")
    return_to_gateway(browser, answer)
    assert honest.tokens_asked == asked  # the state is valid once, whatever the provider answers
    refused(browser, "The sign-in is not valid")
    fresh = sign_in_at_provider(browser)
    return_to_gateway(browser, fresh | {"code": answer["code"]})
    assert honest.tokens_asked == asked + 1
    refused(browser, "The sign-in is not valid")


def test_two_tabs_that_sign_in_at_once_both_arrive_at_their_pages(browser: Browser) -> None:
    first, second = (sign_in_at_provider(browser, f"/console/{page}") for page in ("banks", "today"))
    assert 'content="0; url=/console/banks"' in return_to_gateway(browser, first)
    assert 'content="0; url=/console/today"' in return_to_gateway(browser, second)
    assert sign_in_cookies(browser) == []
    assert "openid:li.na" in browser.open("/console/banks")


def test_an_answer_of_a_left_tab_does_not_spoil_the_sign_in_of_another(browser: Browser) -> None:
    answer = sign_in_at_provider(browser)
    return_to_gateway(browser, sign_in_at_provider(browser) | {"code": "of nobody"})
    assert browser.page.status_code == 403
    assert "You are signed in" in return_to_gateway(browser, answer)


def test_cookies_of_tabs_that_were_left_do_not_pile_up(browser: Browser) -> None:
    answers = [sign_in_at_provider(browser) for _ in range(9)]
    assert len(sign_in_cookies(browser)) <= 4
    assert "You are signed in" in return_to_gateway(browser, answers[-1])


def test_a_sign_in_that_takes_too_long_starts_over(openid: tuple[Rig, Provider], browser: Browser) -> None:
    answer = sign_in_at_provider(browser)
    openid[0].clock.advance(10 * 60_000)
    return_to_gateway(browser, answer)
    refused(browser, "The sign-in is not valid")


@pytest.mark.parametrize(
    "person",
    [
        {"groups": ["everybody"]},
        {"groups": []},
        {"groups": None},
        {"groups": "payments-support "},
        {"groups": {"payments-support": True}},
        {"preferred_username": None},
        {"preferred_username": "x" * 58},
        {"preferred_username": "a\nb"},
    ],
    ids=str,
)
def test_somebody_without_a_role_or_a_name_stays_out(
    person: dict[str, Any], honest: Provider, browser: Browser
) -> None:
    honest.person |= person
    return_to_gateway(browser, sign_in_at_provider(browser))
    refused(browser, "Your account has no role here")


def test_a_name_that_is_a_script_stays_text(honest: Provider, browser: Browser) -> None:
    honest.person["preferred_username"] = "<script>alert(1)</script>"
    return_to_gateway(browser, sign_in_at_provider(browser))
    text = browser.open("/console/banks")
    assert "<script>alert" not in text
    assert "openid:&lt;script&gt;" in text


def test_after_a_cancelled_sign_in_the_next_try_leads_to_the_page_that_was_asked_for(
    honest: Provider, browser: Browser
) -> None:
    honest.error = "access_denied"
    text = return_to_gateway(browser, sign_in_at_provider(browser, "/console/banks"))
    assert 'href="/console/sign-in/openid?next=/console/banks"' in text


@pytest.mark.parametrize(
    ("error", "text", "status"),
    [
        ("access_denied", "The sign-in was cancelled", 403),
        ("server_error", "is not responding", 503),
        ("unauthorized_client", "not set up correctly", 503),
    ],
)
def test_an_error_from_the_provider_is_shown(
    error: str, text: str, status: int, honest: Provider, browser: Browser
) -> None:
    honest.error = error
    return_to_gateway(browser, sign_in_at_provider(browser))
    refused(browser, text, status)


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://elsewhere.example"},
        {"token_endpoint": "http://elsewhere.example/token"},
        {"jwks_uri": None},
        {"code_challenge_methods_supported": ["plain"]},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
    ids=str,
)
def test_a_provider_that_contradicts_the_settings_is_reported_before_any_redirect(
    discovery: dict[str, Any], openid: tuple[Rig, Provider], honest: Provider, browser: Browser
) -> None:
    openid[0].clock.advance(60 * 60_000)  # the provider's metadata is fetched again
    honest.discovery = discovery
    browser.open("/console/sign-in/openid")
    refused(browser, "not set up correctly", 503)


def test_a_provider_that_is_down_is_reported_and_signing_out_still_works(
    openid: tuple[Rig, Provider], honest: Provider, browser: Browser
) -> None:
    return_to_gateway(browser, sign_in_at_provider(browser))
    for _ in range(5):
        browser.open("/console/banks")
        openid[0].clock.advance(14 * 60_000)
    honest.down = True
    browser.open("/console/banks")
    browser.submit("/console/sign-out")
    assert "You are signed out of this console" in browser.page.text
    assert "openid?next=/console/banks" in browser.open("/console/sign-in/openid?next=/console/banks")
    refused(browser, "is not responding", 503)


def test_guessing_codes_locks_the_address_out(openid: tuple[Rig, Provider], honest: Provider, browser: Browser) -> None:
    for _ in range(10):
        return_to_gateway(browser, sign_in_at_provider(browser) | {"code": "guessed"})
    answer = sign_in_at_provider(browser)
    return_to_gateway(browser, answer)
    assert "Too many failed attempts" in browser.page.text
    assert browser.page.status_code == 429


def test_no_key_opens_a_session_where_key_sign_in_is_off(openid: tuple[Rig, Provider], browser: Browser) -> None:
    one, _ = openid
    browser.open("/console/sign-in")
    visitor = next(value for name, value in browser.http.cookies.items() if name.endswith("_visitor"))
    browser.page = browser.http.post("/console/sign-in", data={"csrf": csrf_of(visitor), "key": one.keys["admin"]})
    refused(browser, "cannot be used here")


def test_a_session_ends_as_soon_as_its_provider_leaves_the_settings(
    openid: tuple[Rig, Provider], browser: Browser, tmp_path: Path
) -> None:
    one, _ = openid
    return_to_gateway(browser, sign_in_at_provider(browser))
    browser.open("/console/banks")
    without = one.settings.model_copy(update={"console": type(one.settings.console)()})
    with served(create_app(without, one.clock)) as url:
        page = httpx.get(url + "/console/banks", cookies=dict(browser.http.cookies), follow_redirects=True, timeout=60)
        assert "Sign in" in page.text
        assert "API key" in page.text
        assert httpx.get(url + "/console/sign-in/openid", timeout=60).status_code == 404
