"""The diagram of subpackages in ARCHITECTURE shows every import between them."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]


def _diagram(package: str) -> dict[str, set[str]]:
    """The arrows between a package's subpackages."""
    page = (_ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    drawn = (
        page.split("```mermaid\nflowchart TB")[1].split("```")[0].split(f"subgraph {package}[")[1].split("\n    end")[0]
    )
    names = dict(re.findall(r"(\w+)\[(\w+)<br>", drawn))
    arrows: dict[str, set[str]] = {name: set() for name in names.values()}
    for above, below in re.findall(r"(\w+)(?:\[[^\]]*\])? --> (\w+)", drawn):
        arrows[names[above]].add(names[below])
    return arrows


def _below(arrows: dict[str, set[str]], name: str) -> set[str]:
    found: set[str] = set()
    left = [name]
    while left:
        fresh = arrows[left.pop()] - found
        found |= fresh
        left += fresh
    return found


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("package", ["node", "gateway", "ledger"])
def test_a_subpackage_imports_only_from_those_below_it_in_the_diagram(package: str) -> None:
    arrows = _diagram(package)
    assert arrows.keys() == {folder.parent.name for folder in (_ROOT / package).glob("*/__init__.py")}
    imports: dict[str, set[str]] = defaultdict(set)
    for name in arrows:
        for file in (_ROOT / package / name).rglob("*.py"):
            parts = [each.split(".") for each in _imported(file) if each.startswith(f"standing.{package}.")]
            imports[name] |= {part[2] for part in parts} & arrows.keys() - {name}
    assert sum(map(len, imports.values())) >= len(arrows) - 1
    assert {name: found for name in arrows if (found := imports[name] - _below(arrows, name))} == {}
