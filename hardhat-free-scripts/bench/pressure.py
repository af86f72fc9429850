"""Under pressure: three times as many requests as the gateway can answer, sent regardless of answers (an open loop).

Some requests, shed or accepted, are sent a second and third time meanwhile, and at the end every shed request is sent
until it is accepted. Then the books are checked: each id was decided once, with one answer, and exactly the approved
amounts are reserved. The gateway has a core to itself (`--pin`, `bench.cores`).
"""

import json
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import uvloop
from sqlalchemy import create_engine, func, select

import anvil
from bench.bank import Heartbeats, bind_users, start_bank
from bench.cores import beside_server, for_server
from bench.figures import Figure, Ratio, rate_ratio
from bench.http_load import Answer, drive, request
from localnet import LocalNet
from standing.gateway.storage import schema

_BINDINGS = 200
_CONNECTIONS = 64
_OPEN_CONNECTIONS = 1_000
_TIMES = 3
_ROUND_S = 3.0
_AGAIN = 0.1
#: How many decisions may be in progress: half as many again as at capacity. Latency under pressure is this number over
#: the rate that the refusals leave; the default suits a larger machine.
_MAX_WAITING = _CONNECTIONS * 3 // 2


@dataclass
class _Books:
    """Every request by its bytes, and its answer."""

    url: str
    key: str
    bindings: list[str]
    answers: dict[bytes, bytes] = field(default_factory=dict)
    shed: set[bytes] = field(default_factory=set)
    sent: list[bytes] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)
    dice: random.Random = field(default_factory=lambda: random.Random(6))  # noqa: S311 - no secret

    def make(self) -> bytes:
        """A payment; now and then one that was sent before."""
        if self.sent and self.dice.random() < _AGAIN:
            return self.dice.choice(self.sent)
        body = {
            "transaction_id": secrets.token_hex(12),
            "binding": self.dice.choice(self.bindings),
            "kind": "payment",
            "amount_minor": self.dice.randint(1, 99),
            "currency": "CNY",
        }
        self.sent.append(request(self.url + "/v1/decisions", self.key, json.dumps(body).encode()))
        return self.sent[-1]

    def note(self, answer: Answer) -> None:
        """Record an answer. Raises: RuntimeError for one that must not occur."""
        if answer.status == 503 and b"\r\nretry-after: " in answer.head:
            self.shed.add(answer.request)
        elif answer.status != 200:
            raise RuntimeError(f"{answer.status} without a promise: {answer.body[:200]!r}")
        elif self.answers.setdefault(answer.request, answer.body) != answer.body:
            raise RuntimeError("one transaction has two answers")
        else:
            self.latencies_ms.append(answer.latency_ms)

    def wrong(self, database_url: str) -> int:
        """The number of reservations that differ between the answers and the database."""
        engine = create_engine(database_url)
        table = schema.reservations.c
        with engine.connect() as connection:
            held = {
                row.transaction_id: row.amount_minor
                for row in connection.execute(select(table.transaction_id, table.amount_minor))
            }
            used = connection.scalar(select(func.sum(schema.usage.c.used_minor))) or 0
        engine.dispose()
        answered = [json.loads(body) for body in self.answers.values()]
        approved = {
            each["transaction_id"]: each["reservation"]["amount_minor"]
            for each in answered
            if each["outcome"] == "approve"
        }
        if used != sum(held.values()):
            raise RuntimeError(f"{used} minor units are counted as used, {sum(held.values())} are reserved")
        return len(set(approved.items()) ^ set(held.items()))


def _queue(requests: list[bytes]) -> Callable[[], bytes | None]:
    waiting = iter(requests)
    return lambda: next(waiting, None)


async def _pressed(books: _Books, capacity: Figure, pressed: Figure) -> None:
    """One round: capacity by a closed loop, then an open one at a multiple of it, then all shed requests again."""
    calm = await drive(books.url, books.make, connections=_CONNECTIONS, for_s=_ROUND_S, on_answer=books.note)
    if set(calm.statuses) != {200}:
        raise RuntimeError(f"at capacity: {calm.statuses}")
    capacity.rates.append(calm.rate)
    capacity.latencies_ms += calm.latencies_ms
    books.latencies_ms.clear()
    load = await drive(
        books.url,
        books.make,
        connections=_OPEN_CONNECTIONS,
        for_s=_ROUND_S,
        per_second=_TIMES * calm.rate,
        on_answer=books.note,
    )
    pressed.rates.append(load.statuses.get(200, 0) / load.seconds)
    pressed.latencies_ms += books.latencies_ms
    shed = pressed.extra.get("shed_share", 0.0)
    pressed.extra["shed_share"] = max(shed, load.statuses.get(503, 0) / len(load.latencies_ms))
    pressed.extra["sent_per_second"] = load.rate
    pressed.extra["p99_of_all_ms"] = quantiles(load.latencies_ms, n=100)[98]
    again = [each for each in books.shed if each not in books.answers] + books.dice.sample(sorted(books.answers), 100)
    await drive(books.url, _queue(again), connections=_CONNECTIONS, for_s=600, on_answer=books.note)
    books.shed.clear()


@beside_server()
def run(folder: Path, rounds: int) -> tuple[list[Figure], list[Ratio]]:
    """Measure under pressure. Raises: anvil.AnvilMissing; RuntimeError where anything is reserved wrongly."""
    process, url = anvil.start(folder)
    net = LocalNet(folder, "jinqiao-pay", ledger_url=url)
    capacity = Figure("pressure", f"{_CONNECTIONS} connections", "at capacity")
    pressed = Figure("pressure", f"{_TIMES} x capacity, {_OPEN_CONNECTIONS:,} connections", "what was accepted")
    try:
        bank = start_bank(net)
        bindings = bind_users(net, bank, _BINDINGS)
        net.gateway_settings["max_decision_requests"] = _MAX_WAITING
        with for_server():
            net.start_gateway("--pin")
        books = _Books(net.gateway_url, net.gateway_key, bindings)
        with Heartbeats(bank):
            for _ in range(rounds):
                # The load generator shares the two cores with the gateway, so it asks as cheaply as it can.
                uvloop.run(_pressed(books, capacity, pressed))
        wrong = books.wrong(net.gateway_settings["database_url"])
        if wrong:
            raise RuntimeError(f"{wrong} reservations are not what was answered")
    finally:
        net.stop()
        process.stop()
    slower = pressed.latency_ms(99) / capacity.latency_ms(99)
    return [capacity, pressed], [
        rate_ratio(f"pressure: accepted at {_TIMES} x capacity / capacity", pressed, capacity, 0.9),
        Ratio(f"pressure: p99 of accepted at {_TIMES} x capacity / p99 at capacity", slower, 2, False),
        Ratio("pressure: reservations that are not what was answered", wrong, 0, False),
    ]
