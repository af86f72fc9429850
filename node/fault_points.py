"""Named points at which a test may kill the node: right after each of its durable steps.

A node that is killed at any of them and started again has lost nothing, repeats nothing and signs no number twice.
"""

import os
import signal
from collections.abc import Callable

FAULT_POINTS = (
    "leadership_taken",  # this node may sign on the store from now on; nothing signed yet
    "feed_committed",  # the entry is durable, not yet acknowledged
    "grant_committed",  # the binding is durable, its grant not yet answered
    "end_committed",  # the end of a binding is durable, not yet acknowledged
    "signed",  # the publication is signed and durable, not yet submitted
    "prepared",  # its transaction is signed and durable, not yet sent
    "submitted",  # the transaction is sent, its receipt not yet seen
    "in_block",  # the ledger has it, and the store knows
)

#: Durable steps that not every node takes: reading the core itself, micro-deposits, off-boarding.
PART_FAULT_POINTS = (
    "file_claimed",  # a feed file is this node's, not yet read
    "file_loaded",  # all of it is taken in, its report not yet written
    "file_reported",  # its report is written, the file not yet moved away
    "file_checksum_moved",  # the checksum that came with it is moved away, the file itself not yet
    "file_moved",  # it is moved away
    "deposit_committed",  # a micro-deposit is durable, its payout not yet ordered
    "deposit_paid",  # its payout is ordered, which the store does not know yet
    "amount_refused",  # a wrong amount is counted, the user not yet answered
    "resync_committed",  # a binding's terms wait to be published again, the caller not yet answered
    "off_board_begun",  # the platform is granted nothing more, the operator not yet answered
    "off_board_batch",  # a batch of bindings has ended, the next not yet
)

#: Durable steps of operators' commands, which can be killed and run again as well.
COMMAND_FAULT_POINTS = (
    "imported",  # the export is in the store
    "recovered",  # the store is level with the ledger, and knows what to state again
    "fed_again",  # the operator's confirmation that the core has fed again is durable
)

#: Called with the name of each point as it is reached.
Faults = Callable[[str], None]


def no_faults(_point: str) -> None:
    """Nothing happens."""


def faults_of(setting: str | None) -> Faults:
    """What the setting `fault_point` asks for. Raises: ValueError, as `kill_at`."""
    return no_faults if setting is None else kill_at(setting)


def kill_at(wanted: str) -> Faults:
    """Kill this process with SIGKILL when `wanted` is reached.

    Raises: ValueError for an unknown fault point.
    """
    known = FAULT_POINTS + PART_FAULT_POINTS + COMMAND_FAULT_POINTS
    if wanted not in known:
        raise ValueError(f"{wanted} is not a fault point; allowed: {', '.join(known)}")

    def reach(point: str) -> None:
        if point == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return reach
