"""One bank's node, driven step by step in this process, killed at named points and put together again on its store.

A kill is a `Killed` raised at the point, which no code catches, followed by throwing the whole node away: only the
store and the ledger remain, as after a SIGKILL. That real processes die the same way is shown in `test_crash`; this is
for many runs. The core's and the platform's side are played by a seeded schedule, which also keeps what is true.
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
from standing.node.publishing import outbox
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
    """A signer that remembers, past any kill, each digest that it signed."""

    def __init__(self, private_key: bytes) -> None:
        super().__init__(private_key)
        self.signed: list[bytes] = []

    def sign(self, digest: bytes) -> bytes:
        self.signed.append(digest)
        return super().sign(digest)


@dataclass
class Truth:
    """What core and platform know to be so: the terms of each binding, in the order in which they were stated."""

    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)
    bound: dict[str, GrantDocument] = field(default_factory=dict)  # card to its binding that has not ended
    stated: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: defaultdict(list))  # binding to terms

    def state(self, card: str, *, ended: bool = False) -> None:
        """Note that a card's binding has new terms."""
        grant = self.bound[card]
        account = self.accounts[card]
        status = Status.UNBOUND if ended else Status[account["status"].upper()]
        self.stated[grant.binding].append((status, 0 if ended else account["daily_limit_minor"]))


class FaultyNode:
    """A node with its schedule, its truth and its kill. `payouts` is the folder of payment orders, if any are made."""

    def __init__(
        self, world: World, bank: Bank, client: ApiClient, seed: int, kill: Kill, payouts: Path | None = None
    ) -> None:
        self.world = world
        self.bank = bank
        self.kill = kill
        self._door = client
        self._payouts = payouts
        self.kills = 0
        self.truth = Truth()
        self._random = random.Random(seed)
        self.as_of_ms = bank.clock.now_ms()
        self.first_block = bank.client.block_number()
        self.node: Node | None = None

    def run(self) -> None:
        """Play the schedule, then let everything come to rest."""
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
        """Step until nothing waits and nothing is on its way. Fails after too many steps."""
        self.world.chain.down = False
        if self.world.chain.holding:
            self.world.chain.release()
        for _ in range(_MAX_STEPS):
            in_flight = self._alive(self._publish)
            with self.living().database.read() as connection:
                if in_flight == 0 and not outbox.waiting(connection) and not outbox.unfinished(connection):
                    last = outbox.last_publication(connection)
                    if last is not None and last.watermark_ms == self.as_of_ms:
                        return
            self.world.clock.advance(200)
        raise AssertionError("the node does not come to rest")

    def living(self) -> Node:
        """The node; put together again on its store if it was killed."""
        while self.node is None:
            # A node needs the ledger at its start: who looks after it starts it again until the ledger is there.
            self.world.chain.down = False
            node = self._build()
            try:
                assert node.leadership.take(), "what is killed holds no lock"
                self.node = node
            except Killed:
                self._bury(node)
        return self.node

    def _build(self) -> Node:
        for _ in range(_MAX_STARTS):
            try:
                return build(self.bank.settings, self.bank.secrets, self.bank.clock, self.kill)
            except LedgerUnreachable:  # on a busy machine even a ledger that is there answers late
                continue
        raise AssertionError("the ledger never answers")

    def end(self) -> None:
        """Let go of the store."""
        if self.node is not None:
            self._bury(self.node)

    def _bury(self, node: Node) -> None:
        # What the operating system does with a dead process's locks and connections.
        node.leadership.leave()
        node.leadership._lock.release()
        for task in node.workers.tasks:
            if task.close is not None:
                task.close()
        node.database.close()
        self.node = None

    def _alive(self, do: Any) -> Any:
        """Do something with the node; if it is killed over it, do it again, as a careful client does."""
        while True:
            node = self.living()
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
        before = dict(self.truth.accounts)
        for change in changes:
            card = change["number"]
            self.truth.accounts[card] = {**before.get(card, {}), **change}
        self._door.say(self._alive, self.as_of_ms, changes, list(self.truth.accounts.values()))
        for change in changes:
            card = change["number"]
            if card in self.truth.bound and self.truth.accounts[card] != before[card]:
                self.truth.state(card)

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
        free = [card for card in _CARDS if card not in self.truth.bound]
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
        self.truth.bound[card] = answer.grant
        self.truth.state(card)

    def _confirm(self, answer: BindingAnswer) -> BindingAnswer:
        """Name a wrong amount at times, then the one that was paid in, as the account's holder reads it there."""
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
            assert "2 of 3" in name_amount(1 + amounts[0] % 100).mismatches[0].problem, "it counts once"
        return name_amount(amounts[0])

    def _resync(self) -> None:
        if not self.truth.bound:
            return
        card = self._random.choice(sorted(self.truth.bound))
        binding = bytes.fromhex(self.truth.bound[card].binding[2:])
        with self.living().database.read() as connection:
            on_its_way = outbox.on_its_way(connection, binding)
        self._alive(lambda node: node.resync.resync(PLATFORM, binding))
        if not on_its_way:
            self.truth.state(card)

    def _off_board(self) -> None:
        """All bindings end, and the platform comes back."""
        self._alive(lambda node: node.off_boardings.begin(PLATFORM))
        self._alive(lambda node: work(node, "off_boarding"))
        for card in sorted(self.truth.bound):
            self.truth.state(card, ended=True)
        self.truth.bound.clear()
        self._alive(lambda node: node.off_boardings.readmit(PLATFORM))

    def _unbind(self) -> None:
        if not self.truth.bound:
            return
        card = self._random.choice(sorted(self.truth.bound))
        binding = bytes.fromhex(self.truth.bound[card].binding[2:])
        self._alive(lambda node: node.bindings.unbind(PLATFORM, binding))
        self.truth.state(card, ended=True)
        del self.truth.bound[card]

    def _trouble(self) -> None:
        """Something of the network: it is down, holds transactions back, lets them go, or forgets them."""
        chain = self.world.chain
        kind = self._random.choice(["down", "up", "hold", "release", "lose"])
        if kind in {"down", "up"}:
            chain.down = kind == "down"
        elif kind == "hold":
            chain.holding = True
        elif chain.holding:
            chain.release() if kind == "release" else chain.lose()


def assert_level(faulty: FaultyNode) -> None:
    """Nothing lost, nothing twice, no number signed twice: the ledger holds exactly what is true, in its order."""
    bank, client = faulty.bank, faulty.bank.client
    events = client.published(faulty.first_block, client.block_number(), bank.bic)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    node = faulty.living()
    with node.database.read() as connection:
        rows = connection.execute(select(schema.publications).order_by(schema.publications.c.number)).all()
    assert [(row.number, row.digest) for row in rows] == [(event.number, event.digest) for event in events]
    _assert_signed_once(faulty, events)
    stated = _stated(faulty)
    assert {binding: [terms for _, terms in rows] for binding, rows in stated.items()} == dict(faulty.truth.stated)
    _assert_records(faulty, events, stated)
    assert client.bank(bank.bic).watermark_ms == faulty.as_of_ms


def _assert_signed_once(faulty: FaultyNode, events: list[Published]) -> None:
    """That every digest that the signing key ever signed is a publication's on the ledger, or a grant's."""
    spy = faulty.bank.secrets.signer
    assert isinstance(spy, SigningSpy)
    published = {event.digest for event in events}
    others = [digest for digest in spy.signed if digest not in published]
    # A killed grant is answered from the store; each binding was signed for once, and nothing else was.
    assert len(others) == len(set(others)) == len(faulty.truth.stated)
    assert len(spy.signed) == len(set(spy.signed)), "a digest was signed again"


_Stated = dict[str, list[tuple[int, tuple[Any, ...]]]]


def _stated(faulty: FaultyNode) -> _Stated:
    """What the node has said of each binding, in order, each with the publication that states it."""
    found: _Stated = defaultdict(list)
    with faulty.living().database.read() as connection:
        for row in connection.execute(select(schema.outbox).order_by(schema.outbox.c.id)):
            terms = Terms.unpack(row.terms)
            found["0x" + row.binding_id.hex()].append((row.publication, _told(terms)))
    return dict(found)


def _told(terms: Terms) -> tuple[Any, ...]:
    return terms.status, terms.limits.daily_limit_minor


def _assert_records(faulty: FaultyNode, events: list[Published], stated: _Stated) -> None:
    """That each publication has one record, opened with the platform's own key, of whatever is stated in it, and that
    every record, also one that only gives cover, says what was stated last."""
    grants = {row.id: row for row in _bindings(faulty)}
    secrets = faulty.bank.secrets.bank_secrets()
    identity = _identity(faulty)
    previous = bytes(32)
    for event in events:
        rebuilt = faulty.bank.client.publication_of(event, previous)
        assert rebuilt is not None
        previous = event.digest
        written = [item.binding for item in rebuilt[0].attestations]
        assert written == sorted(set(written)), "one record for each, in an order that tells nothing"
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
            so_far = [said for number, said in stated["0x" + item.binding.hex()] if number <= event.number]
            assert _told(terms) == so_far[-1]


def _assert_rest(terms: Terms) -> None:
    assert terms.currency == currency_number(ACCOUNT["currency"])
    assert terms.limits.daily_limit_minor != NO_LIMIT


def _bindings(faulty: FaultyNode) -> list[Any]:
    with faulty.living().database.read() as connection:
        return list(connection.execute(select(schema.bindings)).all())


def _identity(faulty: FaultyNode) -> Identity:
    return BindingRequest(request_id="request-1", **{name: ACCOUNT[name] for name in CLAIM_FIELDS}).identity()
