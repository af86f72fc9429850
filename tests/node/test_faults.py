"""Two hundred runs of a seeded schedule; in each, the node is killed at one of its durable steps, in turn.

After each, the core's state is compared with the ledger: nothing lost, nothing repeated, no number signed
twice. A failure names its seed, which reproduces the run.
"""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from standing.ledger.chain import governance
from standing.node.bindings import off_boarding
from standing.node.fault_points import FAULT_POINTS, PART_FAULT_POINTS
from tests.node.core_feeds import ApiClient, Files, Push, View
from tests.node.fault_simulation import FaultyNode, Kill, SigningSpy, assert_level
from tests.world import BANK_ADMIN, Bank, World, world

RUNS = 200
_POINTS = FAULT_POINTS + PART_FAULT_POINTS
#: A few of them run with all other tests, each point once.
FEW = len(_POINTS)

_RUNS_A_CHAIN = 10
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Worlds:
    """A world for a run. Each run has its own bank; a chain serves several until it becomes slow."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory
        self._stack = ExitStack()
        self._runs = 0
        self._world: World | None = None

    def next(self) -> World:
        if self._world is None or self._runs % _RUNS_A_CHAIN == 0:
            self.close()
            self._world = self._stack.enter_context(world(self._factory.mktemp("faults")))
        self._runs += 1
        return self._world

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    made = Worlds(tmp_path_factory)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Off-boarding continues after a batch that was not the last, with two bindings as with thousands."""
    monkeypatch.setattr(off_boarding, "BATCH", 1)


def _bank(made: World, seed: int, settings: dict[str, Any]) -> Bank:
    high, low = divmod(seed, 26)
    bank = made.make_bank(f"FA{_LETTERS[high]}{_LETTERS[low]}CNB0", **settings)
    signer_key = secrets.token_bytes(32)
    spy = SigningSpy(signer_key)
    governance.execute(made.client, governance.rotate_signer(bank.bic, spy.address), BANK_ADMIN)
    bank.secrets = replace(bank.secrets, signer=spy)
    return bank


def _core_feed(made: World, point: str, seed: int, folder: Path) -> ApiClient:
    """The kind of feed for a run: each in turn, unless the point belongs to one kind only."""
    ways = ["files"] if point.startswith("file_") else ["push", "files", "view"]
    way = ways[seed // len(_POINTS) % len(ways)]
    if way == "push":
        return Push(seed)
    return Files(folder, seed) if way == "files" else View(folder, made.clock.now_ms())


def _play(made: World, seed: int) -> None:
    point = _POINTS[seed % len(_POINTS)]
    turn = seed // len(_POINTS)
    folder, payouts = made.folder / f"core-{seed}", made.folder / f"payouts-{seed}"
    folder.mkdir()
    payouts.mkdir()
    client = _core_feed(made, point, seed, folder)
    by_deposit = point in {"deposit_committed", "deposit_paid", "amount_refused"} or turn % 2 == 1
    rules = {"policy": "always", "payout_folder": payouts, "max_a_week": 20}
    herds = {"herd_size": 3 if turn % 4 >= 2 else 1}
    settings = {**client.settings, **({"micro_deposit": rules} if by_deposit else {}), "publisher": herds}
    # Leadership is taken once per start of the node; the other points are reached repeatedly.
    kill = Kill(point, times=1 if point == "leadership_taken" else 1 + turn % 4)
    faulty = FaultyNode(made, _bank(made, seed, settings), client, seed, kill, payouts if by_deposit else None)
    try:
        faulty.run()
        assert kill.done, f"{kill.point} was not reached often enough"
        assert_level(faulty)
    finally:
        faulty.end()
        client.close()
        made.chain.down = False
        if made.chain.holding:
            made.chain.lose()


@pytest.mark.long
@pytest.mark.parametrize("seed", range(FEW))
def test_a_node_killed_once_at_each_durable_step_agrees_with_the_ledger(worlds: Worlds, seed: int) -> None:
    _play(worlds.next(), seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(FEW, RUNS))
def test_a_node_killed_at_any_durable_step_agrees_with_the_ledger(worlds: Worlds, seed: int) -> None:
    _play(worlds.next(), seed)
