"""Group commit, and group look-up: jobs that are waiting at the same moment share one database transaction, in a
thread."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from standing.ledger.errors import Overloaded, StandingError

_RETRY_AFTER_S = 1

Job = TypeVar("Job")
Result = TypeVar("Result")


class _Waiting(NamedTuple, Generic[Job, Result]):
    job: Job
    result: asyncio.Future[Result]
    submitted_s: float


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
        self._waiting: deque[_Waiting[Job, Result]] = deque()
        self._running = False
        self._free = asyncio.Event()
        self._free.set()

    async def turn(self) -> None:
        """Return once no batch is being written. All waiters continue at the same moment.

        A job prepared earlier would only wait. Prepared now, it reflects the present, and jobs that are prepared
        together can share work.
        """
        await self._free.wait()

    def submit(self, job: Job) -> asyncio.Future[Result]:
        """Do `job` in the next batch. It is done even if the caller goes away in the meantime.

        Not a coroutine: a batch submits a hundred at once, and would need a task for each. Returns: the future of its
        result, or of the error that `commit` returns for it. Raises: Overloaded.
        """
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded(f"{self._max_waiting} transactions are already waiting", _RETRY_AFTER_S)
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        self._waiting.append(_Waiting(job, result, loop.time()))
        if not self._running:
            self._running = True
            loop.call_soon(self._start)  # on the loop's next turn, so that all jobs of this turn join
        return result

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
        committing = asyncio.get_running_loop().run_in_executor(
            self._executor, self._commit, [each.job for each in batch]
        )
        committing.add_done_callback(partial(self._finish, batch))

    def _finish(
        self,
        batch: list[_Waiting[Job, Result]],
        committing: "asyncio.Future[Sequence[Result | StandingError]]",
    ) -> None:
        self._free.set()
        self._start()
        if committing.cancelled():
            for each in batch:
                each.result.cancel()
            return
        now_s = asyncio.get_running_loop().time()
        error = committing.exception()
        outcomes = committing.result() if error is None else [error] * len(batch)
        for (_, result, submitted_s), outcome in zip(batch, outcomes, strict=True):
            if self._observe_s is not None:
                self._observe_s(now_s - submitted_s)
            if result.done():  # its caller has gone
                continue
            if isinstance(outcome, BaseException):
                result.set_exception(outcome)
            else:
                result.set_result(outcome)
