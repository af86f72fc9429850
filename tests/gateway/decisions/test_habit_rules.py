"""Habit rules: at and beyond their edge, and through the API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from standing.gateway.decisions.habit_rules import (
    BindingBurstRule,
    EarlyWithdrawalRule,
    IdentityChangeRule,
    UnusualAmountRule,
)
from standing.gateway.decisions.past_reads import read_pasts
from standing.gateway.decisions.pasts import MAX_PAST, NO_PAST, Past, PastAmount
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.risk import Hold, RiskFacts
from standing.gateway.events import log as event_log
from standing.gateway.events.types import Event, EventType
from standing.gateway.storage import schema
from tests.gateway.decision_rig import decision_rig
from tests.gateway.follower_rig import FollowRig, follow_rig

CNY = 156
HOUR_MS = 3_600_000
NOW_MS = 1_800_000_000_000

FAR = UnusualAmountRule(rule="unusual_amount", name="far", currency="CNY", over_minor=1_000, spreads=4, min_past=5)
CHANGED = IdentityChangeRule(rule="identity_change", name="changed", currency="CNY", over_minor=100, within_hours=48)
BURST = BindingBurstRule(rule="binding_burst", name="rebound", currency="CNY", over_count=2, within_hours=24)
EARLY = EarlyWithdrawalRule(rule="early_withdrawal", name="early", currency="CNY", within_minutes=60)


def _past(*amounts: int, kind: str = "payment", currency: int = CNY, **known: Any) -> Past:
    return Past(amounts=tuple(PastAmount(NOW_MS, kind, currency, amount) for amount in amounts), **known)


def _hold(rule: Any, amount_minor: int, past: Past, kind: Kind = Kind.PAYMENT, bound_at_ms: int = 0) -> Hold | None:
    found: Hold | None = rule.hold(Question(kind, amount_minor, CNY), RiskFacts(bound_at_ms, {}, (), past), NOW_MS)
    return found


#: Median 2,000 and median deviation 200, so that 4 spreads end at 2,000 + 4 × 200 × 1.4826 = 3,186.
HABIT = _past(2_000, 1_800, 2_200, 1_700, 2_300)


@pytest.mark.parametrize(
    ("rule", "suffices", "too_much"),
    [
        (FAR, (3_186, HABIT), (3_187, HABIT)),
        (FAR, (1_000, _past(1, 1, 1, 1, 1)), (1_001, _past(1, 1, 1, 1, 1))),
        (FAR, (10**9, _past(1, 1, 1, 1)), (10**9, _past(1, 1, 1, 1, 1))),
        (FAR, (10**9, _past(1, 1, 1, 1, 1, currency=840)), (10**9, _past(1, 1, 1, 1, 1))),
        (FAR, (10**9, _past(1, 1, 1, 1, 1, kind="withdrawal")), (10**9, _past(1, 1, 1, 1, 1))),
        # A spread of a tenth of the median where amounts hardly differ, and of their own where they differ more.
        (FAR, (3_186, _past(2_000, 2_000, 2_000, 2_000, 2_000)), (3_187, _past(2_000, 2_000, 2_000, 2_000, 2_000))),
        (FAR, (7_930, _past(500, 1_000, 2_000, 3_000, 3_500)), (7_931, _past(500, 1_000, 2_000, 3_000, 3_500))),
        # Of two middle values the lower one is the median.
        (FAR, (1_593, _past(*[1_000] * 3, *[9_000] * 3)), (1_594, _past(*[1_000] * 3, *[9_000] * 3))),
        (CHANGED, (100, Past(identity_changed_at_ms=NOW_MS)), (101, Past(identity_changed_at_ms=NOW_MS))),
        (
            CHANGED,
            (101, Past(identity_changed_at_ms=NOW_MS - 48 * HOUR_MS)),
            (101, Past(identity_changed_at_ms=NOW_MS - 48 * HOUR_MS + 1)),
        ),
        (
            CHANGED,
            (101, Past(identity_changed_at_ms=NOW_MS - 2, approved_at_ms=NOW_MS - 1)),
            (101, Past(identity_changed_at_ms=NOW_MS - 2, approved_at_ms=NOW_MS - 2)),
        ),
        (
            BURST,
            (1, Past(account_bound_at_ms=(NOW_MS - 24 * HOUR_MS, NOW_MS - 2, NOW_MS))),
            (1, Past(account_bound_at_ms=(NOW_MS - 24 * HOUR_MS + 1, NOW_MS - 2, NOW_MS))),
        ),
    ],
)
def test_each_habit_rule_passes_at_its_edge_and_holds_just_beyond(
    rule: Any, suffices: tuple[int, Past], too_much: tuple[int, Past]
) -> None:
    assert _hold(rule, *suffices) is None
    held = _hold(rule, *too_much)
    assert held is not None
    assert (held.rule, held.ends_at_ms > NOW_MS) == (rule.name, True)
    assert held.whole is (rule is BURST), "of the account's rules, only a burst of bindings holds everything"
    assert held.why.en
    assert any("\u4e00" <= character <= "\u9fff" for character in held.why.zh)
    assert max(len(held.why.en), len(held.why.zh)) <= 200


def test_an_early_withdrawal_after_binding_is_held_unless_a_payment_preceded_it() -> None:
    held = _hold(EARLY, 5_000, NO_PAST, Kind.WITHDRAWAL, NOW_MS - HOUR_MS + 1)
    assert held is not None
    assert held.ends_at_ms == NOW_MS + 1
    assert _hold(EARLY, 5_000, NO_PAST, Kind.WITHDRAWAL, NOW_MS - HOUR_MS) is None
    assert _hold(EARLY, 5_000, NO_PAST, Kind.PAYMENT, NOW_MS) is None
    assert _hold(EARLY, 5_000, _past(100), Kind.WITHDRAWAL, NOW_MS) is None
    large = EARLY.model_copy(update={"over_minor": 5_000})
    assert _hold(large, 5_000, NO_PAST, Kind.WITHDRAWAL, NOW_MS) is None
    assert _hold(large, 5_001, NO_PAST, Kind.WITHDRAWAL, NOW_MS) is not None


def test_only_what_was_approved_is_a_past_and_only_the_newest_of_it(tmp_path: Path) -> None:
    """Otherwise a payment that is held would lift the hold for the next one."""
    decided: list[tuple[int, str, str | None]] = [(at_ms, "approve", None) for at_ms in range(1, MAX_PAST + 1)]
    decided += [(60, "review", "approve"), (70, "review", "decline"), (80, "review", None), (90, "decline", None)]
    with decision_rig(tmp_path) as rig:
        account = rig.bind("6222")
        other = rig.bind("6222")
        with rig.database.write() as connection:
            for at_ms, outcome, reviewed in decided:
                name = f"t-{at_ms}"
                values = {"transaction_id": name, "outcome": outcome, "decided_at_ms": at_ms, "amount_minor": at_ms}
                values |= {"binding": account.binding, "kind": "payment", "currency": "CNY", "answer": "{}"}
                connection.execute(insert(schema.decisions).values(**values))
                if reviewed is not None:
                    closed = {"transaction_id": name, "outcome": reviewed, "closed_at_ms": at_ms, "closed_by": "staff"}
                    connection.execute(insert(schema.reviews).values(**closed))
        its_own = rig.vault.lookup("account", "6222")
        with rig.database.read() as connection:
            found = read_pasts(connection, {account.binding: its_own, other.binding: its_own})
    amounts = [each.amount_minor for each in found[account.binding].amounts]
    assert amounts == [60, *range(MAX_PAST, 1, -1)]
    assert found[other.binding].amounts == found[account.binding].amounts
    assert (found[account.binding].approved_at_ms, found[other.binding].approved_at_ms) == (60, None)


def test_a_past_is_that_of_its_own_account_and_binding(tmp_path: Path) -> None:
    """Others' large payments would make any amount usual, and any other event would look like a change of identity."""
    changed, limited = EventType.IDENTITY_CHANGED, EventType.LIMITS_CHANGED
    with decision_rig(tmp_path) as rig:
        mine, other = rig.bind("6222"), rig.bind("6333")
        with rig.database.write() as connection:
            for at_ms, account in ((7, mine), (9, other)):
                values = {
                    "transaction_id": f"t-{at_ms}",
                    "outcome": "approve",
                    "decided_at_ms": at_ms,
                    "currency": "CNY",
                }
                values |= {"binding": account.binding, "kind": "payment", "amount_minor": at_ms, "answer": "{}"}
                connection.execute(insert(schema.decisions).values(**values))
            event_log.append(
                connection,
                [
                    Event(kind, "YUNXCNB0", account.binding, 1, 1, at_ms, at_ms, {})
                    for kind, account, at_ms in ((changed, mine, 20), (limited, mine, 30), (changed, other, 40))
                ],
            )
        with rig.database.read() as connection:
            asked = {
                account.binding: rig.vault.lookup("account", number)
                for account, number in ((mine, "6222"), (other, "6333"))
            }
            found = read_pasts(connection, asked)
    for account, at_ms, changed_at_ms in ((mine, 7, 20), (other, 9, 40)):
        past = found[account.binding]
        assert past.amounts == (PastAmount(at_ms, "payment", CNY, at_ms),)
        assert (past.approved_at_ms, past.identity_changed_at_ms) == (at_ms, changed_at_ms)
        assert len(past.account_bound_at_ms) == 1


def test_an_approval_on_another_binding_of_the_account_is_none_of_this_one() -> None:
    """Its holder's identity may have been changed since."""
    known = Past(approved_at_ms=1).after(Question(Kind.PAYMENT, 5, CNY), NOW_MS, itself=False)
    assert (known.approved_at_ms, len(known.amounts)) == (1, 1)
    assert known.after(Question(Kind.PAYMENT, 5, CNY), NOW_MS).approved_at_ms == NOW_MS


def test_a_review_counts_from_its_approval_and_not_from_its_decision(tmp_path: Path) -> None:
    """A change of identity in between holds nothing more once staff have approved a transaction after it."""
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        with rig.database.write() as connection:
            values = {"transaction_id": "t-1", "outcome": "review", "decided_at_ms": 10, "amount_minor": 5}
            values |= {"binding": account.binding, "kind": "payment", "currency": "CNY", "answer": "{}"}
            connection.execute(insert(schema.decisions).values(**values))
            closed = {"transaction_id": "t-1", "outcome": "approve", "closed_at_ms": 30, "closed_by": "staff"}
            connection.execute(insert(schema.reviews).values(**closed))
        with rig.database.read() as connection:
            past = read_pasts(connection, {account.binding: rig.vault.lookup("account", account.binding.hex())})
    assert past[account.binding].approved_at_ms == 30


@pytest.mark.parametrize("beside", [0, 1])
def test_small_withdrawals_do_not_hide_the_habit_of_payments(tmp_path: Path, beside: int) -> None:
    """Otherwise fifty of them would let any payment through, and hold a withdrawal although payments preceded it."""
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        payments = [(f"p-{index}", "payment", 2_000) for index in range(8)]
        withdrawals = [(f"w-{index}", "withdrawal", 1) for index in range(MAX_PAST - beside)]
        with rig.database.write() as connection:
            for at_ms, (name, kind, amount_minor) in enumerate(payments + withdrawals, 1):
                values = {"transaction_id": name, "outcome": "approve", "decided_at_ms": at_ms, "kind": kind}
                values |= {"binding": account.binding, "amount_minor": amount_minor, "currency": "CNY", "answer": "{}"}
                connection.execute(insert(schema.decisions).values(**values))
        with rig.database.read() as connection:
            past = read_pasts(connection, {account.binding: rig.vault.lookup("account", account.binding.hex())})
    known = past[account.binding]
    for _ in range(beside):
        known = known.after(Question(Kind.WITHDRAWAL, 1, CNY), NOW_MS)
    assert _hold(FAR, 10**9, known) is not None
    assert _hold(EARLY, 5_000, known, Kind.WITHDRAWAL, NOW_MS) is None
    assert len(known.amounts) == 8 + MAX_PAST


def test_of_each_kind_only_the_newest_are_kept() -> None:
    known = NO_PAST
    for amount_minor in range(1, MAX_PAST + 2):
        for kind in Kind:
            known = known.after(Question(kind, amount_minor, CNY), NOW_MS)
    for kind in Kind:
        amounts = [each.amount_minor for each in known.amounts if each.kind == kind.value]
        assert amounts == list(range(MAX_PAST + 1, 1, -1))


RULES = [
    {"rule": "unusual_amount", "name": "far", "currency": "CNY", "over_minor": 1_000, "min_past": 3},
    {"rule": "identity_change", "name": "changed", "currency": "CNY", "within_hours": 48},
    {"rule": "early_withdrawal", "name": "early", "currency": "CNY", "within_minutes": 60},
]


@pytest.fixture
def it(tmp_path: Path) -> Iterator[FollowRig]:
    with follow_rig(tmp_path, policy={"name": "habits", "risk": RULES}) as made:
        yield made


def test_habit_rules_hold_through_the_api_and_never_approve(it: FollowRig) -> None:
    person = it.bound()
    person.bank.publish(bytes.fromhex(person.binding[2:]))
    it.follow()
    early = person.decide(kind="withdrawal", amount_minor=5_000)
    assert (early["outcome"], early["reason"], early["hold"]["rule"]) == ("review", "risk_hold", "early")
    for _ in range(3):
        assert person.decide(amount_minor=500)["outcome"] == "approve"
    far = person.decide(amount_minor=50_000)
    assert (far["reason"], far["hold"]["rule"]) == ("risk_hold", "far")
    assert "CNY 5.00" in far["hold"]["why"]["en"]
    assert person.decide(amount_minor=510)["outcome"] == "approve"
    person.bank.change(person.number, debit_allowed=False)
    assert person.decide(amount_minor=50_000)["reason"] == "debit_not_allowed"
