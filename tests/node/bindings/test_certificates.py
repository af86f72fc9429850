"""The node's certificates: of active accounts, for the platform's own bindings, bound to one question."""

import secrets
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from standing.ledger.attestations.certificate import LIFETIME_MS, CertificateDocument
from standing.node.bindings.certificates import NotInGoodStanding
from tests.node.node_tools import Staffed, grant_of, terms_on_ledger, writes
from tests.node.stepped_node import SteppedNode
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


@pytest.mark.parametrize(
    "state",
    [
        {"status": "frozen"},
        {"status": "lost"},
        {"status": "dormant"},
        {"status": "closed"},
        {"debit_allowed": False, "credit_allowed": False},
    ],
    ids=str,
)
def test_an_account_that_is_not_active_or_allows_nothing_is_not_certified(
    site: SteppedNode, state: dict[str, Any]
) -> None:
    site.feed(dict(ACCOUNT))
    binding = bytes.fromhex(site.bind().binding[2:])
    site.feed({"number": ACCOUNT["number"], "debit_allowed": False})
    assert site.node.certificates.issue(PLATFORM, binding, bytes(32)).credit_allowed
    site.feed({"number": ACCOUNT["number"], **state})
    with pytest.raises(NotInGoodStanding):
        site.node.certificates.issue(PLATFORM, binding, bytes(32))


def test_a_certificate_is_no_younger_than_what_the_core_has_stated(site: SteppedNode) -> None:
    """A core that fell silent would certify a state that it may have left."""
    entry = site.feed(dict(ACCOUNT))
    binding = bytes.fromhex(site.bind().binding[2:])
    now_ms = site.world.clock.advance(3_600_000)
    certificate = site.node.certificates.issue(PLATFORM, binding, bytes(32))
    assert (certificate.as_of_ms, certificate.issued_at_ms) == (entry.as_of_ms, now_ms)


def test_a_platform_gets_certificates_of_its_own_active_bindings_only(staffed: Staffed, grant: dict[str, Any]) -> None:
    assert _certify(staffed, grant, staffed.other_key).status_code == 404
    assert _certify(staffed, {"binding": "0x" + "00" * 32}).status_code == 404
    assert _certify(staffed, grant, staffed.operator_key).status_code == 403
    assert _certify(staffed, grant, challenge="0x1234").status_code == 422
    staffed.bank.feed({"number": ACCOUNT["number"], "status": "frozen"})
    answer = _certify(staffed, grant)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:standing:problem:not-in-good-standing")
    staffed.delete(grant)
    assert _certify(staffed, grant).status_code == 404
