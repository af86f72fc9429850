"""Drafts of profiles, by `feed learn`, from the lines of a file."""

import tomllib
from pathlib import Path
from typing import Any

from standing.node.feed.profile_draft import draft_profile


def drafted_profile(folder: Path, *lines: str) -> dict[str, Any]:
    """The profile that is drafted from a file of these lines."""
    path = folder / "book.csv"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    profile: dict[str, Any] = tomllib.loads(draft_profile(path))["profile"]
    return profile
