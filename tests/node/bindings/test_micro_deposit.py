"""Micro-deposits: a random amount proves who holds the account, and nobody else can learn it."""

import json
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, inspect, text

from standing.ledger.attestations.binding_protocol import BindingRequest
from standing.ledger.attestations.sealing import identity_tags
from standing.ledger.attestations.terms import Status
from standing.node.bindings.payout import FilePayout, PayoutFailed, PayoutOrder
from standing.node.composition import build
from standing.node.fault_points import Faults
from tests.node.node_tools import Killed, Staffed, account, die_at, grant_of, status_on_ledger, terms_on_ledger, writes
from tests.world import ACCOUNT, CLAIM_FIELDS, PLATFORM, World, wait_until

_DAY_MS = 86_400_000
_OTHER_PHONE = "+8613800138000"


class Paying:
    """A bank that pays micro-deposits into a folder which the test reads, as the user reads their account."""

    def __init__(
        self,
        a_world: World,
        stack: ExitStack,
        folder: Path,
        policy: str = "phone_differs",
        faults: Faults | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.staffed = Staffed(a_world, stack, faults, micro_deposit={"policy": policy, "payout_folder": folder})
        self.bank = self.staffed.bank
        self.bank.feed(ACCOUNT, account(1))

    def orders(self) -> list[dict[str, Any]]:
        files = sorted(self.folder.glob("payouts-*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def ask(self, **changed: Any) -> dict[str, Any]:
        """Claim with a phone that differs from the bank's. Returns: the deposit, once it is paid."""
        answer = self.staffed.bind({**ACCOUNT, "phone": _OTHER_PHONE}, **changed)
        assert answer.status_code == 200, answer.text
        assert answer.json()["outcome"] == "micro_deposit", answer.text
        deposit: dict[str, Any] = answer.json()["micro_deposit"]
        return deposit

    def ask_again(self, request_id: str) -> dict[str, Any]:
        """The answer to the same request again, whatever it is."""
        answer: dict[str, Any] = self.staffed.bind({**ACCOUNT, "phone": _OTHER_PHONE}, request_id=request_id).json()
        return answer

    def amount(self, deposit: dict[str, Any]) -> int:
        """The amount that the user sees on the account."""
        amounts = {order["amount_minor"] for order in self.orders() if order["id"] == deposit["id"]}
        assert len(amounts) == 1
        return int(amounts.pop())

    def confirm(self, deposit: dict[str, Any], amount_minor: int, key: str | None = None) -> httpx.Response:
        path = f"/v1/micro-deposits/{deposit['id']}/confirm"
        return self.bank.post(path, key or self.bank.platform_key, json={"amount_minor": amount_minor})

    def wrong(self, deposit: dict[str, Any], count: int) -> list[int]:
        """Wrong amounts."""
        return [amount for amount in range(1, 101) if amount != self.amount(deposit)][:count]


@pytest.fixture
def paying(a_world: World, stack: ExitStack, tmp_path: Path) -> Paying:
    return Paying(a_world, stack, tmp_path / "payouts")


def test_a_deposit_amount_confirms_a_claim_that_differs_only_in_the_phone(paying: Paying) -> None:
    deposit = paying.ask()
    assert deposit["currency"] == "CNY"
    assert deposit["tries_left"] == 3
    assert deposit["expires_at_ms"] == paying.bank.clock.now_ms() + 7 * _DAY_MS
    [order] = paying.orders()
    assert (order["id"], order["number"], order["currency"]) == (deposit["id"], ACCOUNT["number"], "CNY")
    assert 1 <= order["amount_minor"] <= 100
    answer = paying.confirm(deposit, order["amount_minor"])
    grant = grant_of(answer)
    assert [mismatch["field"] for mismatch in answer.json()["mismatches"]] == ["phone"]
    wait_until(lambda: status_on_ledger(paying.bank, grant) == Status.ACTIVE)
    # The terms carry the bank's phone, not the claimed one.
    terms = terms_on_ledger(paying.bank, grant)
    assert terms is not None
    key, binding = bytes.fromhex(grant["binding_key"][2:]), bytes.fromhex(grant["binding"][2:])
    held = paying.bank.node.bindings._accounts
    with paying.bank.node.database.read() as connection:
        stored = held.find(connection, [ACCOUNT["number"]])[ACCOUNT["number"]]
    assert terms.tags == identity_tags(binding, key, stored.identity)


@pytest.mark.long
def test_a_replaced_binding_stays_valid_until_the_deposit_is_confirmed(paying: Paying) -> None:
    old = grant_of(paying.staffed.bind(ACCOUNT))
    wait_until(lambda: writes(paying.bank, old) == 1)
    deposit = paying.ask(replaces=old["binding"])
    assert paying.confirm(deposit, paying.wrong(deposit, 1)[0]).json()["outcome"] == "refused"
    paying.bank.heartbeat()
    assert status_on_ledger(paying.bank, old) == Status.ACTIVE
    grant = grant_of(paying.confirm(deposit, paying.amount(deposit)))
    wait_until(lambda: status_on_ledger(paying.bank, old) == Status.UNBOUND)
    wait_until(lambda: status_on_ledger(paying.bank, grant) == Status.ACTIVE)


@pytest.mark.long
@pytest.mark.parametrize(
    ("policy", "changed", "outcome"),
    [
        ("never", {}, "granted"),
        ("never", {"phone": _OTHER_PHONE}, "refused"),
        ("phone_differs", {}, "granted"),
        ("phone_differs", {"phone": _OTHER_PHONE}, "micro_deposit"),
        ("phone_differs", {"phone": _OTHER_PHONE, "holder_name": "Nobody"}, "refused"),
        ("phone_differs", {"holder_name": "Nobody"}, "refused"),
        ("always", {}, "micro_deposit"),
        ("always", {"phone": _OTHER_PHONE}, "micro_deposit"),
        ("always", {"id_document_number": "11010519491231002X"}, "refused"),
    ],
)
def test_the_banks_policy_decides_when_a_deposit_is_required(
    a_world: World, stack: ExitStack, tmp_path: Path, policy: str, changed: dict[str, str], outcome: str
) -> None:
    paying = Paying(a_world, stack, tmp_path / "payouts", policy)
    assert paying.staffed.bind({**ACCOUNT, **changed}).json()["outcome"] == outcome
    assert len(paying.orders()) == (outcome == "micro_deposit")


def test_no_deposit_is_paid_into_an_account_that_cannot_be_bound_or_credited(paying: Paying) -> None:
    states: list[dict[str, Any]] = [{"credit_allowed": False}, {"credit_allowed": True, "status": "lost"}]
    for changed in (*states, {"status": "closed"}):
        paying.bank.feed({"number": ACCOUNT["number"], **changed})
        answer = paying.staffed.bind({**ACCOUNT, "phone": _OTHER_PHONE}).json()
        assert answer["outcome"] == "refused"
        assert answer["mismatches"][0]["field"] == "account"
    assert paying.orders() == []


def test_three_wrong_amounts_close_a_deposit_even_to_the_right_one(paying: Paying) -> None:
    deposit = paying.ask(request_id="request-1")
    right = paying.amount(deposit)
    for left, wrong in zip((2, 1, 0), paying.wrong(deposit, 3), strict=True):
        answer = paying.confirm(deposit, wrong).json()
        assert (answer["outcome"], answer["tries_left"]) == ("refused", left)
        assert f"{left} of 3 tries left" in answer["mismatches"][0]["problem"]
    for answer in (paying.confirm(deposit, right).json(), paying.ask_again("request-1")):
        assert (answer["outcome"], answer["tries_left"]) == ("refused", 0)
        assert "no tries are left" in answer["mismatches"][0]["problem"]


def test_a_wrong_amount_retried_after_a_lost_answer_counts_once(paying: Paying) -> None:
    deposit = paying.ask()
    wrong = paying.wrong(deposit, 1)[0]
    assert paying.confirm(deposit, wrong).json() == paying.confirm(deposit, wrong).json()
    assert paying.confirm(deposit, wrong).json()["mismatches"][0]["problem"].endswith("2 of 3 tries left")


def test_a_deposit_expires_after_seven_days(paying: Paying) -> None:
    deposit = paying.ask()
    paying.bank.clock.advance(7 * _DAY_MS - 1)
    assert "2 of 3" in paying.confirm(deposit, paying.wrong(deposit, 1)[0]).text
    paying.bank.clock.advance(1)
    answer = paying.confirm(deposit, paying.amount(deposit)).json()
    assert (answer["outcome"], answer["tries_left"]) == ("refused", 0)
    assert "over" in answer["mismatches"][0]["problem"]


def test_a_lost_grant_is_returned_again_only_for_the_right_amount(paying: Paying) -> None:
    deposit = paying.ask(request_id="request-1")
    right = paying.amount(deposit)
    first = paying.confirm(deposit, right)
    assert paying.confirm(deposit, right).json() == first.json()
    assert paying.ask_again("request-1") == first.json()
    other = paying.confirm(deposit, paying.wrong(deposit, 1)[0])
    assert other.status_code == 409
    assert "binding_key" not in other.text
    wait_until(lambda: writes(paying.bank, grant_of(first)) == 1)


def test_another_platform_can_neither_see_nor_confirm_a_deposit(paying: Paying) -> None:
    deposit = paying.ask()
    assert paying.confirm(deposit, paying.amount(deposit), paying.staffed.other_key).status_code == 404
    assert paying.confirm({"id": "0x" + "00" * 32}, 1).status_code == 404
    grant_of(paying.confirm(deposit, paying.amount(deposit)))


@pytest.mark.long
@pytest.mark.parametrize("amount", [0, 101, -1, 1.5, "7", None, True])
def test_an_impossible_amount_is_refused_and_costs_no_attempt(paying: Paying, amount: Any) -> None:
    deposit = paying.ask()
    assert paying.confirm(deposit, amount).status_code == 422
    assert "2 of 3 tries left" in paying.confirm(deposit, paying.wrong(deposit, 1)[0]).text


def test_the_same_request_gets_the_same_deposit_and_one_payment(paying: Paying) -> None:
    first = paying.ask(request_id="request-1")
    assert paying.ask(request_id="request-1") == first
    assert len(paying.orders()) == 1


def test_a_deposits_request_id_does_not_also_grant_a_binding_again_and_its_amount_still_counts(paying: Paying) -> None:
    deposit = paying.ask(request_id="only-once-1")
    other = grant_of(paying.staffed.bind(account(1)))
    path = f"/v1/bindings/{other['binding']}/regrant"
    taken = paying.bank.post(path, paying.bank.platform_key, json={"request_id": "only-once-1"})
    assert (taken.status_code, taken.json()["type"]) == (409, "urn:standing:problem:conflict")
    grant_of(paying.confirm(deposit, paying.amount(deposit)))
    assert paying.bank.post(path, paying.bank.platform_key, json={"request_id": "only-once-2"}).status_code == 200


def test_an_account_never_gets_the_same_amount_twice_in_a_row(paying: Paying) -> None:
    amounts = []
    for _ in range(25):
        amounts.append(paying.amount(paying.ask()))
        paying.bank.clock.advance(3 * _DAY_MS)
    assert all(first != second for first, second in pairwise(amounts))
    assert len(set(amounts)) > 5, "amounts do not simply alternate"


def test_deposits_to_one_account_are_bounded_against_guessing(paying: Paying) -> None:
    for _ in range(3):
        paying.ask()
    answer = paying.staffed.bind({**ACCOUNT, "phone": _OTHER_PHONE}, paying.staffed.other_key)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) == 7 * _DAY_MS // 1000
    assert len(paying.orders()) == 3
    other = paying.staffed.bind({**account(1), "phone": _OTHER_PHONE}).json()
    assert other["outcome"] == "micro_deposit", "the bound is each account's own"
    paying.bank.clock.advance(7 * _DAY_MS - 2)
    assert paying.staffed.bind({**ACCOUNT, "phone": _OTHER_PHONE}).status_code == 429
    paying.bank.clock.advance(2)
    paying.ask()


def test_a_deposit_is_void_if_the_holder_changed_meanwhile(paying: Paying) -> None:
    deposit = paying.ask()
    paying.bank.feed({"number": ACCOUNT["number"], "holder_name": "Someone Else"})
    answer = paying.confirm(deposit, paying.amount(deposit)).json()
    assert answer["outcome"] == "refused"
    assert answer["mismatches"][0]["field"] == "account"


def test_a_deposit_does_not_bind_an_account_lost_meanwhile(paying: Paying) -> None:
    deposit = paying.ask()
    paying.bank.feed({"number": ACCOUNT["number"], "status": "lost"})
    answer = paying.confirm(deposit, paying.amount(deposit)).json()
    assert answer["mismatches"][0]["problem"] == "the account is lost"


def test_a_deposit_does_not_bind_an_account_that_was_bound_meanwhile(paying: Paying) -> None:
    deposit = paying.ask()
    grant = grant_of(paying.staffed.bind(ACCOUNT))  # the user remembers the phone that the bank has
    again = paying.confirm(deposit, paying.amount(deposit))
    assert (again.status_code, again.json()["type"]) == (409, "urn:standing:problem:already-bound")
    assert paying.staffed.delete(grant).status_code == 204
    grant_of(paying.confirm(deposit, paying.amount(deposit)))


def test_a_deposit_binds_nothing_for_a_platform_that_was_off_boarded_meanwhile(paying: Paying) -> None:
    deposit = paying.ask()
    paying.bank.post(f"/v1/platforms/{PLATFORM}/off-board", paying.staffed.operator_key)
    answer = paying.confirm(deposit, paying.amount(deposit))
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:standing:problem:platform-off-boarded")


@pytest.mark.long
@pytest.mark.parametrize("point", ["deposit_committed", "deposit_paid"])
def test_a_node_killed_around_the_payment_pays_once_and_keeps_the_amount(
    a_world: World, tmp_path: Path, point: str
) -> None:
    folder = tmp_path / "payouts"
    folder.mkdir()
    with ExitStack() as stack:
        paying = Paying(a_world, stack, folder)
        settings, held = paying.bank.settings, paying.bank.secrets
    claim = {name: ACCOUNT[name] for name in CLAIM_FIELDS} | {"phone": _OTHER_PHONE}
    request = BindingRequest(request_id="request-1", **claim)
    dying = build(settings, held, a_world.clock, die_at(point))
    with pytest.raises(Killed):
        dying.bindings.bind(PLATFORM, request)
    dying.database.close()
    with ExitStack() as stack:
        paying.bank.start(stack)
        wait_until(lambda: len(paying.orders()) == 1)
        deposit = paying.ask(request_id="request-1")
        grant_of(paying.confirm(deposit, paying.amount(deposit)))
        assert len(paying.orders()) == 1


@pytest.mark.long
def test_a_failed_payout_is_retried_and_the_user_is_not_refused(
    a_world: World, stack: ExitStack, tmp_path: Path
) -> None:
    folder = tmp_path / "payouts"
    paying = Paying(a_world, stack, folder)
    folder.rmdir()
    deposit = paying.ask()
    trouble = wait_until(lambda: paying.bank.get("/v1/status").json()["worker_troubles"])
    assert trouble[0].startswith("payouts: ")
    folder.mkdir()
    wait_until(lambda: len(paying.orders()) == 1)
    grant_of(paying.confirm(deposit, paying.amount(deposit)))


@pytest.mark.long
def test_the_amount_cannot_be_found_from_the_logs_or_the_database(
    paying: Paying, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without the vault's secret, no column distinguishes amounts: the hashes are keyed per deposit."""
    deposit = paying.ask()
    for wrong in paying.wrong(deposit, 2):
        paying.confirm(deposit, wrong)
    amount = paying.amount(deposit)
    engine = create_engine(paying.bank.settings.database_url)
    columns = {column["name"]: column for column in inspect(engine).get_columns("micro_deposits")}
    with engine.connect() as connection:
        [row] = connection.execute(text("SELECT * FROM micro_deposits")).mappings()
    engine.dispose()
    whole_numbers = {name for name in columns if isinstance(row[name], int)}
    assert whole_numbers == {"account_id", "created_at_ms", "expires_at_ms", "paid_at_ms"}
    other = paying.staffed.bank.secrets.vault().lookup("micro-deposit amount", f"{deposit['id'][2:]}:{amount}")
    assert bytes(row["amount_hash"]) == other, "with the secret, the node recognises the amount"
    logged = capfd.readouterr()
    assert ACCOUNT["number"] not in logged.out + logged.err
    assert "amount" not in logged.out + logged.err


def _order(identifier: int = 1, amount_minor: int = 7) -> PayoutOrder:
    return PayoutOrder(identifier.to_bytes(32, "big"), "7300000001", "account", "CNY", amount_minor, 1_767_225_600_000)


def test_the_payout_file_is_private_and_holds_each_order_once(tmp_path: Path) -> None:
    payout = FilePayout(tmp_path)
    for order in (_order(1), _order(2), _order(1), _order(2)):
        payout.pay(order)
    [file] = tmp_path.iterdir()
    assert file.name == "payouts-20260101.jsonl"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line)["id"][-1] for line in file.read_text().splitlines()] == ["1", "2"]
    assert "73000" not in repr(_order())
    assert "7" not in repr(_order(1))[-3:]


def test_an_order_truncated_by_a_crash_is_removed_and_rewritten_whole(tmp_path: Path) -> None:
    payout = FilePayout(tmp_path)
    payout.pay(_order(1))
    [file] = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:40])
    payout.pay(_order(2))
    assert [json.loads(line)["id"][-1] for line in file.read_text().splitlines()] == ["1", "2"]


@pytest.mark.parametrize("content", ["not an order\n", "[]\n", '{"amount": 1}\n'])
def test_a_file_that_is_not_a_payout_file_is_never_written_to(tmp_path: Path, content: str) -> None:
    file = tmp_path / "payouts-20260101.jsonl"
    file.write_text(content)
    with pytest.raises(PayoutFailed, match="not an order"):
        FilePayout(tmp_path).pay(_order())
    assert file.read_text() == content
