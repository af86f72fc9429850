"""The commands' help in other languages: updates the catalogue from the commands, and compiles it.

A translator runs it, fills in the empty sentences of `ledger/service/locales/zh/LC_MESSAGES/standing.po`, and runs
it again. With `--check` it writes nothing; exit code 1 where a sentence is missing or unused, or where the compiled
catalogue is out of date. gettext reads the compiled catalogue, so it is committed beside its source.
"""

import os
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import typer
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from standing.gateway.cli import app as gateway
from standing.ledger.consortium.cli import app as network
from standing.node.cli import app as node

LOCALES = Path(__file__).parent.parent / "ledger" / "service" / "locales"

#: Typer's own texts that go through gettext. Its error messages are in `commands.toml`.
FRAMEWORK = (
    "Arguments",
    "Options",
    "Commands",
    "Error",
    "Aborted.",
    "Aborted!",
    "required",
    "[required]",
    "default: {default}",
    "[default: {}]",
    "env var: {var}",
    "[env var: {}]",
    "(dynamic)",
    "(deprecated) ",
    "Try [blue]'{command_path} {help_option}'[/] for help.",
)


def help_texts() -> list[str]:
    """Every help text of the commands, in the order in which they are listed."""
    texts: dict[str, None] = {}
    for app in (gateway, node, network):
        for text in _of(typer.main.get_command(app)):
            texts.setdefault(text)
    return list(texts)


def _of(command: Any) -> Iterator[str]:
    for described in (command, *command.get_params(typer.Context(command))):
        if getattr(described, "help", None):
            yield described.help
    yield from getattr(command, "listed", {}).values()
    if hasattr(command, "list_commands"):
        for name in command.list_commands(typer.Context(command)):
            yield from _of(command.get_command(typer.Context(command), name))


def level(catalogue: Catalog, wanted: list[str]) -> Catalog:
    """The catalogue with only the wanted sentences, in their order; new ones have no translation yet."""
    levelled = Catalog(locale=catalogue.locale, header_comment="# The commands' help.", fuzzy=False)
    levelled.mime_headers = [
        ("PO-Revision-Date", "2026-11-28 00:00+0000"),
        ("POT-Creation-Date", "2026-11-28 00:00+0000"),
    ]
    for text in wanted:
        known = catalogue.get(text)
        levelled.add(text, known.string if known else "")
    return levelled


def main() -> int:
    os.environ["LANGUAGE"] = "en"  # the sentences as in the code
    check = sys.argv[1:] == ["--check"]
    wanted = [*help_texts(), *FRAMEWORK]
    exit_code = 0
    for source in sorted(LOCALES.glob("*/LC_MESSAGES/standing.po")):
        language = source.parent.parent.name
        known = read_po(BytesIO(source.read_bytes()), locale=language)
        levelled = level(known, wanted)
        text, compiled = BytesIO(), BytesIO()
        write_po(text, levelled, width=120, omit_header=False)
        write_mo(compiled, levelled)
        files = {source: text.getvalue(), source.with_suffix(".mo"): compiled.getvalue()}
        missing = [message.id for message in levelled if message.id and not message.string]
        for one in missing:
            print(f"{source}: no translation of {one!r}")
        if check and (
            text.getvalue() != source.read_bytes() or compiled.getvalue() != source.with_suffix(".mo").read_bytes()
        ):
            print(f"{source}: out of date: run hardhat-free-scripts/catalogue.py")
            exit_code = 1
        if not check:
            for file, content in files.items():
                file.write_bytes(content)
        exit_code = exit_code or (1 if missing else 0)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
