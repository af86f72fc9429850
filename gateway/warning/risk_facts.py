"""What is looked at to tell a binding that may fail at its next use: facts of one binding, and the features made of
them. Pure.

A feature is a number from 0 to 1, named after what it says. Those about uses are how probably one of the week's uses
meets the trouble, if they are like those before, on the scale of log odds, in which a logistic model adds. Counts,
times and sums of one binding enter, and nothing else: no name, number, phone, document, user, or other binding.
docs/EARLY-WARNING.md says why each is there; `gateway.warning.risk_words` says each in words.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from standing.gateway.decisions.caps import Caps, Used, month_of
from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.rules import Reason
from standing.gateway.events.types import EventType
from standing.gateway.warning.hours import HOUR_MS
from standing.ledger.attestations.money import NO_LIMIT

DAY_MS = 24 * HOUR_MS
#: Reasons that are no trouble of one binding: the whole bank's or ledger's, which `bank.slowing`, `bank.silent` and
#: `bank.suspended` tell, and the platform's own opinion.
NOT_OF_THE_BINDING = frozenset(
    {Reason.LEDGER_UNREACHABLE, Reason.LEDGER_ROLLED_BACK, Reason.BANK_SUSPENDED, Reason.BANK_SILENT, Reason.RISK_HOLD}
)
#: A probability is that of a use which is not approved within this time.
HORIZON_MS = 7 * DAY_MS
#: How far back uses, and events of a binding, are looked at.
USES_MS = 35 * DAY_MS
EVENTS_MS = 14 * DAY_MS
#: The most uses and events of one binding that are looked at, newest first.
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
    """One decision of a binding. `failed`: it was not approved, for another reason than `NOT_OF_THE_BINDING`."""

    at_ms: int
    kind: Kind
    amount_minor: int
    failed: bool


@dataclass(frozen=True, slots=True)
class Calendar:
    """The moment of a run in a bank's time zone. `due`: periods of the month before whose days of the month come within
    the next days."""

    now_ms: int
    offset_ms: int
    month_left_days: int
    due: tuple[tuple[int, int], ...]

    @classmethod
    def at(cls, now_ms: int, offset_ms: int) -> "Calendar":
        """`offset_ms`: how far the zone is ahead of UTC at that moment."""
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
    """One binding at the moment of a run, by what was known then.

    `uses`, `events`: oldest first, events as time and type. `blocked`: the kinds that the bank's last word does not
    allow at all. `caps`, `used`: by kind, in the account's currency.
    """

    calendar: Calendar
    bound_at_ms: int
    uses: Sequence[Use]
    events: Sequence[tuple[int, str]]
    blocked: frozenset[Kind]
    caps: Mapping[Kind, Caps]
    used: Mapping[Kind, Used]


#: The features, in the order in which a model states its weights.
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
        "limits_changed": soon * _told_lately(facts, {EventType.LIMITS_CHANGED.value}),
        "identity_changed": soon * _told_lately(facts, {EventType.IDENTITY_CHANGED.value}),
        "status_changed": soon * _told_lately(facts, _STATUS),
        "status_flickers": soon * min(1.0, sum(kind in _STATUS for _, kind in facts.events) / _FLICKERS),
    }


def _met(uses: float, share: float) -> float:
    """How probably at least one of so many uses is among a share of all."""
    return 1 - math.exp(-uses * share)


def _odds(chance: float) -> float:
    """A probability on the scale of log odds: 0 for next to none, 1 for next to certain, a half for one half."""
    near = min(1 - _LEAST, max(_LEAST, chance))
    return 0.5 + math.log(near / (1 - near)) / (2 * math.log((1 - _LEAST) / _LEAST))


def _share_over(amounts: Sequence[int], most_minor: int) -> float:
    """Which share of amounts like these is above a limit: between those that were, and what a logarithmic normal spread
    of them says, which also knows of amounts that have not come yet."""
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
    """The share of the days of use whose sum is above the day's limit, of the kind for which it is greatest."""
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
    """How surely a period's limit is met: 0 up to three quarters of it, 1 from five quarters of it on."""
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
    """Whether a payment of a month ago, whose day of the month comes within days, would be above a limit now."""
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


def _told_lately(facts: Facts, kinds: Collection[str]) -> float:
    """1 right after the newest such event, falling to 0 within a week."""
    newest = max((at_ms for at_ms, told in facts.events if told in kinds), default=None)
    return 0.0 if newest is None else max(0.0, 1 - (facts.calendar.now_ms - newest) / _LATELY_MS)


def _midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
