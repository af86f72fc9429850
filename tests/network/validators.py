"""The nodes of the test network: start, stop, kill, pause, resume; and their links: cut, heal, slow."""

import itertools
import os
import shutil
import signal
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from processes import NotYet, Process
from standing.ledger.devnet.chain import DEVNET_KEYS
from tests.network.engine import Engine, Plan, Ports, start_command
from tests.network.pipes import Pipe, Pipes, Weather

#: Four validators tolerate the loss of one; the observer follows without a vote, as a platform's node would.
PLAN = Plan(validators=4, observers=1, funded=tuple(key.hex() for key in DEVNET_KEYS))
COMMIT_MS = 300


@dataclass
class NetworkNode:
    """One node. `dials`: its own links, by the index of the other node, which owns the opposite end."""

    index: int
    home: Path
    identity: str
    ports: Ports
    votes: bool
    dials: dict[int, Pipe] = field(default_factory=dict)
    process: Process | None = None

    @property
    def name(self) -> str:
        return f"validator {self.index}" if self.votes else "observer"

    @property
    def url(self) -> str:
        """Its JSON-RPC."""
        return f"http://127.0.0.1:{self.ports.rpc}"

    def height(self) -> int:
        """The number of its newest block. Raises: httpx.TransportError, NotYet where it is not serving."""
        call = {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []}
        answer = httpx.post(self.url, json=call, timeout=2)
        if answer.status_code != httpx.codes.OK or "result" not in answer.json():
            raise NotYet(f"{self.name} answers HTTP {answer.status_code}")
        return int(answer.json()["result"], 16)


class ValidatorNetwork:
    """All nodes of one network, in one folder. Made by `validators`."""

    def __init__(self, folder: Path, pipes: Pipes, plan: Plan, commit_ms: int) -> None:
        self._engine = Engine()
        self._commit_ms = commit_ms
        self._folder = folder
        homes = self._engine.homes(plan)
        self.nodes = []
        for index in range(plan.nodes):
            home = folder / f"n{index}"
            shutil.copytree(homes / f"n{index}", home)
            votes = index < plan.validators
            self.nodes.append(NetworkNode(index, home, (home / "id").read_text(), Ports(), votes))
        # One link per pair, dialled from one side only, so that a pair has a single connection that can be cut.
        for one, other in itertools.combinations(self.nodes, 2):
            one.dials[other.index] = pipes.link(other.ports.p2p)

    @property
    def validators(self) -> list[NetworkNode]:
        return [node for node in self.nodes if node.votes]

    @property
    def observer(self) -> NetworkNode:
        return next(node for node in self.nodes if not node.votes)

    # Nodes

    def start(self, *nodes: NetworkNode) -> None:
        """Start nodes, by default all, and wait until each serves a block. Without a quorum that never happens."""
        for node in nodes or self.nodes:
            self.launch(node)
        for node in nodes or self.nodes:
            self.wait_for_height(node, 2)

    def launch(self, node: NetworkNode) -> None:
        """Start a node without waiting for it."""
        assert node.process is None
        peers = [f"{self.nodes[other].identity}@127.0.0.1:{pipe.port}" for other, pipe in node.dials.items()]
        command = start_command(self._engine, node.home, node.ports, peers=peers, commit_ms=self._commit_ms)
        log = self._folder / f"ledger-{node.index}.log"
        node.process = Process(node.name, command, log, self._engine.environment)

    def stop(self, *nodes: NetworkNode) -> None:
        """Stop nodes as an operator would."""
        for node in nodes:
            process, node.process = _running(node), None
            process.stop()

    def kill(self, *nodes: NetworkNode) -> None:
        """Kill nodes, like a power cut."""
        for node in nodes:
            process, node.process = _running(node), None
            process.kill()

    def pause(self, node: NetworkNode) -> None:
        """Pause a node: it keeps its connections and answers nothing."""
        os.kill(_running(node).pid, signal.SIGSTOP)

    def resume(self, node: NetworkNode) -> None:
        os.kill(_running(node).pid, signal.SIGCONT)

    def stop_all(self) -> None:
        """End everything that runs."""
        for node in self.nodes:
            if node.process is not None:
                with suppress(ProcessLookupError):  # it may have died by itself
                    self.resume(node)
                self.kill(node)

    # Votes

    def begin_to_vote(self, node: NetworkNode, key: bytes) -> None:
        """Make an observer a validator, paid for by a funded account, and wait until it is one."""
        self._engine.begin_to_vote(node.home, node.ports, key.hex())
        votes = self.voting(node)
        _running(node).wait_until(lambda: self.voting(node) == votes + 1)

    def end_to_vote(self, node: NetworkNode) -> None:
        """Undo `begin_to_vote`, and wait until that is done."""
        votes = self.voting(node)
        self._engine.end_to_vote(node.home, node.ports)
        _running(node).wait_until(lambda: self.voting(node) == votes - 1)

    def voting(self, node: NetworkNode) -> int:
        """How many validators there are, according to a node."""
        answer = httpx.get(f"http://127.0.0.1:{node.ports.comet}/validators", timeout=5)
        return int(answer.json()["result"]["total"])

    # Links

    def cut(self, *groups: Collection[NetworkNode]) -> None:
        """Cut every link between nodes of different groups."""
        for one, other in itertools.combinations(groups, 2):
            for pipe in self._links(one, other):
                pipe.cut()

    def isolate(self, node: NetworkNode) -> None:
        """Cut a node off from all others."""
        self.cut([node], [other for other in self.nodes if other is not node])

    def heal(self) -> None:
        """Restore every link at once, without loss."""
        for node in self.nodes:
            for pipe in node.dials.values():
                pipe.heal()
                pipe.weather = Weather()

    def worsen(self, *, delay_ms: int, loss_per_mille: int) -> None:
        """Make every link slow and lossy."""
        for node in self.nodes:
            for pipe in node.dials.values():
                pipe.weather = Weather(delay_ms, loss_per_mille)

    def _links(self, one: Collection[NetworkNode], other: Collection[NetworkNode]) -> Iterator[Pipe]:
        for left in one:
            for right in other:
                near, far = sorted((left, right), key=lambda node: node.index)
                yield near.dials[far.index]

    # Heights

    def heights(self, nodes: Sequence[NetworkNode] = ()) -> list[int]:
        """The newest block of each node, by default of all."""
        return [node.height() for node in nodes or self.nodes]

    def wait_for_height(self, node: NetworkNode, height: int) -> None:
        """Wait until a node serves this block. Raises: ProcessDied, NotYet."""
        _running(node).wait_until(lambda: node.height() >= height)

    def wait_for_blocks(self, more: int, nodes: Sequence[NetworkNode] = ()) -> None:
        """Wait until each node, by default all, is `more` blocks beyond the highest one now."""
        asked = nodes or self.nodes
        top = max(self.heights(asked))
        for node in asked:
            self.wait_for_height(node, top + more)

    def wait_until_level(self) -> None:
        """Wait until every running node serves the block that was the highest when all answered."""
        running = [node for node in self.nodes if node.process is not None]
        for node in running:
            self.wait_for_height(node, 0)  # a node that was just started is not listening yet
        self.wait_for_blocks(0, running)


def _running(node: NetworkNode) -> Process:
    assert node.process is not None, f"{node.name} does not run"
    return node.process


@contextmanager
def validators(folder: Path, *, plan: Plan = PLAN, commit_ms: int = COMMIT_MS) -> Iterator[ValidatorNetwork]:
    """A running network, with every node at block 2 or beyond. Everything it started is ended on exit.

    Raises: tests.network.engine.EngineMissing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with Pipes() as pipes:
        network = ValidatorNetwork(folder, pipes, plan, commit_ms)
        try:
            network.start()
            yield network
        finally:
            network.stop_all()
