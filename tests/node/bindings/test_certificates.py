"""The node's certificates: of active accounts, for the platform's own bindings, bound to one question."""

import secrets
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from standing.ledger.attestations.certificate import LIFETIME_MS, CertificateDocument
from standing.node.bindings.certificates import CERTIFICATE_RATE
from tests.node.node_tools import Staffed, grant_of, terms_on_ledger, writes
from tests.world import ACCOUNT, PLATFORM, Bank, wait_until


@pytest.fixture
def grant(staffed: Staffed, bank: Bank) -> dict[str, Any]:
    bank.feed(ACCOUNT)
    made = grant_of(staffed.bind(ACCOUNT))
    wait_until(lambda: writes(bank, made) == 1)
    return made


def _certify(
    staffed: Staffed, grant: Mapping[str, Any], key: str | None = None, challenge: str | None = None
) -> httpx.Response:
    body = {"challenge": challenge or "0x" + secrets.token_hex(32)}
    return staffed.bank.post(
        f"/v1/bindings/{grant['binding']}/certificate", key or staffed.bank.platform_key, json=body
    )


def test_a_certificate_states_what_the_ledger_states_under_the_same_key(
    staffed: Staffed, bank: Bank, grant: dict[str, Any]
) -> None:
    challenge = "0x" + secrets.token_hex(32)
    answer = _certify(staffed, grant, challenge=challenge)
    assert answer.status_code == 200, answer.text
    certificate = CertificateDocument(**answer.json()).certificate()
    terms = terms_on_ledger(bank, grant)
    assert terms is not None
    assert certificate.signer == bank.signer.address
    assert (certificate.bank, certificate.platform) == (bank.bic, PLATFORM)
    assert certificate.challenge.hex() == challenge[2:]
    assert certificate.tags == terms.tags
    assert (certificate.debit_allowed, certificate.credit_allowed) == (terms.debit_allowed, terms.credit_allowed)
    assert certificate.as_of_ms <= certificate.issued_at_ms == certificate.expires_at_ms - LIFETIME_MS
    assert ACCOUNT["number"] not in answer.text


@pytest.mark.parametrize("status", ["frozen", "lost", "dormant", "closed"])
def test_an_account_that_is_not_active_is_not_certified(
    staffed: Staffed, bank: Bank, grant: dict[str, Any], status: str
) -> None:
    bank.feed({"number": ACCOUNT["number"], "status": status})
    answer = _certify(staffed, grant)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:standing:problem:not-in-good-standing")


def test_a_platform_gets_certificates_of_its_own_active_bindings_only(staffed: Staffed, grant: dict[str, Any]) -> None:
    assert _certify(staffed, grant, staffed.other_key).status_code == 404
    assert _certify(staffed, {"binding": "0x" + "00" * 32}).status_code == 404
    assert _certify(staffed, grant, staffed.operator_key).status_code == 403
    assert _certify(staffed, grant, challenge="0x1234").status_code == 422
    staffed.delete(grant)
    assert _certify(staffed, grant).status_code == 404


def test_certificates_are_issued_at_a_bounded_rate(staffed: Staffed, grant: dict[str, Any]) -> None:
    answers = [_certify(staffed, grant).status_code for _ in range(CERTIFICATE_RATE.capacity + 1)]
    assert answers == [200] * CERTIFICATE_RATE.capacity + [429]
