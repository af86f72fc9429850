"""Keys, banks and policy read again by a running gateway: at once, all or nothing, and without losing a request."""

import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from standing.gateway.app import create_app
from standing.gateway.decisions.policy import Policy
from standing.gateway.settings import GatewaySettings
from standing.ledger.service.api_keys import new_key
from standing.ledger.service.serve import served
from tests.console_browser import signed_in
from tests.gateway.gateway_rig import BICS, Rig, rig
from tests.world import wait_until

_PATH = "/v1/settings:reload"
_WHY = {"Standing-Reason": "a new bank"}


class _Reloading:
    """A gateway beside the rig's own, on the same database, whose settings a test changes."""

    def __init__(self, it: Rig, app: FastAPI, url: str, standing: list[dict[str, Any]]) -> None:
        self._it = it
        self.app = app
        self.url = url
        self.standing = standing

    def call(self, method: str, path: str, role: str = "admin", key: str | None = None, **rest: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self._it.keys[role]}"} | rest.pop("headers", {})
        return httpx.request(method, self.url + path, headers=headers, timeout=30, **rest)

    def reload(self, **changed: Any) -> httpx.Response:
        self.standing[0] = self.standing[0] | changed
        return self.call("POST", _PATH, headers=_WHY)


@contextmanager
def _reloading(it: Rig, **started_with: Any) -> Iterator[_Reloading]:
    dumped = it.settings.model_dump(exclude={"policy"}, exclude_none=True)
    standing = [dumped | {"banks": dumped["banks"][:1]} | started_with]
    app = create_app(GatewaySettings(**standing[0]), it.clock, lambda: GatewaySettings(**standing[0]))
    with served(app) as url:
        yield _Reloading(it, app, url, standing)


def _parts_with_a_policy(whole: object) -> dict[str, Policy]:
    """The policies that the parts of a gateway hold, by the part's class."""
    found, seen, left = {}, set(), [whole]
    while left:
        part = left.pop()
        if id(part) in seen or not type(part).__module__.startswith("standing.gateway"):
            continue
        seen.add(id(part))
        names = [name for kind in type(part).__mro__ for name in getattr(kind, "__slots__", ())]
        inside = {name: getattr(part, name, None) for name in [*getattr(part, "__dict__", ()), *names]}
        if isinstance(policy := inside.get("_policy"), Policy):
            found[type(part).__name__] = policy
        left += inside.values()
    return found


def test_a_new_bank_key_and_policy_take_effect_at_once(tmp_path: Path) -> None:
    with rig(tmp_path) as it, _reloading(it) as gateway:
        banks = it.settings.model_dump()["banks"]
        assert [bank["bic"] for bank in gateway.call("GET", "/v1/banks").json()["banks"]] == [BICS[0]]
        before = gateway.call("GET", "/v1/status").json()["policy"]
        key, digest = new_key()
        keys = [*gateway.standing[0]["api_keys"], {"name": "late", "role": "support", "sha256": digest}]
        assert gateway.call("GET", "/v1/banks", key=key).status_code == 401
        second = {"name": "second", "binding": {"max_refusals": 3}}
        answer = gateway.reload(banks=banks, api_keys=keys, policy=second, max_waiting_bindings=7)
        assert answer.status_code == 200, answer.text
        assert answer.json()["changed"] == [*(f"banks.{bank['bic']}" for bank in banks[1:]), "api_keys", "policy"]
        assert answer.json()["needs_restart"] == ["max_waiting_bindings"]
        assert len(gateway.call("GET", "/v1/banks", key=key).json()["banks"]) == len(banks)
        status = gateway.call("GET", "/v1/status").json()
        assert status["policy"].startswith("second@") != before.startswith("second@")
        assert status["settings"]["needs_restart"] == ["max_waiting_bindings"]
        parts = _parts_with_a_policy(gateway.app.state.gateway)
        assert {"Reviews", "Accounts", "Trails", "Follower", "HoldProofs", "RiskRunner"} <= parts.keys()
        assert {name for name, policy in parts.items() if policy.name != "second"} == {"DecisionService"}, "until asked"
        assert gateway.app.state.gateway.binding_flow.bounds.max_refusals == 3
        (entry,) = (e for e in gateway.call("GET", "/v1/audit").json()["entries"] if e["action"] == "reload_settings")
        assert (entry["reason"], entry["outcome"]) == ("a new bank", "done")


def test_removing_a_bank_or_changing_its_time_zone_needs_a_restart(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        banks = it.settings.model_dump()["banks"]
        with _reloading(it, banks=banks) as gateway:
            moved = banks[0] | {"time_zone": "Asia/Tokyo", "name": "Renamed"}
            answer = gateway.reload(banks=[moved])
            gone = [f"banks.{bank['bic']}" for bank in banks[1:]]
            assert answer.json()["needs_restart"] == sorted([*gone, f"banks.{BICS[0]}.time_zone"])
            listed = gateway.call("GET", "/v1/banks").json()["banks"]
            assert len(listed) == len(banks)
            assert (listed[0]["name"]["en"], listed[0]["time_zone"]) == ("Renamed", "Asia/Shanghai")


def test_invalid_settings_change_nothing_and_show_in_the_status(tmp_path: Path) -> None:
    with rig(tmp_path) as it, _reloading(it) as gateway:
        missing = it.settings.banks[1].model_copy(update={"node_api_key_file": tmp_path / "none"}).model_dump()
        answer = gateway.reload(banks=[*gateway.standing[0]["banks"], missing], policy={"name": "second"})
        assert answer.status_code == 422
        assert "none does not exist" in answer.json()["detail"]
        status = gateway.call("GET", "/v1/status").json()
        assert "none does not exist" in status["settings"]["trouble"]
        assert not status["policy"].startswith("second@")
        assert len(status["banks"]) == 1
        refused = gateway.call("POST", _PATH)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "header Standing-Reason")
        assert gateway.call("POST", _PATH, "platform", headers=_WHY).status_code == 403


@pytest.mark.long
def test_an_open_review_is_closed_under_the_current_policy(tmp_path: Path) -> None:
    with rig(tmp_path) as it, _reloading(it, policy={"identity": {"phone": "review"}}) as gateway:
        person = it.bound()
        holder = person.bank.accounts[person.number].holder
        person.bank.change(person.number, holder=holder.model_copy(update={"phone": "13900139000"}))
        body: dict[str, Any] = {"transaction_id": "t-1", "binding": person.binding, "kind": "payment"}
        body |= {"amount_minor": 1, "currency": "CNY"}
        asked = gateway.call("POST", "/v1/decisions", "platform", json=body).json()
        assert (asked["outcome"], asked["reason"]) == ("review", "phone_changed")
        assert gateway.reload(policy={"identity": {"phone": "decline"}}).status_code == 200
        closing = {"outcome": "approve", "reason": "The user was called back"}
        closed = gateway.call("POST", "/v1/decisions/t-1/review", "support", json=closing)
        assert closed.status_code == 409, "the policy no longer lets staff pass a changed phone"
        assert closed.json()["type"].endswith("review-not-approvable")


def test_no_request_is_lost_and_each_decision_uses_one_policy(tmp_path: Path) -> None:
    with rig(tmp_path) as it, _reloading(it) as gateway:
        person = it.bound()
        answers: list[httpx.Response] = []
        stop = threading.Event()

        def decide(worker: int) -> None:
            while not stop.is_set():
                body = {
                    "transaction_id": f"reload-{worker}-{len(answers)}",
                    "binding": person.binding,
                    "kind": "withdrawal",
                    "amount_minor": 1,
                    "currency": "CNY",
                }
                answers.append(gateway.call("POST", "/v1/decisions", "platform", json=body))

        threads = [threading.Thread(target=decide, args=(worker,)) for worker in range(3)]
        for thread in threads:
            thread.start()
        versions = {gateway.call("GET", "/v1/status").json()["policy"]}
        for turn in range(12):
            enough = len(answers) + 3
            wait_until(lambda: len(answers) >= enough)  # noqa: B023 - at once
            assert gateway.reload(policy={"name": f"turn-{turn}"}).status_code == 200
            versions.add(gateway.call("GET", "/v1/status").json()["policy"])
        stop.set()
        for thread in threads:
            thread.join()
        assert {answer.status_code for answer in answers} == {200}
        used = {answer.json()["policy"] for answer in answers}
        assert used <= versions
        assert len(used) > 3


def test_removing_a_key_ends_the_console_sessions_it_opened(tmp_path: Path) -> None:
    with ExitStack() as stack:
        it = stack.enter_context(rig(tmp_path))
        gateway = stack.enter_context(_reloading(it))
        browser = stack.enter_context(httpx.Client(base_url=gateway.url, follow_redirects=True, timeout=60))
        token = re.search(r'name="csrf" value="(\w+)"', browser.get("/console").text)
        assert token is not None
        signed_in = browser.post("/console/sign-in", data={"csrf": token[1], "key": it.keys["support"]})
        assert signed_in.url.path == "/console/"
        kept = [key for key in gateway.standing[0]["api_keys"] if key["role"] != "support"]
        assert gateway.reload(api_keys=kept).status_code == 200
        assert browser.get("/console/banks").url.path == "/console/sign-in"


def test_a_key_that_gets_another_role_ends_the_console_sessions_of_the_earlier_one(tmp_path: Path) -> None:
    with ExitStack() as stack:
        it = stack.enter_context(rig(tmp_path))
        gateway = stack.enter_context(_reloading(it))
        admin = stack.enter_context(signed_in(gateway.url, it.keys["admin"]))
        support = stack.enter_context(signed_in(gateway.url, it.keys["support"]))
        assert "/console/audit" in admin.open("/console/audit")
        swapped = {"admin": "support", "support": "platform", "platform": "admin"}
        keys = [key | {"role": swapped[key["role"]]} for key in gateway.standing[0]["api_keys"]]
        assert gateway.reload(api_keys=keys).status_code == 200
        for browser in (admin, support):
            browser.open("/console/audit")
            assert browser.page.url.path == "/console/sign-in"


def test_an_open_stream_of_events_ends_when_its_key_is_removed_or_gets_another_role(tmp_path: Path) -> None:
    with rig(tmp_path) as it, _reloading(it) as gateway:
        keys = gateway.standing[0]["api_keys"]
        for left in (
            [key for key in keys if key["role"] != "platform"],
            [key | {"role": "support"} if key["role"] == "platform" else key for key in keys],
        ):
            assert gateway.reload(api_keys=keys).status_code == 200
            headers = {"Authorization": f"Bearer {it.keys['platform']}"}
            with httpx.stream("GET", gateway.url + "/v1/events/stream", headers=headers, timeout=20) as stream:
                lines = stream.iter_lines()
                assert next(lines) == ": standing events"
                assert gateway.reload(api_keys=left).status_code == 200
                for line in lines:  # to its end
                    assert "heartbeat" not in line
