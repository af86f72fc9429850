"""`standing-node platform`: begin, end or resume a bank's relation with a platform."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_fixed

from standing.ledger.clock import SystemClock
from standing.ledger.errors import Overloaded
from standing.ledger.service.api_keys import new_key
from standing.ledger.service.command_language import in_language
from standing.ledger.service.commands import Config, check_platform, console, one_line_errors, tell
from standing.ledger.service.files import add_entry
from standing.ledger.service.private_files import write_private
from standing.ledger.service.settings import SettingsError, load, load_text, read_api_key
from standing.node.bindings.off_boarding import OffBoardings
from standing.node.composition import issuer_of, read_secrets
from standing.node.fault_points import faults_of
from standing.node.settings import NodeSettings
from standing.node.storage.database import opened

app = typer.Typer(help="Payment platforms.", no_args_is_help=True)

PlatformArgument = Annotated[str, typer.Argument(help="The platform's id, as in the settings of its API key")]

_WAIT_S = 1.0


@app.command()
def add(
    platform: PlatformArgument,
    config: Config = None,
    name: Annotated[str | None, typer.Option(help="Name of the key, shown in logs; default: the platform's id")] = None,
    key_file: Annotated[Path | None, typer.Option(help="Write the key to this new file instead of the screen")] = None,
) -> None:
    """Make a key for a platform and add it to the settings file. Run `reload` to apply it to a running node."""
    with one_line_errors():
        check_platform(platform)
        if config is None:
            raise SettingsError("--config: required; allowed: the settings file to add the key to")
        key, digest = new_key()
        entry = {"name": name or platform, "role": "platform", "platform": platform, "sha256": digest}

        def check(text: str) -> None:
            settings = load_text(NodeSettings, text, str(config))
            if digest not in {each.sha256 for each in settings.api_keys}:
                raise SettingsError("api_keys: set in the environment (STANDING_NODE_API_KEYS): add the key there")

        if key_file is not None:
            _check_no_leftover(key_file, config)
            write_private(key_file, key + "\n")
        try:
            add_entry(config, "api_keys", entry, check)
        except BaseException:
            if key_file is not None:
                key_file.unlink()
            raise
    tell(f"{platform} has a key in {config}.")
    tell(
        f"Give it to the platform: {key_file}" if key_file else f"Give it to the platform; it is shown only once: {key}"
    )
    tell("Next: standing-node reload, with an operator's key, or send the node's process SIGHUP; no request is lost.")


def _check_no_leftover(key_file: Path, config: Path) -> None:
    """Check that the file holds no key that the settings do not accept, for example because an earlier run was killed
    before it added the key. Such a key is not added now, because it may have been removed after a leak. Raises:
    SettingsError."""
    try:
        left = read_api_key(key_file, "key-file")
    except SettingsError:
        return  # there is none, or `write_private` says what is in its place
    if sha256(left.encode()).hexdigest() not in {each.sha256 for each in load(NodeSettings, config).api_keys}:
        raise SettingsError(
            f"{key_file} holds a key that {config} does not accept, as where an earlier run was interrupted: delete it"
        )


@app.command("off-board")
def off_board(platform: PlatformArgument, config: Config = None) -> None:
    """Stop granting bindings to the platform, and end all that it has. If interrupted, run it again to continue."""
    with one_line_errors(), _off_boardings(platform, config) as (settings, off_boardings):
        state = off_boardings.begin(platform)
        waiting = Retrying(
            retry=retry_if_exception_type(Overloaded), wait=wait_fixed(_WAIT_S), before_sleep=_waits_once()
        )
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(in_language(f"ending bindings of {platform}"), total=state.ended + state.left)
            while state.finished_at_ms is None:
                # A full outbox empties as the running node publishes, so this waits.
                state = waiting(off_boardings.end_batch, platform)
                progress.update(task, completed=state.ended, total=state.ended + state.left)
        tell(f"{platform}: {state.ended} bindings ended")
        if not state.ended and platform not in {key.platform for key in settings.api_keys}:
            tell(
                f"No API key in the settings is {platform}'s, and it had no bindings: check its id. If it is wrong: "
                f"standing-node platform readmit {platform}"
            )


def _waits_once() -> Callable[[RetryCallState], None]:
    """Prints the reason for waiting once, although there may be a wait for each batch."""
    said = False

    def say_it(_state: RetryCallState) -> None:
        nonlocal said
        if not said:
            said = True
            tell("The outbox is full: waiting for the running node to publish. If none is running, start it.")

    return say_it


@app.command()
def readmit(platform: PlatformArgument, config: Config = None) -> None:
    """Allow an off-boarded platform to be granted bindings again. Ended bindings stay ended."""
    with one_line_errors(), _off_boardings(platform, config) as (_, off_boardings):
        off_boardings.readmit(platform)
        tell(f"{platform} may be granted bindings again")


@contextmanager
def _off_boardings(platform: str, config: Config) -> Iterator[tuple[NodeSettings, OffBoardings]]:
    check_platform(platform)
    settings = load(NodeSettings, config)
    secrets = read_secrets(settings)
    with opened(settings.database_url) as database:
        yield (
            settings,
            OffBoardings(
                database,
                secrets.vault_of(database),
                issuer_of(settings, secrets, database),
                SystemClock(),
                max_waiting=settings.max_waiting,
                faults=faults_of(settings.fault_point),
            ),
        )
