"""Sentences of a console: each exists in both languages, with the same values, and is used somewhere."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from fluent.syntax import FluentParser, ast
from fluent.syntax.visitor import Visitor

from standing.ledger.service.console.words import SHARED, source
from standing.ledger.service.languages import Language

ROOT = Path(__file__).parents[1]
#: Each package of sentences, with its folder.
PACKAGES = {
    SHARED: ROOT / "ledger" / "service" / "console",
    "standing.gateway.console": ROOT / "gateway" / "console",
    "standing.node.console": ROOT / "node" / "console",
}


class _Values(Visitor):
    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_VariableReference(self, node: ast.VariableReference) -> None:  # noqa: N802 - fluent.syntax's own name
        self.names.add(node.id.name)


def sentences(package: str, language: Language) -> dict[str, set[str]]:
    """The sentences of a language, each with the values it needs."""
    found: dict[str, set[str]] = {}
    for entry in FluentParser().parse(source(package, language)).body:
        assert not isinstance(entry, ast.Junk), f"{language}.ftl: {entry.content}"
        if isinstance(entry, ast.Message):
            assert entry.id.name not in found, f"{language}.ftl: {entry.id.name} occurs twice"
            values = _Values()
            values.visit(entry)
            found[entry.id.name] = values.names
    return found


def asked_for(package: str) -> tuple[set[str], set[str]]:
    """The sentences that a package's templates and code use by name, and the families of names."""
    folder = PACKAGES[package]
    text = "".join(path.read_text() for path in [*folder.rglob("*.html"), *folder.glob("*.py")])
    asked = set(re.findall(r"""\b(?:w|words|self)\(\s*["']([a-z0-9_-]+)["'](?! ~)""", text))
    return asked, set(re.findall(r"""named\(\s*["']([a-z]+)["']""", text))


def missing(package: str, families: Mapping[str, Iterable[str]]) -> set[str]:
    """The members of enumerations that have no sentence."""
    known = set(sentences(package, "en")) | set(sentences(SHARED, "en"))
    return {f"{family}-{member}" for family, members in families.items() for member in members} - known
