"""The rules: each reason at and beyond its edge, and the precedence of two faults."""

from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any

import pytest

from standing.gateway.decisions.caps import Used
from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.rules import Outcome, Reason
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, NO_LIMIT
from standing.ledger.attestations.terms import Status
from tests.gateway.decisions.cases import CODES, GOOD, KEY, NOW_MS, OTHER_KEY, USD

WITHDRAWAL = {"kind": Kind.WITHDRAWAL}
#: For each reason: the last value that passes and the first that fails. A reason may have several edges.
EDGES: list[tuple[Reason, dict[str, Any], dict[str, Any]]] = [
    (Reason.LEDGER_UNREACHABLE, {}, {"answered": False}),
    (Reason.BANK_SUSPENDED, {"suspended": False}, {"suspended": True}),
    (Reason.NO_ATTESTATION, {"publication": 1, "floor": 0}, {"publication": 0, "floor": 0}),
    (Reason.LEDGER_ROLLED_BACK, {"publication": 7, "floor": 7}, {"publication": 6, "floor": 7}),
    (Reason.ATTESTATION_UNREADABLE, {"key": KEY}, {"key": OTHER_KEY}),
    # The narrower band ends with its amount.
    (Reason.BANK_SILENT, {"watermark_ms": NOW_MS - 60_000}, {"watermark_ms": NOW_MS - 60_001}),
    (
        Reason.BANK_SILENT,
        {"amount_minor": 1_001, "transaction_limit_minor": NO_LIMIT, "watermark_ms": NOW_MS - 5_000},
        {"amount_minor": 1_001, "transaction_limit_minor": NO_LIMIT, "watermark_ms": NOW_MS - 5_001},
    ),
    (Reason.BANK_SILENT, {"watermark_ms": NOW_MS + 2_000}, {"watermark_ms": NOW_MS + 2_001}),
    (Reason.BANK_SILENT, {"watermark_ms": NOW_MS}, {"watermark_ms": 0}),
    (Reason.UNBOUND, {}, {"status": Status.UNBOUND}),
    (Reason.UNBOUND, {"ended": False}, {"ended": True}),
    (Reason.ACCOUNT_UNSTATED, {}, {"status": Status.UNSTATED}),
    (Reason.ACCOUNT_CLOSED, {}, {"status": Status.CLOSED}),
    (Reason.ACCOUNT_LOST, {}, {"status": Status.LOST}),
    (
        Reason.ACCOUNT_FROZEN,
        {"status": Status.FROZEN, "debit": True, "credit": False},
        {"status": Status.FROZEN, "debit": False, "credit": True},
    ),
    (
        Reason.ACCOUNT_FROZEN,
        WITHDRAWAL | {"status": Status.FROZEN, "debit": False, "credit": True},
        WITHDRAWAL | {"status": Status.FROZEN, "debit": True, "credit": False},
    ),
    (Reason.ACCOUNT_DORMANT, {}, {"status": Status.DORMANT}),
    (Reason.DEBIT_NOT_ALLOWED, {"debit": True, "credit": False}, {"debit": False, "credit": True}),
    (
        Reason.CREDIT_NOT_ALLOWED,
        WITHDRAWAL | {"debit": False, "credit": True},
        WITHDRAWAL | {"debit": True, "credit": False},
    ),
    (Reason.NAME_CHANGED, {}, {"name": b"naf"}),
    (Reason.ID_DOCUMENT_CHANGED, {}, {"id_document": b"dov"}),
    (Reason.PHONE_CHANGED, {}, {"phone": b"phf"}),
    (Reason.CURRENCY_NOT_ALLOWED, {"currency": USD, "terms_currency": USD}, {"currency": USD}),
    (Reason.OVER_TRANSACTION_LIMIT, {"transaction_limit_minor": 1_000}, {"transaction_limit_minor": 999}),
    (
        Reason.OVER_TRANSACTION_LIMIT,
        {"amount_minor": 1, "transaction_limit_minor": 1},
        {"amount_minor": 1, "transaction_limit_minor": 0},
    ),
    (Reason.OVER_DAILY_LIMIT, {"used": Used(4_000, 4_000, 4_000)}, {"used": Used(4_001, 4_001, 4_001)}),
    (
        Reason.OVER_DAILY_LIMIT,
        WITHDRAWAL | {"used": Used(4_000, None, 4_000)},
        WITHDRAWAL | {"used": Used(4_001, None, 4_001)},
    ),
    (Reason.OVER_MONTHLY_LIMIT, {"used": Used(0, 19_000, 19_000)}, {"used": Used(0, 19_001, 19_001)}),
    (Reason.OVER_YEARLY_LIMIT, {"used": Used(0, 0, 49_000)}, {"used": Used(0, 0, 49_001)}),
    (
        Reason.OVER_YEARLY_LIMIT,
        WITHDRAWAL | {"used": Used(0, None, 49_000)},
        WITHDRAWAL | {"used": Used(0, None, 49_001)},
    ),
    (
        Reason.OVER_MONTHLY_LIMIT,
        {"amount_minor": 1, "monthly_limit_minor": 1},
        {"amount_minor": 1, "monthly_limit_minor": 0},
    ),
    (
        Reason.OVER_YEARLY_LIMIT,
        WITHDRAWAL | {"amount_minor": 1, "yearly_credit_limit_minor": 1},
        WITHDRAWAL | {"amount_minor": 1, "yearly_credit_limit_minor": 0},
    ),
    (
        Reason.OVER_DAILY_LIMIT,
        {"amount_minor": 1, "daily_limit_minor": 1},
        {"amount_minor": 1, "daily_limit_minor": 0},
    ),
    # Without a stated limit a day is still bounded by the counter's range.
    (
        Reason.OVER_DAILY_LIMIT,
        {"daily_limit_minor": NO_LIMIT, "used": Used(MAX_AMOUNT_MINOR - 1_000, 0, 0)},
        {"daily_limit_minor": NO_LIMIT, "used": Used(MAX_AMOUNT_MINOR - 999, 0, 0)},
    ),
]
REVIEWED = {"ledger_unreachable", "ledger_rolled_back", "bank_silent", "account_unstated", "phone_changed"}


def test_every_reason_but_the_reserved_one_has_an_edge_case() -> None:
    assert [*dict.fromkeys(reason for reason, _, _ in EDGES)] == [r for r in Reason if r is not Reason.RISK_HOLD]


@pytest.mark.parametrize(("reason", "suffices", "too_much"), EDGES)
def test_each_reason_passes_at_its_edge_and_fails_just_beyond(
    reason: Reason, suffices: dict[str, Any], too_much: dict[str, Any]
) -> None:
    valid, invalid = replace(GOOD, **suffices).decide(), replace(GOOD, **too_much).decide()
    assert (valid.outcome, valid.reason, valid.iso20022) == (Outcome.APPROVE, None, None)
    assert invalid.reason is reason
    assert invalid.outcome == ("review" if reason.value in REVIEWED else "decline")
    assert invalid.iso20022 == CODES.get(reason.value)


#: One fault for each reason, chosen so that as many as possible can hold at once.
FAULTS: dict[Reason, dict[str, Any]] = {reason: too_much for reason, _, too_much in reversed(EDGES)} | {
    Reason.NO_ATTESTATION: {"publication": 0},  # with the floor above 0: a missing record is not an older one
    Reason.LEDGER_ROLLED_BACK: {"floor": 8},
    Reason.BANK_SILENT: {"watermark_ms": NOW_MS - 60_001},
    Reason.UNBOUND: {"ended": True},
    Reason.ACCOUNT_FROZEN: {"status": Status.FROZEN, "debit": False},
    Reason.DEBIT_NOT_ALLOWED: {"kind": Kind.PAYMENT, "debit": False},
    Reason.CREDIT_NOT_ALLOWED: {"kind": Kind.WITHDRAWAL, "credit": False},
    Reason.CURRENCY_NOT_ALLOWED: {"terms_currency": USD},
    Reason.OVER_TRANSACTION_LIMIT: {"transaction_limit_minor": 999},
    Reason.OVER_DAILY_LIMIT: {"daily_limit_minor": 999},
    Reason.OVER_MONTHLY_LIMIT: {"monthly_limit_minor": 999},
    Reason.OVER_YEARLY_LIMIT: {"yearly_limit_minor": 999},
}
#: Neighbours that cannot both hold: an account has one status, a transaction one kind.
EXCLUSIVE = {
    (Reason.ACCOUNT_UNSTATED, Reason.ACCOUNT_CLOSED),
    (Reason.ACCOUNT_CLOSED, Reason.ACCOUNT_LOST),
    (Reason.ACCOUNT_LOST, Reason.ACCOUNT_FROZEN),
    (Reason.ACCOUNT_FROZEN, Reason.ACCOUNT_DORMANT),
    (Reason.DEBIT_NOT_ALLOWED, Reason.CREDIT_NOT_ALLOWED),
}


def _clash(first: Reason, second: Reason) -> bool:
    shared = FAULTS[first].keys() & FAULTS[second].keys()
    return any(FAULTS[first][name] != FAULTS[second][name] for name in shared)


def test_only_mutually_exclusive_faults_are_left_out_of_the_pairs() -> None:
    neighbours = list(pairwise([reason for reason in Reason if reason is not Reason.RISK_HOLD]))
    assert {pair for pair in neighbours if _clash(*pair)} == EXCLUSIVE


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (first, second)
        for first, second in combinations([r for r in Reason if r is not Reason.RISK_HOLD], 2)
        if not _clash(first, second)
    ],
)
def test_of_two_faults_the_earlier_check_gives_the_reason(first: Reason, second: Reason) -> None:
    assert replace(GOOD, **FAULTS[second]).decide().reason is second
    assert replace(GOOD, **FAULTS[second] | FAULTS[first]).decide().reason is first


def test_mutually_exclusive_statuses_each_have_their_own_reason() -> None:
    reasons = [replace(GOOD, status=status, debit=False).decide().reason for status in Status]
    assert reasons == [
        Reason.DEBIT_NOT_ALLOWED,
        Reason.ACCOUNT_FROZEN,
        Reason.ACCOUNT_LOST,
        Reason.ACCOUNT_DORMANT,
        Reason.ACCOUNT_CLOSED,
        Reason.UNBOUND,
        Reason.ACCOUNT_UNSTATED,
    ]
