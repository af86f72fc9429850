"""Certificates of good standing: the digest matches the wallets', and each fault appears exactly at its boundary."""

from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.certificate import (
    MAX_LIFETIME_MS,
    Certificate,
    CertificateDocument,
    CertificateFault,
    ExpectedCertificate,
    fault_of,
    sign_certificate,
)
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.attestations.terms import NOT_STATED, IdentityTags

NOW_MS = 1_795_000_000_000
BANK, OTHER = LocalSigner(b"\x11" * 32), LocalSigner(b"\x22" * 32)
TAGS = IdentityTags(b"nam", b"doc", b"pho")
UNSIGNED = Certificate(
    bank="BKCHCNBJ",
    binding=b"\xbb" * 32,
    platform="jinqiao-pay",
    challenge=b"\xcc" * 32,
    tags=TAGS,
    debit_allowed=True,
    credit_allowed=False,
    as_of_ms=NOW_MS - 1_000,
    issued_at_ms=NOW_MS,
    expires_at_ms=NOW_MS + 120_000,
)
GOOD = sign_certificate(BANK, UNSIGNED)
ASKED = ExpectedCertificate(
    bank="BKCHCNBJ",
    binding=b"\xbb" * 32,
    platform="jinqiao-pay",
    challenge=b"\xcc" * 32,
    signer=BANK.address,
    tags=TAGS,
    max_age_ms=300_000,
    ahead_ms=15_000,
)

_FIELDS = (
    ("bytes11", "bank"),
    ("bytes32", "binding"),
    ("string", "platform"),
    ("bytes32", "challenge"),
    ("bytes9", "tags"),
    ("bool", "debitAllowed"),
    ("bool", "creditAllowed"),
    ("uint48", "asOfMs"),
    ("uint48", "issuedAtMs"),
    ("uint48", "expiresAtMs"),
)


def test_anyone_can_verify_a_certificate_with_standard_tools() -> None:
    message = encode_typed_data(
        domain_data={"name": "Standing Certificate", "version": "1"},
        message_types={"Certificate": [{"type": kind, "name": name} for kind, name in _FIELDS]},
        message_data={
            "bank": bic_to_bytes11("BKCHCNBJ"),
            "binding": GOOD.binding,
            "platform": GOOD.platform,
            "challenge": GOOD.challenge,
            "tags": TAGS.pack(),
            "debitAllowed": True,
            "creditAllowed": False,
            "asOfMs": GOOD.as_of_ms,
            "issuedAtMs": GOOD.issued_at_ms,
            "expiresAtMs": GOOD.expires_at_ms,
        },
    )
    assert Account.recover_message(message, signature=GOOD.signature) == BANK.address == GOOD.signer
    again = CertificateDocument.model_validate_json(CertificateDocument.of(GOOD).model_dump_json()).certificate()
    assert again == GOOD


def _signed(**changes: Any) -> Certificate:
    return sign_certificate(BANK, replace(UNSIGNED, **changes))


@pytest.mark.parametrize(
    ("certificate", "now_ms", "fault"),
    [
        (GOOD, NOW_MS, None),
        (GOOD, NOW_MS + 119_999, None),
        (GOOD, NOW_MS + 120_000, CertificateFault.EXPIRED),
        (_signed(bank="OTHRCNBJ"), NOW_MS, CertificateFault.OTHER_BANK),
        (_signed(binding=b"\xba" * 32), NOW_MS, CertificateFault.OTHER_BINDING),
        (_signed(platform="other-pay"), NOW_MS, CertificateFault.OTHER_PLATFORM),
        (_signed(challenge=b"\xcd" * 32), NOW_MS, CertificateFault.OTHER_CHALLENGE),
        (sign_certificate(OTHER, UNSIGNED), NOW_MS, CertificateFault.NOT_SIGNED_BY_THE_BANK),
        (UNSIGNED, NOW_MS, CertificateFault.NOT_SIGNED_BY_THE_BANK),
        (replace(GOOD, signature=bytes(65)), NOW_MS, CertificateFault.NOT_SIGNED_BY_THE_BANK),
        (_signed(expires_at_ms=NOW_MS + MAX_LIFETIME_MS), NOW_MS, None),
        (_signed(expires_at_ms=NOW_MS + MAX_LIFETIME_MS + 1), NOW_MS, CertificateFault.LASTS_TOO_LONG),
        (_signed(expires_at_ms=NOW_MS), NOW_MS, CertificateFault.LASTS_TOO_LONG),
        (_signed(issued_at_ms=NOW_MS + 15_000), NOW_MS, None),
        (_signed(issued_at_ms=NOW_MS + 15_001), NOW_MS, CertificateFault.FROM_THE_FUTURE),
        (_signed(as_of_ms=NOW_MS + 15_001), NOW_MS, CertificateFault.FROM_THE_FUTURE),
        (_signed(as_of_ms=NOW_MS - 300_000), NOW_MS, None),
        (_signed(as_of_ms=NOW_MS - 300_001), NOW_MS, CertificateFault.CORE_SILENT),
        (_signed(tags=replace(TAGS, phone=b"new")), NOW_MS, CertificateFault.OTHER_HOLDER),
        (_signed(tags=replace(TAGS, phone=NOT_STATED)), NOW_MS, None),
    ],
)
def test_a_certificate_proves_only_what_was_asked(
    certificate: Certificate, now_ms: int, fault: CertificateFault | None
) -> None:
    assert fault_of(certificate, ASKED, now_ms) is fault


@pytest.mark.parametrize(
    "changes",
    [
        {"bank": "OTHRCNBJ"},
        {"binding": bytes(32)},
        {"platform": "jinqiao-pax"},
        {"challenge": bytes(32)},
        {"tags": replace(TAGS, name=b"xxx")},
        {"debit_allowed": False},
        {"credit_allowed": True},
        {"as_of_ms": 1},
        {"issued_at_ms": 1},
        {"expires_at_ms": 1},
    ],
)
def test_any_change_after_signing_invalidates_the_certificate(changes: dict[str, Any]) -> None:
    assert replace(GOOD, **changes).signer != BANK.address
