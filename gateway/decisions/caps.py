"""The bank's limits in the direction of one transaction, and their usage. Pure."""

from dataclasses import dataclass
from datetime import date

from standing.gateway.decisions.question import Kind
from standing.ledger.attestations.limits import Limits
from standing.ledger.attestations.money import NO_LIMIT


@dataclass(frozen=True, slots=True)
class Caps:
    """The bank's limits in one direction, in minor units; NO_LIMIT where it states none."""

    transaction_minor: int
    daily_minor: int
    monthly_minor: int
    yearly_minor: int


@dataclass(frozen=True, slots=True)
class Used:
    """The amounts reserved and captured in one direction, in minor units, in the bank's day, month and year.

    The month and the year are None without a limit: they are added up only for accounts that have one.
    """

    day_minor: int
    month_minor: int | None = None
    year_minor: int | None = None


def caps_of(limits: Limits, kind: Kind) -> Caps:
    """The limits that apply to a kind of transaction: debits for a payment, credits for a withdrawal.

    Banks cap credits by day and year only, so a withdrawal has no other limits.
    """
    if kind is Kind.PAYMENT:
        return Caps(
            limits.transaction_limit_minor,
            limits.daily_limit_minor,
            limits.monthly_limit_minor,
            limits.yearly_limit_minor,
        )
    return Caps(NO_LIMIT, limits.daily_credit_limit_minor, NO_LIMIT, limits.yearly_credit_limit_minor)


def month_of(day: date) -> tuple[date, date]:
    """The first day of a day's month, and the first of the next one."""
    first = day.replace(day=1)
    return first, first.replace(year=day.year + day.month // 12, month=day.month % 12 + 1)


def year_of(day: date) -> tuple[date, date]:
    """The first day of a day's year, and the first of the next one."""
    return date(day.year, 1, 1), date(day.year + 1, 1, 1)
