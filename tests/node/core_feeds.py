"""How the core of a fault run feeds the node: by HTTP push, by files in a folder, or by a view of its database.

Each states the same changes, and repeats them after a kill as its own protocol requires.
"""

import csv
import hashlib
import json
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from standing.node.accounts.changes import FeedEntry
from standing.node.composition import Node
from tests.node.node_tools import SqlCore

Accounts = Sequence[Mapping[str, Any]]
_T = TypeVar("_T")


class Alive(Protocol):
    """Runs an action on a live node, again after each kill."""

    def __call__(self, do: Callable[[Node], _T], /) -> _T: ...


class ApiClient(Protocol):
    """One kind of feed."""

    settings: dict[str, Any]

    def feed(self, alive: Alive, as_of_ms: int, changes: Accounts, accounts: Accounts) -> None:
        """State the changes; `accounts` is the resulting state of all accounts. Returns once the node has stored it."""

    def close(self) -> None:
        """Release all resources."""


def work(node: Node, name: str) -> None:
    """One step of a worker."""
    next(task for task in node.workers.tasks if task.name == name).step(threading.Event())


class Push:
    """The core calls the node."""

    def __init__(self, seed: int) -> None:
        self.settings: dict[str, Any] = {}
        self._random = random.Random(seed)

    def feed(self, alive: Alive, as_of_ms: int, changes: Accounts, accounts: Accounts) -> None:
        stated = [{"effective_at_ms": as_of_ms, **change} for change in changes]
        entry = FeedEntry.model_validate({"as_of_ms": as_of_ms, "changes": stated})
        first = alive(lambda node: node.feed.accept(entry))
        if self._random.random() < 0.3:
            assert alive(lambda node: node.feed.accept(entry)) == first, "a repeated entry is answered as before"

    def close(self) -> None:
        pass


class Files:
    """The core writes files, of changes or of all accounts; every two lines form a part of an entry."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self.settings: dict[str, Any] = {"drop_folder": {"path": folder, "page_size": 1, "require_checksum": True}}

    def feed(self, alive: Alive, as_of_ms: int, changes: Accounts, accounts: Accounts) -> None:
        full = bool(accounts) and self._random.random() < 0.5
        stated = [{"effective_at_ms": as_of_ms, **one} for one in (accounts if full else changes)]
        time = f"{datetime.fromtimestamp(as_of_ms // 1000, UTC):%Y%m%dT%H%M%S}.{as_of_ms % 1000:03d}Z"
        name = f"{'full' if full else 'changes'}-{time}.csv"
        draft = self._folder / f".{name}"
        with draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(stated[0]) if stated else ["number", "effective_at_ms"])
            writer.writeheader()
            writer.writerows(stated)
        (self._folder / f"{name}.sha256").write_text(hashlib.sha256(draft.read_bytes()).hexdigest())
        draft.rename(self._folder / name)
        alive(lambda node: work(node, "drop_folder"))
        report = json.loads((self._folder / "done" / f"{name}.report.json").read_text())
        assert (report["outcome"], report["lines"]) == ("loaded", len(stated))
        left = [path.name for path in self._folder.rglob("*") if path.is_file() and path.parent.name != "done"]
        assert left == [], "loaded and moved away"

    def close(self) -> None:
        pass


class View:
    """The node polls the core's database."""

    def __init__(self, folder: Path, now_ms: int) -> None:
        self._core = SqlCore(folder, now_ms)
        self.settings: dict[str, Any] = {"sql_view": self._core.settings(page_size=1)}

    def feed(self, alive: Alive, as_of_ms: int, changes: Accounts, accounts: Accounts) -> None:
        changed = {change["number"] for change in changes}
        self._core.put(as_of_ms, *(one for one in accounts if one["number"] in changed))
        self._core.set_time(as_of_ms)
        alive(lambda node: work(node, "sql_view"))

    def close(self) -> None:
        self._core.close()
