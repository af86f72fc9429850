"""The decision table, tested as a table: each reason just valid and just invalid, each pair for precedence."""

from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from standing.gateway.bindings.bound import Bound
from standing.gateway.decisions.caps import Used
from standing.gateway.decisions.messages import MESSAGES, of_account, of_decision
from standing.gateway.decisions.policy import FreshnessBand, IdentityOutcomes, Policy
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.rules import ISO20022, Decision, Outcome, Reason, Remaining, decide
from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.limits import LIMIT_FIELDS, Limits
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, NO_LIMIT
from standing.ledger.attestations.sealing import seal
from standing.ledger.attestations.terms import NOT_STATED, IdentityTags, Status, Terms
from standing.ledger.chain.codec import Record
from standing.ledger.errors import InvalidValue

BANK, BINDING, KEY = "YUNXCNB0", b"\x11" * 32, b"\x22" * 32
CNY, USD = 156, 840
NOW_MS = 1_767_225_600_000
UNUSED = Used(0, 0, 0)
TAGS = IdentityTags(b"nam", b"doc", b"pho")
BOUND = Bound(BINDING, BANK, bic_to_bytes11(BANK), b"account", KEY, TAGS, ZoneInfo("Asia/Shanghai"))
POLICY = Policy(
    freshness=(
        FreshnessBand(up_to_minor=1_000, max_staleness_ms=60_000),
        FreshnessBand(up_to_minor="any", max_staleness_ms=5_000),
    ),
    ahead_allowance_ms=2_000,
)


@dataclass(frozen=True)
class Case:
    """Everything that a decision depends on; as it stands, it is approved."""

    answered: bool = True
    suspended: bool = False
    publication: int = 7
    floor: int = 7
    key: bytes = KEY
    plain: bytes | None = None
    watermark_ms: int = NOW_MS - 100
    ended: bool = False
    status: Status = Status.ACTIVE
    debit: bool = True
    credit: bool = True
    name: bytes = TAGS.name
    id_document: bytes = TAGS.id_document
    phone: bytes = TAGS.phone
    terms_currency: int = CNY
    transaction_limit_minor: int = 1_000
    daily_limit_minor: int = 5_000
    monthly_limit_minor: int = 20_000
    yearly_limit_minor: int = 50_000
    daily_credit_limit_minor: int = 5_000
    yearly_credit_limit_minor: int = 50_000
    kind: Kind = Kind.PAYMENT
    amount_minor: int = 1_000
    currency: int = CNY
    used: Used = UNUSED
    policy: Policy = POLICY

    def decide(self) -> Decision:
        record = self.record()
        return decide(
            Question(self.kind, self.amount_minor, self.currency),
            record=record,
            terms=BOUND.open(record) if record is not None else None,
            expected=BOUND.tags,
            ended=self.ended,
            floor=self.floor,
            used=self.used,
            policy=self.policy,
            now_ms=NOW_MS,
        )

    def record(self) -> Record | None:
        """What the ledger answers; None: nothing in time."""
        if not self.answered:
            return None
        if self.publication == 0:
            return Record(0, bytes(26), bytes(32), self.watermark_ms, self.suspended)
        terms = Terms(
            status=self.status,
            debit_allowed=self.debit,
            credit_allowed=self.credit,
            currency=self.terms_currency,
            effective_at_ms=NOW_MS - 1_000,
            limits=Limits(*(getattr(self, name) for name in LIMIT_FIELDS)),
            tags=IdentityTags(self.name, self.id_document, self.phone),
        )
        sealed = seal(terms, key=self.key, bank=BANK, binding=BINDING, publication=self.publication)
        return Record(self.publication, *sealed, self.watermark_ms, self.suspended)


GOOD = Case()
WITHDRAWAL = {"kind": Kind.WITHDRAWAL}
OTHER_KEY = b"\x23" * 32

#: For each reason: what just suffices, and what is just too much. A reason may have several edges.
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
    # Without a stated limit a day is still bounded by what can be counted.
    (
        Reason.OVER_DAILY_LIMIT,
        {"daily_limit_minor": NO_LIMIT, "used": Used(MAX_AMOUNT_MINOR - 1_000, 0, 0)},
        {"daily_limit_minor": NO_LIMIT, "used": Used(MAX_AMOUNT_MINOR - 999, 0, 0)},
    ),
]

#: The codes of DESIGN section 8, written out.
CODES = {
    "account_closed": "AC04",
    "account_lost": "AC06",
    "account_frozen": "AC06",
    "account_dormant": "AC06",
    "debit_not_allowed": "AG01",
    "credit_not_allowed": "AG01",
    "name_changed": "BE01",
    "id_document_changed": "BE01",
    "phone_changed": "BE01",
    "currency_not_allowed": "AM03",
    "over_transaction_limit": "AM02",
    "over_daily_limit": "AM14",
    "over_monthly_limit": "AM14",
    "over_yearly_limit": "AM14",
}
REVIEWED = {"ledger_unreachable", "ledger_rolled_back", "bank_silent", "account_unstated", "phone_changed"}


def test_every_reason_has_an_edge_but_the_one_kept_for_later() -> None:
    assert [*dict.fromkeys(reason for reason, _, _ in EDGES)] == [r for r in Reason if r is not Reason.RISK_HOLD]


@pytest.mark.parametrize(("reason", "suffices", "too_much"), EDGES)
def test_each_reason_just_valid_and_just_invalid(
    reason: Reason, suffices: dict[str, Any], too_much: dict[str, Any]
) -> None:
    valid, invalid = replace(GOOD, **suffices).decide(), replace(GOOD, **too_much).decide()
    assert (valid.outcome, valid.reason, valid.iso20022) == (Outcome.APPROVE, None, None)
    assert invalid.reason is reason
    assert invalid.outcome == ("review" if reason.value in REVIEWED else "decline")
    assert invalid.iso20022 == CODES.get(reason.value)


#: One fault for each reason, such that as many as can be may hold at once.
FAULTS: dict[Reason, dict[str, Any]] = {reason: too_much for reason, _, too_much in reversed(EDGES)} | {
    Reason.NO_ATTESTATION: {"publication": 0},  # with the floor above 0: gone is not the same as older
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


def test_only_what_excludes_itself_is_left_out_of_the_pairs() -> None:
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
def test_of_two_faults_the_earlier_check_is_the_reason(first: Reason, second: Reason) -> None:
    assert replace(GOOD, **FAULTS[second]).decide().reason is second
    assert replace(GOOD, **FAULTS[second] | FAULTS[first]).decide().reason is first


def test_the_statuses_that_exclude_each_other_have_each_their_own_reason() -> None:
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


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("status", [Status.ACTIVE, Status.FROZEN])
@pytest.mark.parametrize("debit", [True, False])
@pytest.mark.parametrize("credit", [True, False])
def test_permissions(kind: Kind, status: Status, debit: bool, credit: bool) -> None:
    decided = replace(GOOD, kind=kind, status=status, debit=debit, credit=credit).decide()
    permitted = debit if kind is Kind.PAYMENT else credit
    if permitted:
        assert decided.reason is None
    elif status is Status.FROZEN:
        assert decided.reason is Reason.ACCOUNT_FROZEN
    else:
        assert decided.reason is (Reason.DEBIT_NOT_ALLOWED if kind is Kind.PAYMENT else Reason.CREDIT_NOT_ALLOWED)


def test_limits_of_debits_bound_no_withdrawal_and_those_of_credits_no_payment() -> None:
    no_debits = replace(
        GOOD, transaction_limit_minor=0, daily_limit_minor=0, monthly_limit_minor=0, yearly_limit_minor=0
    )
    assert no_debits.decide().outcome is Outcome.DECLINE
    assert replace(no_debits, kind=Kind.WITHDRAWAL).decide().outcome is Outcome.APPROVE
    no_credits = replace(GOOD, daily_credit_limit_minor=0, yearly_credit_limit_minor=0)
    assert no_credits.decide().outcome is Outcome.APPROVE
    assert replace(no_credits, kind=Kind.WITHDRAWAL).decide().outcome is Outcome.DECLINE


def test_a_limited_period_that_was_not_added_up_is_an_error_and_no_approval() -> None:
    for used in (Used(0, None, 0), Used(0, 0, None)):
        with pytest.raises(InvalidValue, match="used"):
            replace(GOOD, used=used).decide()
    unlimited = replace(GOOD, monthly_limit_minor=NO_LIMIT, yearly_limit_minor=NO_LIMIT, used=Used(0))
    assert unlimited.decide().outcome is Outcome.APPROVE


def test_no_limit_approves_the_largest_amount() -> None:
    largest = replace(
        GOOD,
        amount_minor=MAX_AMOUNT_MINOR,
        **dict.fromkeys(LIMIT_FIELDS, NO_LIMIT),  # type: ignore[arg-type]
    ).decide()
    assert largest.outcome is Outcome.APPROVE
    assert largest.remaining == Remaining(NO_LIMIT, NO_LIMIT)


@pytest.mark.parametrize("when_silent", ["review", "decline"])
def test_the_policy_says_what_follows_silence(when_silent: Any) -> None:
    policy = POLICY.model_copy(update={"when_silent": when_silent})
    assert replace(GOOD, watermark_ms=0, policy=policy).decide().outcome == when_silent


@pytest.mark.parametrize("field", ["name", "id_document", "phone"])
@pytest.mark.parametrize("outcome", ["review", "decline"])
def test_the_policy_says_what_follows_a_changed_identity(field: str, outcome: Any) -> None:
    chosen = IdentityOutcomes(**{field: outcome})
    change: dict[str, Any] = {"policy": POLICY.model_copy(update={"identity": chosen}), field: b"\1\1\1"}
    decided = replace(GOOD, **change).decide()
    assert (decided.outcome, decided.reason) == (outcome, f"{field}_changed")


@pytest.mark.parametrize("field", ["name", "id_document", "phone"])
def test_a_tag_that_is_not_stated_is_not_compared(field: str) -> None:
    change: dict[str, Any] = {field: NOT_STATED}
    assert replace(GOOD, **change).decide().outcome is Outcome.APPROVE


@pytest.mark.parametrize(
    ("change", "remaining"),
    [
        ({}, Remaining(1_000, 4_000, 19_000, 49_000)),
        ({"used": Used(4_000, 5_000, 6_000)}, Remaining(1_000, 0, 14_000, 43_000)),
        ({"used": Used(4_001, 4_001, 4_001)}, Remaining(1_000, 999, 15_999, 45_999)),  # declined: nothing more is used
        ({"used": Used(9_000, 0, 0)}, Remaining(1_000, 0, 20_000, 50_000)),  # the limit was lowered
        ({"kind": Kind.WITHDRAWAL}, Remaining(NO_LIMIT, 4_000, NO_LIMIT, 49_000)),
        ({"daily_limit_minor": NO_LIMIT, "used": Used(77, 77, 77)}, Remaining(1_000, NO_LIMIT, 18_923, 48_923)),
        ({"terms_currency": USD}, None),  # usage is known in the transaction's currency only
        ({"watermark_ms": 0}, None),
        ({"suspended": True}, None),
        ({"answered": False}, None),
    ],
)
def test_remaining_limits(change: dict[str, Any], remaining: Remaining | None) -> None:
    assert replace(GOOD, **change).decide().remaining == remaining


@pytest.mark.parametrize(
    ("change", "publication", "watermark_ms", "staleness_ms", "opened"),
    [
        ({}, 7, NOW_MS - 100, 100, True),
        ({"watermark_ms": NOW_MS + 1_500}, 7, NOW_MS + 1_500, -1_500, True),
        ({"watermark_ms": 0}, 7, None, None, True),
        ({"publication": 0}, None, NOW_MS - 100, 100, False),
        ({"key": OTHER_KEY}, 7, NOW_MS - 100, 100, False),
        ({"answered": False}, None, None, None, False),
    ],
)
def test_what_a_decision_says_it_rests_on(
    change: dict[str, Any], publication: int | None, watermark_ms: int | None, staleness_ms: int | None, opened: bool
) -> None:
    decided = replace(GOOD, **change).decide()
    assert (decided.publication, decided.watermark_ms) == (publication, watermark_ms)
    assert (decided.staleness_ms, decided.opened) == (staleness_ms, opened)


def test_the_codes_are_those_of_the_design() -> None:
    assert {reason.value: code for reason, code in ISO20022.items()} == CODES


def test_every_reason_has_a_message_in_both_languages() -> None:
    assert MESSAGES.keys() == {None, *Reason}
    for message in MESSAGES.values():
        assert message.en.isascii()
        assert message.en.endswith(".")
        assert message.zh.endswith("。")
        assert not message.zh.isascii()
    assert len({message.en for message in MESSAGES.values()}) == len({m.zh for m in MESSAGES.values()}) == len(MESSAGES)


@pytest.mark.parametrize("reason", [Reason.NAME_CHANGED, Reason.ID_DOCUMENT_CHANGED, Reason.PHONE_CHANGED])
def test_that_staff_look_at_a_transaction_is_told_where_the_policy_says_so_and_nowhere_else(reason: Reason) -> None:
    declined, reviewed = of_decision(reason, Outcome.DECLINE), of_decision(reason, Outcome.REVIEW)
    assert "staff" not in declined.en
    assert ("工作人员" in declined.zh, "人工" in declined.zh) == (False, False)
    assert reviewed.en == declined.en + " This transaction is being checked by our staff."
    assert reviewed.zh == declined.zh + "本次交易正在由工作人员核对。"


# An account is asked about in its own currency.
@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.CURRENCY_NOT_ALLOWED])
def test_what_is_told_of_an_account_speaks_of_no_transaction(reason: Reason) -> None:
    told = of_account(reason)
    assert told.en
    for of_one in ("this transaction", "smaller amount", "The amount"):
        assert of_one not in told.en
    for of_one in ("本次交易", "金额"):
        assert of_one not in told.zh
