"""Puts together, from the settings, the services that grant bindings."""

from collections.abc import Callable

from standing.ledger.clock import Clock
from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault
from standing.node.bindings.granting import Granting
from standing.node.bindings.micro_deposit import MicroDeposits
from standing.node.bindings.payout import FilePayout
from standing.node.bindings.service import Bindings
from standing.node.bindings.settings import MicroDepositSettings, VelocitySettings
from standing.node.fault_points import Faults
from standing.node.publishing.outbox import Issuer


def make_bindings(
    micro_deposit: MicroDepositSettings,
    velocity: VelocitySettings,
    database: Database,
    vault: Vault,
    issuer: Issuer,
    clock: Clock,
    on_change: Callable[[], None],
    faults: Faults,
) -> tuple[Bindings, MicroDeposits]:
    """Bindings, and the micro-deposits that some of them need first."""
    folder = micro_deposit.payout_folder
    granting = Granting(issuer, clock)
    deposits = MicroDeposits(
        database,
        vault,
        granting,
        clock,
        micro_deposit.rules(),
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
        rates=velocity.rates(),
        on_change=on_change,
        faults=faults,
    )
    return bindings, deposits
