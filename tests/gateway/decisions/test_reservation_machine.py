"""Reservations against a model, in any order of events, on a real database, through crashes and restarts.

The model is a few lines of arithmetic. Two gateways share one database, as two processes do.
`STANDING_TEST_DATABASE` names a PostgreSQL server to run on in place of SQLite.
"""

import asyncio
import json
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from sqlalchemy import select

from standing.gateway.decisions import records
from standing.gateway.decisions.question import Kind, Transaction
from standing.gateway.decisions.usage import State
from standing.gateway.errors import AlreadySettled, NothingReserved, ReservationExpired
from standing.gateway.storage import schema
from standing.ledger.clock import ManualClock
from standing.ledger.errors import Conflict, InvalidValue, StandingError
from tests.databases import new_database, on_postgresql
from tests.gateway.decision_rig import NOON_MS, Account, DecisionRig, decision_rig

LIFETIME_MS = 3_600_000
DAY_MS = 24 * LIFETIME_MS


@cache
def _server_database() -> str | None:
    """On PostgreSQL one database for all runs, which differ by their account; on SQLite each has its own file."""
    return new_database(Path(), "machine") if on_postgresql() else None


@dataclass
class Held:
    """The model's state of one approved payment."""

    day: int
    amount: int
    expires_at_ms: int
    state: str = "reserved"
    captured: int = 0
    refunds: dict[str, int] = field(default_factory=dict)

    def now(self, now_ms: int) -> str:
        return "expired" if self.state == "reserved" and now_ms >= self.expires_at_ms else self.state

    def uses(self, now_ms: int) -> int:
        """Its usage of the day: the invariant that the database must keep."""
        match self.now(now_ms):
            case "reserved":
                return self.amount
            case "captured":
                return self.captured - sum(self.refunds.values())
            case _:
                return 0


class PowerCut(Exception):
    """The process is killed at this point."""


class Machine(RuleBasedStateMachine):
    """One account of one bank in UTC+8, its limit changing, the clock moving, two gateways, crashes."""

    payments = Bundle("payments")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.runner = self.stack.enter_context(asyncio.Runner())
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.clock = ManualClock(NOON_MS)
        self.rigs: list[DecisionRig] = []
        self.open({})
        self.account: Account = self.rigs[0].bind(transaction_limit_minor=2**64 - 1)
        self.warm_up()
        self.held: dict[str, Held] = {}
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.limit = 5_000
        self.names = 0

    def open(self, accounts: dict[bytes, Account]) -> None:
        """Start both gateways."""
        self.gateways = ExitStack()
        options = {"reservation_lifetime_ms": LIFETIME_MS, "database_url": _server_database()}
        self.rigs = [self.gateways.enter_context(decision_rig(self.folder, self.clock, **options)) for _ in range(2)]
        for rig in self.rigs:
            rig.accounts = accounts

    def warm_up(self) -> None:
        """Load the binding's key in both gateways: requests that must fetch it first are decided in any order."""
        for rig in self.rigs:
            self.run(rig.bindings.bound(self.account.binding))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def today(self) -> int:
        return (self.clock.now_ms() + 8 * LIFETIME_MS) // DAY_MS

    def used(self, day: int) -> int:
        now_ms = self.clock.now_ms()
        return sum(held.uses(now_ms) for held in self.held.values() if held.day == day)

    def teardown(self) -> None:
        self.gateways.close()
        self.stack.close()

    @initialize()
    def begin(self) -> None:
        assert self.used(self.today()) == 0

    def _model(self, name: str, amount: int, answer: dict[str, Any]) -> None:
        """Check that the gateway's answer to a payment agrees with the model."""
        used = self.used(self.today())
        if used + amount <= self.limit:
            assert answer["outcome"] == "approve", answer
            self.held[name] = Held(self.today(), amount, self.clock.now_ms() + LIFETIME_MS)
            left = self.limit - used - amount
        else:
            assert answer["reason"] == "over_daily_limit", answer
            left = max(0, self.limit - used)
        assert answer["remaining"]["daily_limit_minor"] == left

    @rule(
        target=payments,
        amounts=st.lists(st.integers(1, 3_000), min_size=1, max_size=6),
        gateway=st.integers(0, 1),
        batch=st.booleans(),
    )
    def decide(self, amounts: list[int], gateway: int, batch: bool) -> Any:
        """Several payments at once, as a batch or one by one."""
        rig = self.rigs[gateway]
        asked = []
        for amount in amounts:
            self.names += 1
            name = f"t-{self.account.binding.hex()[:16]}-{self.names}"
            asked.append(Transaction(name, self.account.binding, Kind.PAYMENT, amount, "CNY"))

        async def ask() -> list[Any]:
            if batch:
                return await rig.decisions.decide_all(asked)
            return await asyncio.gather(*(rig.decisions.decide(each) for each in asked))

        answers = self.run(ask())
        for each, answer in zip(asked, answers, strict=True):
            assert isinstance(answer, bytes), answer
            self._model(each.transaction_id, each.amount_minor, json.loads(answer))
            self.answers[each.transaction_id] = (each.amount_minor, answer)
        return multiple(*(each.transaction_id for each in asked))

    @rule(name=payments, gateway=st.integers(0, 1), other=st.booleans())
    def decide_again(self, name: str, gateway: int, other: bool) -> None:
        """A request repeated after a lost answer gets the same answer; another body under the same id is a conflict."""
        amount, answer = self.answers[name]
        asked = Transaction(name, self.account.binding, Kind.PAYMENT, amount + other, "CNY")
        service = self.rigs[gateway].decisions
        if other:
            with pytest.raises(Conflict):
                self.run(service.decide(asked))
        else:
            assert self.run(service.decide(asked)) == answer

    @rule(name=payments, gateway=st.integers(0, 1), part=st.none() | st.integers(1, 3_001))
    def capture(self, name: str, gateway: int, part: int | None) -> None:
        held = self.held.get(name)
        amount = part if part is not None or held is None else held.amount
        expected: type[StandingError] | None = None
        match held.now(self.clock.now_ms()) if held is not None else None:
            case None:
                expected = NothingReserved
            case "captured":
                expected = AlreadySettled if held is not None and amount != held.captured else None
            case "voided":
                expected = AlreadySettled
            case "expired":
                expected = ReservationExpired
            case _:
                expected = InvalidValue if held is not None and amount is not None and amount > held.amount else None
        self._settle(expected, lambda service: service.settle(name, State.CAPTURED, part), gateway)
        if expected is None and held is not None and amount is not None:
            held.state, held.captured = "captured", amount

    @rule(name=payments, gateway=st.integers(0, 1))
    def void(self, name: str, gateway: int) -> None:
        held = self.held.get(name)
        state = held.now(self.clock.now_ms()) if held is not None else None
        expected = NothingReserved if state is None else AlreadySettled if state == "captured" else None
        self._settle(expected, lambda service: service.settle(name, State.VOIDED), gateway)
        if held is not None and state == "reserved":
            held.state = "voided"

    @rule(name=payments, gateway=st.integers(0, 1), refund=st.sampled_from("abc"), amount=st.integers(1, 1_500))
    def refund(self, name: str, gateway: int, refund: str, amount: int) -> None:
        held = self.held.get(name)
        expected: type[StandingError] | None = None
        if held is None or held.state != "captured":
            expected = NothingReserved
        elif refund in held.refunds:
            expected = Conflict if held.refunds[refund] != amount else None
        elif amount > held.captured - sum(held.refunds.values()):
            expected = InvalidValue
        self._settle(expected, lambda service: service.refund(name, refund, amount), gateway)
        if expected is None and held is not None:
            held.refunds[refund] = amount

    def _settle(
        self,
        expected: type[StandingError] | None,
        request: Callable[[Any], Coroutine[Any, Any, bytes]],
        gateway: int,
    ) -> None:
        for _ in range(2):  # the repeat changes nothing
            if expected is None:
                self.run(request(self.rigs[gateway].decisions))
            else:
                with pytest.raises(expected):
                    self.run(request(self.rigs[gateway].decisions))

    @rule(by_ms=st.sampled_from([1, LIFETIME_MS // 2, LIFETIME_MS - 1, LIFETIME_MS, 5 * LIFETIME_MS, DAY_MS]))
    def time_passes(self, by_ms: int) -> None:
        self.clock.advance(by_ms)

    @rule(limit=st.sampled_from([0, 1_000, 3_000, 5_000, 9_000]))
    def the_bank_changes_the_limit(self, limit: int) -> None:
        self.limit = limit
        self.account.terms["daily_limit_minor"] = limit

    @rule(
        target=payments,
        amounts=st.lists(st.integers(1, 3_000), min_size=1, max_size=4),
        step=st.sampled_from(["write_decisions", "write_bindings"]),
    )
    def power_cut_and_retry(self, amounts: list[int], step: str) -> Any:
        """The process dies before or after the decisions are written, and before the commit. Both gateways restart,
        and the platform repeats its requests."""
        asked = []
        for amount in amounts:
            self.names += 1
            name = f"t-{self.account.binding.hex()[:16]}-{self.names}"
            asked.append(Transaction(name, self.account.binding, Kind.PAYMENT, amount, "CNY"))

        def cut(*_args: Any) -> None:
            raise PowerCut

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(records, step, cut)
            for each in asked:
                with pytest.raises(PowerCut):
                    self.run(self.rigs[0].decisions.decide(each))
        accounts = self.rigs[0].accounts
        self.gateways.close()
        self.open(accounts)
        self.warm_up()
        for each in asked:
            answer = self.run(self.rigs[1].decisions.decide(each))
            self._model(each.transaction_id, each.amount_minor, json.loads(answer))
            self.answers[each.transaction_id] = (each.amount_minor, answer)
        return multiple(*(each.transaction_id for each in asked))

    @invariant()
    def the_database_agrees_with_the_model(self) -> None:
        now_ms = self.clock.now_ms()
        rig = self.rigs[0]
        account = rig.vault.lookup("account", self.account.binding.hex())
        with rig.database.read() as connection:
            held = connection.execute(select(schema.reservations).where(schema.reservations.c.account == account)).all()
            sums = connection.execute(select(schema.usage).where(schema.usage.c.account == account)).all()
        assert {row.transaction_id for row in held} == self.held.keys()
        by_row: dict[Any, int] = {}
        for row in held:
            model = self.held[row.transaction_id]
            stored = {"reserved": row.amount_minor, "captured": (row.captured_minor or 0) - row.refunded_minor}
            by_row[row.day] = by_row.get(row.day, 0) + stored.get(row.state, 0)
            # A row may not be marked as expired yet; apart from that it agrees with the model.
            unswept = row.state == "reserved" and model.now(now_ms) == "expired"
            assert unswept or row.state == model.now(now_ms)
            assert unswept or stored.get(row.state, 0) == model.uses(now_ms)
        assert {row.day: row.used_minor for row in sums} == by_row
        assert all(row.used_minor >= 0 for row in sums)


Machine.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestReservations = pytest.mark.long(Machine.TestCase)
