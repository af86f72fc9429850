"""The text of a drafted profile: TOML with a reason at each line."""

import json
import re
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Draft:
    """The lines of a profile so far."""

    lines: list[str] = field(default_factory=list)

    def table(self, name: str, why: str = "") -> None:
        """Begin a table."""
        self.lines += ["", f"[{name}]" + (f"  # {why}" if why else "")]

    def put(self, key: str, value: Any, why: str) -> None:
        """Add a setting, and why it is drafted so."""
        shown = key if re.fullmatch(r"[a-z_]+", key) else toml_value(key)
        self.lines.append(f"{shown} = {toml_value(value)}  # {why}")

    def note(self, text: str) -> None:
        """Add a comment of its own."""
        self.lines.append(f"# {one_line(text)}")


def toml_value(value: Any) -> str:
    """A value as TOML writes it; its basic strings are those of JSON, but for DEL."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    text = str(value).encode("utf-8", "replace").decode()
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def one_line(text: str) -> str:
    """A text of a file as a comment may hold it."""
    return "".join(each if each.isprintable() else "?" for each in text)[:1_000]
