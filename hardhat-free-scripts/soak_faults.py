"""The faults of a soak test, drawn from its seed: each has a name, a way to inject it and a way to repair it."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.network import shifted_clock
from tests.network.consortium import Consortium
from tests.network.shifted_clock import ShiftedClock
from tests.network.validators import NetworkNode
from with_postgres import Server

_OFF_MS = 30_000


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault."""

    name: str
    inject: Callable[[], object]
    repair: Callable[[], object]


class Faults:
    """The faults of one consortium. `store`: its PostgreSQL; None where there is none."""

    def __init__(self, it: Consortium, store: Server | None) -> None:
        self._it = it
        self._store = store
        self._moves_clocks = shifted_clock.why_not() is None

    def draw(self, chance: random.Random) -> Fault:
        """A fault: half of them of the ledger's nodes and links, half of everything else."""
        return chance.choice(chance.choice([self._of_the_ledger, self._of_processes])(chance))

    def _of_the_ledger(self, chance: random.Random) -> list[Fault]:
        network = self._it.network
        nodes, one, two = network.nodes, chance.choice(network.nodes), chance.sample(network.validators, 2)
        others = [node for node in nodes if node not in two]
        both = f"{two[0].name} and {two[1].index}"

        def back(*killed: NetworkNode) -> None:
            for node in killed:
                network.launch(node)

        faults = [
            Fault(f"{one.name} killed", lambda: network.kill(one), lambda: back(one)),
            Fault(f"{one.name} stopped", lambda: network.stop(one), lambda: back(one)),
            Fault(f"{one.name} stalled", lambda: network.pause(one), lambda: network.resume(one)),
            Fault(f"{one.name} cut off", lambda: network.isolate(one), network.heal),
            Fault(f"{both} killed", lambda: network.kill(*two), lambda: back(*two)),
            Fault(f"{both} cut off", lambda: network.cut(two, others), network.heal),
            Fault("every node killed", lambda: network.kill(*nodes), lambda: back(*nodes)),
        ]
        if network.hosts.why_no_weather is None:
            slow = Fault("200 ms, 5 % loss", lambda: network.worsen(delay_ms=200, loss_per_mille=50), network.heal)
            faults.append(slow)
        return faults

    def _of_processes(self, chance: random.Random) -> list[Fault]:
        it = self._it
        bank = chance.choice(list(it.net.banks.values()))
        number, url = chance.choice(list(enumerate(it.gateways, 1)))
        voter, off_ms = chance.choice(it.network.validators), chance.choice([_OFF_MS, -_OFF_MS])
        clocks: list[ShiftedClock] = []

        def bank_back() -> None:
            assert bank.process is not None
            bank.process = it.net.start_again(bank.process, bank.url)

        def gateway_back() -> None:
            it.gateways[url] = it.net.start_again(it.gateways[url], url)

        def clock_off() -> None:
            it.network.kill(voter)
            clocks.append(it.network.launch_with_clock(voter))
            clocks[0].move(off_ms)

        assert bank.process is not None
        faults = [
            Fault(f"node of {bank.bic} killed", bank.process.kill, bank_back),
            Fault(f"gateway {number} killed", it.gateways[url].kill, gateway_back),
        ]
        if self._store is not None:
            faults.append(Fault("PostgreSQL stopped", self._store.stop, self._store.start))
        if self._moves_clocks:
            name = f"{voter.name} restarted, its clock {abs(off_ms) // 1000} s {'ahead' if off_ms > 0 else 'behind'}"
            faults.append(Fault(name, clock_off, lambda: clocks[0].move(0)))
        return faults
