"""Moves the clock of a Python process that is begun with this folder on its PYTHONPATH (`tests.network.clocks`).

How far, a file says, which is read each time: so a clock can be moved while its process runs. What measures spans
(`time.monotonic`) is left alone, as a clock that is set does.
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
