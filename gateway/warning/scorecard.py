"""The score card of a bank: the ledger's part, which anyone can recompute, and the gateway's own records."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from standing.gateway.bindings.banks import BankDirectory
from standing.gateway.decisions.policy import Policy
from standing.gateway.storage.database import Storage
from standing.gateway.warning import store
from standing.gateway.warning.hours import Hour, LedgerFigures, edge_for, summary
from standing.gateway.warning.own_figures import OwnFigures, own_figures
from standing.gateway.warning.verdict import Verdict, verdict
from standing.ledger.clock import HOUR_MS, Clock


class Period(StrEnum):
    """The period of a score card: whole hours; the last one may not be over."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def hours(self) -> int:
        return {Period.DAY: 24, Period.WEEK: 7 * 24, Period.MONTH: 30 * 24}[self]

    def starts_ms(self, until_ms: int) -> int:
        """The start of the period that ends with the hour containing a time."""
        end_ms = -(-until_ms // HOUR_MS) * HOUR_MS
        return end_ms - self.hours * HOUR_MS


@dataclass(frozen=True, slots=True)
class ScoreCard:
    """A bank in a period. Times are in ms; `until_ms` is exclusive."""

    bank: str
    period: Period
    from_ms: int
    until_ms: int
    ledger: LedgerFigures
    own: OwnFigures
    verdict: Verdict | None


class ScoreCards:
    """Makes score cards from stored hours, which the follower's leader counts. Never reads the ledger."""

    def __init__(self, *, storage: Storage, banks: BankDirectory, policy: Policy, clock: Clock) -> None:
        self._storage = storage
        self._banks = banks
        self._policy = policy
        self._clock = clock

    def use(self, policy: Policy) -> None:
        """Use another policy's bounds from now on."""
        self._policy = policy

    async def of(self, bic: str, period: Period, until_ms: int | None = None) -> ScoreCard:
        """The score card of a bank, up to now or an earlier time. Raises: InvalidValue (no such bank),
        StorageUnavailable."""
        bank = self._banks.find(bic).bic
        return await self._storage.reading(self._card, bank, period, until_ms or self._clock.now_ms())

    async def hours(self, bic: str, period: Period, until_ms: int) -> dict[int, Hour]:
        """The hours that a bank's score card adds up, by their start. Raises as `of`."""
        bank = self._banks.find(bic).bic

        def read() -> dict[int, Hour]:
            with self._storage.read() as connection:
                return store.hours_between(connection, bank, period.starts_ms(until_ms), until_ms)

        return await self._storage.reading(read)

    async def weeks(self) -> dict[str, LedgerFigures]:
        """Each bank's last week on the ledger. Raises: StorageUnavailable."""

        def read() -> dict[str, LedgerFigures]:
            now_ms = self._clock.now_ms()
            with self._storage.read() as connection:
                return {bank.bic: self._ledger(connection, bank.bic, Period.WEEK, now_ms) for bank in self._banks}

        return await self._storage.reading(read)

    async def verdicts(self) -> dict[str, Verdict | None]:
        """The verdict on each bank, from its last week. Raises: StorageUnavailable."""
        return {bank: verdict(week) for bank, week in (await self.weeks()).items()}

    def _card(self, bank: str, period: Period, until_ms: int) -> ScoreCard:
        from_ms = period.starts_ms(until_ms)
        with self._storage.read() as connection:
            week = self._ledger(connection, bank, Period.WEEK, until_ms)
            return ScoreCard(
                bank=bank,
                period=period,
                from_ms=from_ms,
                until_ms=until_ms,
                ledger=self._ledger(connection, bank, period, until_ms),
                own=own_figures(connection, bank, from_ms, until_ms),
                verdict=verdict(week),
            )

    def _ledger(self, connection: Connection, bank: str, period: Period, until_ms: int) -> LedgerFigures:
        hours = store.hours_between(connection, bank, period.starts_ms(until_ms), until_ms)
        return summary(hours.values(), edge_for(self._policy.widest_staleness_ms))
