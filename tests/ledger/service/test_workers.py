"""Worker processes behind one watcher: each test observes a watcher from outside, as a service manager does."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import wait_until

#: Each worker writes its process id, records each SIGHUP, and ends like uvicorn: by the signal itself.
_PROGRAM = """
import os, signal, sys
from pathlib import Path
from standing.ledger.service import workers

folder, young_s = Path(sys.argv[1]), float(sys.argv[2])

def work(number):
    if hasattr(os, "sched_setaffinity"):
        workers.pin(number)
    if (folder / "broken").exists():
        raise SystemExit(7)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP, signal.SIGTERM})
    mine = folder / f"{os.getpid()}.worker"
    (folder / f"{os.getpid()}.number").write_text(str(number))
    mine.write_text("")
    while (received := signal.sigwait({signal.SIGHUP, signal.SIGTERM})) == signal.SIGHUP:
        mine.write_text("hung up")
    mine.rename(folder / f"{os.getpid()}.ended")

workers._YOUNG_S = young_s
sys.exit(workers.run_workers(2, work))
"""


class Watched:
    """A watcher and the files that its workers wrote."""

    def __init__(self, folder: Path, *, young_s: float, before: str = "") -> None:
        self.folder = folder
        self.process = subprocess.Popen([sys.executable, "-c", before + _PROGRAM, str(folder), str(young_s)])

    def workers(self) -> dict[int, str]:
        return {int(file.stem): file.read_text() for file in self.folder.glob("*.worker")}

    def number(self, pid: int) -> int:
        return int((self.folder / f"{pid}.number").read_text())

    def ended(self) -> set[int]:
        return {int(file.stem) for file in self.folder.glob("*.ended")}

    def both(self) -> dict[int, str]:
        wait_until(lambda: len(self.workers()) == 2)
        return self.workers()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    started = Watched(tmp_path, young_s=0)
    yield started
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_stop_ends_all_workers_and_then_the_watcher_without_an_error(
    watched: Watched, number: signal.Signals
) -> None:
    pids = set(watched.both())
    watched.process.send_signal(number)
    assert watched.process.wait(30) == 0
    assert watched.ended() == pids


def test_sighup_reaches_every_worker(watched: Watched) -> None:
    pids = set(watched.both())
    watched.process.send_signal(signal.SIGHUP)
    wait_until(lambda: watched.workers() == dict.fromkeys(pids, "hung up"))


def test_a_dead_worker_is_restarted_and_the_others_keep_running(watched: Watched) -> None:
    one, other = watched.both()
    os.kill(one, signal.SIGKILL)
    wait_until(lambda: len(watched.workers()) == 3)
    (new,) = watched.workers().keys() - {one, other}
    assert (watched.number(new), watched.number(other)) in {(0, 1), (1, 0)}
    watched.process.terminate()
    assert watched.process.wait(30) == 0
    assert one not in watched.ended()
    assert len(watched.ended()) == 2


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no processor affinity")
def test_pinned_workers_keep_to_one_core_each_and_share_none_while_there_are_enough(watched: Watched) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    cores = {watched.number(pid): os.sched_getaffinity(pid) for pid in watched.both()}
    assert cores == {number: {allowed[number % len(allowed)]} for number in range(2)}


def test_the_end_of_a_child_that_is_no_worker_changes_nothing(tmp_path: Path) -> None:
    """The first process of a container inherits the children of processes that have ended, such as health checks."""
    heir = (
        "import ctypes, os, subprocess, sys\n"
        "ctypes.CDLL(None).prctl(36, 1)\n"  # PR_SET_CHILD_SUBREAPER
        "orphan = '(read line; exit 3) < {} & echo'.format(sys.argv[1] + '/fifo')\n"
        "subprocess.run(['sh', '-c', orphan], check=True)\n"
    )
    os.mkfifo(tmp_path / "fifo")
    watched = Watched(tmp_path, young_s=0, before=heir)
    pids = set(watched.both())
    (tmp_path / "fifo").write_text("now\n")  # waits until the orphan reads
    os.kill(min(pids), signal.SIGKILL)  # … and a worker that ends later is handled as usual
    wait_until(lambda: len(watched.workers()) == 3)
    watched.process.terminate()
    assert watched.process.wait(30) == 0


def test_a_worker_that_dies_at_start_up_stops_all_with_its_exit_code(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    assert Watched(tmp_path, young_s=60).process.wait(30) == 7


def test_workers_exit_when_their_watcher_is_killed(watched: Watched) -> None:
    pids = set(watched.both())
    watched.process.kill()
    watched.process.wait()
    wait_until(lambda: watched.ended() == pids)
