"""The progress bar of a command that takes long: on standard error, and gone when the command has ended."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from standing.ledger.service.command_language import label

#: Called with how many are done, and how many there are; None: not known.
Progress = Callable[[int, int | None], None]


@contextmanager
def progress_bar(what: str) -> Iterator[Progress]:
    """A bar that counts, with a label in the language of the environment. Yields: what moves it."""
    counted = label(what)
    columns = (TextColumn(counted), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(counted, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
