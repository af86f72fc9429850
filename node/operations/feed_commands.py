"""`standing-node feed`: check a feed file, or take one in."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from standing.ledger.clock import SystemClock
from standing.ledger.errors import InvalidValue
from standing.ledger.service.commands import Config, console, one_line_errors, print_file, print_json
from standing.ledger.service.memory import settle_memory
from standing.ledger.service.private_files import write_private
from standing.ledger.service.settings import load
from standing.ledger.service.vault import Vault
from standing.node.accounts import quarantine
from standing.node.accounts.quarantine import Quarantine
from standing.node.composition import open_vault, read_secrets
from standing.node.fault_points import faults_of
from standing.node.feed.drop_file import FileName, parse_as_of, parse_name
from standing.node.feed.file_check import FileCheck
from standing.node.feed.file_check import Progress as Watch
from standing.node.feed.file_load import FileLoader
from standing.node.feed.file_report import FileRejected, FileReport, masked
from standing.node.feed.profile import Profile, profile_of
from standing.node.feed.profile_draft import draft_profile
from standing.node.feed.service import Feed
from standing.node.feed.settings import MAX_BAD_SHARE, MAX_FILE_BYTES
from standing.node.operations.feed_tables import show_report, show_unstated
from standing.node.settings import NodeSettings
from standing.node.storage.database import opened, opened_unchanged

app = typer.Typer(help="Feed files: see docs/FEED.md.", no_args_is_help=True)

FeedFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]

_PAGE = 1_000


ProfileFile = Annotated[
    Path | None, typer.Option("--profile", help="TOML file that describes the file's format; see `feed learn`")
]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="The core's time of the data, for a file of any name: 2026-01-01T02:00:00+08:00"),
]
KindOfFile = Annotated[str, typer.Option("--kind", help="With --as-of: full (every account) or changes")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON")]


@app.command()
def learn(
    file: FeedFile,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to this file instead of the screen")
    ] = None,
) -> None:
    """Draft a profile from a file of the core, with a comment on each guess. Edit it, then run `feed check`."""
    with one_line_errors():
        try:
            text = draft_profile(file)
            if output is not None:
                write_private(output, text)
        except OSError as error:
            raise InvalidValue(
                "file", f"{error.filename}: {error.strerror}", "a readable file, and a new one"
            ) from error
        if output is None:
            print_file(text)


@app.command()
def check(
    file: FeedFile,
    config: Config = None,
    profile: ProfileFile = None,
    as_of: AsOf = None,
    kind: KindOfFile = "full",
    as_json: AsJson = False,
) -> None:
    """Check a file line by line without writing anything. With --config, also compare it with the node's store."""
    with one_line_errors(), ExitStack() as stack:
        written, name = _written(file, config, profile, as_of, kind)
        database, vault, max_bytes = None, Vault([secrets.token_bytes(32)], "check"), MAX_FILE_BYTES
        max_bad_share = MAX_BAD_SHARE
        if config is not None:
            settings = load(NodeSettings, config)
            database = stack.enter_context(opened_unchanged(settings.database_url))
            vault, max_bytes = open_vault(settings, database), _max_bytes(settings)
            max_bad_share = _max_bad_share(settings)
        settle_memory()
        with _watched(file) as watch:
            checker = FileCheck(
                database, vault, page_size=_PAGE, max_bytes=max_bytes, profile=written, max_bad_share=max_bad_share
            )
            report = checker.check(file, name, watch)
    _show(report, as_json)
    if report.outcome == "rejected":
        raise typer.Exit(1)


@app.command()
def send(
    file: FeedFile,
    config: Config = None,
    reconcile: Annotated[
        bool, typer.Option("--reconcile", help="Compare a full file with what another source has fed")
    ] = False,
    profile: ProfileFile = None,
    as_of: AsOf = None,
    kind: KindOfFile = "full",
    as_json: AsJson = False,
) -> None:
    """Import a file, completely or not at all; the running node publishes the changes. The file is not moved."""
    with one_line_errors():
        written, name = _written(file, config, profile, as_of, kind)
        settings = load(NodeSettings, config)
        all_secrets = read_secrets(settings)
        with opened(settings.database_url) as database:
            vault = all_secrets.vault_of(database)
            feed = Feed(
                database,
                vault,
                all_secrets.bank_secrets_of(database),
                SystemClock(),
                max_waiting=settings.max_waiting,
                on_change=_nothing,
                faults=faults_of(settings.fault_point),
            )
            loader = FileLoader(
                feed,
                database,
                vault,
                page_size=_PAGE,
                max_bytes=_max_bytes(settings),
                profile=written,
                max_bad_share=_max_bad_share(settings),
            )
            settle_memory()
            report = _load(loader, file, name, reconcile)
    _show(report, as_json)
    if report.outcome == "rejected":
        raise typer.Exit(1)


@app.command()
def unstated(
    config: Config = None,
    at_most: Annotated[int, typer.Option(min=1, max=100_000, help="The most accounts to list, oldest first")] = 1_000,
    as_json: AsJson = False,
) -> None:
    """List the unstated accounts: which data of the core is invalid, where it was stated, and why."""
    with one_line_errors():
        settings = load(NodeSettings, config)
        with opened_unchanged(settings.database_url) as database, database.read() as connection:
            listed = Quarantine(open_vault(settings, database)).listed(connection, at_most)
            number = quarantine.count(connection)
    if as_json:
        shown = [{**asdict(each), "number": masked(each.number)} for each in listed]
        print_json({"unstated": number, "accounts": shown})
    else:
        show_unstated(listed, number, console)


def _max_bytes(settings: NodeSettings) -> int:
    return MAX_FILE_BYTES if settings.drop_folder is None else settings.drop_folder.max_bytes


def _max_bad_share(settings: NodeSettings) -> float:
    return MAX_BAD_SHARE if settings.drop_folder is None else settings.drop_folder.max_bad_share


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
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(file.name, total=file.stat().st_size)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _show(report: FileReport, as_json: bool) -> None:
    if as_json:
        print_file(report.model_dump_json(indent=2) + "\n")
    else:
        show_report(report, console)


def _written(
    file: Path, config: Path | None, profile: Path | None, as_of: str | None, kind: str
) -> tuple[Profile | None, FileName]:
    """How the file is written, and what it is: by its name, or by the options. Raises: InvalidValue."""
    stated = profile
    if stated is None and config is not None:
        folder = load(NodeSettings, config).drop_folder
        stated = None if folder is None else folder.profile
    written = profile_of(stated)
    if as_of is None:
        return written, parse_name(file.name, written)
    if kind not in {"full", "changes"}:
        raise InvalidValue("--kind", "unknown", "full or changes")
    file_format: Literal["csv", "jsonl"] = "jsonl" if file.suffix.lower() == ".jsonl" else "csv"
    if written is not None:
        file_format = written.format
    return written, FileName("full" if kind == "full" else "changes", parse_as_of(as_of), file_format)


def _nothing() -> None:
    """Nothing to wake: the running node polls the store."""
