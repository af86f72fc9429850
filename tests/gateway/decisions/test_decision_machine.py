"""Random histories over HTTP, on a real ledger, against a second reading of the guide.

The model knows the table of checks (docs/GATEWAY.md) and the limits of every period, in both directions. It shares no
code with the gateway.
"""

import itertools
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from standing.ledger.attestations.money import NO_LIMIT
from standing.ledger.attestations.terms import Status
from tests.gateway.follower_rig import FollowRig

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LIFETIME_MS = HOUR_MS
MAX_STALENESS_MS = 60_000
ZONE = ZoneInfo("Asia/Shanghai")
DEBITS = {"day": "daily_limit_minor", "month": "monthly_limit_minor", "year": "yearly_limit_minor"}
CREDITS = {"day": "daily_credit_limit_minor", "year": "yearly_credit_limit_minor"}
REASONS = {"day": "over_daily_limit", "month": "over_monthly_limit", "year": "over_yearly_limit"}
# Few values, so that histories reach a limit exactly, and capture what they reserved.
AMOUNTS = st.sampled_from([1, 500, 1_000, 1_500])
LIMITS = st.sampled_from([0, 1_500, 2_500, 4_000, NO_LIMIT, NO_LIMIT])


@dataclass
class Held:
    """What the model knows of one approved transaction."""

    kind: str
    day: date
    amount: int
    expires_at_ms: int | None
    state: str = "reserved"
    captured: int = 0
    refunds: dict[str, int] = field(default_factory=dict)

    def now(self, now_ms: int) -> str:
        over = self.expires_at_ms is not None and now_ms >= self.expires_at_ms
        return "expired" if self.state == "reserved" and over else self.state

    def uses(self, now_ms: int) -> int:
        captured = self.captured - sum(self.refunds.values())
        return {"reserved": self.amount, "captured": captured}.get(self.now(now_ms), 0)

    def counts(self, period: str, today: date) -> bool:
        same = {"day": self.day == today, "month": self.day.month == today.month, "year": True}
        return self.day.year == today.year and same[period]


class Decisions(RuleBasedStateMachine):
    """One account of one bank, paid from and withdrawn to."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        bands = [{"up_to_minor": "any", "max_staleness_ms": MAX_STALENESS_MS}]
        policy = {"name": "machine", "freshness": bands}
        self.rig = FollowRig(self.stack, folder, policy=policy, reservation_lifetime_ms=LIFETIME_MS)
        self.person = self.rig.bound()
        self.watermark_ms = self.now_ms
        self.held: dict[str, Held] = {}
        self.answers: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        self.names = (f"t-{number}" for number in itertools.count(1))

    def teardown(self) -> None:
        self.stack.close()

    @property
    def now_ms(self) -> int:
        return self.rig.clock.now_ms()

    def today(self) -> date:
        return datetime.fromtimestamp(self.now_ms // 1000, UTC).astimezone(ZONE).date()

    def used(self, kind: str, period: str) -> int:
        mine = (held for held in self.held.values() if held.kind == kind and held.counts(period, self.today()))
        return sum(held.uses(self.now_ms) for held in mine)

    def reason(self, kind: str, amount: int) -> str | None:
        account = self.person.bank.accounts[self.person.number]
        allowed = account.debit_allowed if kind == "payment" else account.credit_allowed
        if self.now_ms - self.watermark_ms > MAX_STALENESS_MS:
            return "bank_silent"
        for status in (Status.UNSTATED, Status.CLOSED, Status.LOST, Status.FROZEN, Status.DORMANT):
            if account.status is status and not (status is Status.FROZEN and allowed):
                return f"account_{status.word}"
        if not allowed:
            return "debit_not_allowed" if kind == "payment" else "credit_not_allowed"
        if kind == "payment" and amount > account.transaction_limit_minor:
            return "over_transaction_limit"
        for period, name in (DEBITS if kind == "payment" else CREDITS).items():
            if self.used(kind, period) + amount > getattr(account, name):
                return REASONS[period]
        return None

    def check(self, asked: dict[str, Any], answer: dict[str, Any]) -> None:
        """Compare an answer with the model, and add its effect to the model."""
        kind, amount = asked["kind"], asked["amount_minor"]
        reason = self.reason(kind, amount)
        reviewed = reason in {"bank_silent", "account_unstated"}
        outcome = "approve" if reason is None else "review" if reviewed else "decline"
        assert (answer["outcome"], answer["reason"]) == (outcome, reason)
        assert answer["staleness_ms"] == self.now_ms - self.watermark_ms
        if outcome == "approve":
            expires_at_ms = self.now_ms + LIFETIME_MS if kind == "payment" else None
            self.held[asked["transaction_id"]] = Held(kind, self.today(), amount, expires_at_ms)
        if reason != "bank_silent":
            account = self.person.bank.accounts[self.person.number]
            for period, name in (DEBITS if kind == "payment" else CREDITS).items():
                limit = getattr(account, name)
                left = "none" if limit == NO_LIMIT else max(0, limit - self.used(kind, period))
                assert answer["remaining"][DEBITS[period]] == left
        self.answers[asked["transaction_id"]] = (asked, answer)

    @rule(kinds=st.lists(st.sampled_from(["payment", "payment", "withdrawal"]), min_size=1, max_size=4), data=st.data())
    def decide(self, kinds: list[str], data: st.DataObject) -> None:
        """One transaction, or a batch of which the first is repeated."""
        asked = [
            self.person.transaction(transaction_id=next(self.names), kind=kind, amount_minor=data.draw(AMOUNTS))
            for kind in kinds
        ]
        if len(asked) == 1:
            answer = self.rig.platform("POST", "/v1/decisions", json=asked[0])
            self.check(asked[0], answer.json())
            return
        batch = {"decisions": [*asked, asked[0]]}
        *answers, repeated = self.rig.platform("POST", "/v1/decisions:batch", json=batch).json()["answers"]
        for each, answer in zip(asked, answers, strict=True):
            self.check(each, answer["decision"])
        assert repeated["decision"] == answers[0]["decision"]

    @rule(data=st.data(), other=st.booleans())
    def decide_again(self, data: st.DataObject, other: bool) -> None:
        if not self.answers:
            return
        asked, before = self.answers[data.draw(st.sampled_from(sorted(self.answers)))]
        again = asked | {"amount_minor": asked["amount_minor"] + other}
        answer = self.rig.platform("POST", "/v1/decisions", json=again)
        assert answer.status_code == (409 if other else 200)
        assert other or answer.json() == before

    @rule(data=st.data(), act=st.sampled_from(["capture", "void", "refunds"]), amount=AMOUNTS)
    def settle(self, data: st.DataObject, act: str, amount: int) -> None:
        if not self.held:
            return
        name = data.draw(st.sampled_from(sorted(self.held)))
        held = self.held[name]
        state, refund = held.now(self.now_ms), data.draw(st.sampled_from("ab"))
        body = {"void": None, "capture": {"amount_minor": amount}}.get(
            act, {"amount_minor": amount, "refund_id": refund}
        )
        match act, state:
            case "capture", "reserved":
                status = 200 if amount <= held.amount else 422
            case "capture", "captured":
                status = 200 if amount == held.captured else 409
            case "void", "reserved" | "voided" | "expired":
                status = 200
            case "refunds", "captured" if refund in held.refunds:
                status = 200 if held.refunds[refund] == amount else 409
            case "refunds", "captured":
                status = 200 if amount <= held.uses(self.now_ms) else 422
            case _:
                status = 409
        answer = self.rig.platform("POST", f"/v1/decisions/{name}/{act}", **({} if body is None else {"json": body}))
        assert answer.status_code == status, (act, state, answer.text)
        if status == 200 and act == "refunds":
            held.refunds[refund] = amount
        elif status == 200 and state == "reserved":
            held.state, held.captured = ("voided", 0) if act == "void" else ("captured", amount)

    @rule(
        by_ms=st.sampled_from([1, MAX_STALENESS_MS, LIFETIME_MS - 1, 9 * HOUR_MS, DAY_MS, 31 * DAY_MS]),
        silent=st.sampled_from([False, False, False, True]),
    )
    def time_passes(self, by_ms: int, silent: bool) -> None:
        """The bank reports again, unless it is silent."""
        self.rig.clock.advance(by_ms)
        if not silent:
            self.rig.bank.publish()
            self.watermark_ms = self.now_ms

    @rule(
        status=st.sampled_from([*[Status.ACTIVE] * 12, Status.FROZEN, Status.LOST, Status.DORMANT, Status.UNSTATED]),
        debit=st.sampled_from([*[True] * 5, False]),
        credit=st.sampled_from([*[True] * 5, False]),
        limits=st.lists(LIMITS, min_size=6, max_size=6),
    )
    def the_bank_changes_the_account(self, status: Status, debit: bool, credit: bool, limits: list[int]) -> None:
        names = ["transaction_limit_minor", *DEBITS.values(), *CREDITS.values()]
        changes = dict(zip(names, limits, strict=True))
        self.person.bank.change(
            self.person.number, status=status, debit_allowed=debit, credit_allowed=credit, **changes
        )
        self.watermark_ms = self.now_ms

    @invariant()
    def every_reservation_is_as_the_model_has_it(self) -> None:
        for name in list(self.held)[-3:]:
            held = self.held[name]
            shown = self.rig.platform("GET", f"/v1/decisions/{name}").json()["reservation"]
            assert (shown["state"], shown["day"]) == (held.now(self.now_ms), held.day.isoformat())
            assert (shown["captured_minor"] or 0) - shown["refunded_minor"] == held.captured - sum(
                held.refunds.values()
            )


Decisions.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestDecisions = pytest.mark.long(Decisions.TestCase)
