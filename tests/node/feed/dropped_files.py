"""Shared by the tests of feed files: writing files, loading them from a folder, and finding their reports."""

import csv
import hashlib
import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from standing.node.fault_points import no_faults
from standing.node.feed.drop_folder import DropFolder
from standing.node.feed.file_load import FileLoader
from standing.node.feed.profile import Profile
from standing.node.feed.settings import DropFolderSettings
from tests.node.node_tools import feed_of
from tests.world import Bank

GOING = threading.Event()


def file_time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y%m%dT%H%M%S}.{ms % 1000:03d}Z"


def write_file(
    folder: Path, kind: str, as_of_ms: int, *rows: Mapping[str, Any], form: str = "jsonl", checksum: bool = False
) -> str:
    """Put a file into the folder, as a core should: written elsewhere, then moved. Returns: its name."""
    name = f"{kind}-{file_time(as_of_ms)}.{form}"
    draft = folder / f".{name}"
    with draft.open("w", newline="", encoding="utf-8") as file:
        if form == "jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        else:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    if checksum:
        (folder / f"{name}.sha256").write_text(hashlib.sha256(draft.read_bytes()).hexdigest())
    draft.rename(folder / name)
    return name


def drop_folder(
    bank: Bank, folder: Path, faults: Any = no_faults, written: Profile | None = None, **settings: Any
) -> DropFolder:
    feed = feed_of(bank, faults)
    stated = DropFolderSettings(path=folder, **settings)
    vault = bank.secrets.vault()
    bounds = {"page_size": stated.page_size, "max_bytes": stated.max_bytes}
    loader = FileLoader(feed, bank.node.database, vault, **bounds, profile=written)
    return DropFolder(stated, loader, feed, faults, written)


def report_of(folder: Path, where: str, name: str) -> dict[str, Any]:
    assert (folder / where / name).exists(), sorted(str(path) for path in folder.rglob("*"))
    report: dict[str, Any] = json.loads((folder / where / f"{name}.report.json").read_text())
    return report
