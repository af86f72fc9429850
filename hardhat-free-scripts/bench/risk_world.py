"""Ninety days of a platform: users with habits, banks with manners, planted causes of failures, and noise.

Every decision is made by the product's own `decide`, and every event comes from the product's `binding_changes`
for two successive attestations. Causes are planted by chance alone, before anything is decided; nobody in this world
acts on a warning. Each user has a random source of their own, named by the seed and their number, so a run can be
repeated.

Planted: freezes (two of five with short ones before them), lost cards, phones and names that change, ID documents that
expire, limits that are lowered, payments that grow, payments of the month, caps of class II and III accounts, months'
caps, banks that are silent at hours of their own. Noise: short freezes without consequences, accounts that the bank
cannot state for some minutes, silences at any time, amounts and hours that wander.
"""

import heapq
import math
import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from standing.gateway.decisions.caps import Used
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.rules import Decision, Reason, decide
from standing.gateway.events.types import binding_changes
from standing.gateway.warning.risk_facts import NOT_OF_THE_BINDING, Use
from standing.ledger.attestations.limits import Limits
from standing.ledger.attestations.money import NO_LIMIT
from standing.ledger.attestations.terms import IdentityTags, Status, Terms
from standing.ledger.chain.codec import Record
from standing.ledger.clock import DAY_MS, HOUR_MS, MINUTE_MS

DAYS = 90
USERS = 5_000
START_MS = int(datetime(2026, 3, 1, 16, tzinfo=UTC).timestamp()) * 1000  # midnight of 2 March in Shanghai
OFFSET_MS = 8 * HOUR_MS
END_MS = START_MS + DAYS * DAY_MS

_CNY = 156
_YUAN = 100
_POLICY = Policy()
_BOUND_MS = _POLICY.widest_staleness_ms


@dataclass(frozen=True, slots=True)
class Manner:
    """A bank's behaviour: its limits in yuan (None: none stated), silences a week at any hour, and an hour of its own
    in which it is often silent, with the share of days."""

    name: str
    transaction: int | None
    daily: int | None
    monthly: int | None
    silences_a_week: float
    hour: int | None = None
    hour_share: float = 0.0


MANNERS = (
    Manner("A", 50_000, 50_000, None, 0.2),
    Manner("B", 10_000, 20_000, 20_000, 0.2),
    Manner("C", 5_000, 10_000, 30_000, 0.2, hour=23, hour_share=0.5),
    Manner("D", None, 50_000, None, 0.3),
    Manner("E", 10_000, 10_000, 50_000, 0.2, hour=3, hour_share=0.9),
    Manner("F", 5_000, 20_000, None, 0.3),
    Manner("G", 20_000, 20_000, 20_000, 0.2),
    Manner("H", 10_000, 50_000, None, 0.5, hour=18, hour_share=0.1),
)


@dataclass
class BankLife:
    """A bank's silences in order, as start and end: nothing can be approved in between."""

    manner: Manner
    silences: list[tuple[int, int]]
    _starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._starts = [start for start, _ in self.silences]

    def is_silent(self, at_ms: int) -> bool:
        found = bisect_right(self._starts, at_ms) - 1
        return found >= 0 and at_ms < self.silences[found][1]


@dataclass(slots=True)
class BindingLife:
    """A gateway's records of a binding after ninety days, in chronological order.

    `attested`: when the bank's terms took effect, the terms, and the tags that the user was bound with then.
    `used_minor`: by kind, the amount approved on each day. `reasons`: of each use, None if it was approved.
    """

    bank: int
    bound_at_ms: int
    attested: list[tuple[int, Terms, IdentityTags]]
    uses: list[Use] = field(default_factory=list)
    reasons: list[Reason | None] = field(default_factory=list)
    events: list[tuple[int, str]] = field(default_factory=list)
    used_minor: dict[Kind, dict[int, int]] = field(default_factory=lambda: {kind: {} for kind in Kind})

    def used(self, kind: Kind, now_ms: int) -> Used:
        """The amounts approved before a moment, in its day, month and year."""
        today = (now_ms + OFFSET_MS) // DAY_MS
        date = datetime.fromtimestamp(today * DAY_MS // 1000, UTC).date()
        days = self.used_minor[kind]
        month = sum(days.get(day, 0) for day in range(today - date.day + 1, today + 1))
        return Used(days.get(today, 0), month, sum(total for day, total in days.items() if day <= today))


@dataclass
class World:
    """All banks and bindings."""

    banks: list[BankLife]
    bindings: list[BindingLife]

    @classmethod
    def generated(cls, seed: int, users: int = USERS) -> "World":
        """The world of a seed."""
        banks = [_bank(manner, random.Random(f"{seed} bank {manner.name}")) for manner in MANNERS]  # noqa: S311
        bindings: list[BindingLife] = []
        for user in range(users):
            chance = random.Random(f"{seed} user {user}")  # noqa: S311 - a simulation
            count = 1 if chance.random() < 0.75 else 2
            bindings.extend(_binding(chance, banks) for _ in range(count))
        return cls(banks, bindings)


def _bank(manner: Manner, chance: random.Random) -> BankLife:
    silences = []
    for day in range(DAYS):
        midnight_ms = START_MS + day * DAY_MS
        if manner.hour is not None and chance.random() < manner.hour_share:
            start_ms = midnight_ms + manner.hour * HOUR_MS + chance.randrange(10) * MINUTE_MS
            silences.append((start_ms, start_ms + chance.randint(25, 50) * MINUTE_MS))
        if chance.random() < manner.silences_a_week / 7:
            start_ms = midnight_ms + chance.randrange(DAY_MS)
            silences.append((start_ms, start_ms + MINUTE_MS * (1 + round(chance.expovariate(1 / 25)))))
    silences.sort()
    apart: list[tuple[int, int]] = []
    for start_ms, end_ms in silences:
        if apart and start_ms <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end_ms, apart[-1][1]))
        else:
            apart.append((start_ms, end_ms))
    return BankLife(manner, apart)


@dataclass(frozen=True, slots=True)
class _Habit:
    """A user's habits: uses a day, the usual amount in minor units and its spread, the hour, the share of withdrawals,
    the day and amount of a monthly payment, and the growth of amounts over the ninety days."""

    a_day: float
    usual_minor: float
    spread: float
    hour: float
    withdraws: float
    month_day: int | None
    month_minor: int
    growth: float


def _habit(chance: random.Random, account_class: int) -> _Habit:
    usual = {1: 90, 2: 80, 3: 35}[account_class] * _YUAN
    return _Habit(
        a_day=min(3.0, chance.lognormvariate(math.log(0.35), 0.8)),
        usual_minor=usual * chance.lognormvariate(0, 0.8),
        spread=chance.uniform(0.4, 1.1),
        hour=chance.choice((8, 12, 13, 18, 20, 21, 22, 23)) + chance.random(),
        withdraws=chance.choice((0, 0, 0.15, 0.3)),
        month_day=chance.randint(1, 28) if chance.random() < (0.35 if account_class < 3 else 0.05) else None,
        month_minor=round(chance.uniform(1_200, 7_000)) * _YUAN,
        growth=chance.uniform(1.5, 6.0) if chance.random() < 0.15 else 1.0,
    )


def _binding(chance: random.Random, banks: list[BankLife]) -> BindingLife:
    bank = chance.randrange(len(banks))
    account_class = chance.choices((1, 2, 3), (70, 22, 8))[0]
    habit = _habit(chance, account_class)
    limits = _limits(banks[bank].manner, account_class)
    bound_at_ms = START_MS - DAY_MS if chance.random() < 0.8 else START_MS + chance.randrange(DAYS * DAY_MS * 2 // 3)
    life = BindingLife(bank, bound_at_ms, _attested(chance, habit, limits, bound_at_ms))
    _log_events(life)
    _use(life, habit, banks[bank], chance)
    return life


def _limits(manner: Manner, account_class: int) -> Limits:
    def least(*yuan: int | None) -> int:
        return min((each * _YUAN for each in yuan if each is not None), default=NO_LIMIT)

    a_day, a_year = {1: (None, None), 2: (10_000, 200_000), 3: (2_000, 50_000)}[account_class]
    return Limits(
        least(manner.transaction),
        least(manner.daily, a_day),
        least(manner.monthly),
        least(a_year),
        *(least(a_day), least(a_year)),
    )


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A period in which the terms differ from the usual ones."""

    start_ms: int
    end_ms: int
    status: Status | None = None
    debit: bool = True
    lower_to: int | None = None


def _troubles(chance: random.Random, habit: _Habit, from_ms: int) -> Iterator[_Trouble]:
    def moment() -> int:
        return from_ms + chance.randrange(max(1, END_MS - from_ms))

    share = (END_MS - from_ms) / (END_MS - START_MS)
    if chance.random() < 0.05 * share:
        start_ms = moment()
        yield _Trouble(start_ms, start_ms + _lasting(chance, 6), Status.FROZEN, debit=False)
        if chance.random() < 0.4:
            for _ in range(chance.randint(1, 3)):
                before_ms = start_ms - chance.randrange(10 * DAY_MS)
                yield _Trouble(before_ms, before_ms + chance.randint(10, 360) * MINUTE_MS, Status.FROZEN, debit=False)
    if chance.random() < 0.02 * share:  # a short freeze without consequences
        start_ms = moment()
        yield _Trouble(start_ms, start_ms + chance.randint(10, 360) * MINUTE_MS, Status.FROZEN, debit=False)
    if chance.random() < 0.03 * share:
        start_ms = moment()
        yield _Trouble(start_ms, start_ms + _lasting(chance, 10), Status.LOST, debit=False)
    if chance.random() < 0.03 * share:
        start_ms = moment()
        yield _Trouble(start_ms, start_ms + _lasting(chance, 12), debit=False)
    if chance.random() < 0.05 * share:
        start_ms = moment()
        lowered = max(1, round(habit.usual_minor * chance.lognormvariate(1.0, 0.8)))
        yield _Trouble(start_ms, start_ms + _lasting(chance, 20), lower_to=lowered)
    if chance.random() < 0.04 * share:
        start_ms = moment()
        yield _Trouble(start_ms, start_ms + chance.randint(2, 90) * MINUTE_MS, Status.UNSTATED)


def _lasting(chance: random.Random, days: float) -> int:
    return round(chance.expovariate(1 / (days * DAY_MS))) + HOUR_MS


def _attested(
    chance: random.Random, habit: _Habit, limits: Limits, from_ms: int
) -> list[tuple[int, Terms, IdentityTags]]:
    """The bank's attestations in order, each with the tags that the platform compares with it."""
    troubles = list(_troubles(chance, habit, from_ms))
    tags = IdentityTags(chance.randbytes(3), chance.randbytes(3), chance.randbytes(3))
    changes: list[tuple[int, str, int]] = []  # when, which field, when the user updates the platform
    for name, rate in (("phone", 0.05), ("name", 0.01), ("id_document", 0.01)):
        if chance.random() < rate:
            at_ms = from_ms + chance.randrange(max(1, END_MS - from_ms))
            changes.append((at_ms, name, at_ms + _lasting(chance, 6)))
    moments = {from_ms} | {moment for trouble in troubles for moment in (trouble.start_ms, trouble.end_ms)}
    moments |= {moment for at_ms, _, updated_ms in changes for moment in (at_ms, updated_ms)}
    fresh = {name: chance.randbytes(3) for _, name, _ in changes}
    attested = []
    for at_ms in sorted(moment for moment in moments if from_ms <= moment < END_MS):
        present = [each for each in troubles if each.start_ms <= at_ms < each.end_ms]
        status = next((each.status for each in present if each.status is not None), Status.ACTIVE)
        lower_to = min((each.lower_to for each in present if each.lower_to is not None), default=NO_LIMIT)
        terms = Terms(
            status=status,
            debit_allowed=all(each.debit for each in present),
            credit_allowed=status not in {Status.LOST, Status.UNSTATED},
            currency=_CNY,
            effective_at_ms=at_ms,
            limits=replace(
                limits,
                transaction_limit_minor=min(limits.transaction_limit_minor, lower_to),
                daily_limit_minor=min(limits.daily_limit_minor, lower_to),
            ),
            tags=replace(tags, **{name: fresh[name] for start, name, _ in changes if start <= at_ms}),
        )
        expected = replace(tags, **{name: fresh[name] for _, name, updated_ms in changes if updated_ms <= at_ms})
        attested.append((at_ms, terms, expected))
    return attested


def _log_events(life: BindingLife) -> None:
    """The events that a gateway logs for the attestations."""
    previous: Terms | None = None
    for at_ms, terms, expected in life.attested:
        for change in binding_changes(previous, terms, first=previous is None, bound=expected):
            life.events.append((at_ms, change.type.value))
        previous = terms


def _use(life: BindingLife, habit: _Habit, bank: BankLife, chance: random.Random) -> None:
    """Let the user use the account until the end, and decide on each use."""
    starts = [at_ms for at_ms, _, _ in life.attested]
    wishes = [(*wish, False) for wish in _wishes(life, habit, chance)]
    heapq.heapify(wishes)
    failed_monthly = False
    while wishes:
        at_ms, kind, amount_minor, monthly, again = heapq.heappop(wishes)
        terms, expected = life.attested[max(0, bisect_right(starts, at_ms) - 1)][1:]
        if not again and terms.status is not Status.ACTIVE and chance.random() < 0.5:
            continue  # users who know of a freeze or a loss often do not try
        if monthly and failed_monthly and chance.random() < 0.6:
            continue  # the user has found another way to pay
        reason = _decided(life, bank, at_ms, Kind(kind), amount_minor, terms, expected)
        failed_monthly |= monthly and reason is not None
        if reason is not None and not again and chance.random() < 0.3:
            again_ms = at_ms + chance.randint(1, 20) * MINUTE_MS
            if again_ms < END_MS:
                heapq.heappush(wishes, (again_ms, kind, amount_minor, monthly, True))


def _wishes(life: BindingLife, habit: _Habit, chance: random.Random) -> Iterator[tuple[int, str, int, bool]]:
    for day in range(max(0, (life.bound_at_ms - START_MS) // DAY_MS + 1), DAYS):
        midnight_ms = START_MS + day * DAY_MS
        growth = habit.growth ** (day / DAYS)
        gap, hours = habit.a_day, 0.0
        while (hours := hours + chance.expovariate(gap) if gap else 1.0) < 1.0:
            hour = (habit.hour + chance.gauss(0, 2.5)) % 24
            kind = Kind.WITHDRAWAL if chance.random() < habit.withdraws else Kind.PAYMENT
            amount = habit.usual_minor * growth * chance.lognormvariate(0, habit.spread)
            yield midnight_ms + round(hour * HOUR_MS), kind.value, max(1, round(amount)), False
        date = datetime.fromtimestamp((midnight_ms + OFFSET_MS) // 1000, UTC).date()
        if habit.month_day is not None and date.day == habit.month_day:
            moved_ms = chance.randrange(9 * HOUR_MS, 21 * HOUR_MS) + (DAY_MS if chance.random() < 0.15 else 0)
            if midnight_ms + moved_ms < END_MS:
                yield midnight_ms + moved_ms, Kind.PAYMENT.value, habit.month_minor, True


def _decided(
    life: BindingLife, bank: BankLife, at_ms: int, kind: Kind, amount_minor: int, terms: Terms, expected: IdentityTags
) -> Reason | None:
    age_ms = _BOUND_MS + MINUTE_MS if bank.is_silent(at_ms) else 1_000
    made = decide(
        Question(kind, amount_minor, _CNY),
        record=Record(1, bytes(26), bytes(32), at_ms - age_ms, suspended=False),
        terms=terms,
        expected=expected,
        ended=False,
        floor=0,
        used=life.used(kind, at_ms),
        policy=_POLICY,
        now_ms=at_ms,
    )
    life.uses.append(Use(at_ms, kind, amount_minor, made.reason is not None and made.reason not in NOT_OF_THE_BINDING))
    life.reasons.append(made.reason)
    if made.reason is None:
        day = (at_ms + OFFSET_MS) // DAY_MS
        life.used_minor[kind][day] = life.used_minor[kind].get(day, 0) + amount_minor
    return made.reason


def judged(terms: Terms, expected: IdentityTags, kind: Kind, now_ms: int) -> Decision:
    """The decision on the smallest such transaction, from the attestation alone."""
    return decide(
        Question(kind, 1, _CNY),
        record=Record(1, bytes(26), bytes(32), now_ms, suspended=False),
        terms=terms,
        expected=expected,
        ended=False,
        floor=0,
        used=Used(0, 0, 0),
        policy=_POLICY,
        now_ms=now_ms,
    )
