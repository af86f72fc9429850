"""Claims that look mistyped get a hint at once and cost no attempt; confirmed as written, the bank decides."""

from typing import Any

import pytest

from tests.gateway.gateway_rig import Rig
from tests.holder_cases import DOCUMENTS, NUMBERS, PHONES

_CASES: list[tuple[dict[str, Any], str, str]] = [
    *((stated, "id_document", hint) for _, stated, hint in DOCUMENTS if hint),
    *(({"phone": claimed}, "phone", hint) for _, claimed, hint in PHONES if hint),
    *(({"number": claimed, "number_type": kind}, "number", hint) for _, claimed, kind, hint in NUMBERS if hint),
    ({"number": "6222 0200", "number_type": "card"}, "number", "length"),
    ({"id_document_number": "1101051949123100"}, "id_document", "length"),
]


@pytest.mark.parametrize(("changed", "field", "hint"), _CASES)
def test_a_claim_that_looks_mistyped_gets_a_hint_without_calling_the_bank(
    a_rig: Rig, changed: dict[str, Any], field: str, hint: str
) -> None:
    person = a_rig.person()
    person.bank.trouble = "500"  # every call to it fails
    nidn = {"id_document_scheme": "NIDN", "id_document_country": "CN", "id_document_number": "11010519491231002X"}
    for _ in range(20):  # more than the number of refusals that causes a hold
        answer = person.bind(**(nidn | changed))
        assert answer.status_code == 200
        body = answer.json()
        assert body["outcome"] == "looks_mistyped"
    assert [(each["field"], each["hint"]) for each in body["hints"]] == [(field, hint)]
    message = body["hints"][0]["message"]
    assert message["en"]
    assert message["zh"]
    assert str(changed.get("phone") or changed.get("number") or changed.get("id_document_number")) not in answer.text
    assert person.bind(**(nidn | changed), as_written=True).status_code == 503
    person.bank.trouble = None
    as_written = person.bind(**(nidn | changed), as_written=True).json()
    assert as_written["outcome"] == "refused"


@pytest.mark.parametrize("stated", [stated for _, stated, hint in DOCUMENTS if hint is None])
def test_a_valid_document_gets_no_hint(a_rig: Rig, stated: dict[str, Any]) -> None:
    person = a_rig.person()
    blank = {"id_document_scheme": None, "id_document_country": None, "id_document_number": None}
    answer = person.bind(**(blank | stated))
    assert (answer.status_code, answer.json()["outcome"]) == (200, "refused")
