"""Can an observer of the ledger find out which two bindings belong to one account?

Some accounts are bound at two platforms, the others at one. The bank's own code grants, forms herds, batches, seals and
signs; the observer has only what the ledger shows: each publication's number, watermark and bindings, in order. It
names pairs by the best statistic we know: how often two bindings are published together, measured by Jaccard over the
publications since both exist; and among ties, which joined a herd last, since a full herd only admits bindings of
accounts and holders that it already has. Form 1 of the record gives the observer more: the time of each change in the
clear.

Precision is the share of named pairs that are right, expected over ties; recall is the share of true pairs named.
A guess within a herd of k is right one time in k - 1.
"""

import random
import secrets
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from bench.figures import Figure, Ratio
from standing.ledger.attestations.identity import Identity
from standing.ledger.attestations.limits import NO_LIMITS
from standing.ledger.attestations.publication import Domain, LocalSigner
from standing.ledger.attestations.terms import Status
from standing.ledger.chain.connection import parse_address
from standing.ledger.clock import ManualClock
from standing.ledger.service.vault import Vault
from standing.node.accounts.bank_secrets import BankSecrets
from standing.node.accounts.store import Account, AccountStore
from standing.node.bindings.granting import Granting
from standing.node.publishing import deployments, outbox, publications
from standing.node.publishing.outbox import Issuer
from standing.node.storage import schema
from standing.node.storage.database import opened
from tests.contracts.chain import Chain
from tests.contracts.ledger import Issuer as LedgerIssuer
from tests.contracts.ledger import StatusLedger, attestation, signer

ACCOUNTS = 600
CHANGES = 2_000
#: Changes between two publications, on average.
TOGETHER = 3
HERDS = (1, 8, 32)
SEED = 20_261_128
AIM = 1.1
_PLATFORMS = ("jinqiao-pay", "yinhe-pay")
_START_MS = 1_795_000_000_000
_DOMAIN = Domain(1, parse_address("0x" + "11" * 20, "contract"))
_MAX_ATTESTATIONS = 500


@dataclass(frozen=True, slots=True)
class Seen:
    """A publication as the ledger shows it. `times`: form 1's effective times, which form 2 seals."""

    number: int
    bindings: tuple[bytes, ...]
    times: tuple[int, ...]


@dataclass
class Trace:
    """An observer's view, and the ground truth: the `partner` of each binding that has one."""

    seen: list[Seen] = field(default_factory=list)
    partner: dict[bytes, bytes] = field(default_factory=dict)
    changes: int = 0
    #: Records written for changes, without those for grants.
    records: int = 0
    publications: int = 0


class Bank:
    """A bank's store and its issuing code, without a ledger."""

    def __init__(self, connection: Connection, herd_size: int, chance: random.Random) -> None:
        self._connection = connection
        self._chance = chance
        self._clock = ManualClock(_START_MS)
        self._accounts = AccountStore(Vault([secrets.token_bytes(32)], "node"))
        signing = LocalSigner(secrets.token_bytes(32))
        self._issuer = Issuer("YUNXCNB0", BankSecrets([secrets.token_bytes(32)]), signing, herd_size)
        self._granting = Granting(self._issuer, self._clock)
        self._deployment = deployments.begin(connection, _DOMAIN, 0, _START_MS)
        self._bound: dict[int, list[tuple[bytes, str]]] = defaultdict(list)
        self._book: list[Account] = []
        self.trace = Trace()

    def open(self, count: int) -> None:
        for index in range(count):
            document = f"ccpt:cn:e{index:08d}"
            account = Account(
                id=None,
                number=f"73{index:010d}",
                number_type="account",
                identity=Identity("a holder", document, ""),
                status=Status.ACTIVE,
                debit_allowed=True,
                credit_allowed=True,
                currency=156,
                limits=NO_LIMITS,
                effective_at_ms=self._clock.now_ms(),
            )
            self._book.append(replace(account, id=self._accounts.save(self._connection, account)))

    def bind(self, index: int, platform: str) -> None:
        account = self._book[index]
        self._clock.advance(self._chance.randint(1, 5_000))
        answer = self._granting.grant(
            self._connection,
            account,
            platform=platform,
            request_id=secrets.token_hex(8),
            request_digest=b"",
            mismatches=[],
            replaces=None,
        )
        assert answer.grant is not None
        binding = bytes.fromhex(answer.grant.binding[2:])
        for other, _ in self._bound[index]:
            self.trace.partner |= {other: binding, binding: other}
        self._bound[index].append((binding, platform))

    def change(self, index: int) -> None:
        """A new daily limit, as of now, for all of the account's bindings."""
        now_ms = self._clock.advance(self._chance.randint(1, 5_000))
        limits = replace(NO_LIMITS, daily_limit_minor=self._chance.randrange(10**6))
        account = self._book[index] = replace(self._book[index], limits=limits, effective_at_ms=now_ms)
        for binding, platform in self._bound[index]:
            terms = account.terms(self._issuer.secret, binding, platform)
            outbox.put_all(self._connection, [(binding, terms)], holds_from_ms=0, entry_as_of_ms=None)
        self.trace.changes += 1

    def publish(self, *, of_changes: bool) -> None:
        now_ms = self._clock.now_ms()
        while outbox.waiting(self._connection):
            publication = publications.sign_next(
                self._connection,
                self._issuer,
                self._deployment,
                max_attestations=_MAX_ATTESTATIONS,
                latest_ms=now_ms,
                now_ms=now_ms,
            )
            assert publication is not None
            bindings = tuple(each.binding for each in publication.attestations)
            times = self._times(bindings)
            self.trace.seen.append(Seen(publication.number, bindings, times))
            if of_changes:
                self.trace.records += len(bindings)
                self.trace.publications += 1

    def _times(self, bindings: Sequence[bytes]) -> tuple[int, ...]:
        """When each binding's newest terms took effect, as form 1 showed it."""
        table = schema.outbox.c
        query = select(table.binding_id, table.effective_at_ms).where(table.binding_id.in_(bindings)).order_by(table.id)
        newest = {row.binding_id: row.effective_at_ms for row in self._connection.execute(query)}
        return tuple(newest[binding] for binding in bindings)


@contextmanager
def _store(folder: Path) -> Iterator[Connection]:
    with opened(f"sqlite:///{folder / secrets.token_hex(4)}.sqlite3") as database, database.write() as connection:
        yield connection


def play(folder: Path, herd_size: int, *, accounts: int = ACCOUNTS, changes: int = CHANGES, seed: int = SEED) -> Trace:
    """Simulate a bank: grants, an account's second one usually long after its first, with changes in between."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    with _store(folder) as connection:
        bank = Bank(connection, herd_size, chance)
        bank.open(accounts)
        for index in range(accounts):
            bank.bind(index, chance.choice(_PLATFORMS))
            if chance.random() < 0.3:
                bank.publish(of_changes=False)
        bank.publish(of_changes=False)
        twice = chance.sample(range(accounts), accounts // 2)
        later = {chance.randrange(changes // 2): index for index in twice}
        for step in range(changes):
            if step in later:
                index = later[step]
                bank.bind(index, next(name for name in _PLATFORMS if name != bank._bound[index][0][1]))
            bank.change(chance.randrange(accounts))
            if chance.random() < 1 / TOGETHER:
                bank.publish(of_changes=True)
        bank.publish(of_changes=True)
        return bank.trace


@dataclass(frozen=True, slots=True)
class Attack:
    """The result of an attack: on the pairs the observer is surest of, and on all that it can name.

    Recall is of the bindings that have a partner. `blind`: how often a random pick among the bindings that always
    appear together with one is right. `informed`: how often the observer is right about a binding that it knows from
    elsewhere to have a partner.
    """

    precision: float = 0.0
    recall: float = 0.0
    precision_of_all: float = 0.0
    recall_of_all: float = 0.0
    blind: float = 0.0
    informed: float = 0.0


def pair(trace: Trace, *, herd_size: int, clear_times: bool = False) -> Attack:
    """Name each binding's most likely partner, and judge the observer by the pairs it is surest of."""
    groups = [_by_time(each) for each in trace.seen] if clear_times else [[each.bindings] for each in trace.seen]
    written: dict[bytes, set[tuple[int, int]]] = defaultdict(set)
    first: dict[bytes, int] = {}
    members: dict[tuple[int, int], tuple[bytes, ...]] = {}
    for each, its in zip(trace.seen, groups, strict=True):
        for index, group in enumerate(its):
            members[each.number, index] = tuple(group)
            for binding in group:
                written[binding].add((each.number, index))
                first.setdefault(binding, each.number)
    claims, blind = [], 0.0
    for binding in sorted(written):
        scored = _scores(binding, written, first, members)
        if scored:
            best = max(scored.values())
            tied = [other for other, score in scored.items() if score == best]
            blind += (trace.partner.get(binding) in tied) / len(tied)
            claims.append((best, _earlier(binding, tied, first, herd_size), binding))
    informed = [
        (trace.partner[binding] in tied) / len(tied)
        for _, named, binding in claims
        if binding in trace.partner
        for tied in [_later(binding, named, first, herd_size)]
    ]
    return replace(
        _judge(claims, trace),
        blind=blind / len(claims),
        informed=sum(informed) / len(informed),
    )


def _by_time(seen: Seen) -> list[tuple[bytes, ...]]:
    by_time: dict[int, list[bytes]] = defaultdict(list)
    for binding, time_ms in zip(seen.bindings, seen.times, strict=True):
        by_time[time_ms].append(binding)
    return [tuple(group) for group in by_time.values()]


def _scores(
    binding: bytes,
    written: dict[bytes, set[tuple[int, int]]],
    first: dict[bytes, int],
    members: dict[tuple[int, int], tuple[bytes, ...]],
) -> dict[bytes, float]:
    """The similarity of each other binding's publications since both exist. One shared publication may be chance: two
    are needed."""
    met: dict[bytes, int] = defaultdict(int)
    for place in written[binding]:
        for other in members[place]:
            if other != binding:
                met[other] += 1
    scores = {}
    for other, together in met.items():
        since = max(first[binding], first[other])
        mine, its = (sum(number >= since for number, _ in written[each]) for each in (binding, other))
        if together >= 2:
            scores[other] = together / (mine + its - together)
    return scores


def _earlier(binding: bytes, tied: Sequence[bytes], first: dict[bytes, int], herd_size: int) -> list[bytes]:
    """A binding that joined a full herd can only belong to a holder who was already in it."""
    before = [other for other in tied if first[other] < first[binding]]
    return before if herd_size > 1 and len(before) >= herd_size else list(tied)


def _later(binding: bytes, tied: Sequence[bytes], first: dict[bytes, int], herd_size: int) -> list[bytes]:
    """The partner of an early member of a herd is among those that joined when the herd was full."""
    if herd_size == 1:
        return list(tied)
    late = sorted(tied, key=lambda other: first[other])[herd_size - 1 :]
    return late if late and all(first[other] > first[binding] for other in late) else list(tied)


def _judge(claims: Iterable[tuple[float, list[bytes], bytes]], trace: Trace) -> Attack:
    partnered = len(trace.partner)
    best = Attack()
    named, right = 0, 0.0
    # The surest first: the highest similarity, then the fewest ties. The best prefix is what the observer could claim;
    # one shorter than a tenth of the bindings with a partner is luck.
    ordered = sorted(claims, key=lambda claim: (-claim[0], len(claim[1])))
    for at, (score, tied, binding) in enumerate(ordered):
        named += 1
        right += (trace.partner.get(binding) in tied) / len(tied)
        last_of_kind = at + 1 == len(ordered) or (ordered[at + 1][0], len(ordered[at + 1][1])) != (score, len(tied))
        if last_of_kind and named >= partnered / 10 and right / named > best.precision:
            best = Attack(right / named, right / partnered)
    return replace(best, precision_of_all=right / max(1, named), recall_of_all=right / max(1, partnered))


def gas_of_a_change(trace: Trace) -> float:
    """Gas for each change, measured on an EVM with publications of the run's average size."""
    size = max(1, round(trace.records / trace.publications))
    chain = Chain(gas_limit=100_000_000)
    ledger = StatusLedger.deploy(chain)
    bank = LedgerIssuer("BKCHCNBJ", signer("linking"), chain.accounts[4])
    assert bank.admit(ledger).ok
    for version in (1, 2):
        items = sorted((attestation(number, version) for number in range(size)), key=lambda item: item.binding)
        outcome = bank.publish(ledger, *items, watermark_ms=ledger.latest_ms)
        assert outcome.ok
    return outcome.gas_used * trace.publications / trace.changes


def run(folder: Path, _rounds: int) -> tuple[list[Figure], list[Ratio]]:
    """The figures for `bench.py`. The seed fixes which accounts change when; keys and ids are new in each run."""
    figures, ratios = [], []
    for herd_size in HERDS:
        trace = play(folder, herd_size)
        gas = gas_of_a_change(trace)
        attacks: list[tuple[str, Attack]] = [(f"form 2, herds of {herd_size}", pair(trace, herd_size=herd_size))]
        if herd_size == 1:
            attacks.insert(0, ("form 1, times in the clear", pair(trace, herd_size=1, clear_times=True)))
        for name, attack in attacks:
            extra: dict[str, Any] = {
                "recall": attack.recall,
                "precision_of_all": attack.precision_of_all,
                "recall_of_all": attack.recall_of_all,
                "blind": attack.blind,
                "informed": attack.informed,
                "gas_a_change": gas,
                "records_a_change": trace.records / trace.changes,
            }
            figures.append(
                Figure(
                    "linking",
                    "named pairs that are right",
                    name,
                    unit="percent",
                    ours="2" in name,
                    rates=[100 * attack.precision],
                    extra=extra,
                )
            )
        if herd_size > 1:
            best = attacks[-1][1]
            name = f"linking: best pairing / 1 in {herd_size - 1}, herds of {herd_size}"
            ratios.append(Ratio(name, best.precision * (herd_size - 1), AIM, at_least=False))
    return figures, ratios


def main() -> None:
    """Print the figures only."""
    with tempfile.TemporaryDirectory() as folder:
        figures, ratios = run(Path(folder), 1)
    for figure in figures:
        extra = {name: round(value, 3) for name, value in figure.extra.items()}
        print(figure.contender, {"precision": round(figure.rate / 100, 4), **extra})
    for ratio in ratios:
        print(ratio.name, round(ratio.value, 3), "met" if ratio.met else "missed")


if __name__ == "__main__":
    main()
