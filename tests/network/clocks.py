"""Process clocks that can be moved while the process runs."""

from pathlib import Path

_FOLDER = Path(__file__).with_name("moved_clock")


class MovedClock:
    """The clock of processes started with `environment`. It is correct until it is moved."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.move(0)

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(_FOLDER), "STANDING_TEST_CLOCK": str(self._file)}

    def move(self, by_ms: int) -> None:
        """Set how far it is ahead of the machine's clock; behind it where negative."""
        new = self._file.with_suffix(".new")  # written atomically
        new.write_text(str(by_ms), encoding="ascii")
        new.replace(self._file)
