"""What grants bindings, put together from the settings."""

from collections.abc import Callable

from ledger.clock import Clock
from ledger.service.database import Database
from ledger.service.vault import Vault
from node.bindings import Bindings
from node.faults import Faults
from node.granting import Granting
from node.micro_deposit import MicroDeposits
from node.outbox import Issuer
from node.payout import FilePayout
from node.settings import NodeSettings


def make_bindings(
    settings: NodeSettings,
    database: Database,
    vault: Vault,
    issuer: Issuer,
    clock: Clock,
    on_change: Callable[[], None],
    faults: Faults,
) -> tuple[Bindings, MicroDeposits]:
    """Bindings, and the micro-deposits that some of them need first."""
    folder = settings.micro_deposit.payout_folder
    granting = Granting(issuer, clock)
    deposits = MicroDeposits(
        database,
        vault,
        granting,
        clock,
        settings.micro_deposit.rules(),
        None if folder is None else FilePayout(folder),
        faults,
    )
    bindings = Bindings(
        database,
        vault,
        issuer,
        clock,
        granting=granting,
        deposits=deposits,
        rates=settings.velocity.rates(),
        on_change=on_change,
        faults=faults,
    )
    return bindings, deposits
