"""What `examples/README.md` promises about the invented banks, users and day.

The files are read as a stranger would read them: of the generator nothing is used but its `--check` and, to see
its order, its decision table.
"""

import csv
import importlib
import json
import re
import shutil
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from stdnum import bic, luhn
from stdnum.cn import ric, uscc

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PRECEDENCE = [
    "bank_silent",
    "unbound",
    "account_closed",
    "account_lost",
    "account_frozen",
    "account_dormant",
    "debit_not_allowed",
    "credit_not_allowed",
    "name_changed",
    "id_document_changed",
    "phone_changed",
    "currency_not_allowed",
    "over_transaction_limit",
    "over_daily_limit",
    "over_monthly_limit",
    "over_yearly_limit",
]
WHATS = {
    *("frozen", "unfrozen", "lost", "closed", "dormant", "limit_lowered", "limit_raised", "credit_forbidden"),
    "credit_allowed",
    *("debit_forbidden", "name_changed", "phone_changed", "id_document_changed", "unbound"),
}
IDENTITY_FIELDS = {
    "name": ("holder_name",),
    "id_document": ("id_document_scheme", "id_document_country", "id_document_number"),
    "phone": ("phone",),
}

Row = dict[str, Any]


def _lines(name: str) -> list[Row]:
    return [json.loads(line) for line in (EXAMPLES / name).read_text(encoding="utf-8").splitlines()]


def _typed(row: dict[str, str]) -> Row:
    """A row of the CSV with the types that the trace's changes use."""
    typed: Row = dict(row)
    for name in ("debit_allowed", "credit_allowed"):
        typed[name] = {"true": True, "false": False}[row[name]]
    for name in (name for name in row if name.endswith("_limit_minor")):
        typed[name] = row[name] if row[name] == "none" else int(row[name])
    return typed


BANKS = json.loads((EXAMPLES / "banks.json").read_text(encoding="utf-8"))
BANK_TWO = BANKS[1]["bic"]
ACCOUNTS = {
    bank["bic"]: [
        _typed(row)
        for row in csv.DictReader((EXAMPLES / f"accounts-{bank['bic']}.csv").read_text(encoding="utf-8").splitlines())
    ]
    for bank in BANKS
}
BY_NUMBER = {account["number"]: account for accounts in ACCOUNTS.values() for account in accounts}
USERS = _lines("users.jsonl")
MATCHING = [user for user in USERS if "expect_mismatch" not in user]
#: Holders of the kinds that real books have; what is said of the drawn people does not hold for them.
OF_A_KIND = {user["number"]: user["kind"] for user in USERS if "kind" in user}
DRAWN = [account for number, account in BY_NUMBER.items() if number not in OF_A_KIND]
DRAWN_USERS = [user for user in MATCHING if "kind" not in user]
BY_USER = {user["user_id"]: user for user in USERS}
TRACE = _lines("trace.jsonl")
TRANSACTIONS = [event for event in TRACE if event["kind"] == "transaction"]
CHANGES = [event for event in TRACE if event["kind"] == "change"]


def _seconds(event: Row) -> int:
    hours, minutes, seconds = map(int, event["at"].split(":"))
    return hours * 3600 + minutes * 60 + seconds


def _bank_of(transaction: Row) -> str:
    return str(BY_USER[transaction["user_id"]]["bank"])


def _number_of(transaction: Row) -> str:
    return str(BY_USER[transaction["user_id"]]["number"])


def _told() -> Iterator[tuple[Row, Row, int, bool]]:
    """Each transaction with its account's fields, the day's usage and whether the bank is silent at that instant."""
    now = {number: dict(account) for number, account in BY_NUMBER.items()}
    used: Counter[tuple[str, str]] = Counter()
    silent: set[str] = set()
    for event in TRACE:
        if event["kind"] == "silence":
            (silent.add if event["state"] == "begin" else silent.remove)(event["bank"])
        elif event["kind"] == "change":
            for change in event["changes"]:
                now[change["number"]] |= change
        else:
            number = _number_of(event)
            yield event, dict(now[number]), used[number, event["transaction"]], _bank_of(event) in silent
            kept = event["expect"]["outcome"] == "approve" and event["then"] == "capture"
            if kept:
                used[number, event["transaction"]] += event["amount_minor"]


def _canonical(field: str, value: str) -> str:
    folded = unicodedata.normalize("NFKC", value).casefold()
    if field == "phone":
        return phonenumbers.format_number(phonenumbers.parse(folded, "CN"), phonenumbers.PhoneNumberFormat.E164)
    return re.sub(r"[\s·•・]", "", folded)


# The files


def test_check_is_clean_on_the_committed_files() -> None:
    script = EXAMPLES / "make_examples.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_check_names_a_differing_file_and_leaves_it_alone(tmp_path: Path) -> None:
    copy = shutil.copytree(EXAMPLES, tmp_path / "examples")
    (copy / "users.jsonl").write_text("{}\n")
    command = [sys.executable, str(copy / "make_examples.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "users.jsonl" in done.stderr
    assert "trace.jsonl" not in done.stderr
    assert (copy / "users.jsonl").read_text() == "{}\n"


def test_the_generator_imports_nothing_of_the_project() -> None:
    imported = {
        match.group(1)
        for path in EXAMPLES.rglob("*.py")
        for match in re.finditer(r"^\s*(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert imported <= {*sys.stdlib_module_names, "generator", "stdnum", "phonenumbers"}


# Banks and accounts


def test_banks_are_marked_as_invented_and_have_test_bics_of_china() -> None:
    for bank in BANKS:
        assert bic.validate(bank["bic"]) == bank["bic"]
        assert bank["bic"][4:6] == "CN"
        assert bank["bic"][7] == "0"
        assert "invented" in bank["name"]
        assert "虚构" in bank["name_zh"]


def test_numbers_are_unique_over_both_banks() -> None:
    assert [len(accounts) for accounts in ACCOUNTS.values()] == [518, 518]
    assert len(BY_NUMBER) == 1036
    assert len(DRAWN) == 1000


def test_cards_pass_luhn_and_accounts_cannot_be_taken_for_cards() -> None:
    for account in DRAWN:
        if account["number_type"] == "card":
            assert len(account["number"]) in {16, 19}
            assert luhn.is_valid(account["number"])
        else:
            assert account["number_type"] == "account"
            assert 12 <= len(account["number"]) <= 17
            assert account["number"].isdecimal()
            assert not luhn.is_valid(account["number"])


def test_documents_are_valid_and_belong_to_adults() -> None:
    for account in DRAWN:
        number = account["id_document_number"]
        if account["id_document_scheme"] == "NIDN":
            assert account["id_document_country"] == "CN"
            assert ric.validate(number) == number
            assert ric.get_birth_date(number).year in range(1950, 2005)
        else:
            assert account["id_document_scheme"] == "CCPT"
            assert re.fullmatch(r"(?!CN)[A-Z]{2}", account["id_document_country"])
            assert re.fullmatch(r"[A-Z0-9]{6,9}", number)


def test_phones_are_chinese_mobile_numbers() -> None:
    for account in DRAWN:
        phone = phonenumbers.parse(account["phone"])
        assert phonenumbers.region_code_for_number(phone) == "CN"
        assert phonenumbers.number_type(phone) == phonenumbers.PhoneNumberType.MOBILE
        assert phonenumbers.format_number(phone, phonenumbers.PhoneNumberFormat.E164) == account["phone"]


@pytest.mark.parametrize("accounts", ACCOUNTS.values(), ids=ACCOUNTS.keys())
def test_each_bank_has_every_status_currency_and_kind_of_limit(accounts: list[Row]) -> None:
    statuses = Counter(account["status"] for account in accounts)
    assert statuses.keys() == {"active", "frozen", "lost", "dormant", "closed"}
    assert statuses["active"] > 400
    assert {account["currency"] for account in accounts} == {"CNY", "USD", "HKD"}
    assert "none" in {account["daily_limit_minor"] for account in accounts}
    assert {account["number_type"] for account in accounts} == {"card", "account"}


def test_some_holders_have_two_accounts_under_one_identity() -> None:
    for accounts in ACCOUNTS.values():
        identities: dict[str, set[tuple[str, str]]] = {}
        for account in accounts:
            identities.setdefault(account["id_document_number"], set()).add((account["holder_name"], account["phone"]))
        assert len(identities) < len(accounts)
        assert all(len(identity) == 1 for identity in identities.values())


# Users


def test_every_user_binds_one_bindable_account() -> None:
    assert Counter(user["bank"] for user in DRAWN_USERS) == {BANKS[0]["bic"]: 36, BANK_TWO: 24}
    assert len({user["number"] for user in MATCHING}) == len(MATCHING) == 96
    for user in MATCHING:
        assert user["number"] in {account["number"] for account in ACCOUNTS[user["bank"]]}
        assert BY_NUMBER[user["number"]]["status"] in {"active", "frozen"}
        assert user["number_type"] == BY_NUMBER[user["number"]]["number_type"]


def test_users_match_their_account_except_where_a_mismatch_is_expected() -> None:
    expected = {user["user_id"]: user.get("expect_mismatch", []) for user in USERS if "kind" not in user}
    found = {
        user["user_id"]: [
            name
            for name, fields in IDENTITY_FIELDS.items()
            if any(_canonical(f, user[f]) != _canonical(f, BY_NUMBER[user["number"]][f]) for f in fields)
        ]
        for user in USERS
        if "kind" not in user
    }
    assert found == expected
    assert [user["expect_mismatch"] for user in USERS[60:64]] == [
        ["name"],
        ["id_document"],
        ["phone"],
        ["name", "phone"],
    ]


def test_wrong_documents_and_phones_are_valid_all_the_same() -> None:
    for user in USERS[60:64]:
        assert ric.is_valid(user["id_document_number"])
        assert phonenumbers.is_valid_number(phonenumbers.parse(user["phone"]))


@pytest.mark.parametrize(
    ("field", "pattern"),
    [
        ("holder_name", "[•・]"),
        ("holder_name", "[一-鿿]\\s[一-鿿]"),
        ("holder_name", "[Ａ-Ｚ]"),
        ("id_document_number", "x$"),
        ("id_document_number", "[０-９]"),
        ("id_document_number", "Ｘ$"),
        ("id_document_number", " "),
        ("phone", r"^1\d{2} \d{4} \d{4}$"),
        ("phone", "^0086"),
        ("phone", "[０-９]"),
    ],
)
def test_harmless_variants_are_among_the_matching_users(field: str, pattern: str) -> None:
    assert any(re.search(pattern, user[field]) for user in DRAWN_USERS)


# Holders of every kind


def test_both_books_hold_a_bound_account_of_every_kind() -> None:
    kinds = [
        Counter(user["kind"] for user in MATCHING if user["bank"] == bank["bic"] and "kind" in user) for bank in BANKS
    ]
    assert kinds[0] == kinds[1]
    assert len(kinds[0]) == 18
    documents = {kind: BY_NUMBER[number]["id_document_number"] for number, kind in OF_A_KIND.items()}
    assert not ric.is_valid(documents["resident number of an abolished county"])
    assert len(documents["resident number of 15 digits"]) == 15
    for place, region in (("Hong Kong", "81"), ("Macau", "82"), ("Taiwan", "83")):
        assert documents[f"residence permit, {place}"].startswith(region)
    assert documents["foreign permanent resident"].startswith("9")
    cards = [number for number, kind in OF_A_KIND.items() if kind == "card without a Luhn digit"]
    assert not any(luhn.is_valid(number) for number in cards)


def test_merchants_bind_by_name_code_and_deposit_and_receive_withdrawals() -> None:
    merchants = [user for user in MATCHING if BY_NUMBER[user["number"]]["holder_kind"] == "organisation"]
    assert Counter(user["bank"] for user in merchants) == {bank["bic"]: 2 for bank in BANKS}
    for user in merchants:
        assert uscc.is_valid(user["id_document_number"])
        assert "phone" not in user
        assert user.get("by_deposit", False) == (BY_NUMBER[user["number"]]["phone"] != "")
        received = [e for e in TRANSACTIONS if e["user_id"] == user["user_id"] and e["transaction"] == "withdrawal"]
        assert sum(event["expect"]["outcome"] == "approve" for event in received) >= 2


@pytest.mark.parametrize("kind", ["class II account", "class III account"])
@pytest.mark.parametrize("direction", ["payment", "withdrawal"])
@pytest.mark.parametrize(
    ("reason", "limits"),
    [
        ("over_daily_limit", {"payment": "daily_limit_minor", "withdrawal": "daily_credit_limit_minor"}),
        ("over_yearly_limit", {"payment": "yearly_limit_minor", "withdrawal": "yearly_credit_limit_minor"}),
    ],
)
def test_caps_of_day_and_year_bite_in_both_directions_at_the_edge(
    kind: str, direction: str, reason: str, limits: dict[str, str]
) -> None:
    met = missed = 0
    for event, account, used, _ in _told():
        if OF_A_KIND.get(_number_of(event)) == kind and event["transaction"] == direction:
            limit = account[limits[direction]]
            if limit != "none" and event["expect"]["outcome"] == "approve":
                assert used + event["amount_minor"] <= limit, event
                met += used + event["amount_minor"] == limit
            elif event["expect"]["reason"] == reason:
                assert used + event["amount_minor"] > limit, event
                missed += used + event["amount_minor"] == limit + 1
    assert min(met, missed) >= 2, (met, missed)


# The day


def test_events_are_numbered_in_the_order_of_time_one_per_second() -> None:
    assert [event["seq"] for event in TRACE] == list(range(1, len(TRACE) + 1))
    times = [_seconds(event) for event in TRACE]
    assert times == sorted(set(times))
    assert [event["id"] for event in TRANSACTIONS] == [f"t-{n:04d}" for n in range(1, len(TRANSACTIONS) + 1)]


def test_the_day_is_long_enough_and_mostly_ordinary() -> None:
    assert len(TRANSACTIONS) >= 420
    assert len(CHANGES) >= 44
    approved = sum(event["expect"]["outcome"] == "approve" for event in TRANSACTIONS)
    assert approved > 0.7 * len(TRANSACTIONS)
    assert {event["user_id"] for event in TRANSACTIONS} == {user["user_id"] for user in MATCHING}


@pytest.mark.parametrize("reason", PRECEDENCE)
def test_every_reason_comes_up_at_least_three_times(reason: str) -> None:
    outcomes = [event["expect"]["outcome"] for event in TRANSACTIONS if event["expect"]["reason"] == reason]
    assert len(outcomes) >= 3
    assert set(outcomes) == {"review" if reason in {"bank_silent", "phone_changed"} else "decline"}


def test_only_approvals_have_no_reason() -> None:
    for event in TRANSACTIONS:
        assert (event["expect"]["outcome"] == "approve") == (event["expect"]["reason"] is None)


def test_the_bank_would_accept_exactly_what_is_approved_while_it_is_not_silent() -> None:
    for event, _, _, silent in _told():
        if not silent:
            assert (event["bank_would"] == "accept") == (event["expect"]["outcome"] == "approve"), event


def test_the_silence_holds_for_all_of_bank_two_and_hides_both_kinds_of_truth() -> None:
    silences = [(event["bank"], event["state"]) for event in TRACE if event["kind"] == "silence"]
    assert silences == [(BANK_TWO, "begin"), (BANK_TWO, "end")]
    for event, _, _, silent in _told():
        assert silent == (event["expect"]["reason"] == "bank_silent"), event
    hidden = {event["bank_would"] for event, _, _, silent in _told() if silent}
    assert hidden == {"accept", "refuse"}


def test_nothing_happens_too_close_to_the_silence_or_to_a_change_of_the_account() -> None:
    begin, end = (_seconds(event) for event in TRACE if event["kind"] == "silence")
    last_change: dict[str, int] = {}
    for event in TRACE:
        at = _seconds(event)
        if event["kind"] == "change":
            last_change |= {change["number"]: at for change in event["changes"]}
        elif event["kind"] == "transaction":
            assert at - last_change.get(_number_of(event), 0) >= 20, event
            if _bank_of(event) == BANK_TWO:
                assert not begin <= at < begin + 300, event
                assert not end <= at < end + 120, event


def test_changes_list_only_fields_that_change() -> None:
    now = {number: dict(account) for number, account in BY_NUMBER.items()}
    for event in CHANGES:
        for change in event["changes"]:
            assert change["number"] in {account["number"] for account in ACCOUNTS[event["bank"]]}
            fields = {name: value for name, value in change.items() if name not in {"number", "unbind"}}
            if event["what"] == "unbound":
                assert change == {"number": change["number"], "unbind": ["jinqiao-pay"]}
            else:
                assert fields
            for name, value in fields.items():
                assert value != now[change["number"]][name], event
                if name.endswith("_limit_minor"):
                    assert value == "none" or type(value) is int, event
                else:
                    assert type(value) is type(BY_NUMBER[change["number"]][name]), event
            now[change["number"]] |= fields


def test_all_kinds_of_change_come_up_on_bound_and_on_unbound_accounts() -> None:
    bound = {user["number"] for user in MATCHING}
    assert {event["what"] for event in CHANGES} == WHATS
    on_bound = [event for event in CHANGES if bound & {change["number"] for change in event["changes"]}]
    assert len(CHANGES) / 2 < len(on_bound) < len(CHANGES)
    late = [event for event in CHANGES if "delivered" in event]
    assert [(event["what"], event["bank"], event["delivered"]) for event in late] == [
        ("frozen", BANK_TWO, "after_silence"),
        ("unfrozen", BANK_TWO, "after_silence"),
    ]


def test_a_change_of_identity_goes_through_all_accounts_of_the_holder() -> None:
    identity = {name for fields in IDENTITY_FIELDS.values() for name in fields}
    together = 0
    for event in CHANGES:
        if event["what"] in {"name_changed", "phone_changed", "id_document_changed"}:
            documents = {BY_NUMBER[change["number"]]["id_document_number"] for change in event["changes"]}
            accounts = [a["number"] for a in ACCOUNTS[event["bank"]] if a["id_document_number"] in documents]
            assert sorted(accounts) == sorted(change["number"] for change in event["changes"])
            assert all(change.keys() - {"number"} <= identity for change in event["changes"])
            together += len(accounts) > 1
    assert together >= 2


def test_changed_documents_and_phones_are_valid() -> None:
    for event in CHANGES:
        for change in event["changes"]:
            if "phone" in change:
                assert phonenumbers.is_valid_number(phonenumbers.parse(change["phone"]))
            if "id_document_number" in change:
                passport = BY_NUMBER[change["number"]]["id_document_scheme"] == "CCPT"
                assert passport or ric.is_valid(change["id_document_number"])


def test_approved_payments_never_pass_a_limit_and_some_meet_one_exactly() -> None:
    met: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for event, account, used, _ in _told():
        if event["transaction"] != "payment":
            continue
        for limit, amount in (("transaction", event["amount_minor"]), ("daily", used + event["amount_minor"])):
            allowed = account[f"{limit}_limit_minor"]
            if allowed == "none":
                continue
            if event["expect"]["outcome"] == "approve":
                assert amount <= allowed, event
                met[limit] += amount == allowed
            elif event["expect"]["reason"] == f"over_{limit}_limit":
                assert amount > allowed, event
                missed[limit] += amount == allowed + 1
    assert min(met["transaction"], met["daily"], missed["transaction"], missed["daily"]) >= 3, (met, missed)


def test_a_payment_that_fits_the_rest_of_the_day_passes_after_a_larger_one_did_not() -> None:
    refused: set[str] = set()
    passed = 0
    limits: dict[str, Any] = {}
    for event, account, _, _ in _told():
        number = _number_of(event)
        if event["transaction"] == "payment" and event["expect"]["reason"] == "over_daily_limit":
            refused.add(number)
            limits[number] = account["daily_limit_minor"]
        elif event["transaction"] == "payment" and event["expect"]["outcome"] == "approve" and number in refused:
            passed += account["daily_limit_minor"] == limits[number]
    assert passed >= 3


def test_a_frozen_account_that_allows_credits_still_receives_withdrawals() -> None:
    received = {
        _number_of(event)
        for event, account, _, _ in _told()
        if account["status"] == "frozen" and event["expect"]["outcome"] == "approve"
    }
    assert len(received) >= 2
    for event, account, _, _ in _told():
        if account["status"] == "frozen" and event["expect"]["outcome"] == "approve":
            assert event["transaction"] == "withdrawal"


def test_a_snapshot_of_the_days_start_would_err_in_both_directions() -> None:
    def permitted(account: Row, event: Row) -> bool:
        return bool(account["debit_allowed" if event["transaction"] == "payment" else "credit_allowed"])

    too_trusting = [e for e, now, _, _ in _told() if permitted(BY_NUMBER[now["number"]], e) and not permitted(now, e)]
    too_strict = [e for e, now, _, _ in _told() if permitted(now, e) and not permitted(BY_NUMBER[now["number"]], e)]
    assert {event["bank_would"] for event in too_trusting} == {"refuse"}
    assert {event["bank_would"] for event in too_strict} == {"accept"}


# The model


def test_the_models_reasons_stand_in_the_order_of_the_designs_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    truth = importlib.import_module("generator.truth")
    assert [verdict.reason for verdict, _ in truth.CHECKS] == PRECEDENCE
