"""The capacity of a consortium: banks that publish on a ledger with a block gas limit, simulated with SimPy.

Banks follow the publisher's own rules (`node/publishing/publisher.py`): a change is published at once while fewer than
four publications are in flight, otherwise together with all that have arrived when the next block is seen; a heartbeat
is sent only if nothing else is in flight. Costs come from `benchmarks.json`. Nothing here is measured: the simulation
shows where queues begin, not how fast a machine is. Its time from a change to a block is that of the bench's real
nodes.

`bench.capacity_study` plays the cases of docs/CONSORTIUM.md. The seed is fixed, so that a run can be repeated.
"""

import json
import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import simpy

from standing.node.publishing.publisher import PublisherOptions

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks.json"
#: A record's size in a node's database: two slots with keys, values and their share of the tree's nodes.
RECORD_BYTES = 200
#: Calldata of one attestation, and of the rest of a publication.
ATTESTATION_BYTES, PUBLICATION_BYTES = 96, 450
_RULES = PublisherOptions()
_WARM_UP_MS = 10_000
_SEED = 20
_NEVER_MS = 1e12


@dataclass(frozen=True, slots=True)
class Costs:
    """Gas of a publication: `publication` and `attestation` for each record in it, `first` for a binding's first.
    `executed_a_second`: gas that the bench's single node executed. `reads_a_second` of that node, in shared calls, and
    `decisions_a_second` of one gateway process."""

    publication: int
    attestation: int
    first: int
    executed_a_second: int
    reads_a_second: int
    decisions_a_second: int

    @classmethod
    def measured(cls, file: Path = BENCHMARKS) -> "Costs":
        """From benchmarks.json."""
        sections = json.loads(file.read_text(encoding="utf-8"))["sections"]

        def median(section: str, load: str, contender: str) -> float:
            figures = sections[section]["figures"]
            return float(next(f["median"] for f in figures if (f["load"], f["contender"]) == (load, contender)))

        alone, many = (median("gas", f"batch of {n}", "StatusLedger, update") for n in (1, 500))
        attestation = (500 * many - alone) / 499
        published = median("publish", "500 in each", "the chain alone (limit)")
        return cls(
            publication=round(alone - attestation),
            attestation=round(attestation),
            first=round(median("gas", "batch of 500", "StatusLedger, new")),
            executed_a_second=round(published * many),
            reads_a_second=round(median("scale", "1,000,000 bindings", "read, 64 at once")),
            decisions_a_second=round(median("decide", "64 connections", "live ledger")),
        )

    def gas(self, attestations: int) -> int:
        return self.publication + attestations * self.attestation


@dataclass(frozen=True, slots=True)
class Case:
    """A consortium under a load. `changes_a_second` are of all banks together; each publishes its whole herd."""

    banks: int
    changes_a_second: float
    herd: int = 1
    heartbeat_ms: int = 1_000
    block_ms: int = 1_000
    block_gas: int = 100_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result after the warm-up. `staleness`: as a read finds it at any moment; `in_block`: from the core's change
    to the block that holds it. `behind`: of a hundred changes, those in no block at the end."""

    staleness_p50_ms: int
    staleness_p99_ms: int
    in_block_p50_ms: int
    in_block_p99_ms: int
    block_share: float
    publications_a_second: float
    bytes_a_second: int
    behind: float


@dataclass(slots=True)
class _Publication:
    bank: "_Bank"
    gas: int
    attestations: int
    watermark_ms: int
    changed_at_ms: list[int]


@dataclass(slots=True)
class _Tally:
    staleness_ms: list[int] = field(default_factory=list)
    in_block_ms: list[int] = field(default_factory=list)
    gas: int = 0
    room: int = 0
    publications: int = 0
    bytes: int = 0
    arrived: int = 0
    settled: int = 0


class _Ledger:
    """Fills blocks first come, first served, up to the gas limit; a bank's publications only in their order."""

    def __init__(self, world: simpy.Environment, case: Case, rng: random.Random, tally: _Tally) -> None:
        self.world, self.case = world, case
        self.waiting: deque[_Publication] = deque()
        self.banks: list[_Bank] = []
        self.block = world.event()
        self._rng, self._tally = rng, tally

    def run(self) -> Generator[simpy.Event, Any, None]:
        while True:
            yield self.world.timeout(self.case.block_ms)
            self._make_block()
            made, self.block = self.block, self.world.event()
            made.succeed()

    def _make_block(self) -> None:
        now_ms, left, passed_over = int(self.world.now), self.case.block_gas, deque[_Publication]()
        counts, late = now_ms > _WARM_UP_MS, set[int]()
        if counts:
            self._read(now_ms)
        while self.waiting:
            one = self.waiting.popleft()
            if one.gas > left or id(one.bank) in late:
                late.add(id(one.bank))
                passed_over.append(one)
                if left < self.case.block_gas // 1_000:
                    break
                continue
            left -= one.gas
            one.bank.settled(one)
            self._tally.settled += len(one.changed_at_ms)
            if counts:
                self._tally.publications += 1
                self._tally.bytes += PUBLICATION_BYTES + one.attestations * ATTESTATION_BYTES
                self._tally.in_block_ms += [now_ms - at_ms for at_ms in one.changed_at_ms]
        self.waiting = passed_over + self.waiting
        if counts:
            self._tally.gas += self.case.block_gas - left
            self._tally.room += self.case.block_gas

    def _read(self, now_ms: int) -> None:
        """One read of each bank at a moment since the last block."""
        self._tally.staleness_ms += [
            now_ms - self._rng.randrange(self.case.block_ms) - bank.watermark_ms for bank in self.banks
        ]


class _Bank:
    def __init__(self, ledger: _Ledger, rng: random.Random, tally: _Tally) -> None:
        self._ledger, self._rng, self._tally = ledger, rng, tally
        self._world = ledger.world
        self._a_ms = ledger.case.changes_a_second / ledger.case.banks / 1000
        self._most = max(1, _RULES.max_attestations // ledger.case.herd)
        self._arrives_at_ms: float = self._pause_ms()
        self._signed_at_ms = 0
        self._outbox: deque[int] = deque()  # when each change arrived
        self._in_flight = 0
        self.watermark_ms = 0

    def run(self) -> Generator[simpy.Event, Any, None]:
        """Publish as the publisher's loop does."""
        case = self._ledger.case
        yield self._world.timeout(self._rng.randrange(case.heartbeat_ms))
        while True:
            self._draw()
            while self._outbox and self._in_flight < _RULES.max_in_flight:
                self._sign()
            if not self._in_flight and self._world.now - self._signed_at_ms >= case.heartbeat_ms:
                self._sign()
            yield from self._until_due()

    def settled(self, one: _Publication) -> None:
        self._in_flight -= 1
        self.watermark_ms = one.watermark_ms

    def _until_due(self) -> Generator[simpy.Event, Any, None]:
        """Wait until a block is seen, a heartbeat is due, or a change arrives that may be published."""
        now_ms, block = int(self._world.now), self._ledger.block
        arrives_in_ms = max(1, round(self._arrives_at_ms) - now_ms)
        if not self._in_flight:
            beats_in_ms = max(1, self._signed_at_ms + self._ledger.case.heartbeat_ms - now_ms)
            yield self._world.timeout(min(beats_in_ms, arrives_in_ms))
            return
        if self._in_flight < _RULES.max_in_flight and arrives_in_ms <= self._ledger.case.block_ms:
            happened = yield block | self._world.timeout(arrives_in_ms)
            if block not in happened:
                return
        else:
            yield block
        yield self._world.timeout(self._rng.randint(1, _RULES.poll_ms))  # it is seen at the next poll

    def _draw(self) -> None:
        """Move the changes that have arrived by now to the outbox."""
        while self._arrives_at_ms <= self._world.now:
            self._outbox.append(int(self._arrives_at_ms))
            self._tally.arrived += 1
            self._arrives_at_ms += self._pause_ms()

    def _pause_ms(self) -> float:
        """The time until the next change. Changes arrive as a Poisson process, as when many people cause them."""
        return self._rng.expovariate(self._a_ms) if self._a_ms else _NEVER_MS

    def _sign(self) -> None:
        now_ms = int(self._world.now)
        changed_at_ms = [self._outbox.popleft() for _ in range(min(len(self._outbox), self._most))]
        # Every change up to the watermark is in this publication or an earlier one.
        watermark_ms = self._outbox[0] - 1 if self._outbox else now_ms
        attestations = len(changed_at_ms) * self._ledger.case.herd
        self._ledger.waiting.append(
            _Publication(self, _COSTS.gas(attestations), attestations, watermark_ms, changed_at_ms)
        )
        self._in_flight += 1
        self._signed_at_ms = now_ms


_COSTS = Costs.measured()


def simulate(case: Case, seconds: int = 60, seed: int = _SEED) -> Outcome:
    """Simulate a case for `seconds` after a warm-up."""
    world, rng, tally = simpy.Environment(), random.Random(seed), _Tally()  # noqa: S311 - must be repeatable
    ledger = _Ledger(world, case, rng, tally)
    ledger.banks = [_Bank(ledger, rng, tally) for _ in range(case.banks)]
    world.process(ledger.run())
    for bank in ledger.banks:
        world.process(bank.run())
    world.run(until=_WARM_UP_MS + seconds * 1000 + 1)
    return Outcome(
        staleness_p50_ms=_percentile(tally.staleness_ms, 50),
        staleness_p99_ms=_percentile(tally.staleness_ms, 99),
        in_block_p50_ms=_percentile(tally.in_block_ms, 50),
        in_block_p99_ms=_percentile(tally.in_block_ms, 99),
        block_share=round(tally.gas / tally.room, 3),
        publications_a_second=round(tally.publications / seconds, 1),
        bytes_a_second=round(tally.bytes / seconds),
        behind=round(100 * (tally.arrived - tally.settled) / tally.arrived, 1) if tally.arrived else 0.0,
    )


def saturation_rate(case: Case, bound_ms: int, seconds: int = 30) -> int:
    """The most changes a second (of all banks) at which 99 of 100 reads find an attestation no older than the bound, to
    within a tenth; 0 if even one a second is too many."""

    def carries(rate: float) -> bool:
        return simulate(replace(case, changes_a_second=rate), seconds).staleness_p99_ms <= bound_ms

    if not carries(1):
        return 0
    low, high = 1.0, 64.0
    while carries(high):
        low, high = high, 4 * high
    while high / low > 1.1:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if carries(middle) else (low, middle)
    return round(low)


def _percentile(values: list[int], percent: int) -> int:
    values.sort()
    return values[min(len(values) - 1, len(values) * percent // 100)] if values else 0
