"""The study of docs/CONSORTIUM.md: 10, 100 and 1,000 banks with a billion bindings, simulated.

    python -m bench.capacity_study            (make capacity; some minutes)

writes `docs/capacity/capacity.json`, the chart beside it, and the tables of docs/CONSORTIUM.md between their marks.
`--tables` only writes the chart and the tables, from the existing JSON.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich.progress import track

from bench.capacity import RECORD_BYTES, Costs, saturation_rate, simulate
from bench.capacity_tables import (
    BINDINGS,
    CASES,
    FOLDER,
    HERD,
    RATES,
    YEAR_S,
    peak_rate,
    promised_ms,
    usual_rate,
    write_tables,
)

_SECONDS = 30


def study() -> dict[str, Any]:
    """Every case at every rate, and the highest rate it can carry."""
    cases = []
    for case in track(CASES, "cases"):
        outcomes = [asdict(simulate(replace(case, changes_a_second=rate), _SECONDS)) for rate in (0.0, *RATES)]
        rates = [{"changes_a_second": rate, **outcome} for rate, outcome in zip((0.0, *RATES), outcomes, strict=True)]
        cases.append(
            {
                "case": asdict(case),
                "rates": rates,
                "wall_a_second": saturation_rate(case, promised_ms(case.heartbeat_ms)),
            }
        )
    return {"costs": asdict(Costs.measured()), "cases": cases}


def chart(found: dict[str, Any], file: Path) -> None:
    """Staleness and the block's gas by changes a second, and the disk space of a billion bindings."""
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    stale, full, disk = figure.subplots(1, 3)
    for place, simulated in enumerate(found["cases"]):
        case, loaded = simulated["case"], simulated["rates"][1:]
        label = f"{case['banks']:,} banks, every {case['heartbeat_ms'] // 1000} s, herds of {case['herd']}"
        style = {"color": f"C{place // 2}", "linestyle": "-" if case["herd"] == 1 else "--", "label": label}
        rates = [each["changes_a_second"] for each in loaded]
        stale.plot(rates, [each["staleness_p99_ms"] / 1000 for each in loaded], **style)
        full.plot(rates, [100 * each["block_share"] for each in loaded], **style)
    stale.set(ylabel="staleness of 99 of 100 reads, seconds", ylim=(0, 20))
    full.set(ylabel="% of the block's gas", ylim=(0, 105))
    for axes in (stale, full):
        axes.set(xlabel="changes a second, all banks together", xscale="log")
        for rate, name in ((usual_rate(), "usual"), (peak_rate(), "busy hour")):
            axes.axvline(rate, color="0.8", linewidth=0.8, zorder=0)
            axes.text(rate, 1.01, name, fontsize=7, ha="center", transform=axes.get_xaxis_transform())
    stale.legend(fontsize=6, loc="upper left")
    _disk(disk)
    figure.savefig(file, dpi=110, metadata={"Software": None})


def _disk(axes: Axes) -> None:
    years = range(6)
    newest_tb = BINDINGS * RECORD_BYTES / 1e12
    axes.plot(years, [newest_tb] * len(years), label="newest state", color="0.4")
    for herd, style in ((1, "-"), (HERD, "--")):
        grows_tb = usual_rate() * herd * RECORD_BYTES * YEAR_S / 1e12
        every = [newest_tb + year * grows_tb for year in years]
        axes.plot(years, every, style, color="C3", label=f"every record, herds of {herd}")
    axes.set(xlabel="years", ylabel="TB on a node's disk, a billion bindings", ylim=(0, None))
    axes.legend(fontsize=7)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", action="store_true", help="from the JSON that is there, without a simulation")
    given = parser.parse_args(arguments)
    file = FOLDER / "capacity.json"
    if given.tables:
        found = json.loads(file.read_text(encoding="utf-8"))
    else:
        found = study()
        FOLDER.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    chart(found, FOLDER / "capacity.png")
    write_tables(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
