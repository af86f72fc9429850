"""What the command lines of both services share."""

import secrets as random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ledger.errors import StandingError
from ledger.service.auth import new_key
from ledger.service.settings import write_private

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="TOML file; see `config example`. The environment goes before it.")
]

console = Console()


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the process with one clear line and exit code 1 where Standing itself says what is wrong."""
    try:
        yield
    except StandingError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - plain, so that nothing wraps or colours it
        raise typer.Exit(1) from error


def add_common_commands(app: typer.Typer, *, roles: tuple[str, ...], example: str) -> None:
    """Adds `api-key new`, `secret new` and `config example`."""
    api_key = typer.Typer(help="API keys of callers.", no_args_is_help=True)
    secret = typer.Typer(help="Random secrets in files.", no_args_is_help=True)
    config = typer.Typer(help="Settings.", no_args_is_help=True)

    @api_key.command("new")
    def new_api_key(
        name: Annotated[str, typer.Option(help="Whose key it is; shown in logs")],
        role: Annotated[str, typer.Option(help="One of: " + ", ".join(roles))],
    ) -> None:
        """Make a key: show it once, and the lines for the settings, which hold only its hash."""
        if role not in roles:
            raise typer.BadParameter(f"allowed: {', '.join(roles)}", param_hint="--role")
        key, digest = new_key()
        console.print(f"The key, shown only now: {key}\n\n\\[\\[api_keys]]", highlight=False)
        console.print(f'name = "{name}"\nrole = "{role}"\nsha256 = "{digest}"', highlight=False, soft_wrap=True)

    @secret.command("new")
    def new_secret(file: Path) -> None:
        """Write 32 random bytes, in hexadecimal, to a new file that only you can read."""
        with one_line_errors():
            write_private(file, random.token_hex(32) + "\n")
        console.print(f"wrote {file}")

    @config.command("example")
    def config_example() -> None:
        """Print a complete settings file with comments."""
        print(example, end="")  # noqa: T201 - it is a file, not a message

    app.add_typer(api_key, name="api-key")
    app.add_typer(secret, name="secret")
    app.add_typer(config, name="config")
