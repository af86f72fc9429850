"""Clocks of processes, each of which can be moved while its process runs."""

from pathlib import Path

_FOLDER = Path(__file__).with_name("moved_clock")


class MovedClock:
    """The clock of processes that are begun in `environment`. It is right until it is moved."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.move(0)

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(_FOLDER), "STANDING_TEST_CLOCK": str(self._file)}

    def move(self, by_ms: int) -> None:
        """Let it be so far ahead of the machine's, or behind it where negative."""
        new = self._file.with_suffix(".new")  # never half written
        new.write_text(str(by_ms), encoding="ascii")
        new.replace(self._file)
