"""The process's limit of open files, and how a service divides it between its clients and its own files."""

import os
import sys

if os.name == "posix":
    import resource

#: Enough for thousands of clients. Each may hold 64 KiB of an unfinished request, so more is left to the operator.
_ENOUGH = 8_192
_MAX_BACKLOG = 2_048  # uvicorn's own


def raise_limit() -> None:
    """Allow this process 8,192 open files, or as many as it may have, where its limit is lower: systemd's is 1,024."""
    if os.name == "posix":
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _ENOUGH if hard == resource.RLIM_INFINITY else min(_ENOUGH, hard)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def backlog() -> int:
    """How many connections may wait to be accepted. All that wait are accepted at once, before any can be refused."""
    return min(_MAX_BACKLOG, _limit() // 8)


def max_connections() -> int:
    """How many clients may be connected at once. The rest is for those just accepted, and for the process itself."""
    return _limit() - 2 * backlog()


def _limit() -> int:
    if os.name != "posix":
        return sys.maxsize
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
