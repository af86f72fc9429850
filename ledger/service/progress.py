"""The progress bar of a command that takes long: on standard error, and gone when the command has ended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

#: Called with how many are done, and how many there are; None: not known.
Progress = Callable[[int, int | None], None]


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """A bar that counts. Yields: what moves it."""
    columns = (TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
