"""The node's console over HTTP, with the real node: access, content of the pages, and attacks that stay text."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from standing.ledger.service.api_keys import ApiKey, new_key
from standing.ledger.service.serve import served
from standing.node.app import create_app
from standing.node.composition import build
from standing.node.console.lookups import KeyFile, key_files
from standing.node.settings import ROLES
from standing.node.storage import schema
from tests.console_browser import Browser
from tests.console_words import missing
from tests.node.node_tools import account
from tests.world import ACCOUNT, PLATFORM, Bank, World, wait_until

SCRIPT = "<script>alert(1)</script>"
PAGES = ("", "rows", "publications", "platforms", "keys")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def started(world: World, stack: ExitStack, **settings: Any) -> tuple[Bank, str]:
    """A bank whose node has an operator with a script as name. Returns: the bank and the operator's key."""
    bank = world.make_bank(**settings)
    key, digest = new_key()
    bank.settings.api_keys.append(ApiKey(name=f"ops {SCRIPT}", role="operator", sha256=digest))
    bank.start(stack)
    return bank, key


def opened(stack: ExitStack, url: str, **headers: str) -> Browser:
    browser = Browser(url, **headers)
    stack.callback(browser.http.close)
    return browser


def signed_in(stack: ExitStack, bank: Bank, key: str, **headers: str) -> Browser:
    browser = opened(stack, bank.url, **headers)
    browser.sign_in(key)
    assert browser.page.url.path == "/console/", browser.page.text
    return browser


def _with_drop_folder(a_world: World, stack: ExitStack, tmp_path: Path) -> tuple[Path, Bank, str]:
    folder = tmp_path / "drop"
    folder.mkdir()
    bank, key = started(a_world, stack, drop_folder={"path": folder, "poll_ms": 50})
    return folder, bank, key


def _drop(folder: Path, as_of_ms: int, *rows: dict[str, Any], kind: str = "full") -> None:
    """Drop a file of rows, as a core does: written under another name, then renamed."""
    at = datetime.fromtimestamp(as_of_ms // 1000, UTC)
    name = f"{kind}-{at:%Y%m%dT%H%M%S}.{as_of_ms % 1000:03d}Z.jsonl"
    (folder / f".{name}").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / f".{name}").rename(folder / name)


def text_of(html: str) -> str:
    """The text of a page, without markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_only_an_operators_key_opens_a_session_and_every_page_requires_one(a_world: World, stack: ExitStack) -> None:
    bank, key = started(a_world, stack)
    browser = opened(stack, bank.url)
    for page in PAGES:
        browser.open(f"/console/{page}")
        assert browser.page.url.path == "/console/sign-in"
    for refused in (bank.core_key, bank.platform_key, "sk_unknown", ""):
        assert "cannot be used here" in browser.sign_in(refused)
        assert browser.page.status_code == 403
    assert "Working" in browser.sign_in(key)
    assert set(browser.http.cookies) == {f"standing_node_{bank.bic.lower()}"}  # no name that others on this host use
    browser.submit("/console/sign-out")
    assert "Sign in" in browser.open("/console/keys")


def test_every_response_has_the_strict_content_policy_and_no_page_accepts_a_form(
    a_world: World, stack: ExitStack
) -> None:
    bank, key = started(a_world, stack)
    browser = signed_in(stack, bank, key)
    for page in PAGES:
        text = browser.open(f"/console/{page}")
        assert browser.page.status_code == 200, text
        assert "default-src 'none'" in browser.page.headers["Content-Security-Policy"]
        assert browser.page.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<script>|style=|\son\w+=|https?://", text)
        assert browser.http.post(f"/console/{page}", data={}).status_code == 405


def test_the_first_page_shows_the_cores_last_entry_and_the_ledgers_progress(a_world: World, stack: ExitStack) -> None:
    bank, key = started(a_world, stack)
    bank.change(ACCOUNT)
    assert bank.bind().status_code == 200
    bank.heartbeat()
    text = text_of(signed_in(stack, bank, key).page.text)
    assert f"{bank.bic} Working" in text
    assert "changes: 1, attestations: 0" in text
    assert "Active bindings 1" in text
    assert "failures since the start: 0" in text
    assert "in use" in text


def test_a_rejected_row_is_shown_by_place_and_field_with_its_number_masked(
    a_world: World, stack: ExitStack, tmp_path: Path
) -> None:
    folder, bank, key = _with_drop_folder(a_world, stack, tmp_path)
    good, bad = account(1), account(2, status="asleep")
    _drop(folder, a_world.clock.advance(10), good, bad)
    browser = signed_in(stack, bank, key)
    wait_until(lambda: "Unstated accounts 1" in text_of(browser.open("/console/rows")))
    text = text_of(browser.page.text)
    assert "status" in text
    assert f"…{bad['number'][-4:]}" in text
    assert bad["number"] not in text
    assert "line 2" in text
    assert "status: not allowed; allowed: &#39;active&#39;, &#39;frozen&#39;," in text
    assert "never valid so far" in text


def test_a_rejected_file_is_one_trouble_and_not_also_that_of_a_worker(
    a_world: World, stack: ExitStack, tmp_path: Path
) -> None:
    folder, bank, key = _with_drop_folder(a_world, stack, tmp_path)
    browser = signed_in(stack, bank, key)
    _drop(folder, a_world.clock.advance(1_000), {"status": "frozen"}, kind="changes")
    wait_until(lambda: "Needs attention" in browser.open("/console/"))
    text = text_of(browser.page.text)
    assert text.count("so nothing after its time is loaded") == 1
    assert "drop_folder: drop_folder" not in str(bank.get("/v1/status").json()["worker_troubles"])


def test_a_core_that_has_fallen_silent_is_pointed_out_although_the_node_works(a_world: World, stack: ExitStack) -> None:
    bank, key = started(a_world, stack)
    bank.heartbeat()
    browser = signed_in(stack, bank, key)
    assert "more than a minute old" not in browser.page.text
    a_world.clock.advance(61_000)
    text = browser.open("/console/")
    assert "Working" in text
    assert "more than a minute old: platforms approve nothing" in text_of(text)
    bank.heartbeat()
    assert "more than a minute old" not in browser.open("/console/")


def test_a_page_says_when_it_was_opened_and_by_whom(a_world: World, stack: ExitStack) -> None:
    bank, key = started(a_world, stack)
    browser = signed_in(stack, bank, key)
    at = datetime.fromtimestamp(a_world.clock.advance(60_000) // 1000, UTC)
    for page in PAGES:
        text = text_of(browser.open(f"/console/{page}"))
        assert f"Page opened by ops &lt;script&gt;alert(1)&lt;/script&gt; at {at:%Y-%m-%d %H:%M:%S} UTC" in text


def test_the_console_shows_counts_of_publications_platforms_and_deposits(
    a_world: World, stack: ExitStack, tmp_path: Path
) -> None:
    # The payout folder does not exist, so the order is not written.
    micro = {"policy": "always", "payout_folder": tmp_path / "none"}
    bank, key = started(a_world, stack, micro_deposit=micro)
    bank.change(ACCOUNT)
    answer = bank.bind().json()
    assert answer["outcome"] == "micro_deposit", answer
    browser = signed_in(stack, bank, key)
    platforms = text_of(browser.open("/console/platforms"))
    assert re.search(rf"{PLATFORM} 0 0 – 1 1 ", platforms), platforms
    assert answer["micro_deposit"]["id"] in platforms
    assert ACCOUNT["number"] not in platforms
    wait_until(lambda: re.search(r"in block \d", text_of(browser.open("/console/publications"))))
    assert "The outbox is empty" in browser.page.text


def test_a_pending_publication_is_distinguished_from_a_mined_one(a_world: World, stack: ExitStack) -> None:
    bank, key = started(a_world, stack)
    bank.change(ACCOUNT)
    assert bank.bind().status_code == 200
    browser = signed_in(stack, bank, key)
    a_world.chain.holding = True
    bank.feed({"number": ACCOUNT["number"], "status": "frozen", "debit_allowed": False, "credit_allowed": False})
    wait_until(lambda: ">submitted<" in browser.open("/console/publications"))
    a_world.chain.release()
    wait_until(lambda: ">submitted<" not in browser.open("/console/publications"))


def test_hostile_text_stays_text_on_every_page(a_world: World, stack: ExitStack) -> None:
    bank, key = started(a_world, stack)
    vault = bank.secrets.vault()
    with bank.node.database.write() as connection:
        connection.execute(
            insert(schema.unstated_accounts).values(
                number_lookup=b"x" * 32,
                number_sealed=vault.seal_text("1234" + SCRIPT[:4]),
                since_ms=1,
                fields=f'["{SCRIPT}"]',
                source=SCRIPT,
                problem=SCRIPT,
            )
        )
        connection.execute(insert(schema.feed_cursors).values(source=SCRIPT, position="{}", moved_at_ms=1))
        connection.execute(insert(schema.off_boardings).values(platform=SCRIPT, asked_at_ms=1, ended=0))
    bank.node.client.failover.failures[SCRIPT] = 1
    browser = signed_in(stack, bank, key)
    for page in PAGES:
        text = browser.open(f"/console/{page}")
        assert SCRIPT not in text, page
        assert "&lt;script&gt;" in text, page


def test_keys_are_listed_with_their_age_and_never_opened(a_world: World, stack: ExitStack, tmp_path: Path) -> None:
    bank, key = started(a_world, stack)
    text = text_of(signed_in(stack, bank, key).open("/console/keys"))
    assert bank.signer.address in text
    assert "modification time unknown" in text  # the world hands its secrets over in memory
    assert f"platform Platform {PLATFORM}" in text
    file = tmp_path / "signer.json"
    file.write_text("{}")
    settings = bank.settings.model_copy(update={"signer_keystore": file})
    assert key_files(settings)[0] == KeyFile("signer", str(file), file.stat().st_mtime_ns // 1_000_000)
    assert not missing("standing.node.console", {"role": ROLES, "key": {each.kind for each in key_files(settings)}})


def test_pages_are_in_chinese_when_the_browser_asks_for_it(a_world: World, stack: ExitStack) -> None:
    bank, key = started(a_world, stack)
    browser = signed_in(stack, bank, key, **{"Accept-Language": "zh-CN"})
    for page, heading in zip(PAGES, ("正常运行", "待修正数据", "发布记录", "平台", "签名密钥"), strict=True):
        assert heading in browser.open(f"/console/{page}")
        assert 'lang="zh-Hans"' in browser.page.text


def test_a_standby_lets_operators_in_and_says_that_it_is_one(a_world: World, stack: ExitStack) -> None:
    bank, key = started(a_world, stack)
    wait_until(lambda: bank.node.leadership.active)
    other = build(bank.settings, bank.secrets, bank.clock)
    stack.callback(other.database.close)
    browser = opened(stack, stack.enter_context(served(create_app(other))))
    assert "Standby" in browser.sign_in(key)


def test_a_console_that_is_turned_off_is_not_served(a_world: World, stack: ExitStack) -> None:
    bank, _ = started(a_world, stack, console={"enabled": False})
    assert bank.get("/console/").status_code == 404


def test_what_a_node_says_of_itself_is_in_the_readers_language(
    a_world: World, stack: ExitStack, tmp_path: Path
) -> None:
    folder, bank, key = _with_drop_folder(a_world, stack, tmp_path)
    _drop(folder, a_world.clock.advance(10), account(1), account(2, status="asleep"))
    browser = signed_in(stack, bank, key, **{"Accept-Language": "zh-CN"})
    wait_until(lambda: "…" in text_of(browser.open("/console/rows")))
    assert "第 2 行" in browser.page.text
    row = re.search(r"<br><span>([^<]+)</span>", browser.page.text)
    assert row is not None, browser.page.text
    assert "；允许：" in row[1]
    _drop(folder, a_world.clock.advance(1_000), {"status": "frozen"}, kind="changes")
    wait_until(lambda: "已被拒收" in text_of(browser.open("/console/")))
    assert "was rejected" not in browser.page.text
    assert "The feed" not in browser.page.text


def test_the_outbox_waits_since_it_was_asked_for_and_not_since_the_terms_took_effect(
    a_world: World, stack: ExitStack
) -> None:
    bank, key = started(a_world, stack)
    bank.change(ACCOUNT)
    browser = signed_in(stack, bank, key)
    a_world.chain.down = True
    a_world.clock.advance(400 * 24 * 3_600_000)
    browser.sign_in(key)
    assert bank.bind().status_code == 200
    a_world.clock.advance(3_000)
    text = text_of(browser.open("/console/publications"))
    assert "The oldest has waited for 3.0 s." in text, text
