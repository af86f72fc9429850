"""One bank's node, driven step by step in this process, killed at named points and rebuilt on its store.

A kill is a `Killed` raised at the point, which no code catches; then the whole node is discarded: only the
store and the ledger remain, as after a SIGKILL. `test_crash` shows that real processes die the same way; this is
for many runs. A seeded schedule plays the core and the platform, and also records the expected state.
"""

import json
import random
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select

from standing.ledger.attestations.binding_protocol import BindingAnswer, BindingRequest, GrantDocument
from standing.ledger.attestations.identity import Identity
from standing.ledger.attestations.money import NO_LIMIT, currency_number
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.attestations.sealing import identity_tags, unseal
from standing.ledger.attestations.terms import Status, Terms
from standing.ledger.chain.client import Published
from standing.ledger.errors import LedgerError, LedgerRejected, LedgerUnreachable
from standing.node.composition import Node, build
from standing.node.fault_points import FAULT_POINTS, PART_FAULT_POINTS
from standing.node.publishing import outbox, publications
from standing.node.storage import schema
from tests.node.core_feeds import ApiClient, work
from tests.world import ACCOUNT, CLAIM_FIELDS, PLATFORM, Bank, World

_MAX_STEPS = 400
_MAX_EXTRA_ROUNDS = 6
_MAX_STARTS = 10
_CARDS = ("9156010708800389733", "9156026831789191")


class Killed(BaseException):
    """The process is gone."""


class Kill:
    """Raises `Killed` when a point is reached for the `times`-th time, once."""

    def __init__(self, point: str, times: int) -> None:
        assert point in FAULT_POINTS + PART_FAULT_POINTS
        self.point = point
        self.left = times

    @property
    def done(self) -> bool:
        return self.left <= 0

    def __call__(self, point: str) -> None:
        if point == self.point and self.left > 0:
            self.left -= 1
            if self.left == 0:
                raise Killed(point)


class SigningSpy(LocalSigner):
    """A signer that records every digest it signed, across kills."""

    def __init__(self, private_key: bytes) -> None:
        super().__init__(private_key)
        self.signed: list[bytes] = []

    def sign(self, digest: bytes) -> bytes:
        self.signed.append(digest)
        return super().sign(digest)


@dataclass
class ExpectedState:
    """The expected state: the terms of each binding, in the order in which they were stated."""

    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    bound: dict[str, GrantDocument] = field(default_factory=dict)  # live binding by card
    stated: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: defaultdict(list))  # terms by binding

    def state(self, card: str, *, ended: bool = False) -> None:
        """Record new terms of a card's binding."""
        grant = self.bound[card]
        account = self.accounts[card]
        status = Status.UNBOUND if ended else Status[account["status"].upper()]
        self.stated[grant.binding].append((status, 0 if ended else account["daily_limit_minor"]))


class FaultyNode:
    """A node with its schedule, its expected state and its kill. `payouts` is the folder of payment orders, if any."""

    def __init__(
        self, world: World, bank: Bank, client: ApiClient, seed: int, kill: Kill, payouts: Path | None = None
    ) -> None:
        self.world = world
        self.bank = bank
        self.kill = kill
        self._core = client
        self._payouts = payouts
        self.kills = 0
        self.expected = ExpectedState()
        self._random = random.Random(seed)
        self.as_of_ms = bank.clock.now_ms()
        self.first_block = bank.client.block_number()
        self.node: Node | None = None

    def run(self) -> None:
        """Play the schedule, then wait until the node is idle."""
        for card in _CARDS:
            self._feed(self._opening(card))
        plays = [self._change, self._bind, self._unbind, self._resync, self._step, self._step, self._heartbeat]
        plays += [self._trouble, self._off_board]
        for _ in range(14):
            self._random.choice(plays)()
        for _ in range(_MAX_EXTRA_ROUNDS):
            self._bind()
            self._change()
            self._resync()
            self._unbind()
            self._bind()
            self._off_board()
            self._heartbeat()
            self.rest()
            if self.kill.done:
                return

    def rest(self) -> None:
        """Step until nothing is waiting or pending. Fails after too many steps."""
        self.world.chain.down = False
        if self.world.chain.holding:
            self.world.chain.release()
        for _ in range(_MAX_STEPS):
            in_flight = self._alive(self._publish)
            with self.running_node().database.read() as connection:
                if in_flight == 0 and not outbox.waiting(connection) and not publications.unfinished(connection):
                    last = outbox.last_publication(connection)
                    if last is not None and last.watermark_ms == self.as_of_ms:
                        return
            self.world.clock.advance(200)
        raise AssertionError("the node does not come to rest")

    def running_node(self) -> Node:
        """The node; rebuilt on its store if it was killed."""
        while self.node is None:
            # A node needs the ledger to start: its service manager restarts it until the ledger answers.
            self.world.chain.down = False
            node = self._build()
            try:
                assert node.leadership.take(), "a killed node holds no lock"
                self.node = node
            except Killed:
                self._bury(node)
        return self.node

    def _build(self) -> Node:
        for _ in range(_MAX_STARTS):
            try:
                return build(self.bank.settings, self.bank.secrets, self.bank.clock, self.kill)
            except LedgerUnreachable:  # on a busy machine even a healthy ledger answers late
                continue
        raise AssertionError("the ledger never answers")

    def end(self) -> None:
        """Release the store."""
        if self.node is not None:
            self._bury(self.node)

    def _bury(self, node: Node) -> None:
        # As the operating system releases a dead process's locks and connections.
        node.leadership.leave()
        node.leadership._lock.release()
        for task in node.workers.tasks:
            if task.close is not None:
                task.close()
        node.database.close()
        self.node = None

    def _alive(self, do: Any) -> Any:
        """Run an action on the node; if the node is killed meanwhile, repeat it, as a careful client does."""
        while True:
            node = self.running_node()
            try:
                return do(node)
            except Killed:
                self.kills += 1
                self._bury(node)

    def _publish(self, node: Node) -> int | None:
        try:
            return node.publisher.step()
        except LedgerRejected as error:
            if error.error == "EffectiveTimeBackwards":
                raise AssertionError("the ledger would refuse this for ever") from error
            return None
        except LedgerError:
            return None

    def _feed(self, *changes: dict[str, Any]) -> None:
        self.as_of_ms = self.world.clock.advance(10)
        before = dict(self.expected.accounts)
        for change in changes:
            card = change["number"]
            self.expected.accounts[card] = {**before.get(card, {}), **change}
        self._core.feed(self._alive, self.as_of_ms, changes, list(self.expected.accounts.values()))
        for change in changes:
            card = change["number"]
            if card in self.expected.bound and self.expected.accounts[card] != before[card]:
                self.expected.state(card)

    def _opening(self, card: str) -> dict[str, Any]:
        return {**ACCOUNT, "number": card}

    def _change(self) -> None:
        changes = []
        for card in self._random.sample(_CARDS, self._random.randint(1, len(_CARDS))):
            status = self._random.choice(["active", "frozen", "dormant"])
            changes.append({"number": card, "status": status, "daily_limit_minor": self._random.randrange(10**6)})
        self._feed(*changes)

    def _heartbeat(self) -> None:
        self.world.clock.advance(100)
        self._feed()

    def _step(self) -> None:
        self._alive(self._publish)
        self.world.clock.advance(20)

    def _bind(self) -> None:
        free = [card for card in _CARDS if card not in self.expected.bound]
        if not free:
            return
        card = self._random.choice(free)
        claim = {name: {**ACCOUNT, "number": card}[name] for name in CLAIM_FIELDS}
        request = BindingRequest(request_id=self._random.randbytes(8).hex(), **claim)
        answer = self._alive(lambda node: node.bindings.bind(PLATFORM, request))
        if self._payouts is not None:
            answer = self._confirm(answer)
        assert answer.grant is not None, answer
        assert self._alive(lambda node: node.bindings.bind(PLATFORM, request)).grant == answer.grant
        self.expected.bound[card] = answer.grant
        self.expected.state(card)

    def _confirm(self, answer: BindingAnswer) -> BindingAnswer:
        """Sometimes state a wrong amount first, then the one paid in, as the account's holder sees it."""
        assert answer.micro_deposit is not None, answer
        assert self._payouts is not None
        self._alive(lambda node: work(node, "payouts"))
        name = answer.micro_deposit.id
        orders = [json.loads(line) for path in self._payouts.iterdir() for line in path.read_text().splitlines()]
        amounts = [order["amount_minor"] for order in orders if order["id"] == name]
        assert len(amounts) == 1, "paid once"
        deposit = bytes.fromhex(name[2:])

        def name_amount(amount_minor: int) -> BindingAnswer:
            answered: BindingAnswer = self._alive(lambda node: node.bindings.confirm(PLATFORM, deposit, amount_minor))
            return answered

        wanted = self.kill.point == "amount_refused" and not self.kill.done
        if self._random.random() < 0.5 or wanted:
            assert "2 of 3" in name_amount(1 + amounts[0] % 100).mismatches[0].problem, "a repeated attempt counts once"
        return name_amount(amounts[0])

    def _resync(self) -> None:
        if not self.expected.bound:
            return
        card = self._random.choice(sorted(self.expected.bound))
        binding = bytes.fromhex(self.expected.bound[card].binding[2:])
        with self.running_node().database.read() as connection:
            on_its_way = outbox.on_its_way(connection, binding)
        self._alive(lambda node: node.resync.resync(PLATFORM, binding))
        if not on_its_way:
            self.expected.state(card)

    def _off_board(self) -> None:
        """All bindings end, and the platform comes back."""
        self._alive(lambda node: node.off_boardings.begin(PLATFORM))
        self._alive(lambda node: work(node, "off_boarding"))
        for card in sorted(self.expected.bound):
            self.expected.state(card, ended=True)
        self.expected.bound.clear()
        self._alive(lambda node: node.off_boardings.readmit(PLATFORM))

    def _unbind(self) -> None:
        if not self.expected.bound:
            return
        card = self._random.choice(sorted(self.expected.bound))
        binding = bytes.fromhex(self.expected.bound[card].binding[2:])
        self._alive(lambda node: node.bindings.unbind(PLATFORM, binding))
        self.expected.state(card, ended=True)
        del self.expected.bound[card]

    def _trouble(self) -> None:
        """A fault of the network: it is down, or holds, releases or drops transactions."""
        chain = self.world.chain
        kind = self._random.choice(["down", "up", "hold", "release", "lose"])
        if kind in {"down", "up"}:
            chain.down = kind == "down"
        elif kind == "hold":
            chain.holding = True
        elif chain.holding:
            chain.release() if kind == "release" else chain.lose()


def assert_level(faulty: FaultyNode) -> None:
    """Check that nothing is lost or repeated and no number signed twice: the ledger holds the expected state."""
    bank, client = faulty.bank, faulty.bank.client
    events = client.published(faulty.first_block, client.block_number(), bank.bic)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    node = faulty.running_node()
    with node.database.read() as connection:
        rows = connection.execute(select(schema.publications).order_by(schema.publications.c.number)).all()
    assert [(row.number, row.digest) for row in rows] == [(event.number, event.digest) for event in events]
    _assert_signed_once(faulty, events)
    stated = _stated(faulty)
    assert {binding: [terms for _, terms in rows] for binding, rows in stated.items()} == dict(faulty.expected.stated)
    _assert_records(faulty, events, stated)
    assert client.bank(bank.bic).watermark_ms == faulty.as_of_ms


def _assert_signed_once(faulty: FaultyNode, events: list[Published]) -> None:
    """Check that every digest ever signed belongs to a publication on the ledger or to a grant."""
    spy = faulty.bank.secrets.signer
    assert isinstance(spy, SigningSpy)
    published = {event.digest for event in events}
    others = [digest for digest in spy.signed if digest not in published]
    # An interrupted grant is answered from the store; each binding was signed once, and nothing else was.
    assert len(others) == len(set(others)) == len(faulty.expected.stated)
    assert len(spy.signed) == len(set(spy.signed)), "a digest was signed again"


_Stated = dict[str, list[tuple[int, tuple[Any, ...]]]]


def _stated(faulty: FaultyNode) -> _Stated:
    """The node's statements about each binding, in order, each with its publication."""
    found: _Stated = defaultdict(list)
    with faulty.running_node().database.read() as connection:
        for row in connection.execute(select(schema.outbox).order_by(schema.outbox.c.id)):
            terms = Terms.unpack(row.terms)
            found["0x" + row.binding_id.hex()].append((row.publication, _statement(terms)))
    return dict(found)


def _statement(terms: Terms) -> tuple[Any, ...]:
    return terms.status, terms.limits.daily_limit_minor


def _assert_records(faulty: FaultyNode, events: list[Published], stated: _Stated) -> None:
    """Check that each publication has one record of whatever it states, opened with the platform's own key, and that
    every record, even one that only gives cover, holds the newest statement."""
    grants = {row.id: row for row in _bindings(faulty)}
    secrets = faulty.bank.secrets.bank_secrets()
    identity = _identity(faulty)
    previous = bytes(32)
    for event in events:
        rebuilt = faulty.bank.client.publication_of(event, previous)
        assert rebuilt is not None
        previous = event.digest
        written = [item.binding for item in rebuilt[0].attestations]
        assert written == sorted(set(written)), "one record for each, in an order that reveals nothing"
        own = {bytes.fromhex(name[2:]) for name, rows in stated.items() if event.number in dict(rows)}
        assert own <= set(written)
        assert faulty.bank.settings.publisher.herd_size > 1 or own == set(written)
        for item in rebuilt[0].attestations:
            key = secrets.binding_key(item.binding, grants[item.binding].platform)
            terms = unseal(
                item.tag_and_head,
                item.tail,
                key=key,
                bank=faulty.bank.bic,
                binding=item.binding,
                publication=event.number,
            )
            assert terms.tags == identity_tags(item.binding, key, identity)
            _assert_rest(terms)
            so_far = [each for number, each in stated["0x" + item.binding.hex()] if number <= event.number]
            assert _statement(terms) == so_far[-1]


def _assert_rest(terms: Terms) -> None:
    assert terms.currency == currency_number(ACCOUNT["currency"])
    assert terms.limits.daily_limit_minor != NO_LIMIT


def _bindings(faulty: FaultyNode) -> list[Any]:
    with faulty.running_node().database.read() as connection:
        return list(connection.execute(select(schema.bindings)).all())


def _identity(faulty: FaultyNode) -> Identity:
    return BindingRequest(request_id="request-1", **{name: ACCOUNT[name] for name in CLAIM_FIELDS}).identity()
