"""Holders of every kind of book: whatever spelling the core uses, a correct claim is granted and usable."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from standing.ledger.attestations.binding_protocol import MATCH_CODES
from tests.holder_cases import DOCUMENTS, HOLDERS, NAMES, Holder, document
from tests.world import ACCOUNT, Bank, Platform, World, wait_until, world

_NO_HOLDER = {name: value for name, value in ACCOUNT.items() if not name.startswith("id_document") and name != "phone"}
_NAMED = {"phone": ACCOUNT["phone"]} | {name: ACCOUNT[name] for name in ACCOUNT if name.startswith("id_document")}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("town")) as made:
        yield made


@pytest.fixture(scope="module")
def bank(town: World) -> Bank:
    return town.start_bank()


@pytest.fixture(scope="module")
def platform(town: World, bank: Bank) -> Platform:
    return town.start_platform()


def fresh_number() -> str:
    """An account number not used by any other test."""
    return f"8{secrets.randbelow(10**17):017d}"


def account_of(**holder: Any) -> dict[str, Any]:
    """The fields of a new account of a holder, as the core states them."""
    return _NO_HOLDER | {"number": fresh_number(), "number_type": "account"} | holder


def state(bank: Bank, **holder: Any) -> dict[str, Any]:
    """Feed a new account of a holder from the core. Returns: the fields stated."""
    stated = account_of(**holder)
    bank.feed(stated)
    return stated


def claim_of(stated: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A request to bind a stated account."""
    names = ("number", "number_type", "holder_name", "holder_kind", "phone")
    fields = {name: value for name, value in stated.items() if name in names or name.startswith("id_document")}
    return {"request_id": secrets.token_hex(8), **fields, **changed}


def ask(bank: Bank, claim: dict[str, Any]) -> dict[str, Any]:
    answer = bank.post("/v1/bindings", bank.platform_key, json=claim)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.fixture(scope="module")
def answers(bank: Bank, platform: Platform) -> dict[str, dict[str, Any]]:
    """The answer to each holder's correct claim. One entry states them all, and all are bound before one is waited for:
    an entry and a block for each take long."""
    accounts = [account_of(**holder.book) for holder in HOLDERS]
    bank.feed(*accounts)

    def answer(holder: Holder, stated: dict[str, Any]) -> dict[str, Any]:
        number = {"number": stated["number"], "number_type": stated["number_type"].strip()}
        request = {"bank": f"{bank.bic}XXX", "user_id": f"u-{number['number']}", "as_written": True}
        body: dict[str, Any] = platform.post("/v1/bindings", json=request | claim_of(number | holder.claim)).json()
        return body

    return {holder.what: answer(holder, stated) for holder, stated in zip(HOLDERS, accounts, strict=True)}


@pytest.mark.parametrize("what", [holder.what for holder in HOLDERS])
def test_a_correct_claim_is_granted_for_every_kind_of_holder(
    platform: Platform, answers: dict[str, dict[str, Any]], what: str
) -> None:
    assert answers[what]["outcome"] == "granted", answers[what]
    binding = answers[what]["binding"]
    live = wait_until(lambda: (seen := platform.get(f"/v1/bindings/{binding}").json())["publication"] and seen)
    assert live["terms"]["identity"]["name"] == "same"
    assert "changed" not in live["terms"]["identity"].values()
    assert platform.decide(binding)["outcome"] == "approve"


@pytest.mark.parametrize(("stated", "hint"), [(stated, hint) for _, stated, hint in DOCUMENTS if hint])
def test_a_refusal_says_which_differing_fields_look_mistyped(bank: Bank, stated: dict[str, Any], hint: str) -> None:
    held = state(bank, **_NAMED)
    answer = ask(bank, claim_of(held | stated))
    assert answer["outcome"] == "refused"
    assert answer["hints"] == [{"field": "id_document", "hint": hint}]
    wrong_card = ask(bank, claim_of(held, number="6228480402564890019", number_type="card"))
    assert [mismatch["problem"] for mismatch in wrong_card["mismatches"]] == ["no such account"]
    assert wrong_card["hints"] == [{"field": "number", "hint": "check_digit"}]


@pytest.mark.parametrize(("book", "claimed", "closeness"), NAMES)
def test_a_close_name_is_refused_by_default_and_reported_as_close(
    bank: Bank, book: str, claimed: str, closeness: str
) -> None:
    held = state(bank, holder_name=book, **_NAMED)
    answer = ask(bank, claim_of(held, holder_name=claimed))
    assert answer["outcome"] == ("granted" if closeness == "match" else "refused")
    if closeness != "match":
        assert answer["matches"][0] == {"field": "name", "match": closeness, "code": MATCH_CODES[closeness]}  # type: ignore[index]
        assert [mismatch["field"] for mismatch in answer["mismatches"]] == ["name"]
        assert book not in str(answer)


def test_omitting_a_field_that_the_bank_holds_is_refused(bank: Bank) -> None:
    held = state(bank, **_NAMED)
    for left_out, field in (("phone", "phone"), ("id_document", "id_document")):
        claim = {name: value for name, value in claim_of(held).items() if not name.startswith(left_out)}
        answer = ask(bank, claim)
        assert answer["outcome"] == "refused"
        assert [mismatch["field"] for mismatch in answer["mismatches"]] == [field]
        assert {"field": field, "match": "not_stated", "code": "NOAP"} in answer["matches"]


def test_a_name_alone_is_not_enough(bank: Bank) -> None:
    held = state(bank, holder_kind="organisation")
    answer = ask(bank, claim_of(held, **_NAMED))
    assert answer["outcome"] == "refused"
    assert [mismatch["field"] for mismatch in answer["mismatches"]] == ["account"]


def test_a_differing_holder_kind_is_refused_and_an_omitted_one_is_not_compared(bank: Bank) -> None:
    held = state(bank, holder_name="某某商行", **document("COID", "CN", "91330106MA27XL8T47"))
    answer = ask(bank, claim_of(held, holder_kind="person"))
    assert [mismatch["field"] for mismatch in answer["mismatches"]] == ["holder_kind"]
    assert ask(bank, claim_of(held))["outcome"] == "granted"


def test_a_field_removed_from_the_book_is_no_longer_compared(bank: Bank, platform: Platform) -> None:
    held = state(bank, **_NAMED)
    body = {"bank": bank.bic, "user_id": f"u-{held['number']}", "as_written": True, **claim_of(held)}
    binding = platform.post("/v1/bindings", json=body).json()["binding"]
    bank.change({"number": held["number"], "phone": "none", "id_document_scheme": "none"})
    wait_until(
        lambda: (
            platform.get(f"/v1/bindings/{binding}").json()["terms"]["identity"]
            == {"name": "same", "id_document": "not_stated", "phone": "not_stated"}
        )
    )
    assert platform.decide(binding)["outcome"] == "approve"
    # A new holder name is compared with the one that the user was bound under.
    bank.change({"number": held["number"], "phone": "+8613900139000"})
    wait_until(lambda: platform.decide(binding)["reason"] == "phone_changed")


def test_an_account_in_a_withdrawn_currency_freezes_and_no_new_one_is_opened(bank: Bank, town: World) -> None:
    opened = _NO_HOLDER | {"number": fresh_number(), "number_type": "account", "currency": "BGN"}
    as_of_ms = town.clock.advance(10)
    entry = {"as_of_ms": as_of_ms, "changes": [{**opened, "effective_at_ms": as_of_ms}]}
    refused = bank.post("/v1/feed", bank.core_key, json=entry)
    assert refused.status_code == 422
    assert "withdrawn" in refused.json()["detail"]
    # The account was opened before its currency is withdrawn.
    held = state(bank, **_NAMED)
    bank.feed({"number": held["number"], "currency": "BGN", "status": "frozen"})
    answer = ask(bank, claim_of(held))
    assert answer["outcome"] == "granted"


def test_a_close_name_can_be_confirmed_by_a_deposit_if_the_bank_allows_it(a_world: World, tmp_path: Path) -> None:
    folder = tmp_path / "payouts"
    folder.mkdir()
    bank = a_world.start_bank(micro_deposit={"policy": "phone_differs", "payout_folder": folder, "close_names": True})
    platform = a_world.start_platform()
    held = state(bank, **_NAMED | {"holder_name": "José García"})
    request = {"bank": bank.bic, "user_id": f"u-{held['number']}", **claim_of(held, holder_name="Garcia, Jose")}
    asked = platform.post("/v1/bindings", json=request).json()
    assert asked["outcome"] == "micro_deposit"
    name_match = asked["matches"][0]
    assert (name_match["field"], name_match["match"], name_match["code"]) == ("name", "close", "CMTC")
    assert "close" in name_match["message"]["en"]
    assert "相近" in name_match["message"]["zh"]
    assert "José" not in str(asked)
    assert platform.post("/v1/bindings", json=request).json() == asked
    wait_until(lambda: list(folder.glob("payouts-*.jsonl")))
    (order,) = [json.loads(line) for file in folder.glob("*.jsonl") for line in file.read_text().splitlines()]
    named = {name: request[name] for name in ("bank", "user_id", "request_id")}
    granted = platform.post("/v1/bindings:confirm", json=named | {"amount_minor": order["amount_minor"]}).json()
    assert granted["outcome"] == "granted"
    wait_until(lambda: platform.get(f"/v1/bindings/{granted['binding']}").json()["publication"])
    assert platform.decide(granted["binding"])["outcome"] == "approve"
    # A change of the name is detected from the first attestation onwards.
    bank.change({"number": held["number"], "holder_name": "Juan García"})
    wait_until(lambda: platform.decide(granted["binding"])["reason"] == "name_changed")


def test_a_business_account_is_bound_by_name_and_deposit(a_world: World, tmp_path: Path) -> None:
    folder = tmp_path / "payouts"
    folder.mkdir()
    bank = a_world.start_bank(micro_deposit={"policy": "phone_differs", "payout_folder": folder})
    held = state(bank, holder_kind="organisation", holder_name="杭州示例科技有限公司")
    answer = ask(bank, claim_of(held))
    assert (answer["outcome"], [match["code"] for match in answer["matches"]]) == (
        "micro_deposit",
        ["MTCH", "NOAP", "NOAP"],
    )
    wrong = ask(bank, claim_of(held, holder_name="杭州另一科技有限公司"))
    assert wrong["outcome"] == "refused"


_TEXT = st.text(max_size=70)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=_TEXT, number=_TEXT, phone=_TEXT, scheme=st.sampled_from(["NIDN", "COID", "LEI", "none", "DRLC"]))
def test_no_text_in_any_field_causes_an_unexpected_error(
    bank: Bank, name: str, number: str, phone: str, scheme: str
) -> None:
    as_of_ms = bank.clock.advance(10)
    change = {
        **_NO_HOLDER,
        "number": fresh_number(),
        "number_type": "account",
        "effective_at_ms": as_of_ms,
        "holder_name": name,
        "id_document_scheme": scheme,
        "id_document_country": "CN",
        "id_document_number": number,
        "phone": phone,
    }
    answer = bank.post("/v1/feed", bank.core_key, json={"as_of_ms": as_of_ms, "changes": [change]})
    assert answer.status_code in {200, 422}, answer.text
    if answer.status_code == 200:
        claim = claim_of({each: value for each, value in change.items() if value != "none"}, holder_name="某某")
        bound = bank.post("/v1/bindings", bank.platform_key, json=claim)
        assert bound.status_code in {200, 422}, bound.text


@pytest.mark.parametrize(
    "number",
    [
        "无",
        "N/A",
        "NULL",
        "none",
        "000000000000000000",
        "未提供",
        "111111111111111111",
        "99.999.999-9",
        "XAXX010101000",
    ],
)
def test_a_word_in_place_of_a_document_number_proves_nobody(bank: Bank, number: str) -> None:
    """Anyone can state it: with it as a document, a name alone would have been enough."""
    held = state(bank, holder_name="欧阳文静", **document("NIDN", "CN", number))
    answer = ask(bank, claim_of(held))
    assert answer["outcome"] != "granted"
    assert {"field": "id_document", "match": "not_stated", "code": "NOAP"} in answer["matches"]


@pytest.mark.parametrize(
    ("scheme", "number"), [("NIDN", "军字第一二三号"), ("CCPT", "١٢٣٤٥٦"), ("EMPL", "LAURENT"), ("CCPT", "X0000001")]
)
def test_a_document_number_in_other_digits_or_of_an_employer_is_one(bank: Bank, scheme: str, number: str) -> None:
    held = state(bank, holder_name="欧阳文静", **document(scheme, "CN", number))
    assert ask(bank, claim_of(held))["outcome"] == "granted"


@pytest.mark.parametrize(
    "phone", ["00000000000", "0000-0000000", "0", "+00 000", "无", "11111111111", "+86 999 9999 9999"]
)
def test_zeros_in_place_of_a_phone_prove_nobody(bank: Bank, phone: str) -> None:
    held = state(bank, holder_name="欧阳文静", phone=phone)
    answer = ask(bank, claim_of(held, phone="00000000000"))
    assert answer["outcome"] != "granted"
    assert {"field": "phone", "match": "not_stated", "code": "NOAP"} in answer["matches"]


def test_a_middle_name_that_the_claim_leaves_out_is_close_for_the_holder_of_the_phone(bank: Bank) -> None:
    stated = state(bank, holder_name="SMITH, JOHN ROBERT", **_NAMED)
    answer = ask(bank, claim_of(stated, holder_name="John Smith"))
    assert (answer["outcome"], answer["matches"][0]["match"]) == ("refused", "close")
    wrong = {"phone": "+8613800138000", "id_document_number": "110105194912310021"}
    guessed = ask(bank, claim_of(stated, holder_name="John Smith", **wrong))
    assert guessed["matches"][0]["match"] == "no_match"
    bank.feed({"number": stated["number"], "status": "frozen", "debit_allowed": False, "credit_allowed": False})
    assert ask(bank, claim_of(stated, holder_name="John Smith"))["matches"][0]["match"] == "close"
    bank.feed({"number": stated["number"], "holder_name": "JOHN ROBERT SMITH & MARY SMITH"})
    assert ask(bank, claim_of(stated, holder_name="John Smith"))["matches"][0]["match"] == "no_match"
