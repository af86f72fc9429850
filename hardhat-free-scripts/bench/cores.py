"""The cores of a benchmark: the measured server runs on the first one, and everything else on the others.

The load generator, the ledger's node, a bank and Redis would otherwise take turns with the server on its core, and a
latency would be theirs as much as the server's. On a machine with one core, and on
a system without processor affinity, nothing changes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

#: Those that the benchmark was started with; none where the system has no processor affinity.
_ALL = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else frozenset()
_OTHERS = frozenset(sorted(_ALL)[1:]) or _ALL


@contextmanager
def beside_server() -> Iterator[None]:
    """Leave the first core to the server: for this thread, and for what it starts in the block."""
    with _limited(_OTHERS):
        yield


@contextmanager
def for_server() -> Iterator[None]:
    """Let a server that is started in the block choose among all cores; it pins itself to the first one."""
    with _limited(_ALL):
        yield


@contextmanager
def _limited(cores: frozenset[int]) -> Iterator[None]:
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
