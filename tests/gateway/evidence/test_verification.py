"""Verification of evidence: honest evidence holds, and each lie fails the check for it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from standing.gateway.decisions.policy import IdentityOutcomes, Policy
from standing.gateway.decisions.rules import Reason
from standing.gateway.evidence.verification.causes import Who
from standing.gateway.evidence.verification.lines import Verdict
from standing.ledger.attestations.terms import Status
from tests.gateway.evidence_samples import (
    ALL_CHECKS,
    EvidenceSample,
    catch_up,
    evidence_sample,
    failing,
    grant_of,
    unknown,
)
from tests.gateway.gateway_rig import BICS, Rig


def test_an_honest_approval_passes_every_check(approved: EvidenceSample) -> None:
    report = approved.verify()
    assert [(line.number, line.verdict) for line in report.lines] == [(number, Verdict.HOLDS) for number in ALL_CHECKS]
    assert report.verdict is Verdict.HOLDS
    assert report.cause is not None
    assert report.cause.who is Who.BANK_WORD


def test_evidence_does_not_reveal_the_user(approved: EvidenceSample) -> None:
    claims = json.dumps(approved.claims, ensure_ascii=False)
    for text in (*approved.person.claim.values(), approved.person.user_id, approved.answer["transaction_id"]):
        if len(text) > 4:
            assert text not in claims
    bank = approved.person.bank
    binding = bytes.fromhex(approved.person.binding[2:])
    tags = bank.accounts[approved.person.number].terms(binding, bank.key(binding), 0).tags
    for tag in (tags.name, tags.id_document, tags.phone):
        assert f'{tag.hex()}"' not in claims
    assert bank.key(binding).hex() not in claims


@pytest.mark.parametrize(
    ("account", "transaction", "reason"),
    [
        ({"status": Status.CLOSED}, {}, Reason.ACCOUNT_CLOSED),
        ({"status": Status.LOST}, {}, Reason.ACCOUNT_LOST),
        ({"status": Status.FROZEN, "debit_allowed": False}, {}, Reason.ACCOUNT_FROZEN),
        ({"status": Status.DORMANT}, {}, Reason.ACCOUNT_DORMANT),
        ({"debit_allowed": False}, {}, Reason.DEBIT_NOT_ALLOWED),
        ({"credit_allowed": False}, {"kind": "withdrawal"}, Reason.CREDIT_NOT_ALLOWED),
        ({}, {"currency": "USD"}, Reason.CURRENCY_NOT_ALLOWED),
        ({}, {"amount_minor": 500_001}, Reason.OVER_TRANSACTION_LIMIT),
        ({"daily_limit_minor": 999}, {}, Reason.OVER_DAILY_LIMIT),
    ],
)
def test_honest_refusals_hold_for_every_reason(
    a_rig: Rig, account: dict[str, Any], transaction: dict[str, Any], reason: Reason
) -> None:
    person = a_rig.bound()
    person.bank.change(person.number, **account)
    shown = evidence_sample(a_rig, person, **transaction)
    assert shown.claims["reason"] == reason
    assert shown.verify().verdict is Verdict.HOLDS


@pytest.mark.long
@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("holder_name", "诸葛另", Reason.NAME_CHANGED),
        ("id_document_number", "E99999999", Reason.ID_DOCUMENT_CHANGED),
        ("phone", "+8613900000000", Reason.PHONE_CHANGED),
    ],
)
def test_a_changed_identity_is_recomputed_without_being_revealed(
    a_rig: Rig, field: str, value: str, reason: Reason
) -> None:
    person = a_rig.bound()
    holder = person.bank.accounts[person.number].holder.model_copy(update={field: value})
    person.bank.change(person.number, holder=holder)
    shown = evidence_sample(a_rig, person)
    assert shown.claims["reason"] == reason
    assert shown.verify().verdict is Verdict.HOLDS


@pytest.mark.parametrize("bound_without", [True, False])
def test_a_phone_stated_by_one_side_only_is_not_compared_and_the_evidence_holds(
    a_rig: Rig, bound_without: bool
) -> None:
    person = a_rig.person()
    account = person.bank.accounts[person.number]
    whole, without = account.holder, account.holder.model_copy(update={"phone": None})
    if bound_without:
        del person.claim["phone"]
        person.bank.change(person.number, holder=without)
    person.binding = person.bind().json()["binding"]
    person.bank.change(person.number, holder=whole if bound_without else without)
    shown = evidence_sample(a_rig, person)
    assert shown.answer["outcome"] == "approve"
    assert shown.verify().verdict is Verdict.HOLDS


def test_the_remaining_daily_limit_is_the_gateways_own_statement_and_counts(a_rig: Rig) -> None:
    person = a_rig.bound(daily_limit_minor=1_500)
    evidence_sample(a_rig, person)
    second = evidence_sample(a_rig, person)
    assert (second.claims["reason"], second.claims["used_day_minor"]) == (Reason.OVER_DAILY_LIMIT, 1_000)
    report = second.verify()
    assert report.verdict is Verdict.HOLDS
    assert "used today 1000" in next(line.text for line in report.lines if line.number == 12)


def test_a_decision_for_silence_is_attributed_to_the_bank(a_rig: Rig) -> None:
    person = a_rig.bound()
    a_rig.clock.advance(400_000)
    shown = evidence_sample(a_rig, person)
    assert shown.claims["reason"] == Reason.BANK_SILENT
    report = shown.verify()
    assert report.verdict is Verdict.HOLDS
    assert report.cause is not None
    assert report.cause.who is Who.BANK_SILENCE


def test_a_binding_ended_by_the_platform_is_attributed_to_the_platform(a_rig: Rig) -> None:
    person = a_rig.bound()
    assert a_rig.platform("DELETE", f"/v1/bindings/{person.binding}").status_code == 204
    shown = evidence_sample(a_rig, person)
    report = shown.verify()
    assert (shown.claims["ended"], report.verdict) == (True, Verdict.HOLDS)
    assert report.cause is not None
    assert report.cause.who is Who.PLATFORM_WORD


def test_an_unreachable_ledger_is_the_gateways_own_statement(a_rig: Rig) -> None:
    person = a_rig.bound()
    catch_up(a_rig)
    a_rig.chain.down = True
    answer = person.decide()
    a_rig.chain.down = False
    shown = replace(evidence_sample(a_rig, person), answer=answer)
    assert shown.claims["record"] is None
    report = shown.verify()
    assert report.verdict is Verdict.HOLDS
    assert report.cause is not None
    assert report.cause.who is Who.GATEWAY_WORD
    assert failing(shown.resigned(reason="bank_silent").verify()) == [12]
    assert failing(shown.resigned(block_number=1).verify()) == [4]


@pytest.mark.long
def test_an_unreadable_record_is_believed_only_with_the_grant(a_rig: Rig) -> None:
    person = a_rig.bound()
    person.bank.publish(bytes.fromhex(person.binding[2:]), terms=b"\x55" * 32)
    shown = evidence_sample(a_rig, person)
    assert shown.claims["reason"] == Reason.ATTESTATION_UNREADABLE
    assert unknown(shown.verify()) == [10]
    assert shown.verify(grant=grant_of(person)).verdict is Verdict.HOLDS


def test_evidence_signed_or_changed_by_somebody_else_is_refused(approved: EvidenceSample) -> None:
    other = approved.resigned(key=Ed25519PrivateKey.generate())
    assert [(line.number, line.verdict) for line in other.verify().lines] == [(1, Verdict.FAILS)]
    head, payload, signature = approved.answer["evidence"].split(".")
    for forged in (
        ".".join((head, payload[:-4] + ("AAAA" if payload[-4:] != "AAAA" else "BBBB"), signature)),
        ".".join((head, payload, signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB"))),
    ):
        assert failing(replace(approved, answer={"evidence": forged}).verify()) == [1]


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome": "decline"},
        {"reason": "account_frozen"},
        {"transaction_id": "t-of-another"},
        {"amount_minor": 1},
        {"policy": "lax@0"},
        {"binding": "0x" + "00" * 32},
    ],
)
def test_a_decision_that_contradicts_its_own_evidence_is_caught(
    approved: EvidenceSample, changed: dict[str, Any]
) -> None:
    report = replace(approved, answer=approved.answer | changed).verify()
    assert failing(report) == [1]
    assert report.lines[0].text.endswith(f"in: {next(iter(changed))}")


@pytest.mark.parametrize("claim", ["decided_at_ms", "record__watermark_ms"])
def test_a_time_beyond_every_calendar_fails_one_check_and_does_not_crash(approved: EvidenceSample, claim: str) -> None:
    changed: dict[str, Any] = {claim: 2**48 - 1}
    assert failing(approved.resigned(**changed).verify())


def test_another_document_signed_with_the_gateways_key_is_not_evidence(approved: EvidenceSample) -> None:
    assert failing(approved.resigned(typ="standing-receipt").verify()) == [1]
    assert failing(approved.resigned(form=1).verify()) == [1]
    assert failing(approved.resigned(record__publication=-1).verify()) == [1]


def test_evidence_of_another_ledger_is_not_checked_against_this_one(approved: EvidenceSample) -> None:
    for changed in ({"chain_id": 1}, {"contract": "0x" + "11" * 20}):
        assert failing(approved.resigned(**changed).verify()) == [2]


@pytest.mark.long
@pytest.mark.parametrize(
    ("claim", "change", "fails"),
    [
        ("block_hash", lambda _: "0x" + "11" * 32, [3]),
        ("block_number", lambda number: number - 1, [3, 4, 5]),
        ("decided_at_ms", lambda at: at - 3_600_000, [3, 12]),
        ("record__publication", lambda number: number - 1, [4, 5, 10, 12]),
        ("record__tag_and_head", lambda _: "0x" + "11" * 26, [4, 5, 10, 12]),
        ("record__tail", lambda _: "0x" + "11" * 32, [4, 5, 10, 12]),
        ("record__watermark_ms", lambda at: at + 1, [4, 8, 12]),
        ("record__suspended", lambda _: True, [4, 12]),
        ("publication", lambda number: number + 1, [12]),
        ("watermark_ms", lambda at: at + 1, [12]),
        ("staleness_ms", lambda age: age + 1, [12]),
        ("outcome", lambda _: "decline", [12]),
        ("reason", lambda _: "account_frozen", [12]),
        ("amount_minor", lambda _: 500_001, [12]),
        ("kind", lambda _: "withdrawal", []),
        ("currency", lambda _: "USD", [12]),
        ("currency", lambda _: "XXQ", [12]),
        ("floor", lambda _: 2**40, [12]),
        ("ended", lambda _: True, [12]),
        ("used_day_minor", lambda _: 2_000_000, [12]),
        ("day", lambda _: "2001-01-01", [12]),
        ("time_zone", lambda _: "Mars/Olympus", [12]),
        ("held_by", lambda _: "velocity", [12]),
        ("policy__max_staleness_ms", lambda _: 0, [12]),
        ("policy__ahead_allowance_ms", lambda _: -1, [12]),
        ("expected_tags__name", lambda _: "0x" + "11" * 16, [12]),
        ("expected_tags__id_document", lambda _: "0x" + "11" * 16, [12]),
        ("expected_tags__phone", lambda _: "0x" + "11" * 16, [12]),
        ("binding", lambda _: "0x" + "11" * 32, [4, 5, 10, 12]),
        ("bank", lambda _: BICS[1], [4, 5, 10, 12]),
    ],
)
def test_each_lie_of_a_gateway_is_caught_by_the_check_for_it(
    approved: EvidenceSample, claim: str, change: Callable[[Any], Any], fails: list[int]
) -> None:
    value: Any = approved.claims
    for part in claim.split("__"):
        value = value[part]
    report = approved.resigned(**{claim: change(value)}).verify()
    assert set(failing(report)) == set(fails), report.lines


def test_a_decline_without_grounds_is_caught(approved: EvidenceSample) -> None:
    report = approved.resigned(outcome="decline", reason="over_daily_limit").verify()
    assert failing(report) == [12]


def test_a_policy_other_than_the_evidence_names_is_caught(approved: EvidenceSample) -> None:
    policy = approved.rig.settings.policy
    assert approved.verify(policy=policy).verdict is Verdict.HOLDS
    other = Policy(name="other", identity=IdentityOutcomes(phone="decline"))
    assert failing(approved.verify(policy=other)) == [11]


@pytest.mark.parametrize(
    "changed",
    [
        {"policy__max_staleness_ms": 299_999},
        {"policy__ahead_allowance_ms": 4_999},
        {"policy__when_silent": "decline"},
        {"policy__identity__phone": "decline"},
        {"outcome": "review", "reason": "risk_hold", "held_by": "a rule that the policy does not have"},
    ],
)
def test_claims_under_the_right_version_that_are_not_that_policys_are_caught(
    approved: EvidenceSample, changed: dict[str, Any]
) -> None:
    assert failing(approved.resigned(**changed).verify(policy=approved.rig.settings.policy)) == [11]


@pytest.mark.parametrize(
    ("changed", "fails"),
    [
        ({"outcome": "review", "reason": "risk_hold", "held_by": "velocity"}, []),
        ({"outcome": "approve", "reason": "risk_hold", "held_by": "velocity"}, [12]),
        ({"outcome": "review", "reason": "risk_hold"}, [12]),
        ({"outcome": "review", "reason": "risk_hold", "held_by": "velocity", "amount_minor": 500_001}, [12]),
    ],
    ids=["a rule's hold", "a hold that approves", "a hold without a rule", "a hold of what the bank refuses"],
)
def test_a_hold_is_a_review_by_a_named_rule_of_what_the_bank_allows(
    approved: EvidenceSample, changed: dict[str, Any], fails: list[int]
) -> None:
    assert failing(approved.resigned(**changed).verify()) == fails


def test_without_the_binding_key_checks_of_the_terms_are_unknown(approved: EvidenceSample) -> None:
    report = approved.verify(binding_key=None)
    assert (failing(report), unknown(report), report.verdict) == ([], [10, 12], Verdict.UNKNOWN)


def test_another_key_does_not_open_the_terms(approved: EvidenceSample) -> None:
    assert failing(approved.verify(binding_key=bytes(32))) == [10, 12]


@pytest.mark.long
def test_a_grant_confirms_the_right_key_and_exposes_another(approved: EvidenceSample) -> None:
    grant = grant_of(approved.person)
    assert approved.verify(grant=grant, binding_key=None).verdict is Verdict.HOLDS
    other = grant_of(approved.rig.bound())
    assert 9 in failing(approved.verify(grant=other))
    assert failing(approved.verify(grant=replace(grant, signature=other.signature))) == [9]
    assert failing(approved.verify(grant=replace(grant, binding_key=bytes(32)), binding_key=None)) == [9, 10, 12]
    assert 9 in failing(approved.verify(grant=replace(grant, binding_key=bytes(32))))
