"""The state of scoring, for operators, and runs on request."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.warning import risk_store
from standing.gateway.warning.risk_model import RiskModel
from standing.gateway.warning.risk_store import LastRun, RiskFigures
from standing.gateway.warning.settings import WarningSettings
from standing.ledger.clock import Clock
from standing.ledger.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class ScoringState:
    """The state of scoring. `model`: None where the stored one is of another version, and learning starts again.
    `waiting`: scores whose outcome is not known yet. `left_out`: users who opted out."""

    figures: RiskFigures
    last: LastRun | None
    asked_at_ms: int | None
    learned_at_ms: int | None
    model: RiskModel | None
    waiting: int
    left_out: int


class Scoring:
    """Reports the state of scoring, and requests runs. Raises StorageUnavailable."""

    def __init__(self, storage: Storage, clock: Clock, settings: WarningSettings, wake: Callable[[], None]) -> None:
        self._storage = storage
        self._clock = clock
        self._wake = wake
        self.settings = settings

    async def state(self) -> ScoringState:
        """The state of scoring now."""

        def read() -> ScoringState:
            with self._storage.read() as connection:
                return self._read(connection)

        return await self._storage.reading(read)

    async def ask(self) -> ScoringState:
        """Request a run. The leading process starts it within seconds; a request during a run leads to another one."""
        now_ms = self._clock.now_ms()

        def write(connection: Connection) -> ScoringState:
            risk_store.ask_for_run(connection, now_ms)
            return self._read(connection)

        state: ScoringState = await self._storage.writing(self._storage.write_all, write)
        self._wake()
        return state

    def _read(self, connection: Connection) -> ScoringState:
        try:
            model: RiskModel | None = risk_store.load_model(connection)
        except InvalidValue:
            model = None
        kept = schema.risk_samples
        return ScoringState(
            figures=risk_store.figures(connection, self.settings.warn_per_mille),
            last=risk_store.last_run(connection),
            asked_at_ms=risk_store.asked_at_ms(connection),
            learned_at_ms=risk_store.learned_at_ms(connection),
            model=model,
            waiting=connection.scalar(select(func.count()).select_from(kept)) or 0,
            left_out=connection.scalar(select(func.count()).select_from(schema.risk_opt_outs)) or 0,
        )
