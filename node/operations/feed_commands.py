"""`standing-node feed`: judge a feed file, or take one in."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from standing.ledger.clock import SystemClock
from standing.ledger.errors import InvalidValue
from standing.ledger.service.commands import Config, console, one_line_errors
from standing.ledger.service.settings import load
from standing.ledger.service.vault import Vault
from standing.node.composition import open_vault, read_secrets
from standing.node.fault_points import kill_at, no_faults
from standing.node.feed.drop_file import FileName, parse_name
from standing.node.feed.file_check import FileCheck
from standing.node.feed.file_check import Progress as Watch
from standing.node.feed.file_load import FileLoader
from standing.node.feed.file_report import FileRejected, FileReport
from standing.node.feed.service import Feed
from standing.node.feed.settings import MAX_FILE_BYTES
from standing.node.settings import NodeSettings
from standing.node.storage.database import NodeDatabase, opened

app = typer.Typer(help="Feed files: see docs/FEED.md.", no_args_is_help=True)

FeedFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]

_PAGE = 1_000


@app.command()
def check(file: FeedFile, config: Config = None) -> None:
    """Judge a file line by line, and write nothing. With --config, also beside what the node's store has."""
    with one_line_errors(), ExitStack() as stack:
        name = parse_name(file.name)
        database, vault, max_bytes = None, Vault([secrets.token_bytes(32)], "check"), MAX_FILE_BYTES
        if config is not None:
            settings = load(NodeSettings, config)
            database = NodeDatabase(settings.database_url)
            stack.callback(database.close)
            vault, max_bytes = open_vault(settings), _max_bytes(settings)
        with _watched(file) as watch:
            report = FileCheck(database, vault, page_size=_PAGE, max_bytes=max_bytes).check(file, name, watch)
    _show(report)
    if report.problems:
        raise typer.Exit(1)


@app.command()
def send(
    file: FeedFile,
    config: Config = None,
    reconcile: Annotated[
        bool, typer.Option("--reconcile", help="A full file, compared with what another source fed")
    ] = False,
) -> None:
    """Take a file in, whole or not at all; the running node publishes what follows. The file stays where it is."""
    with one_line_errors():
        name = parse_name(file.name)
        settings = load(NodeSettings, config)
        all_secrets = read_secrets(settings)
        with opened(settings.database_url) as database:
            feed = Feed(
                database,
                all_secrets.vault(),
                all_secrets.bank_secrets(),
                SystemClock(),
                max_waiting=settings.max_waiting,
                on_change=_nothing,
                faults=no_faults if settings.fault_point is None else kill_at(settings.fault_point),
            )
            loader = FileLoader(feed, database, all_secrets.vault(), page_size=_PAGE, max_bytes=_max_bytes(settings))
            report = _load(loader, file, name, reconcile)
    _show(report)
    if report.outcome == "rejected":
        raise typer.Exit(1)


def _max_bytes(settings: NodeSettings) -> int:
    return MAX_FILE_BYTES if settings.drop_folder is None else settings.drop_folder.max_bytes


def _load(loader: FileLoader, file: Path, name: FileName, reconcile: bool) -> FileReport:
    with _watched(file) as watch:
        try:
            return loader.load(file, name, watch, threading.Event(), reconcile=reconcile)
        except FileRejected as error:
            return error.report
        except OSError as error:
            raise InvalidValue("file", f"cannot be read: {error.strerror}", "a readable file") from error


@contextmanager
def _watched(file: Path) -> Iterator[Watch]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(file.name, total=file.stat().st_size)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _show(report: FileReport) -> None:
    console.print_json(report.model_dump_json())


def _nothing() -> None:
    """Nothing to wake: the running node looks for itself."""
