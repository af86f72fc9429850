"""Group commit: shared transactions, their order, and the attribution of errors."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from standing.gateway.storage.group_commit import GroupCommit
from standing.ledger.errors import Conflict, Overloaded, StandingError

pytestmark = pytest.mark.anyio


class Committer:
    """Doubles each job; waits at `gate`; fails a whole batch that holds 13, and a negative job alone."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.threads: set[str] = set()
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, jobs: Sequence[int]) -> list[int | StandingError]:
        self.batches.append(list(jobs))
        self.threads.add(threading.current_thread().name)
        self.entered.set()
        assert self.gate.wait(20)
        if 13 in jobs:
            raise ZeroDivisionError("the whole transaction fails")
        return [job * 2 if job >= 0 else Conflict("negative") for job in jobs]


def group(committer: Committer, executor: ThreadPoolExecutor, max_waiting: int = 100) -> GroupCommit[int, int]:
    return GroupCommit(committer, executor, max_waiting=max_waiting, max_batch=4)


async def test_waiting_jobs_share_a_batch_in_order_and_batches_are_bounded() -> None:
    committer = Committer()
    with ThreadPoolExecutor(1, "writer") as executor:
        commits = group(committer, executor)
        assert await asyncio.gather(*(commits.submit(job) for job in range(10))) == [job * 2 for job in range(10)]
    assert committer.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert committer.threads == {"writer_0"}


async def test_jobs_arriving_while_a_batch_is_written_wait_for_the_next() -> None:
    committer = Committer()
    committer.gate.clear()
    with ThreadPoolExecutor(1) as executor:
        commits = group(committer, executor)
        first = commits.submit(1)
        assert await asyncio.to_thread(committer.entered.wait, 20)
        later = [commits.submit(job) for job in (2, 3)]
        committer.gate.set()
        assert await asyncio.gather(first, *later) == [2, 4, 6]
    assert committer.batches == [[1], [2, 3]]


async def test_turn_waits_for_the_batch_being_written_whether_it_succeeds_or_fails() -> None:
    committer = Committer()
    with ThreadPoolExecutor(1) as executor:
        commits = group(committer, executor)
        await commits.turn()  # returns at once when nothing is being written
        for job in (1, 13):
            committer.gate.clear()
            committer.entered.clear()
            written = commits.submit(job)
            assert await asyncio.to_thread(committer.entered.wait, 20)
            turns = [asyncio.create_task(commits.turn()) for _ in range(3)]
            cancelled = asyncio.create_task(commits.turn())
            await asyncio.sleep(0)
            cancelled.cancel()  # a cancelled caller affects no other
            done, _ = await asyncio.wait(turns, timeout=0.05)
            assert not done
            committer.gate.set()
            await asyncio.gather(*turns)
            await asyncio.wait({written})
            assert (written.exception() is None) == (job == 1)


async def test_an_error_of_one_job_fails_no_other() -> None:
    with ThreadPoolExecutor(1) as executor:
        commits = group(Committer(), executor)
        good, bad, also = await asyncio.gather(
            commits.submit(1), commits.submit(-1), commits.submit(2), return_exceptions=True
        )
    assert (good, also) == (2, 4)
    assert isinstance(bad, Conflict)


async def test_an_error_of_the_transaction_fails_the_whole_batch_and_the_next_one_works() -> None:
    with ThreadPoolExecutor(1) as executor:
        commits = group(Committer(), executor)
        failed = await asyncio.gather(*(commits.submit(job) for job in (12, 13)), return_exceptions=True)
        assert [type(each) for each in failed] == [ZeroDivisionError] * 2
        assert await commits.submit(5) == 10


async def test_jobs_beyond_the_bound_are_refused() -> None:
    committer = Committer()
    committer.gate.clear()
    with ThreadPoolExecutor(1) as executor:
        commits = group(committer, executor, max_waiting=2)
        waiting = [commits.submit(job) for job in (1, 2)]
        with pytest.raises(Overloaded):
            commits.submit(3)
        committer.gate.set()
        assert await asyncio.gather(*waiting) == [2, 4]
    assert [job for batch in committer.batches for job in batch] == [1, 2]


async def call(commits: GroupCommit[int, int], job: int) -> int:
    return await commits.submit(job)


async def test_a_job_whose_caller_was_cancelled_is_still_done() -> None:
    committer = Committer()
    committer.gate.clear()
    with ThreadPoolExecutor(1) as executor:
        commits = group(committer, executor)
        cancelled, stays = (asyncio.create_task(call(commits, job)) for job in (1, 2))
        assert await asyncio.to_thread(committer.entered.wait, 20)
        cancelled.cancel()
        await asyncio.sleep(0)
        committer.gate.set()
        assert await stays == 4
    assert committer.batches == [[1, 2]]
