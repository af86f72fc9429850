"""The shared part of both services' command lines."""

import json
import secrets as random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from re import fullmatch
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console

from standing.ledger.attestations.binding_protocol import PLATFORM_FORM, PLATFORM_PATTERN
from standing.ledger.errors import InvalidValue, StandingError
from standing.ledger.service.api_keys import MAX_NAME, new_key
from standing.ledger.service.command_language import in_language
from standing.ledger.service.files import settings_text
from standing.ledger.service.private_files import write_private
from standing.ledger.service.settings import ServiceSettings, SettingsError, variables_without_effect

Config = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="TOML file; see `config example`. The environment takes precedence."),
]
#: Options that `init` has in both services.
NewFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or an empty one")]
LedgerUrl = Annotated[str, typer.Option(envvar="STANDING_LEDGER_URL", help="JSON-RPC URL of your ledger node")]
Contract = Annotated[
    str | None, typer.Option(envvar="STANDING_LEDGER_CONTRACT", help="Address of the StatusLedger contract")
]
ChainId = Annotated[int | None, typer.Option(min=1, help="Refuse to start on any other chain")]
Port = Annotated[int, typer.Option(min=1, max=65535)]

console = Console()


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the process with one clear line and exit code 1 for Standing's own errors."""
    try:
        yield
    except StandingError as error:
        print(f"error: {_localized(error)}", file=sys.stderr)  # noqa: T201 - plain, so that nothing wraps or colours it
        raise typer.Exit(1) from error


def _localized(error: StandingError) -> str:
    return in_language(str(error), error.each if isinstance(error, SettingsError) else ())


def say(text: str) -> None:
    """Print something verbatim: no wrapping, colours or markup, so that it can be copied."""
    console.print(text, highlight=False, soft_wrap=True, markup=False, emoji=False)


def tell(english: str, before: str = "") -> None:
    """Print a sentence in the language of the environment, verbatim like `say`. `before`: what stands before it."""
    say(before + in_language(english))


def wide(text: str, cells: int, *, right: bool = False) -> str:
    """Text padded to a number of terminal cells; a Chinese character takes two. `right`: aligned to the right."""
    padding = " " * (cells - cell_len(text))
    return padding + text if right else text + padding


def print_file(text: str) -> None:
    """Print the content of a file, or data for another program. Redirected output is UTF-8, because files are read as
    UTF-8; a terminal gets its own encoding.
    """
    if isinstance(sys.stdout, TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")
    print(text, end="")  # noqa: T201 - a file, not a message


def print_json(document: Any) -> None:
    """Print a document for other programs."""
    print_file(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def check_platform(name: str) -> None:
    """Check a platform's id. Raises: InvalidValue."""
    if fullmatch(PLATFORM_PATTERN, name) is None:
        raise InvalidValue("platform", "not a platform's id", PLATFORM_FORM)


def api_key_app(roles: tuple[str, ...], *, names_platforms: bool = False) -> typer.Typer:
    """The group `api-key`. `names_platforms`: a platform's key states the platform."""
    app = typer.Typer(help="API keys of callers.", no_args_is_help=True)

    @app.callback()  # without a callback, a single command would lose its name
    def api_keys() -> None:
        """API keys of callers."""

    @app.command("new")
    def new_api_key(
        name: Annotated[str, typer.Option(help="Name of the key's user; shown in logs")],
        role: Annotated[str, typer.Option(help="One of: " + ", ".join(roles))],
        platform: Annotated[
            str | None, typer.Option(help="The platform's id; with the role platform only", hidden=not names_platforms)
        ] = None,
    ) -> None:
        """Make a key and show it once, with the lines for the settings, which contain only its hash."""
        if role not in roles:
            raise typer.BadParameter(f"allowed: {', '.join(roles)}", param_hint="--role")
        if (platform is not None) != (names_platforms and role == "platform"):
            raise typer.BadParameter(
                "allowed: for the role platform of a bank's node, and for no other", param_hint="--platform"
            )
        if platform is not None and fullmatch(PLATFORM_PATTERN, platform) is None:
            raise typer.BadParameter(f"allowed: {PLATFORM_FORM}", param_hint="--platform")
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            raise typer.BadParameter(f"allowed: 1 to {MAX_NAME} characters on one line", param_hint="--name")
        key, digest = new_key()
        entry = {"name": name, "role": role, **({"platform": platform} if platform else {}), "sha256": digest}
        tell(f"The key (it is shown only once): {key}")
        say(f"\n{settings_text({'api_keys': [entry]}, {}, '').strip()}")

    return app


def secret_app() -> typer.Typer:
    """The group `secret`."""
    app = typer.Typer(help="Generate random secrets in files.", no_args_is_help=True)

    @app.callback()
    def secrets() -> None:
        """Generate random secrets in files."""

    @app.command("new")
    def new_secret(file: Path) -> None:
        """Write 32 random bytes, in hexadecimal, to a new file that only you can read."""
        with one_line_errors():
            write_private(file, random.token_hex(32) + "\n")
        tell(f"wrote {file}")

    return app


def config_app(
    model: type[ServiceSettings], example: str, check: Callable[[Path | None], None], *, key_variable: str
) -> typer.Typer:
    """The group `config`. `check` loads the settings and everything they refer to, and raises SettingsError.

    `key_variable`: where commands look for an API key; it is no setting.
    """
    app = typer.Typer(help="Settings.", no_args_is_help=True)

    @app.callback()
    def configs() -> None:
        """Settings."""

    @app.command("example")
    def config_example() -> None:
        """Print a complete settings file with comments."""
        print_file(example)

    @app.command("check")
    def config_check(config: Config = None) -> None:
        """Check the settings and every file that they name. Prints one line per error; then the exit code is 1."""
        for name in variables_without_effect(model, [key_variable]):
            print(f"warning: {in_language(f'{name} is no setting, and has no effect')}", file=sys.stderr)  # noqa: T201
        try:
            check(config)
        except StandingError as error:
            for fault in error.each if isinstance(error, SettingsError) else [str(error)]:
                print(f"error: {in_language(fault)}", file=sys.stderr)  # noqa: T201
            raise typer.Exit(1) from error
        tell(f"{config} is valid" if config is not None else "the environment is valid")

    return app
