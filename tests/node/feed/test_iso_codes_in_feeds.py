"""A code that is no ISO code is refused in words, not by a regular expression, whatever the source."""

from typing import Any

import httpx
import pytest

from standing.node.accounts.changes import AccountChange
from standing.node.feed.records import read_record
from tests.node.feed.view_passes import unstated
from tests.node.node_tools import account
from tests.world import Bank

COUNTRY = "not a country code; allowed: two capital letters (ISO 3166-1)"
CURRENCY = "not a currency code; allowed: three capital letters (ISO 4217)"
WRONG = [
    ("id_document_country", "FRA", COUNTRY),
    ("id_document_country", "F", COUNTRY),
    ("id_document_country", "F1", COUNTRY),
    ("currency", "eur", CURRENCY),
    ("currency", "EU", CURRENCY),
    ("currency", "EURO", CURRENCY),
]


@pytest.mark.parametrize(("field", "code", "sentence"), WRONG)
def test_a_record_with_no_code_is_told_which_letters_are_allowed(field: str, code: str, sentence: str) -> None:
    change, problems = read_record({**account(1), "effective_at_ms": 1, field: code})
    assert (change, [str(each) for each in problems]) == (None, [f"{field}: {sentence}"])


@pytest.mark.parametrize(("field", "code"), [("id_document_country", "fr"), ("currency", "EUR")])
def test_a_code_of_the_right_length_is_taken(field: str, code: str) -> None:
    change, problems = read_record({**account(1), "effective_at_ms": 1, field: code})
    assert problems == []
    assert getattr(change, field) == code.upper()


def _push(bank: Bank, language: str, **wrong: Any) -> httpx.Response:
    at_ms = bank.clock.advance(1_000)
    entry = {"as_of_ms": at_ms, "changes": [{**account(1), "effective_at_ms": at_ms, **wrong}]}
    headers = {"Authorization": f"Bearer {bank.core_key}", "Accept-Language": language}
    return httpx.post(bank.url + "/v1/feed", json=entry, headers=headers, timeout=30)


@pytest.mark.parametrize(("field", "code", "sentence"), [WRONG[0], WRONG[3]])
def test_a_push_with_no_code_is_told_which_letters_are_allowed(
    bank: Bank, field: str, code: str, sentence: str
) -> None:
    answer = _push(bank, "en", **{field: code})
    (found,) = answer.json()["errors"]
    assert (answer.status_code, found["field"]) == (422, f"changes[0].{field}")
    assert f"{found['problem']}; allowed: {found['allowed']}" == sentence
    chinese = _push(bank, "zh", **{field: code}).json()["errors"][0]
    assert (chinese["problem"], chinese["allowed"]) in {
        ("不是国家代码", "两个大写字母（ISO 3166-1）"),
        ("不是货币代码", "三个大写字母（ISO 4217）"),
    }


def test_an_account_unstated_by_a_push_is_listed_with_the_same_words(bank: Bank) -> None:
    bank.change(account(1))
    at_ms = bank.clock.advance(1_000)
    change = {"number": account(1)["number"], "effective_at_ms": at_ms, "currency": "eur"}
    entry = {"as_of_ms": at_ms, "on_bad_change": "unstate", "changes": [change]}
    assert bank.post("/v1/feed", bank.core_key, json=entry).status_code == 200
    assert CURRENCY in unstated(bank)[0].problem


def test_the_api_description_keeps_the_patterns() -> None:
    fields = AccountChange.model_json_schema()["properties"]
    patterns = [fields[name]["anyOf"][0]["pattern"] for name in ("id_document_country", "currency")]
    assert patterns == ["^[A-Z]{2}$", "^[A-Z]{3}$"]
