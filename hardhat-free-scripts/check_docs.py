"""Check that what the documents mention exists: make targets, commands with their options, headings, and files in
links and code."""

import re
import sys
from pathlib import Path
from typing import Any

import typer
import typer.main
from typer.core import TyperGroup

from standing.gateway.cli import app as gateway_app
from standing.ledger.consortium.cli import app as network_app
from standing.node.cli import app as node_app

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    *sorted(ROOT.glob("README*.md")),
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "tests" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "examples" / "README.md",
]
COMMANDS = {
    "standing-node": typer.main.get_command(node_app),
    "standing-gateway": typer.main.get_command(gateway_app),
    "standing-network": typer.main.get_command(network_app),
}
_FOLDERS = ("contracts", "ledger", "node", "gateway", "tests", "hardhat-free-scripts", "docs", "examples")


def make_targets() -> set[str]:
    """Every target of the Makefile."""
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def check_commands(text: str) -> list[str]:
    """Commands and options that do not exist: `standing-node a b --c`, as far as the arguments are subcommands."""
    found = []
    one_line = re.sub(r" *\\\n *", " ", text)
    for name, rest in sorted(set(re.findall(r"(standing-(?:node|gateway|network))((?: [^\s`|;>]+)*)", one_line))):
        command: Any = COMMANDS[name]
        called, words = name, rest.split()
        while isinstance(command, TyperGroup) and words and re.fullmatch("[a-z][a-z-]*", words[0]):
            word = words.pop(0)
            command, called = command.get_command(typer.Context(command), word), f"{called} {word}"
        if command is None:
            found.append(f"no command `{called}`")
            continue
        known = {option for each in command.get_params(typer.Context(command)) for option in each.opts}
        stated = [word.partition("=")[0] for word in words if word.startswith("--")]
        found += [f"no option `{called} {option}`" for option in stated if option not in known]
    return found


def check_decisions() -> list[str]:
    """Records of the decisions that their table of subjects leaves out or names twice."""
    text = (ROOT / "docs" / "DECISIONS.md").read_text(encoding="utf-8")
    named = sorted(int(number) for number in re.findall(r"\[(\d+)\]\(#\1-", text.partition("\n## ")[0]))
    records = [int(number) for number in re.findall(r"^## (\d+)\.", text, flags=re.MULTILINE)]
    return [] if named == records else ["docs/DECISIONS.md: its table of subjects does not name each record once"]


def check_document(document: Path, targets: set[str]) -> list[str]:
    """The things that `document` mentions but do not exist."""
    text = document.read_text(encoding="utf-8")
    found = [
        f"no target `make {name}`"
        for name in set(re.findall(r"(?<!standing-network )make ([a-z][a-z-]+)", _code(text))) - targets
    ]
    for link, heading in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text):
        target = document.parent / link if link else document
        if not target.exists():
            found.append(f"no file {link}")
        elif heading and heading not in anchors(target):
            found.append(f"no heading {link}#{heading}")
    paths = re.findall(rf"`((?:{'|'.join(_FOLDERS)})/[\w./-]+)`", text)
    found += [f"no file {path}" for path in paths if not (ROOT / path).exists()]
    modules = re.findall(r"`(?:\w+/)*(\w+\.py)`", text)
    found += [f"no module {name}" for name in modules if not any(any((ROOT / top).rglob(name)) for top in _FOLDERS)]
    return found + check_commands(_code(text))


def anchors(document: Path) -> set[str]:
    """The names by which links reach the headings of a document, as GitHub derives them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _code(text: str) -> str:
    """Only the text of code spans and code blocks."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL))


def main() -> int:
    targets = make_targets()
    wrong = [
        f"{document.relative_to(ROOT)}: {each}" for document in DOCUMENTS for each in check_document(document, targets)
    ]
    wrong += check_decisions()
    print("\n".join(wrong) or f"{len(DOCUMENTS)} documents name nothing that does not exist")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
