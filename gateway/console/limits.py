"""The bank's limits of an account, each with what is left of it, for the bars of the account's page."""

from dataclasses import dataclass

from standing.gateway.bindings.bound import Bound
from standing.gateway.decisions.reservations import used_now
from standing.gateway.decisions.usage import AccountDay, day_of
from standing.gateway.storage.database import Storage
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, currency_code
from standing.ledger.attestations.terms import Terms


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit. `name`: of its sentence; `cap_minor` is None where the bank states none."""

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
    """The limits that the bank states now, with what is used. Raises: StorageUnavailable."""
    currency = currency_code(terms.currency)
    day = AccountDay(bound.account, day_of(now_ms, bound.zone), currency)

    def read() -> int:
        with storage.read() as connection:
            return used_now(connection, {day}, now_ms).get(day, 0)

    used_minor = await storage.reading(read)
    stated = (("transaction", terms.transaction_limit_minor, 0), ("day", terms.daily_limit_minor, used_minor))
    return [
        Limit(name, cap_minor if cap_minor <= MAX_AMOUNT_MINOR else None, used, currency)
        for name, cap_minor, used in stated
    ]
