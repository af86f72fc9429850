"""Off-boarding a platform: it gets no new binding, and its bindings end in bounded batches.

Each batch is one transaction, and the bindings that have not ended are found by a query, so off-boarding continues
after a crash where it stopped.
"""

from pydantic import BaseModel
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from standing.ledger.clock import Clock
from standing.ledger.errors import NotAllowed, NotFound
from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault
from standing.node.accounts.store import AccountStore
from standing.node.bindings.unbinding import end_and_queue
from standing.node.fault_points import Faults, no_faults
from standing.node.publishing import outbox
from standing.node.publishing.outbox import Issuer
from standing.node.storage import schema

BATCH = 200


class PlatformOffBoarded(NotAllowed):
    """The bank has ended its relation with the platform."""


class OffBoarding(BaseModel):
    """The progress of a platform's off-boarding. `finished_at_ms` is null while bindings are left."""

    platform: str
    asked_at_ms: int
    ended: int
    left: int
    finished_at_ms: int | None


def check(connection: Connection, platform: str) -> None:
    """Check that a platform may be granted bindings. Raises: PlatformOffBoarded."""
    table = schema.off_boardings
    if connection.execute(select(table.c.platform).where(table.c.platform == platform)).one_or_none() is not None:
        raise PlatformOffBoarded("this bank has off-boarded the platform; allowed: reading and ending its bindings")


class OffBoardings:
    """Ends all bindings of platforms."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        issuer: Issuer,
        clock: Clock,
        *,
        max_waiting: int,
        faults: Faults = no_faults,
    ) -> None:
        self._database = database
        self._accounts = AccountStore(vault)
        self._issuer = issuer
        self._clock = clock
        self._max_waiting = max_waiting
        self._faults = faults

    def begin(self, platform: str) -> OffBoarding:
        """Grant the platform nothing from now on, and let its bindings end in batches. Safe to call again."""
        with self._database.write() as connection:
            table = schema.off_boardings
            if connection.execute(select(table).where(table.c.platform == platform)).one_or_none() is None:
                connection.execute(insert(table).values(platform=platform, asked_at_ms=self._clock.now_ms(), ended=0))
            state = _document(connection, platform)
        self._faults("off_board_begun")
        return state

    def state(self, platform: str) -> OffBoarding:
        """How far an off-boarding is. Raises: NotFound where none was begun."""
        with self._database.read() as connection:
            return _document(connection, platform)

    def readmit(self, platform: str) -> None:
        """Let the platform be granted bindings again. Ended bindings stay ended. Raises: NotFound."""
        with self._database.write() as connection:
            _document(connection, platform)
            connection.execute(delete(schema.off_boardings).where(schema.off_boardings.c.platform == platform))

    def unfinished(self) -> list[str]:
        """The platforms that have bindings left to end."""
        table = schema.off_boardings
        with self._database.read() as connection:
            query = select(table.c.platform).where(table.c.finished_at_ms.is_(None)).order_by(table.c.asked_at_ms)
            return list(connection.execute(query).scalars())

    def end_batch(self, platform: str) -> OffBoarding:
        """End up to `BATCH` bindings of a platform that is being off-boarded.

        Raises: Overloaded where too much waits for the ledger already, NotFound.
        """
        with self._database.write() as connection:
            state = _document(connection, platform)
            if state.finished_at_ms is not None:
                return state
            outbox.check_room(connection, self._max_waiting)
            ended = 0
            for row in _active(connection, platform):
                account = self._accounts.get(connection, row.account_id)
                now_ms = self._clock.now_ms()
                end_and_queue(connection, self._issuer, account, binding=row.id, platform=platform, now_ms=now_ms)
                ended += 1
            table = schema.off_boardings
            connection.execute(
                update(table)
                .where(table.c.platform == platform)
                .values(
                    ended=table.c.ended + ended, finished_at_ms=self._clock.now_ms() if ended == state.left else None
                )
            )
            state = _document(connection, platform)
        self._faults("off_board_batch")
        return state


def _active(connection: Connection, platform: str) -> list[Row[tuple[bytes, int]]]:
    table = schema.bindings
    query = select(table.c.id, table.c.account_id).where(table.c.platform == platform, table.c.ended_at_ms.is_(None))
    return list(connection.execute(query.limit(BATCH)))


def _document(connection: Connection, platform: str) -> OffBoarding:
    row = connection.execute(
        select(schema.off_boardings).where(schema.off_boardings.c.platform == platform)
    ).one_or_none()
    if row is None:
        raise NotFound("the platform was not off-boarded")
    table = schema.bindings
    left = connection.execute(
        select(func.count()).select_from(table).where(table.c.platform == platform, table.c.ended_at_ms.is_(None))
    ).scalar_one()
    return OffBoarding(
        platform=platform, asked_at_ms=row.asked_at_ms, ended=row.ended, left=left, finished_at_ms=row.finished_at_ms
    )
