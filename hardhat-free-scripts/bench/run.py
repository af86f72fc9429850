"""All benchmarks in one run on one machine: each figure compared with its peer or limit, as a ratio.

Writes `benchmarks.json` and one chart a section under `docs/benchmarks/`. Absolute figures are this machine's, ratios
compare better across machines; the rounds of contenders are interleaved, so that noise affects all of them.
"""

import argparse
import json
import os
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from anvil import AnvilMissing
from bench.charts import chart
from bench.decide import RedisMissing
from bench.figures import Figure, Ratio, figures_table, ratios_table
from standing.ledger.service.memory import settle_memory
from tests.contracts.npm_packages import NpmMissing
from with_postgres import PostgresMissing

ROOT = Path(__file__).resolve().parents[2]

RESULTS = ROOT / "benchmarks.json"
CHARTS = ROOT / "docs" / "benchmarks"


@dataclass(frozen=True)
class Section:
    """A part of the benchmarks: a module with `run(folder, rounds)`, and the title of its chart.

    A module that needs programs from outside may have `check_installed()`, which raises where one is missing.
    """

    name: str
    title: str

    @property
    def run(self) -> Callable[..., tuple[list[Figure], list[Ratio]]]:
        runner: Callable[..., tuple[list[Figure], list[Ratio]]] = import_module(f"bench.{self.name}").run
        return runner

    def check_installed(self) -> None:
        """Raises: PostgresMissing, RedisMissing."""
        check = getattr(import_module(f"bench.{self.name}"), "check_installed", None)
        if check is not None:
            check()


SECTIONS = (
    Section("gas", "Gas per attestation"),
    Section("linking", "Which bindings are one account's, by the ledger alone"),
    Section("read", "Reading bindings from the ledger"),
    Section("decide", "Deciding over HTTP, one worker"),
    Section("intake", "Taking a core's file in"),
    Section("publish", "Publishing attestations"),
    Section("propagate", "From the feed's acknowledgement to the first decision that sees it"),
    Section("scale", "More bindings"),
    Section("warning", "Failures and silences predicted"),
    Section("pressure", "Three times more load than capacity"),
    Section("postgresql", "Several gateway processes on one PostgreSQL"),
)


def machine() -> dict[str, Any]:
    """The machine that the figures were measured on."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.processor(),
    )
    memory_kib = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(memory_kib / 2**20, 1),
        "system": system(),
        "python": platform.python_version(),
    }


def system() -> str:
    """The system's name and the first two numbers of its release; a vendor's suffix does not matter."""
    numbers = re.match(r"[0-9]+(\.[0-9]+)?", platform.release())
    return platform.system() if numbers is None else f"{platform.system()} {numbers.group()}"


def _lines(path: str) -> list[str]:
    file = Path(path)
    return file.read_text().splitlines() if file.exists() else []


def measure(section: Section, rounds: int, console: Console, more: dict[str, Any]) -> dict[str, Any]:
    """Run a section, print its tables and draw its chart. Returns: its entry in benchmarks.json."""
    console.rule(section.title)
    run = section.run
    # As a served process does (ledger.service.serve): otherwise this process's collections add to all latencies.
    settle_memory()
    with tempfile.TemporaryDirectory() as folder:
        figures, ratios = run(Path(folder), rounds, **more)
    console.print(figures_table(section.title, figures))
    console.print(ratios_table(ratios))
    chart(section.title, figures, CHARTS / f"{section.name}.png")
    return {"figures": [figure.as_json() for figure in figures], "ratios": [ratio.as_json() for ratio in ratios]}


def write(results: dict[str, Any], rounds: int) -> None:
    """Put the sections that were measured into benchmarks.json, replacing their previous entries."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    before = known.get("sections", {})
    stamp = {"measured_at": datetime.now(UTC).strftime("%Y-%m-%d"), "machine": machine(), "rounds": rounds}
    sections = before | {name: stamp | result for name, result in results.items()}
    ordered = {section.name: sections[section.name] for section in SECTIONS if section.name in sections}
    RESULTS.write_text(json.dumps(known | {"sections": ordered}, indent=1, ensure_ascii=False) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [section.name for section in SECTIONS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these sections")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contender is measured")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of bindings for the section scale")
    parser.add_argument("--no-write", action="store_true", help="do not change benchmarks.json")
    given = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 140)
    results = {}
    chosen = [section for section in SECTIONS if section.name in given.only]
    try:
        for section in chosen:  # before the first one is measured, since all take half an hour
            section.check_installed()
        for section in chosen:
            more = {"sizes": given.sizes} if section.name == "scale" and given.sizes else {}
            results[section.name] = measure(section, given.rounds, console, more)
    except (AnvilMissing, NpmMissing, PostgresMissing, RedisMissing) as missing:
        console.print(f"bench: {missing}", markup=False)
        return 1
    if not given.no_write:
        write(results, given.rounds)
    missed = [ratio["name"] for result in results.values() for ratio in result["ratios"] if not ratio["met"]]
    console.print(f"aims missed: {'; '.join(missed) or 'none'}", markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
