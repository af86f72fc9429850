"""The facts of one binding from which its risk of failing is computed, and the features made from them. Pure.

A feature is a number from 0 to 1, named after its meaning. A feature about uses is the probability that one of the
coming week's uses fails, if they resemble past ones, on the log-odds scale in which a logistic model adds. Only
counts, times and sums of one binding go in: no name, number, phone, document or user, and no other binding.
docs/EARLY-WARNING.md says why each feature exists; `gateway.warning.risk_words` describes each to the user.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from standing.gateway.decisions.caps import Caps, Used, month_of
from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.rules import Reason
from standing.gateway.events.types import EventType
from standing.ledger.attestations.money import NO_LIMIT
from standing.ledger.clock import DAY_MS

#: Reasons that are not about one binding: those of the whole bank or ledger, which `bank.slowing`, `bank.silent` and
#: `bank.suspended` report, and the platform's own rules.
NOT_OF_THE_BINDING = frozenset(
    {Reason.LEDGER_UNREACHABLE, Reason.LEDGER_ROLLED_BACK, Reason.BANK_SUSPENDED, Reason.BANK_SILENT, Reason.RISK_HOLD}
)
#: The horizon: a probability is that of a use within this time that is not approved.
HORIZON_MS = 7 * DAY_MS
#: How far back a binding's uses and events are considered.
USES_MS = 35 * DAY_MS
EVENTS_MS = 14 * DAY_MS
#: The most uses and events of one binding that count, newest first.
MAX_USES = 120
MAX_EVENTS = 50

_RATE_DAYS = 28
_WEEK_DAYS = HORIZON_MS // DAY_MS
_LATELY_MS = 7 * DAY_MS
_DUE_DAYS = 7
_FLICKERS = 4
_LIKE_THE_LAST = 30
_LEAST = 0.005
_SPREAD_OF = 6
_LEAST_SPREAD = 0.1
_STATUS = frozenset(
    kind.value for kind in (EventType.CHANGED, EventType.CLEARED, EventType.FROZEN, EventType.LOST, EventType.UNSTATED)
)


@dataclass(frozen=True, slots=True)
class Use:
    """One decision on a binding. `failed`: it was not approved, for a reason outside `NOT_OF_THE_BINDING`."""

    at_ms: int
    kind: Kind
    amount_minor: int
    failed: bool


@dataclass(frozen=True, slots=True)
class Calendar:
    """The time of a run in a bank's time zone. `due`: the coming days, one month
    earlier."""

    now_ms: int
    offset_ms: int
    month_left_days: int
    due: tuple[tuple[int, int], ...]

    @classmethod
    def at(cls, now_ms: int, offset_ms: int) -> "Calendar":
        """The calendar at a moment. `offset_ms`: how far the zone is ahead of UTC then."""
        today = datetime.fromtimestamp((now_ms + offset_ms) // 1000, UTC).date()
        _, next_month = month_of(today)
        due = []
        for each in range(_DUE_DAYS):
            day = today + timedelta(days=each)
            before = month_of(day)[0] - timedelta(days=1)
            at = before.replace(day=min(day.day, before.day))
            start_ms = _midnight_ms(at) - offset_ms
            due.append((start_ms, start_ms + DAY_MS))
        return cls(now_ms, offset_ms, (next_month - today).days, tuple(due))


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one binding that are known at the time of a run.

    `uses`, `events`: oldest first; events as time and type. `blocked`: the kinds of transaction that the newest
    attestation does not allow at all. `caps`, `used`: by kind, in the account's currency.
    """

    calendar: Calendar
    bound_at_ms: int
    uses: Sequence[Use]
    events: Sequence[tuple[int, str]]
    blocked: frozenset[Kind]
    caps: Mapping[Kind, Caps]
    used: Mapping[Kind, Used]


#: The features, in the order of a model's weights.
FEATURES = (
    "blocked",
    "over_transaction",
    "over_day",
    "month_left",
    "month_pace",
    "year_pace",
    "due_over_limit",
    "limits_changed",
    "identity_changed",
    "status_changed",
    "status_flickers",
)


def features(facts: Facts) -> dict[str, float]:
    """The features of a binding, each from 0 to 1, in the order of `FEATURES`."""
    now_ms, uses = facts.calendar.now_ms, facts.uses
    days = max(1.0, min(_RATE_DAYS, (now_ms - facts.bound_at_ms) / DAY_MS))
    recent = [use for use in uses if use.at_ms > now_ms - _RATE_DAYS * DAY_MS]
    week = _WEEK_DAYS * max(len(recent), 0.25) / days  # uses to come
    payments = [use.amount_minor for use in uses[-_LIKE_THE_LAST:] if use.kind is Kind.PAYMENT]
    caps, used = facts.caps[Kind.PAYMENT], facts.used[Kind.PAYMENT]
    spent_a_day = sum(use.amount_minor for use in recent if use.kind is Kind.PAYMENT and not use.failed) / days
    blocked = sum(use.kind in facts.blocked for use in uses) / len(uses) if uses else float(bool(facts.blocked))
    soon = _met(week, 1.0)
    return {
        "blocked": _odds(_met(week, blocked)),
        "over_transaction": _odds(_met(week, _share_over(payments, caps.transaction_minor))),
        "over_day": _odds(_met(min(week, _WEEK_DAYS), _days_over(facts))),
        "month_left": _odds(_met(week, _share_over(payments, _left(caps.monthly_minor, used.month_minor)))),
        "month_pace": _pace(
            caps.monthly_minor, used.month_minor, spent_a_day * min(_WEEK_DAYS, facts.calendar.month_left_days)
        ),
        "year_pace": _year_pace(facts, days, recent),
        "due_over_limit": _due_over_limit(facts),
        "limits_changed": soon * _recency(facts, {EventType.LIMITS_CHANGED.value}),
        "identity_changed": soon * _recency(facts, {EventType.IDENTITY_CHANGED.value}),
        "status_changed": soon * _recency(facts, _STATUS),
        "status_flickers": soon * min(1.0, sum(kind in _STATUS for _, kind in facts.events) / _FLICKERS),
    }


def _met(uses: float, share: float) -> float:
    """The probability that at least one of `uses` uses belongs to a share of all uses."""
    return 1 - math.exp(-uses * share)


def _odds(chance: float) -> float:
    """A probability on the log-odds scale: 0 for almost impossible, 1 for almost certain, 0.5 for one half."""
    near = min(1 - _LEAST, max(_LEAST, chance))
    return 0.5 + math.log(near / (1 - near)) / (2 * math.log((1 - _LEAST) / _LEAST))


def _share_over(amounts: Sequence[int], most_minor: int) -> float:
    """The share of amounts like these that is above a limit: the mean of the observed share and of that of a fitted
    log-normal distribution, which also covers amounts not seen yet."""
    if most_minor == NO_LIMIT or not amounts:
        return 0.0
    above = sum(amount > most_minor for amount in amounts) / len(amounts)
    if len(amounts) < _SPREAD_OF or most_minor <= 0:
        return above
    logs = [math.log(amount) for amount in amounts]
    mean = sum(logs) / len(logs)
    spread = math.sqrt(sum((each - mean) ** 2 for each in logs) / (len(logs) - 1))
    tail = 0.5 * math.erfc((math.log(most_minor) - mean) / (max(spread, _LEAST_SPREAD) * math.sqrt(2)))
    return (above + tail) / 2


def _left(cap_minor: int, used_minor: int | None) -> int:
    return NO_LIMIT if cap_minor == NO_LIMIT else max(0, cap_minor - (used_minor or 0))


def _days_over(facts: Facts) -> float:
    """The share of days whose sum is above the daily limit, for the kind where it is greatest."""
    worst = 0.0
    for kind in Kind:
        cap_minor = facts.caps[kind].daily_minor
        if cap_minor == NO_LIMIT:
            continue
        sums: dict[int, int] = {}
        for use in facts.uses:
            if use.kind is kind:
                day = (use.at_ms + facts.calendar.offset_ms) // DAY_MS
                sums[day] = sums.get(day, 0) + use.amount_minor
        if sums:
            worst = max(worst, _share_over(list(sums.values()), cap_minor))
    return worst


def _pace(cap_minor: int, used_minor: int | None, to_come_minor: float) -> float:
    """How likely it is that a period's limit is reached: 0 up to three quarters of it, 1 from five quarters on."""
    if cap_minor == NO_LIMIT:
        return 0.0
    share = ((used_minor or 0) + to_come_minor) / max(1, cap_minor)
    return min(1.0, max(0.0, 2 * share - 1.5))


def _year_pace(facts: Facts, days: float, recent: Sequence[Use]) -> float:
    worst = 0.0
    for kind in Kind:
        cap_minor = facts.caps[kind].yearly_minor
        if cap_minor != NO_LIMIT:
            a_day = sum(use.amount_minor for use in recent if use.kind is kind and not use.failed) / days
            worst = max(worst, _pace(cap_minor, facts.used[kind].year_minor, a_day * _WEEK_DAYS))
    return worst


def _due_over_limit(facts: Facts) -> float:
    """Whether a payment made a month ago, and due again within days, would now exceed a limit."""
    caps, used = facts.caps[Kind.PAYMENT], facts.used[Kind.PAYMENT]
    most_minor = min(
        caps.transaction_minor,
        caps.daily_minor,
        _left(caps.monthly_minor, used.month_minor),
        _left(caps.yearly_minor, used.year_minor),
    )
    if most_minor == NO_LIMIT:
        return 0.0
    return float(
        any(
            use.kind is Kind.PAYMENT
            and use.amount_minor > most_minor
            and any(start <= use.at_ms < end for start, end in facts.calendar.due)
            for use in facts.uses
        )
    )


def _recency(facts: Facts, kinds: Collection[str]) -> float:
    """1 right after the newest such event, falling to 0 over a week."""
    newest = max((at_ms for at_ms, kind in facts.events if kind in kinds), default=None)
    return 0.0 if newest is None else max(0.0, 1 - (facts.calendar.now_ms - newest) / _LATELY_MS)


def _midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
