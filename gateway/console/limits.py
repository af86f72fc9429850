"""The bank's limits on an account with their usage, for the bars on the account page."""

from dataclasses import dataclass

from standing.gateway.bindings.bound import Bound
from standing.gateway.decisions.caps import Used, caps_of
from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.reservations import used_now
from standing.gateway.decisions.usage import AccountDay, day_of
from standing.gateway.storage.database import Storage
from standing.ledger.attestations.money import NO_LIMIT, currency_code
from standing.ledger.attestations.terms import Terms


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. `name`: of its message; `cap_minor` is None if the bank states none."""

    name: str
    cap_minor: int | None
    used_minor: int
    currency: str

    @property
    def left_minor(self) -> int | None:
        return None if self.cap_minor is None else max(0, self.cap_minor - self.used_minor)

    @property
    def used_percent(self) -> int:
        """For a bar, 0 to 100."""
        if not self.cap_minor:
            return 0 if self.cap_minor is None else 100
        return min(100, self.used_minor * 100 // self.cap_minor)


async def limits_of(storage: Storage, bound: Bound, terms: Terms, now_ms: int) -> list[Limit]:
    """The limits that the bank states now, with their usage. The two most requested limits are listed even if the
    bank states none. Raises: StorageUnavailable."""
    currency, today = currency_code(terms.currency), day_of(now_ms, bound.zone)
    days = {kind: AccountDay(bound.account, today, currency, kind) for kind in Kind}
    caps = {days[kind]: caps_of(terms.limits, kind) for kind in Kind}

    def read() -> dict[AccountDay, Used]:
        with storage.read() as connection:
            return used_now(connection, caps, now_ms)

    used = await storage.reading(read)
    paid, withdrawn, limits = used[days[Kind.PAYMENT]], used[days[Kind.WITHDRAWAL]], terms.limits
    stated = (
        ("transaction", limits.transaction_limit_minor, 0),
        ("day", limits.daily_limit_minor, paid.day_minor),
        ("month", limits.monthly_limit_minor, paid.month_minor),
        ("year", limits.yearly_limit_minor, paid.year_minor),
        ("credit-day", limits.daily_credit_limit_minor, withdrawn.day_minor),
        ("credit-year", limits.yearly_credit_limit_minor, withdrawn.year_minor),
    )
    return [
        Limit(name, None if cap_minor == NO_LIMIT else cap_minor, used_minor or 0, currency)
        for name, cap_minor, used_minor in stated
        if cap_minor != NO_LIMIT or name in {"transaction", "day"}
    ]
