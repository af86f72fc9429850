"""Group commit, and group look-up: jobs that are waiting at the same moment share one database transaction, in a
thread."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Generic, TypeVar

from standing.ledger.errors import Overloaded, StandingError

_RETRY_AFTER_S = 1

Job = TypeVar("Job")
Result = TypeVar("Result")


class GroupCommit(Generic[Job, Result]):
    """Passes batches of waiting jobs to `commit`, one batch at a time, and gives each job its own result or error.

    `commit` runs in `executor`, does all jobs in one transaction in the order given, and returns one result or one
    StandingError for each. If it raises, nothing of the batch was committed, and every job gets that error. `observe_s`
    gets the duration of each job, including its wait.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Job]], Sequence[Result | StandingError]],
        executor: Executor,
        *,
        max_waiting: int,
        max_batch: int = 256,
        observe_s: Callable[[float], None] | None = None,
    ) -> None:
        self._commit = commit
        self._executor = executor
        self._max_waiting = max_waiting
        self._max_batch = max_batch
        self._observe_s = observe_s
        self._waiting: deque[tuple[Job, asyncio.Future[Result]]] = deque()
        self._running = False
        self._free = asyncio.Event()
        self._free.set()

    async def turn(self) -> None:
        """Return once no batch is being written. All waiters continue at the same moment.

        A job prepared earlier would only wait. Prepared now, it reflects the present, and jobs that are prepared
        together can share work.
        """
        await self._free.wait()

    async def submit(self, job: Job) -> Result:
        """Do `job` in the next batch. It is done even if the caller goes away in the meantime.

        Raises: Overloaded; whatever `commit` returns for it.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded(f"{self._max_waiting} transactions are already waiting", _RETRY_AFTER_S)
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((job, result))
        if not self._running:
            self._running = True
            loop.call_soon(self._start)  # on the loop's next turn, so that all jobs of this turn join
        if self._observe_s is None:
            return await result
        began_s = loop.time()
        try:
            return await result
        finally:
            self._observe_s(loop.time() - began_s)

    @property
    def waiting(self) -> int:
        """How many jobs wait for a batch."""
        return len(self._waiting)

    def _start(self) -> None:
        if not self._waiting:
            self._running = False
            return
        self._free.clear()
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._max_batch))]
        committing = asyncio.get_running_loop().run_in_executor(self._executor, self._commit, [job for job, _ in batch])
        committing.add_done_callback(partial(self._finish, [result for _, result in batch]))

    def _finish(
        self,
        results: list[asyncio.Future[Result]],
        committing: "asyncio.Future[Sequence[Result | StandingError]]",
    ) -> None:
        self._free.set()
        self._start()
        if committing.cancelled():
            for result in results:
                result.cancel()
            return
        error = committing.exception()
        outcomes = committing.result() if error is None else [error] * len(results)
        for result, outcome in zip(results, outcomes, strict=True):
            if result.done():  # its caller has gone
                continue
            if isinstance(outcome, BaseException):
                result.set_exception(outcome)
            else:
                result.set_result(outcome)
