"""Check that what the documents name exists: make targets, console commands, files that links and code point to."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples" / "README.md"]
_FOLDERS = ("contracts", "ledger", "node", "gateway", "tests", "hardhat-free-scripts", "docs", "examples")


def make_targets() -> set[str]:
    """Every target of the Makefile."""
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))


def help_of(command: list[str]) -> str | None:
    """The help text of a console command with subcommands; None where there is no such command."""
    executable = Path(sys.executable).parent / command[0]
    ended = subprocess.run([executable, *command[1:], "--help"], capture_output=True, text=True, check=False)
    return ended.stdout if ended.returncode == 0 else None


def check_commands(text: str) -> list[str]:
    """Console commands that do not exist: `standing-node a b`, as far as its words are subcommands."""
    found = []
    for line in sorted(set(re.findall(r"standing-(?:node|gateway)(?: [a-z][a-z-]*)*", text))):
        words = line.split()
        shown = help_of(words[:1]) or ""
        for depth in range(1, len(words)):
            if not re.search(rf"^[│ ]*{re.escape(words[depth])}(\s|$)", shown, flags=re.MULTILINE):
                found.append(f"no command `{' '.join(words[: depth + 1])}`")
                break
            shown = help_of(words[: depth + 1]) or ""
            if "Commands" not in shown:  # what follows are arguments
                break
    return found


def check_document(document: Path, targets: set[str]) -> list[str]:
    """What `document` names and does not exist."""
    text = document.read_text(encoding="utf-8")
    found = [f"no target `make {name}`" for name in set(re.findall(r"make ([a-z][a-z-]+)", _code(text))) - targets]
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    found += [f"no file {link}" for link in links if not (document.parent / link).exists()]
    paths = re.findall(rf"`((?:{'|'.join(_FOLDERS)})/[\w./-]+)`", text)
    found += [f"no file {path}" for path in paths if not (ROOT / path).exists()]
    return found + check_commands(_code(text))


def _code(text: str) -> str:
    """Only what stands in code spans and code blocks."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL))


def main() -> int:
    targets = make_targets()
    wrong = [
        f"{document.relative_to(ROOT)}: {each}" for document in DOCUMENTS for each in check_document(document, targets)
    ]
    print("\n".join(wrong) or f"{len(DOCUMENTS)} documents name nothing that does not exist")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
