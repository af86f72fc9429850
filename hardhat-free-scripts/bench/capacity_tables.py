"""The tables of docs/CONSORTIUM.md about a billion bindings, from the simulations of `bench.capacity_study`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.capacity import ATTESTATION_BYTES, RECORD_BYTES, ROOT, Case, Costs, Outcome

FOLDER = ROOT / "docs" / "capacity"
PAGE = ROOT / "docs" / "CONSORTIUM.md"
BEGINS, ENDS = "<!-- capacity: written by make capacity -->", "<!-- capacity: end -->"

BINDINGS = 1_000_000_000
#: How often a binding changes: once in a hundred days; and ten times that in a busy hour.
DAYS_BETWEEN_CHANGES, PEAK = 100, 10
HERD = 8
RATES = (1.0, 30.0, 116.0, 300.0, 600.0, 1_157.0, 2_500.0, 5_000.0, 8_000.0, 10_000.0)
CASES = tuple(
    Case(banks, 0, herd, heartbeat_ms)
    for banks, heartbeat_ms in ((10, 1_000), (100, 1_000), (1_000, 1_000), (1_000, 4_000))
    for herd in (1, HERD)
)
DAY_S, YEAR_S = 86_400, 365 * 86_400


def usual_rate() -> int:
    """Changes a second of all bindings, on average."""
    return round(BINDINGS / DAYS_BETWEEN_CHANGES / DAY_S)


def peak_rate() -> int:
    """Changes a second of all bindings in a busy hour."""
    return round(PEAK * BINDINGS / DAYS_BETWEEN_CHANGES / DAY_S)


def promised_ms(heartbeat_ms: int) -> int:
    """The promised staleness: 99 of 100 reads find an attestation no older than the bank's heartbeat and two blocks."""
    return heartbeat_ms + 2 * Case(1, 0).block_ms


def tables(found: dict[str, Any]) -> str:
    """The tables, as Markdown."""
    return "\n".join((*_simulated(found), "", *_computed(Costs(**found["costs"]))))


def _simulated(found: dict[str, Any]) -> Iterator[str]:
    usual, peak = usual_rate(), peak_rate()
    yield (
        f"| banks | heartbeat each | herds of | gas of heartbeats alone | staleness at {usual:,} changes a second | "
        f"gas | at {peak:,} | gas | saturation rate |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for each in found["cases"]:
        case, outcomes = each["case"], {one.pop("changes_a_second"): Outcome(**one) for one in map(dict, each["rates"])}
        at_usual, at_peak = outcomes[float(usual)], outcomes[float(peak)]
        yield (
            f"| {case['banks']:,} | {case['heartbeat_ms'] // 1000} s | {case['herd']} | "
            f"{outcomes[0.0].block_share:.1%} | "
            f"{_stale(at_usual, case)} | {at_usual.block_share:.0%} | {_stale(at_peak, case)} | "
            f"{at_peak.block_share:.0%} | "
            f"{each['wall_a_second']:,} a second |"
        )


def _stale(outcome: Outcome, case: dict[str, Any]) -> str:
    if outcome.staleness_p99_ms > promised_ms(case["heartbeat_ms"]):
        return "**falls behind**"
    return f"{outcome.staleness_p50_ms / 1000:.1f} s, 99 %: {outcome.staleness_p99_ms / 1000:.1f} s"


def _computed(costs: Costs) -> Iterator[str]:
    block = Case(1, 0).block_gas
    usual = usual_rate()
    records = (block - costs.publication) // costs.attestation
    days = BINDINGS * costs.first / block / DAY_S
    grows_tb = usual * RECORD_BYTES * YEAR_S / 1e12
    gateways = costs.reads_a_second // costs.decisions_a_second
    for what, value in (
        ("of a billion bindings", ""),
        ("---", "---"),
        (f"their first records, at {costs.first:,} gas each, with nothing else in any block", f"{days:.1f} days"),
        ("newest state, two slots each", f"{BINDINGS * RECORD_BYTES / 1e9:,.0f} GB"),
        ("an archive of every record grows a year, without herds", f"{grows_tb:.1f} TB"),
        (f"the same, herds of {HERD}", f"{HERD * grows_tb:.1f} TB"),
        ("data per second that full blocks send to each node", f"{records * ATTESTATION_BYTES / 1e6:.1f} MB a second"),
        (
            "share of one benchmark node's capacity (2 cores) that executing full blocks takes",
            f"{block / costs.executed_a_second:.0%}",
        ),
        ("gateway processes at full load that one ledger node can serve", str(gateways)),
    ):
        yield f"| {what} | {value} |"


def write_tables(found: dict[str, Any], page: Path = PAGE) -> None:
    """Put the tables between their marks on the page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGINS)
    _, found_end, after = rest.partition(ENDS)
    if not found_end:
        raise ValueError(f"{page.name} lacks the marks {BEGINS!r} and {ENDS!r}")
    page.write_text(f"{before}{BEGINS}\n\n{tables(found)}\n\n{ENDS}{after}", encoding="utf-8")
