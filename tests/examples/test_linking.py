"""The observer of the benchmark `linking`, on a small scale: herds hide partners, and without herds they are found."""

from pathlib import Path

import pytest

from bench.linking import pair, play

pytestmark = pytest.mark.long


@pytest.mark.parametrize("seed", [1, 2])
def test_without_herds_an_observer_pairs_the_bindings_of_one_account(tmp_path: Path, seed: int) -> None:
    trace = play(tmp_path, 1, accounts=60, changes=600, seed=seed)
    sealed, clear = pair(trace, herd_size=1), pair(trace, herd_size=1, clear_times=True)
    assert (sealed.precision, sealed.recall_of_all) > (0.9, 0.9)
    assert clear.precision_of_all > 0.9
    assert sealed.precision_of_all > 0.5


@pytest.mark.parametrize("seed", [1, 2])
def test_within_a_herd_an_observer_does_no_better_than_guessing(tmp_path: Path, seed: int) -> None:
    trace = play(tmp_path, 4, accounts=60, changes=600, seed=seed)
    found = pair(trace, herd_size=4)
    assert found.precision <= 1.1 / 3
    assert found.recall_of_all <= 1.1 / 3
    assert trace.partner, "there was something to find"
