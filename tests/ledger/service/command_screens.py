"""What commands print in Chinese, and the calls in the code by which they print it."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

ROOT = Path(__file__).parents[3]
CODE = tuple(file for name in ("gateway", "node", "ledger") for file in sorted((ROOT / name).rglob("*.py")))
#: Words of English in a row, not part of a command line or of a file's name.
ENGLISH = re.compile(r"(?<![-./\w])[a-z]{3,} [a-z]{2,}(?![-./\w])")


def chinese_screen(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> StringIO:
    """What the commands of some modules print, on a wide terminal in Chinese."""
    monkeypatch.setenv("LANGUAGE", "zh")
    output = StringIO()
    wide = Console(file=output, width=400)
    for module in modules:
        if hasattr(module, "console"):
            monkeypatch.setattr(module, "console", wide)
    return output


def calls(files: Iterable[Path]) -> Iterator[tuple[str, str, ast.Call]]:
    """Each call of a function or method: where it is, what is called, and the call."""
    for file in files:
        yield from _calls_in(file)


@cache
def _calls_in(file: Path) -> tuple[tuple[str, str, ast.Call], ...]:
    found = []
    for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name | ast.Attribute):
            name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr
            found.append((f"{file.relative_to(ROOT)}:{call.lineno}", name, call))
    return tuple(found)
