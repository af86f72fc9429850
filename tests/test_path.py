"""The whole path: a bank freezes an account, and the next payment is declined. Core → node → ledger → gateway →
decision."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from localnet import LocalNet
from processes import BIN, free_port
from standing.ledger.chain import governance
from tests.world import (
    ACCOUNT,
    CLAIM_FIELDS,
    GUARDIAN,
    MAX_STALENESS_MS,
    PLATFORM,
    Bank,
    Platform,
    World,
    wait_until,
)

_NUMBER = ACCOUNT["number"]


@pytest.fixture
def bank(a_world: World) -> Bank:
    bank = a_world.start_bank()
    bank.change(ACCOUNT)
    return bank


@pytest.fixture
def platform(a_world: World, bank: Bank) -> Platform:
    return a_world.start_platform()


@pytest.fixture
def binding(platform: Platform, bank: Bank) -> str:
    return platform.bind(bank.bic)


def test_a_payment_one_millisecond_after_the_freeze_is_in_a_block_is_declined(
    a_world: World, bank: Bank, platform: Platform, binding: str
) -> None:
    assert platform.decide(binding)["outcome"] == "approve"
    bank.change({"number": _NUMBER, "status": "frozen", "debit_allowed": False, "credit_allowed": False})
    a_world.clock.advance(1)
    decision = platform.decide(binding)
    assert (decision["outcome"], decision["reason"], decision["iso20022"]) == ("decline", "account_frozen", "AC06")
    bank.change({"number": _NUMBER, "status": "active", "debit_allowed": True, "credit_allowed": True})
    assert platform.decide(binding)["outcome"] == "approve"


@pytest.mark.long
def test_payments_need_review_while_a_bank_is_silent_past_the_bound_and_not_once_it_publishes(
    a_world: World, bank: Bank, platform: Platform, binding: str
) -> None:
    watermark_ms = bank.heartbeat()
    a_world.clock.advance(watermark_ms + MAX_STALENESS_MS - a_world.clock.now_ms())
    assert platform.decide(binding)["outcome"] == "approve"
    a_world.clock.advance(1)
    decision = platform.decide(binding)
    assert (decision["outcome"], decision["reason"]) == ("review", "bank_silent")
    assert decision["staleness_ms"] == MAX_STALENESS_MS + 1
    bank.heartbeat()
    assert platform.decide(binding)["outcome"] == "approve"


@pytest.mark.long
def test_with_the_chain_down_every_decision_is_a_review_until_the_chain_is_back(
    a_world: World, platform: Platform, binding: str
) -> None:
    a_world.chain.down = True
    decision = platform.decide(binding)
    assert (decision["outcome"], decision["reason"]) == ("review", "ledger_unreachable")
    a_world.chain.down = False
    assert platform.decide(binding)["outcome"] == "approve"


CHANGES = [
    ({"status": "lost"}, "payment", "decline", "account_lost"),
    ({"status": "closed"}, "payment", "decline", "account_closed"),
    ({"status": "dormant"}, "payment", "decline", "account_dormant"),
    ({"status": "frozen", "debit_allowed": False}, "withdrawal", "approve", None),
    ({"debit_allowed": False}, "payment", "decline", "debit_not_allowed"),
    ({"credit_allowed": False}, "withdrawal", "decline", "credit_not_allowed"),
    ({"transaction_limit_minor": 99}, "payment", "decline", "over_transaction_limit"),
    ({"transaction_limit_minor": 99}, "withdrawal", "approve", None),
    ({"daily_limit_minor": 99}, "payment", "decline", "over_daily_limit"),
    ({"daily_limit_minor": "none"}, "payment", "approve", None),
    ({"currency": "USD"}, "payment", "decline", "currency_not_allowed"),
    ({"holder_name": "诸葛松"}, "payment", "decline", "name_changed"),
    ({"id_document_number": "11010519491231002X"}, "payment", "decline", "id_document_changed"),
    ({"phone": "+8613800138000"}, "payment", "review", "phone_changed"),
    ({"holder_name": "诸葛 松芳"}, "payment", "approve", None),
    ({"unbind": ["jinqiao-pay"]}, "payment", "decline", "unbound"),
    ({"unbind": ["other-pay"]}, "payment", "approve", None),
]


@pytest.mark.long
@pytest.mark.parametrize(("change", "kind", "outcome", "reason"), CHANGES)
def test_every_kind_of_change_at_the_bank_reaches_the_next_decision(
    bank: Bank, platform: Platform, binding: str, change: dict[str, object], kind: str, outcome: str, reason: str | None
) -> None:
    assert platform.decide(binding, kind=kind)["outcome"] == "approve"
    bank.change({"number": _NUMBER, **change})
    decision = platform.decide(binding, kind=kind)
    assert (decision["outcome"], decision["reason"]) == (outcome, reason)


@pytest.mark.long
def test_a_suspended_banks_attestations_approve_nothing(a_world: World, platform: Platform, binding: str) -> None:
    governance.execute(a_world.client, governance.suspend("YUNXCNB0"), GUARDIAN)
    decision = platform.decide(binding)
    assert (decision["outcome"], decision["reason"]) == ("decline", "bank_suspended")


def test_a_binding_that_the_platform_ended_is_unbound_at_once_and_soon_on_the_ledger(
    bank: Bank, platform: Platform, binding: str
) -> None:
    assert platform.delete(f"/v1/bindings/{binding}").status_code == 204
    assert platform.decide(binding)["reason"] == "unbound"
    wait_until(lambda: platform.get(f"/v1/bindings/{binding}").json()["terms"]["status"] == "unbound")
    # The account can be bound again: it is a new binding, and the old one stays ended.
    assert platform.decide(platform.bind(bank.bic))["outcome"] == "approve"
    assert platform.decide(binding)["reason"] == "unbound"


@pytest.mark.long
@pytest.mark.parametrize(
    ("changed", "mismatches"),
    [
        ({"holder_name": "诸葛松"}, ["name"]),
        ({"id_document_number": "11010519491231002X"}, ["id_document"]),
        ({"phone": "+8613800138000"}, ["phone"]),
        ({"holder_name": "诸葛松", "phone": "+8613800138000"}, ["name", "phone"]),
        ({"number": "9156026831789191"}, ["number"]),
    ],
)
def test_mismatching_fields_are_reported_by_name_and_nothing_is_bound(
    bank: Bank, platform: Platform, changed: dict[str, Any], mismatches: list[str]
) -> None:
    answer = platform.ask_to_bind(bank.bic, **changed).json()
    assert answer["outcome"] == "refused"
    assert [item["field"] for item in answer["mismatches"]] == mismatches
    assert platform.get("/v1/bindings?user_id=u-001").json()["bindings"] == []


@pytest.mark.long
def test_nothing_personal_is_on_the_ledger_in_a_database_or_in_an_answer(
    a_world: World, bank: Bank, platform: Platform, binding: str, capfd: pytest.CaptureFixture[str]
) -> None:
    bank.change({"number": _NUMBER, "status": "frozen", "holder_name": "诸葛松"})
    platform.decide(binding)
    platform.ask_to_bind(bank.bic, phone="+8613800138000")
    personal = [str(ACCOUNT[name]) for name in CLAIM_FIELDS if name not in {"number_type", "id_document_country"}]
    personal = [text for text in personal if len(text) > 4 or not text.isascii()]
    assert len(personal) == 4
    kept = b"".join(file.read_bytes() for file in a_world.folder.rglob("*.sqlite3*") if file.is_file())
    chain = a_world.chain.devnet.tester
    calldata = "".join(
        str(chain.get_transaction_by_hash(transaction)["data"])
        for number in range(1, a_world.client.block_number() + 1)
        for transaction in chain.get_block_by_number(number)["transactions"]
    )
    logs = "".join(capfd.readouterr())
    shown = platform.get(f"/v1/bindings/{binding}").text + platform.get("/v1/bindings?user_id=u-001").text
    for text in personal:
        assert text.encode() not in kept
        assert text.encode().hex() not in calldata
        assert text not in logs
        assert text not in shown


@pytest.mark.long
@pytest.mark.parametrize("command", ["standing-node", "standing-gateway"])
def test_a_ledger_that_does_not_answer_at_start_is_one_clear_line_and_exit_code_1(
    a_world: World, tmp_path: Path, command: str
) -> None:
    (tmp_path / "net").mkdir()
    net = LocalNet(tmp_path / "net", PLATFORM, ledger_url=a_world.chain.url, contract=a_world.contract)
    bank = net.add_bank("HAIYCNS0001", "Haiyu")
    net.add_gateway()
    stated = bank.settings if command == "standing-node" else net.gateway_settings
    config = tmp_path / "settings.toml"
    config.write_text(tomli_w.dumps(stated | {"ledger_url": f"http://127.0.0.1:{free_port()}"}))
    ended = subprocess.run(
        [BIN / command, "serve", "--config", config], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: no ledger node answers")


def test_a_herd_member_without_a_change_gets_no_events_and_the_changed_one_gets_them_all(a_world: World) -> None:
    bank = a_world.start_bank(publisher={"herd_size": 2})
    cover = {**ACCOUNT, "number": "9156026831789191", "id_document_number": "110101199003070134"}
    for account in (ACCOUNT, cover):
        bank.change(account)
    platform = a_world.start_platform(follower={"poll_ms": 10})
    changed, silent = (platform.bind(bank.bic, account) for account in (ACCOUNT, cover))

    def events(binding: str) -> list[str]:
        listed = platform.get(f"/v1/events?binding={binding}").json()["events"]
        return [event["type"] for event in listed]

    wait_until(lambda: "binding.usable" in events(changed) and "binding.usable" in events(silent))
    before, first = events(silent), platform.get(f"/v1/bindings/{silent}/trail").json()["changes"]
    bank.change({"number": _NUMBER, "status": "frozen", "debit_allowed": False, "credit_allowed": False})
    wait_until(lambda: "binding.frozen" in events(changed))
    # The same publication wrote both records; one of them is unchanged.
    read = [platform.get(f"/v1/bindings/{binding}").json() for binding in (changed, silent)]
    assert read[0]["publication"] == read[1]["publication"]
    assert [one["terms"]["status"] for one in read] == ["frozen", "active"]
    assert events(silent) == before
    assert platform.decide(silent)["publication"] == read[1]["publication"]
    trail = platform.get(f"/v1/bindings/{silent}/trail").json()["changes"]
    assert [change["publication"] for change in trail] == [change["publication"] for change in first]
    # The trail of the change is completed even if a later publication repeats its record for the other member.
    bank.change({"number": cover["number"], "daily_limit_minor": 5})
    a_world.clock.advance(1)
    assert platform.decide(changed)["reason"] == "account_frozen"
    wait_until(
        lambda: platform.get(f"/v1/bindings/{changed}/trail").json()["changes"][0]["hops"][-1]["state"] == "done"
    )
    [newest, *_] = platform.get(f"/v1/bindings/{changed}/trail").json()["changes"]
    assert newest["publication"] == read[0]["publication"]
