"""Sign-in by OpenID Connect in a real Chromium: to another site and back, where links carry no strict cookie."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.browsing import WIDTHS, fits, serious_findings, visitor
from tests.gateway.gateway_rig import rig
from tests.gateway.openid_provider import CLIENT_ID, CLIENT_SECRET, provider

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_user_signs_in_over_another_site_and_out_again(chromium: Browser, tmp_path: Path, scripts: bool) -> None:
    (tmp_path / "secret").write_text(CLIENT_SECRET)
    with provider() as there:
        there.issuer = there.issuer.replace("127.0.0.1", "localhost")  # another site than the gateway's
        openid = {
            "issuer": there.issuer,
            "client_id": CLIENT_ID,
            "client_secret_file": tmp_path / "secret",
            "public_url": "http://127.0.0.1:1",
            "label": "Example ID <b>",
            "role_claim": "groups",
            "roles": {"payments-support": "support"},
        }
        with rig(tmp_path, console={"openid": openid}) as it:
            there.now_s = lambda: it.clock.now_ms() // 1_000
            client = it.app.state.gateway.openid
            client.settings = client.settings.model_copy(update={"public_url": it.url})  # its port is known by now
            there.redirect_uri = it.url + "/console/sign-in/openid/callback"
            with visitor(chromium, it.url, 1440, scripts=scripts) as page:
                page.goto("/console/banks")
                for width in WIDTHS:
                    page.set_viewport_size({"width": width, "height": 900})
                    assert fits(page)
                    assert not scripts or serious_findings(page) == []
                page.get_by_role("link", name="Sign in with Example ID <b>").click()
                expect(page.get_by_text("openid:u-1001 · Support")).to_be_visible()
                assert page.url == it.url + "/console/banks"
                page.get_by_role("button", name="Sign out").click()
                expect(page.get_by_text("You are signed out of this console.")).to_be_visible()
                page.get_by_role("link", name="Sign out of Example ID").click()
                expect(page.get_by_text(f"signed out {CLIENT_ID}")).to_be_visible()
                page.goto("/console/banks")
                expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
