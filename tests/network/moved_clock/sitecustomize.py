"""Moves the clock of a Python process that is started with this folder on its PYTHONPATH (`tests.network.clocks`).

The offset is read from a file on every call, so the clock can be moved while the process runs. Durations
(`time.monotonic`) are unaffected, as when a system clock is set.
"""

import os
import time

_FILE = os.environ["STANDING_TEST_CLOCK"]
_time_ns = time.time_ns


def _moved_ns() -> int:
    with open(_FILE, encoding="ascii") as file:
        return _time_ns() + int(file.read() or "0") * 1_000_000


time.time_ns = _moved_ns
time.time = lambda: _moved_ns() / 1_000_000_000
