"""Several worker processes behind one port of one machine, supervised by the process that was started.

The port is bound once, and each worker inherits it, so that the system hands every new connection to one of them.
Tasks for one process at a time (following, reconciling) are assigned by leader election, as among machines. SIGTERM
and SIGINT stop all workers, each after its requests in progress; SIGHUP reaches all of them. A worker that dies is
restarted; one that dies soon after its start ends the whole service, because a restart would fail the same way.
Workers end with their supervisor, however it ended.

A worker reaches the others through the supervisor: `hang_up_all` makes it send SIGHUP to all of them. Workers are
numbered, so that each can keep to a core of its own (`pin`); a restarted one gets the number of the one that died.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import NamedTuple

import structlog
from typer import Exit

from standing.ledger.service.settings import SettingsError

#: A worker that ends sooner than this after its start is not restarted.
_YOUNG_S = 10.0
_FAILED = 1
#: In a worker: the process id of its supervisor.
_supervisor: int | None = None
_WATCHED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD} if hasattr(signal, "SIGCHLD") else set()


def pin(number: int) -> None:
    """Run this process on one core: core `number` of those that it may use, counted from 0 and over again.

    For a new process: only this thread and those that start later are pinned. Raises: SettingsError where the system
    has no processor affinity.
    """
    if not hasattr(os, "sched_setaffinity"):
        raise SettingsError("pin: this system cannot bind a process to a core; allowed: serve without --pin")
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[number % len(cores)]})


def run_workers(count: int, work: Callable[[int], None]) -> int:
    """Run `work` in `count` processes until all are asked to stop; each is passed its number, from 0. For the main
    thread, before other threads start.

    Returns: the exit code, 0 where all were asked to stop and did. Raises: SettingsError where the system cannot
    fork.
    """
    if not hasattr(os, "fork"):
        raise SettingsError("workers: this system cannot fork; allowed: 1, and several services on ports of their own")
    return _Watch(count, work).run()


def hang_up_all() -> None:
    """Send SIGHUP to all workers, including this one, through their supervisor. For a worker.

    Raises: ProcessLookupError where the supervisor is gone; this worker ends then as well.
    """
    if _supervisor is None or os.getppid() != _supervisor:
        raise ProcessLookupError("the supervisor is gone")  # its successor as parent expects no signal
    os.kill(_supervisor, signal.SIGHUP)


class _Worker(NamedTuple):
    number: int
    began_s: float


class _Watch:
    def __init__(self, count: int, work: Callable[[int], None]) -> None:
        self._count = count
        self._work = work
        self._workers: dict[int, _Worker] = {}  # by process id
        self._exit_code = 0
        self._stopping = False
        self._alive, self._held = os.pipe()  # workers read from it: end of file means that their supervisor is gone

    def run(self) -> int:
        # Blocked, so that none is lost between two checks: `sigwait` receives them one by one.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        try:
            for number in range(self._count):
                self._start(number)
            while self._workers:
                received = signal.sigwait(_WATCHED)
                if received == signal.SIGCHLD:
                    self._reap()
                elif received == signal.SIGHUP:
                    self._send(signal.SIGHUP)
                else:
                    self._stop()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(self._alive)
            os.close(self._held)
        return self._exit_code

    def _start(self, number: int) -> None:
        began_s, supervisor = time.monotonic(), os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(number, supervisor)
        self._workers[pid] = _Worker(number, began_s)

    def _become_worker(self, number: int, supervisor: int) -> None:
        """Do the work, and end the process without running any of the supervisor's code."""
        global _supervisor  # noqa: PLW0603 - set once, before any work of this process
        _supervisor = supervisor
        code = _FAILED
        try:
            os.close(self._held)
            threading.Thread(target=self._end_with_watcher, name="watcher", daemon=True).start()
            # SIGHUP would end a worker that is not ready for it: it stays blocked until `Reloader.on_hangup` unblocks
            # it.
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED - {signal.SIGHUP})
            self._work(number)
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else _FAILED
        except Exit as ended:
            code = ended.exit_code
        except BaseException:  # noqa: BLE001 - the copy of the watcher must not run on
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _end_with_watcher(self) -> None:
        os.read(self._alive, 1)  # nothing is ever written; it returns when the other end is closed
        os.kill(os.getpid(), signal.SIGTERM)

    def _reap(self) -> None:
        """Handle every worker that has ended. One signal may stand for several."""
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            worker = self._workers.pop(pid, None)
            if worker is None or self._stopping:
                continue  # the first process of a container also inherits children that are not workers
            code = os.waitstatus_to_exitcode(status)
            structlog.get_logger().error("worker_ended", worker=pid, exit_code=code)
            if time.monotonic() - worker.began_s < _YOUNG_S:
                self._exit_code = code if code > 0 else _FAILED
                self._stop()
            else:
                self._start(worker.number)

    def _stop(self) -> None:
        self._stopping = True
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        for pid in self._workers:
            os.kill(pid, number)  # it exists until `_reap` has waited for it
