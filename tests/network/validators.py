"""The nodes of the test network: start, stop, kill, pause, resume; and their links: cut, heal, slow."""

import itertools
import os
import shutil
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from processes import NotYet, Process
from standing.ledger.devnet.chain import DEVNET_KEYS
from tests.network.engine import Engine, Plan, Ports, start_command
from tests.network.hosts import Hosts, hosts
from tests.network.shifted_clock import ShiftedClock, held

#: Four validators tolerate the loss of one; the observer follows without a vote, as a platform's node would.
PLAN = Plan(validators=4, observers=1, funded=tuple(key.hex() for key in DEVNET_KEYS))
COMMIT_MS = 300
#: After a cut TCP may wait as long again before it retransmits, or the node has to reconnect.
_PATIENCE_S = 180.0


@dataclass
class NetworkNode:
    """One node, on a host of its own."""

    index: int
    home: Path
    identity: str
    ports: Ports
    votes: bool
    process: Process | None = None

    @property
    def name(self) -> str:
        return f"validator {self.index}" if self.votes else "observer"

    @property
    def url(self) -> str:
        """Its JSON-RPC."""
        return f"http://{self.ports.address}:{self.ports.rpc}"

    def height(self) -> int:
        """The number of its newest block. Raises: httpx.TransportError, NotYet where it is not serving."""
        return int(self._ask("eth_blockNumber"), 16)

    def is_level(self) -> bool:
        """Whether it follows the votes; a node that catches up serves blocks, but takes no transactions. Raises:
        httpx.TransportError."""
        answer = httpx.get(f"http://{self.ports.address}:{self.ports.comet}/status", timeout=5)
        return not answer.json()["result"]["sync_info"]["catching_up"]

    def block_time(self) -> datetime:
        """The time of its newest block. Raises: httpx.TransportError, NotYet where it is not serving."""
        return datetime.fromtimestamp(int(self._ask("eth_getBlockByNumber", "latest", False)["timestamp"], 16), UTC)

    def own_time(self) -> datetime:
        """Its own clock's time at the beginning of its newest round of votes, possibly in the future."""
        answer = httpx.get(f"http://{self.ports.address}:{self.ports.comet}/dump_consensus_state", timeout=5)
        return datetime.fromisoformat(answer.json()["result"]["round_state"]["start_time"][:19] + "Z")

    def _ask(self, method: str, *parameters: Any) -> Any:
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        answer = httpx.post(self.url, json=call, timeout=2)
        if answer.status_code != httpx.codes.OK or "result" not in answer.json():
            raise NotYet(f"{self.name} answers HTTP {answer.status_code}")
        return answer.json()["result"]


class ValidatorNetwork:
    """All nodes of one network, in one folder. Made by `validators`."""

    def __init__(self, folder: Path, hosts: Hosts, plan: Plan, commit_ms: int) -> None:
        self._engine = Engine()
        self.hosts = hosts
        self._commit_ms = commit_ms
        self._folder = folder
        homes = self._engine.homes(plan)
        self.nodes = []
        for index in range(plan.nodes):
            home = folder / f"n{index}"
            shutil.copytree(homes / f"n{index}", home)
            votes = index < plan.validators
            ports = Ports(hosts.address(index), hosts.address_for_peers(index))
            self.nodes.append(NetworkNode(index, home, (home / "id").read_text(), ports, votes))

    @property
    def validators(self) -> list[NetworkNode]:
        return [node for node in self.nodes if node.votes]

    @property
    def observer(self) -> NetworkNode:
        return next(node for node in self.nodes if not node.votes)

    # Nodes

    def start(self, *nodes: NetworkNode) -> None:
        """Start nodes, by default all, and wait until each serves a block and takes transactions. Without a quorum that
        never happens."""
        for node in nodes or self.nodes:
            self.launch(node)
        for node in nodes or self.nodes:
            self.wait_for_height(node, 2)
            _running(node).wait_until(node.is_level, _PATIENCE_S)

    def launch_with_clock(self, node: NetworkNode) -> ShiftedClock:
        """Start a node whose clock can be moved, without waiting for it. Raises: ClockUnavailable."""
        self.launch(node, held)
        return ShiftedClock(_running(node).pid)

    def launch(self, node: NetworkNode, wrapped: Callable[[list[str]], list[str]] = list) -> None:
        """Start a node without waiting for it. `wrapped` turns its command into the one that is run."""
        assert node.process is None
        # One link per pair, dialled from one side only, so that a pair has a single connection that can be cut.
        peers = [
            f"{other.identity}@{self.hosts.peer(node.index, other.index, other.ports.p2p)}"
            for other in self.nodes[node.index + 1 :]
        ]
        command = start_command(self._engine, node.home, node.ports, peers=peers, commit_ms=self._commit_ms)
        log = self._folder / f"ledger-{node.index}.log"
        command = self.hosts.inside(node.index, wrapped(command))
        node.process = Process(node.name, command, log, self._engine.environment(self._folder))

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
                with suppress(ProcessLookupError):  # it may have died already
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
        answer = httpx.get(f"http://{node.ports.address}:{node.ports.comet}/validators", timeout=5)
        return int(answer.json()["result"]["total"])

    # Links

    def cut(self, *groups: Collection[NetworkNode]) -> None:
        """Cut every link between nodes of different groups."""
        for one, other in itertools.combinations(groups, 2):
            for near, far in itertools.product(one, other):
                self.hosts.cut(near.index, far.index)

    def isolate(self, node: NetworkNode) -> None:
        """Cut a node off from all others."""
        self.cut([node], [other for other in self.nodes if other is not node])

    def heal(self) -> None:
        """Restore every link at once, without loss."""
        self.hosts.heal()

    def worsen(self, *, delay_ms: int, loss_per_mille: int) -> None:
        """Make every link slow and lossy. Raises: tests.network.namespaces.Unavailable."""
        self.hosts.worsen(delay_ms=delay_ms, loss_per_mille=loss_per_mille)

    # Heights

    def heights(self, nodes: Sequence[NetworkNode] = ()) -> list[int]:
        """The newest block of each node, by default of all."""
        return [node.height() for node in nodes or self.nodes]

    def wait_for_height(self, node: NetworkNode, height: int) -> None:
        """Wait until a node serves this block. Raises: ProcessDied, NotYet."""
        _running(node).wait_until(lambda: node.height() >= height, _PATIENCE_S)

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
def validators(
    folder: Path, *, plan: Plan = PLAN, commit_ms: int = COMMIT_MS, weather: bool = True
) -> Iterator[ValidatorNetwork]:
    """A running network, with every node at block 2 or beyond. Everything it started is ended on exit. `weather`:
    whether a test makes its links slow and lossy.

    Raises: tests.network.engine.EngineMissing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with hosts(plan.nodes, weather=weather) as made:
        network = ValidatorNetwork(folder, made, plan, commit_ms)
        try:
            network.start()
            yield network
        finally:
            network.stop_all()
