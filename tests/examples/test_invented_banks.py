"""The promises of `examples/README.md` about the invented banks, accounts and users.

The files are read as an outsider would read them: of the generator only `--check` is used.
"""

import re
import shutil
import subprocess
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import phonenumbers
import pytest
from stdnum import bic, luhn
from stdnum.cn import ric, uscc

from tests.examples.invented_files import (
    ACCOUNTS,
    BANK_TWO,
    BANKS,
    BY_NUMBER,
    EXAMPLES,
    IDENTITY_FIELDS,
    MATCHING,
    TRANSACTIONS,
    USERS,
    Row,
    number_of,
    transactions_with_state,
)

#: Holders of the kinds that real books have; the rules for drawn people do not apply to them.
OF_A_KIND = {user["number"]: user["kind"] for user in USERS if "kind" in user}
DRAWN = [account for number, account in BY_NUMBER.items() if number not in OF_A_KIND]
DRAWN_USERS = [user for user in MATCHING if "kind" not in user]


def _canonical(field: str, value: str) -> str:
    folded = unicodedata.normalize("NFKC", value).casefold()
    if field == "phone":
        return phonenumbers.format_number(phonenumbers.parse(folded, "CN"), phonenumbers.PhoneNumberFormat.E164)
    return re.sub(r"[\s·•・]", "", folded)


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


def test_cards_pass_luhn_and_accounts_do_not() -> None:
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
def test_daily_and_yearly_caps_apply_in_both_directions_at_the_exact_amount(
    kind: str, direction: str, reason: str, limits: dict[str, str]
) -> None:
    met = missed = 0
    for event, account, used, _ in transactions_with_state():
        if OF_A_KIND.get(number_of(event)) == kind and event["transaction"] == direction:
            limit = account[limits[direction]]
            if limit != "none" and event["expect"]["outcome"] == "approve":
                assert used + event["amount_minor"] <= limit, event
                met += used + event["amount_minor"] == limit
            elif event["expect"]["reason"] == reason:
                assert used + event["amount_minor"] > limit, event
                missed += used + event["amount_minor"] == limit + 1
    assert min(met, missed) >= 2, (met, missed)
