"""A program's clock is moved without its knowledge, before it starts and while it runs."""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.network.shifted_clock import ClockUnavailable, ShiftedClock, held, why_not

_NOT_HERE = why_not()
_moves = pytest.mark.skipif(_NOT_HERE is not None, reason=str(_NOT_HERE))
#: A machine may be busy between two looks at the clock; the offsets below are far larger.
_SLACK_S = 60
_HOUR_S = 3600
#: Reads the time in every way that libc offers, once per line of input.
_PRINTS_TIMES = """
import ctypes, json, sys, time
libc = ctypes.CDLL(None)
pair = (ctypes.c_long * 2)()
libc.time.restype = ctypes.c_long
for _ in sys.stdin:
    times = {"clock_gettime": time.time(), "monotonic": time.monotonic(), "time": libc.time(None)}
    libc.time(pair)
    times["time, by address"] = pair[0]
    libc.gettimeofday(pair, None)
    times["gettimeofday"] = pair[0]
    times["none asked for"] = libc.gettimeofday(None, None)
    times["system call"] = (libc.syscall(228, 0, pair), pair[0])[1]
    print(json.dumps(times), flush=True)
"""


@contextmanager
def _asked() -> Iterator[tuple[subprocess.Popen[str], ShiftedClock]]:
    command = held([sys.executable, "-c", _PRINTS_TIMES])
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        yield process, ShiftedClock(process.pid)


def _times(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    times: dict[str, Any] = json.loads(process.stdout.readline())
    return times


@_moves
@pytest.mark.parametrize("off_s", [_HOUR_S, -_HOUR_S])
def test_the_time_of_a_running_process_is_moved_and_its_spans_are_not(off_s: int) -> None:
    with _asked() as (process, clock):
        for by_s in (0, off_s, 0):
            clock.move(by_s * 1000)
            times = _times(process)
            assert times.pop("monotonic") == pytest.approx(time.monotonic(), abs=_SLACK_S)
            assert times.pop("none asked for") == 0
            assert times.pop("system call") == pytest.approx(time.time(), abs=_SLACK_S)
            assert times == {name: pytest.approx(time.time() + by_s, abs=_SLACK_S) for name in times}
            assert sorted(times) == ["clock_gettime", "gettimeofday", "time", "time, by address"]


@_moves
def test_a_c_program_has_the_moved_clock_from_its_first_instruction() -> None:
    date = subprocess.Popen(held(["date", "+%s"]), stdout=subprocess.PIPE, text=True)
    ShiftedClock(date.pid, _HOUR_S * 1000)
    assert float(date.communicate()[0]) == pytest.approx(time.time() + _HOUR_S, abs=_SLACK_S)


@_moves
def test_a_program_started_by_a_moved_one_has_the_machines_clock() -> None:
    shell = subprocess.Popen(held(["sh", "-c", "date +%s; true"]), stdout=subprocess.PIPE, text=True)
    ShiftedClock(shell.pid, _HOUR_S * 1000)
    assert float(shell.communicate()[0]) == pytest.approx(time.time(), abs=_SLACK_S)


@_moves
def test_less_than_a_second_is_refused_and_moves_nothing() -> None:
    with _asked() as (process, clock):
        with pytest.raises(ValueError, match="whole seconds, not by 1500 ms"):
            clock.move(1500)
        assert _times(process)["clock_gettime"] == pytest.approx(time.time(), abs=_SLACK_S)


@_moves
def test_a_program_that_cannot_be_started_is_reported() -> None:
    process = subprocess.Popen(held(["/nowhere"]), stderr=subprocess.PIPE)
    with process, pytest.raises(ClockUnavailable, match="cannot be traced, or its program cannot be started"):
        ShiftedClock(process.pid)


def test_another_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(ClockUnavailable, match="only on Linux on x86-64, this is linux, aarch64"):
        held(["/bin/true"])
    assert why_not() is not None
