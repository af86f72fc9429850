"""Background work: payout orders not accepted yet, off-boarding, full buckets."""

import threading
from collections.abc import Callable

from standing.ledger.service.database import Database
from standing.node.bindings.certificates import CERTIFICATE_RATE
from standing.node.bindings.micro_deposit import MicroDeposits
from standing.node.bindings.off_boarding import OffBoardings
from standing.node.bindings.resync import RESYNC_RATE
from standing.node.bindings.service import AttemptRates
from standing.node.bindings.velocity import Velocity
from standing.node.workers import Task

_OFTEN_MS = 1_000
_SELDOM_MS = 600_000


def housekeeping_tasks(
    rates: AttemptRates,
    database: Database,
    deposits: MicroDeposits,
    off_boardings: OffBoardings,
    velocity: Velocity,
    on_change: Callable[[], None],
) -> list[Task]:
    """The tasks that every node has."""

    def pay(_stop: threading.Event) -> None:
        deposits.pay_due()

    def off_board(stop: threading.Event) -> None:
        for platform in off_boardings.unfinished():
            while not stop.is_set() and off_boardings.end_batch(platform).finished_at_ms is None:
                on_change()
            on_change()

    def purge(_stop: threading.Event) -> None:
        with database.write() as connection:
            velocity.purge(connection, rates.platform, rates.caller, RESYNC_RATE, CERTIFICATE_RATE)

    return [
        Task("payouts", _OFTEN_MS, pay),
        Task("off_boarding", _OFTEN_MS, off_board),
        Task("velocity", _SELDOM_MS, purge),
    ]
