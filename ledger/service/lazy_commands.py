"""Commands whose modules are imported when they run: `--help` need not load web3, SQLAlchemy and FastAPI.

Help is in the language of the environment (`LANGUAGE`, `LC_ALL`, `LC_MESSAGES`, `LANG`), where `locales/` has it.
The English sentences are the keys, and the framework's own texts come from the same catalogue.
"""

import errno
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from gettext import bindtextdomain, gettext, textdomain
from importlib import import_module
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated, Any, ClassVar, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from standing.ledger.service.command_language import DOMAIN, LOCALES, in_language

#: The base class of the framework's refusals. It exports only the one for bad values.
UsageError: type[Any] = typer.BadParameter.__mro__[1]


class LazyCommand(NamedTuple):
    """A command or a group of commands. `target` is `module:name` of a function or a `typer.Typer`."""

    target: str
    help: str


def lazy_app(
    name: str, help_text: str, commands: Mapping[str, LazyCommand], *, extra: str | None = None
) -> typer.Typer:
    """A command line whose commands are loaded when they are called, and listed without being loaded.

    `extra`: the package extra that the commands need; named in the error where a library is missing.
    """

    class Group(TyperGroup):
        #: The summary of each command in the list of commands.
        listed: ClassVar = {name: command.help for name, command in commands.items()}
        _listing = False

        def make_context(self, *args: Any, **kwargs: Any) -> Any:
            if isinstance(sys.stdout, TextIOWrapper):
                # A character that the terminal cannot show must not end a command.
                sys.stdout.reconfigure(errors="backslashreplace")
            with _full_disk_in_one_line(), _refused_in_language():
                return super().make_context(*args, **kwargs)

        def invoke(self, ctx: Any) -> Any:
            with _full_disk_in_one_line(), _refused_in_language():
                return super().invoke(ctx)

        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the framework's signature
            return list(commands)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
            if cmd_name not in commands:
                return None
            command = commands[cmd_name]
            if self._listing:
                return TyperCommand(cmd_name, help=gettext(command.help))
            return _translated(_load(cmd_name, command, extra))

        def format_help(self, ctx: Any, formatter: Any) -> None:
            _translated(self)
            self._listing = True
            try:
                super().format_help(ctx, formatter)
            finally:
                self._listing = False

    # The framework looks up its own texts in the process's default domain.
    bindtextdomain(DOMAIN, LOCALES)
    textdomain(DOMAIN)

    def print_version(wanted: bool) -> None:
        if wanted:
            print(f"{name} {version('standing')}")  # noqa: T201 - for other programs too
            raise typer.Exit

    app = typer.Typer(name=name, cls=Group, help=help_text, no_args_is_help=True, pretty_exceptions_enable=False)

    @app.callback()
    def root(
        _version: Annotated[
            bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=print_version)
        ] = False,
    ) -> None:
        """The root command does nothing by itself."""

    root.__doc__ = help_text
    return app


@contextmanager
def _refused_in_language() -> Iterator[None]:
    """Show the framework's refusals in the language of the environment: it has them in English alone."""
    try:
        yield
    except UsageError as error:
        english = error.format_message()
        translated = in_language(english)
        if translated == english:
            raise
        raise UsageError(translated, error.ctx) from error


@contextmanager
def _full_disk_in_one_line() -> Iterator[None]:
    """End a command in one line where the disk to which its output is redirected is full."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        print(f"error: {error.filename or 'output'}: {error.strerror}", file=sys.stderr)  # noqa: T201
        # The interpreter would try once more, at its end, to write what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from error


def _load(name: str, command: LazyCommand, extra: str | None) -> Any:
    module, _, attribute = command.target.partition(":")
    try:
        found: Any = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if extra is None or (error.name or "").startswith("standing"):
            raise
        missing = in_language(f"{error.name} is not installed: pip install 'standing[{extra}]'")
        print(f"error: {missing}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(1) from error
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
        alone.command(name)(found)
        found = alone
    loaded = typer.main.get_command(found)
    loaded.name = name
    return loaded


def _translated(command: Any) -> Any:
    """The command with its help, and that of its parameters and subcommands, in the environment's language."""
    for described in (command, *command.get_params(typer.Context(command))):
        if getattr(described, "help", None):
            described.help = gettext(described.help)
    for sub in getattr(command, "commands", {}).values():
        _translated(sub)
    return command
