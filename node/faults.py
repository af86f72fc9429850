"""Named points at which a test may kill the node: right after each of its durable steps.

A node that is killed at any of them, started again, has lost nothing, repeats nothing and signs no number twice.
"""

import os
import signal
from collections.abc import Callable

FAULT_POINTS = (
    "feed_committed",  # the entry is durable, not yet acknowledged
    "grant_committed",  # the binding is durable, its grant not yet answered
    "signed",  # the publication is signed and durable, not yet submitted
    "prepared",  # its transaction is signed and durable, not yet sent
    "submitted",  # the transaction is sent, its receipt not yet seen
    "in_block",  # the ledger has it, and the store knows
)

#: Called with the name of each point as it is reached.
Faults = Callable[[str], None]


def no_faults(_point: str) -> None:
    """Nothing happens."""


def kill_at(wanted: str, times: int = 1) -> Faults:
    """Kill this process with SIGKILL when `wanted` is reached for the `times`-th time.

    Raises: ValueError for a name that is no fault point.
    """
    if wanted not in FAULT_POINTS:
        raise ValueError(f"{wanted} is no fault point; allowed: {', '.join(FAULT_POINTS)}")
    left = times

    def reach(point: str) -> None:
        nonlocal left
        if point == wanted:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return reach
