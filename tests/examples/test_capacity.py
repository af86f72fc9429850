"""The simulation of a consortium's capacity: it counts correctly, and agrees with the measurements."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import capacity_tables
from bench.capacity import BENCHMARKS, Case, Costs, saturation_rate, simulate

_COSTS = Costs.measured()


def test_costs_match_the_measurements() -> None:
    """Publications of 1, 100 and 500 attestations cost what the bench measured, within 1 %."""
    figures = json.loads(BENCHMARKS.read_text())["sections"]["gas"]["figures"]
    measured = {f["load"]: f["median"] for f in figures if f["contender"] == "StatusLedger, update"}
    for size in (1, 100, 500):
        assert _COSTS.gas(size) / size == pytest.approx(measured[f"batch of {size}"], rel=0.01)


def test_a_change_is_in_a_block_as_soon_as_on_the_benchs_real_nodes() -> None:
    """With a block each second; the bench's figure extends to the decision, which reads some ten milliseconds later."""
    figures = json.loads(BENCHMARKS.read_text())["sections"]["propagate"]["figures"]
    measured_ms = next(f["latency_ms"] for f in figures if f["load"] == "a block each 1 s")
    outcome = simulate(Case(banks=10, changes_a_second=10))
    assert outcome.in_block_p50_ms == pytest.approx(measured_ms["p50"], rel=0.1)
    assert outcome.in_block_p99_ms == pytest.approx(measured_ms["p99"], rel=0.1)


def test_idle_banks_cost_only_their_heartbeats() -> None:
    outcome = simulate(Case(banks=100, changes_a_second=0))
    assert outcome.publications_a_second == pytest.approx(100, rel=0.03)
    assert outcome.block_share == pytest.approx(100 * _COSTS.gas(0) / 100_000_000, rel=0.03)
    # Signed at most one heartbeat and one block before the block that is read, which is up to a block old.
    assert 1_000 <= outcome.staleness_p99_ms <= 3_000


def test_every_change_costs_its_whole_herd_and_is_published_once() -> None:
    """Changes in quick succession share publications; each costs an attestation for every binding of its herd."""
    alone, herds = (simulate(Case(banks=2, changes_a_second=100, herd=herd)) for herd in (1, 8))
    assert alone.behind < 5
    for outcome, herd in ((alone, 1), (herds, 8)):
        gas = outcome.publications_a_second * _COSTS.gas(0) + 100 * herd * _COSTS.attestation
        assert outcome.block_share == pytest.approx(gas / 100_000_000, rel=0.1)


def test_changes_beyond_the_block_gas_queue_up_and_staleness_grows() -> None:
    """Twice as many changes as the block's gas holds: half of them remain, and attestations age."""
    holds = 100_000_000 / _COSTS.attestation
    case = Case(banks=20, changes_a_second=2 * holds)
    short, long = simulate(case, seconds=10), simulate(case, seconds=20)
    assert long.block_share > 0.95
    assert long.behind == pytest.approx(50, abs=10)
    assert long.staleness_p99_ms > short.staleness_p99_ms + 3_000
    assert simulate(replace(case, changes_a_second=holds / 2), seconds=10).behind < 20


def test_the_wall_of_a_small_block_is_where_its_gas_ends() -> None:
    case = Case(banks=5, changes_a_second=0, block_gas=5_000_000)
    heartbeats = 4 * 5 * _COSTS.gas(0)  # each bank has four publications in flight at most
    at_most = 5_000_000 / _COSTS.attestation
    at_least = (5_000_000 - heartbeats) / _COSTS.attestation
    assert 0.85 * at_least <= saturation_rate(case, 3_000) <= 1.1 * at_most


def test_the_same_seed_repeats_the_run() -> None:
    case = Case(banks=5, changes_a_second=20)
    assert simulate(case, 5, seed=1) == simulate(case, 5, seed=1) != simulate(case, 5, seed=2)


def test_the_pages_tables_match_the_study(tmp_path: Path) -> None:
    """The tables between the marks come from the JSON beside the chart, and its gas costs are current within 2 %."""
    found = json.loads((capacity_tables.FOLDER / "capacity.json").read_text())
    for name in ("publication", "attestation", "first"):
        assert found["costs"][name] == pytest.approx(getattr(_COSTS, name), rel=0.02), "make capacity"
    page = tmp_path / "page.md"
    page.write_text(capacity_tables.PAGE.read_text())
    capacity_tables.write_tables(found, page)
    assert page.read_text() == capacity_tables.PAGE.read_text(), "make capacity ARGS=--tables"
    page.write_text("a page without marks")
    with pytest.raises(ValueError, match="marks"):
        capacity_tables.write_tables(found, page)
