"""Workers: background tasks of the node, run step by step, each in its own thread, until it is stopped.

A step that fails with a `StandingError` is tried again at growing intervals, and its text is the worker's trouble until
it succeeds. A step that fails otherwise is a fault of this program and ends the worker visibly.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from standing.ledger.errors import StandingError, Unavailable

_SLOWEST_RETRY_S = 60.0
_END_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Task:
    """A worker's task. `step` does everything that is due and returns; it is called again after `every_ms`.

    `step` gets the event that says "stop soon". `close` releases the task's resources when the worker ends.
    """

    name: str
    every_ms: int
    step: Callable[[threading.Event], None]
    close: Callable[[], None] | None = None


class Worker:
    """Runs one task in a thread."""

    def __init__(self, task: Task) -> None:
        self.task = task
        #: Why the task makes no progress; None while all is well.
        self.trouble: str | None = None
        #: Whether an operator must act; else it is an outage that may pass.
        self.stopped = False
        #: Whether a fault of this program has ended it.
        self.ended = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=task.name, daemon=True)

    @property
    def named_trouble(self) -> str:
        """The trouble after the task's name, which many a text has in front already."""
        return f"{self.task.name}: {(self.trouble or '').removeprefix(f'{self.task.name}: ')}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the worker to end; `join` waits for that."""
        self._stop.set()

    def join(self, timeout_s: float) -> None:
        """Wait until the present step has ended, at most `timeout_s`."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._repeat()
        finally:
            if self.task.close is not None:
                self.task.close()

    def _repeat(self) -> None:
        log = structlog.get_logger().bind(worker=self.task.name)
        failures = 0
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            try:
                self.task.step(self._stop)
            except StandingError as error:
                failures += 1
                if str(error) != self.trouble:
                    log.error("worker_in_trouble", reason=str(error))
                self.trouble, self.stopped = str(error), not isinstance(error, Unavailable)
                pause_s = min(_SLOWEST_RETRY_S, self.task.every_ms / 1000 * 2 ** min(failures, 16))
            except BaseException as error:
                # Kept for the status too. The text may hold anything, so only the type is shown.
                self.trouble = f"ended by an unexpected {type(error).__name__}; see the log, and restart the node"
                self.ended = True
                log.critical("worker_ended", error=type(error).__name__)
                raise
            else:
                if self.trouble is not None:
                    log.info("worker_recovered")
                self.trouble, self.stopped, failures = None, False, 0
                pause_s = self.task.every_ms / 1000


class Workers:
    """All workers of a node. They run while the node leads, and can be started again after they were stopped."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tuple(tasks)
        self._workers: list[Worker] = []

    @property
    def troubles(self) -> list[str]:
        """The trouble of each worker that makes no progress."""
        return [worker.named_trouble for worker in self._workers if worker.trouble is not None]

    def stopped(self, name: str) -> str | None:
        """The trouble of the worker of this name, where it cannot pass without an operator; else None."""
        return next((w.trouble for w in self._workers if w.task.name == name and w.stopped), None)

    @property
    def ended(self) -> list[str]:
        """The troubles of workers that need a restart of the node."""
        return [worker.named_trouble for worker in self._workers if worker.ended]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run every task while the block runs."""
        self._workers = [Worker(task) for task in self.tasks]
        for worker in self._workers:
            worker.start()
        try:
            yield
        finally:
            for worker in self._workers:
                worker.stop()
            for worker in self._workers:
                worker.join(_END_TIMEOUT_S)
