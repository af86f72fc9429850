"""Decides transactions: read the ledger, then decide and record in one shared transaction.

The path of one transaction: take the binding's key from memory; wait for a turn, because a record read before the
previous commit ends would only get older; read the ledger, coalesced (`gateway.ledger_reading.reader`); join a group
commit (`gateway.storage.group_commit`). The commit, for all waiting transactions: lock the accounts, look up
transactions already decided, read the clock, lock the usage rows, decide each in turn while adding up usage, write.

Commits of several processes run beside each other on PostgreSQL. One waits for another only where both are about the
same account, because every later statement is about locked accounts.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from standing.gateway.access.admission import Admission
from standing.gateway.bindings.bound import Bound
from standing.gateway.bindings.service import Bindings
from standing.gateway.decisions import records
from standing.gateway.decisions.answers import decision_json
from standing.gateway.decisions.basis import Basis, SignsEvidence
from standing.gateway.decisions.caps import caps_of
from standing.gateway.decisions.holds import RiskBook
from standing.gateway.decisions.overtaken import MAX_READS, Overtaken, until_not_overtaken, went_back
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Question, Transaction
from standing.gateway.decisions.records import BindingState, Decided
from standing.gateway.decisions.reservations import Capture, Refund, SettlementRequest, Void, expire_due, settle
from standing.gateway.decisions.rules import Decision, Outcome, decide
from standing.gateway.decisions.usage import RESERVATION_LIFETIME_MS, AccountDay, Reservation, State, UsageBook, day_of
from standing.gateway.errors import BankNotServed
from standing.gateway.ledger_reading.reader import Reader, Seen
from standing.gateway.metrics import Meters
from standing.gateway.storage.database import Storage
from standing.gateway.storage.group_commit import GroupCommit
from standing.ledger.attestations.limits import NO_LIMITS
from standing.ledger.attestations.money import currency_code, currency_number
from standing.ledger.clock import Clock
from standing.ledger.errors import Conflict, LedgerUnreachable, StandingError

#: The most transactions per batch.
MAX_BATCH = 500


@dataclass(frozen=True, slots=True)
class _Read:
    """A transaction with everything known about it from outside the database."""

    transaction: Transaction
    question: Question
    bound: Bound
    seen: Seen | None  # None: the ledger gave no usable answer
    final: bool  # False: the ledger may be read again if a newer record has been seen


class DecisionService:
    """Decides transactions, records the decisions, and settles their reservations."""

    def __init__(
        self,
        *,
        storage: Storage,
        bindings: Bindings,
        reader: Reader,
        evidence: SignsEvidence,
        policy: Policy,
        clock: Clock,
        max_waiting: int,
        reservation_lifetime_ms: int = RESERVATION_LIFETIME_MS,
        meters: Meters | None = None,
    ) -> None:
        self._storage = storage
        self._bindings = bindings
        self._reader = reader
        self._evidence = evidence
        self._wanted = self._policy = policy
        self._policy_version = policy.version
        self._clock = clock
        self._reservation_lifetime_ms = reservation_lifetime_ms
        self._admission = Admission(max_waiting, "transactions")
        self._batches = Admission(max(1, max_waiting // MAX_BATCH), "batches of transactions")
        self._meters = meters or Meters()
        self._decisions = GroupCommit(
            self._commit, storage.writer, max_waiting=max_waiting, observe_s=self._meters.commit_latency.observe
        )
        self._settlements = GroupCommit(self._settle, storage.writer, max_waiting=max_waiting)

    def use(self, policy: Policy) -> None:
        """Apply another policy from the next commit on; all decisions of one commit use the same policy."""
        self._wanted = policy

    @property
    def policy(self) -> Policy:
        """The policy of the next decision."""
        return self._wanted

    async def decide(self, transaction: Transaction) -> bytes:
        """Decide a transaction. Returns: the answer as JSON; for a transaction already decided, the same answer.

        Nothing is stored on an error. Raises: NotFound (no such binding), InvalidValue (currency), Conflict (the id
        with other content), Overloaded, BankNotServed, StorageUnavailable.
        """
        with self._admission, self._meters.total_latency.time():
            question = Question(transaction.kind, transaction.amount_minor, currency_number(transaction.currency))
            try:
                bound = await self._bindings.bound(transaction.binding)
            except BankNotServed as error:
                return await self._decided_before(transaction, error)
            return await until_not_overtaken(partial(self._read_and_commit, transaction, question, bound))

    async def _decided_before(self, transaction: Transaction, error: BankNotServed) -> bytes:
        """The answer to a transaction that was decided while its bank was still served.

        Raises: Conflict; `error` where it was not decided; StorageUnavailable.
        """

        def read() -> tuple[Transaction, str] | None:
            with self._storage.read() as connection:
                found = records.decided_before(connection, [transaction.transaction_id])
            return found.get(transaction.transaction_id)

        before = await self._storage.reading(read)
        if before is None:
            raise error
        answer = _repeated(transaction, *before)
        if isinstance(answer, StandingError):
            raise answer
        return answer

    async def _read_and_commit(
        self, transaction: Transaction, question: Question, bound: Bound, reach: int | None, last: bool
    ) -> bytes:
        """One attempt, see `until_not_overtaken`."""
        await self._decisions.turn()
        try:
            seen = await self._reader.read(bound.bank_bytes, bound.binding, floor=reach or 0)
        except LedgerUnreachable:
            seen = None  # check 1 decides
        final = last or went_back(seen.record.publication if seen is not None else None, reach)
        return await self._decisions.submit(_Read(transaction, question, bound, seen, final))

    async def decide_all(self, transactions: Sequence[Transaction]) -> list[bytes | StandingError]:
        """Decide at most MAX_BATCH transactions, in order. Each gets its own answer or error, as from `decide`.

        Each is recorded separately, so it is safe to retry the failed ones, or all. Transactions that were overtaken
        are decided after the others.

        Raises: Overloaded.
        """
        assert len(transactions) <= MAX_BATCH
        answers: dict[int, bytes | StandingError] = {}
        waiting: list[tuple[int, Transaction]] = list(enumerate(transactions))
        with self._batches:
            reach: dict[bytes, int] = {}
            for left in reversed(range(MAX_READS)):
                outcomes = await self._decide_in_order([each for _, each in waiting], reach, last=not left)
                answers |= {index: outcome for (index, _), outcome in zip(waiting, outcomes, strict=True)}
                again = [(index, each, answers[index]) for index, each in waiting]
                waiting = [(index, each) for index, each, outcome in again if isinstance(outcome, Overtaken)]
                reach = {each.binding: outcome.floor for _, each, outcome in again if isinstance(outcome, Overtaken)}
                if not waiting:
                    break
        return [answers[index] for index in range(len(transactions))]

    async def _decide_in_order(
        self, transactions: Sequence[Transaction], reach: Mapping[bytes, int], *, last: bool
    ) -> list[bytes | StandingError]:
        """`reach`: by binding, the publication that its record must reach."""
        bindings = list(dict.fromkeys(each.binding for each in transactions))
        await self._decisions.turn()
        found = dict(
            zip(
                bindings,
                await asyncio.gather(*(self._read_binding(each, reach.get(each, 0)) for each in bindings)),
                strict=True,
            )
        )
        # All are queued for the commit in one turn of the event loop, so that they are decided in this order.
        queued = [self._queued(each, found[each.binding], reach.get(each.binding), last) for each in transactions]
        return [_expected(each) for each in await asyncio.gather(*queued, return_exceptions=True)]

    async def _read_binding(self, binding: bytes, floor: int) -> tuple[Bound, Seen | None] | StandingError:
        try:
            bound = await self._bindings.bound(binding)
            try:
                return bound, await self._reader.read(bound.bank_bytes, binding, floor=floor)
            except LedgerUnreachable:
                return bound, None  # check 1 decides
        except StandingError as error:
            return error

    def _queued(
        self,
        transaction: Transaction,
        found: tuple[Bound, Seen | None] | StandingError,
        reach: int | None,
        last: bool,
    ) -> asyncio.Future[bytes]:
        """The decision on one transaction of a batch, queued for the commit; a failed future if it cannot be made."""
        try:
            if isinstance(found, BankNotServed):
                return asyncio.ensure_future(self._decided_before(transaction, found))
            if isinstance(found, StandingError):
                raise found
            question = Question(transaction.kind, transaction.amount_minor, currency_number(transaction.currency))
            bound, seen = found
            final = last or went_back(seen.record.publication if seen is not None else None, reach)
            return self._decisions.submit(_Read(transaction, question, bound, seen, final))
        except StandingError as error:
            failed: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    @property
    def waiting(self) -> int:
        """The number of decisions waiting to be recorded."""
        return self._decisions.waiting

    async def find(self, transaction_id: str) -> bytes:
        """A decision, with the current state of its reservation. Raises: NotFound, Overloaded, StorageUnavailable."""
        with self._admission:
            return await self._storage.reading(self._find, transaction_id)

    async def settle(self, transaction_id: str, state: State, amount_minor: int | None = None) -> bytes:
        """Capture (all, or an amount) or void a decision's reservation. Repeating it changes nothing.

        Raises: NotFound, NothingReserved, AlreadySettled, ReservationExpired, InvalidValue, Overloaded,
        StorageUnavailable.
        """
        request = Void(transaction_id) if state is State.VOIDED else Capture(transaction_id, amount_minor)
        return await self._settlements.submit(request)

    async def refund(self, transaction_id: str, refund_id: str, amount_minor: int) -> bytes:
        """Record a refund of a captured payment. Repeating it changes nothing.

        Raises: NotFound, NothingReserved, InvalidValue, Conflict, Overloaded, StorageUnavailable.
        """
        return await self._settlements.submit(Refund(transaction_id, refund_id, amount_minor))

    def _commit(self, reads: Sequence[_Read]) -> Sequence[bytes | StandingError]:
        answers, fresh = self._storage.write_all(lambda connection: self._decide_all(connection, reads), shared=True)
        # After the commit, so that a database transaction that was rolled back and retried counts once.
        self._meters.committed([(made.decision.outcome, made.decision.reason) for made in fresh])
        return answers

    def _decide_all(
        self, connection: Connection, reads: Sequence[_Read]
    ) -> tuple[list[bytes | StandingError], list[Decided]]:
        if self._wanted is not self._policy:
            self._policy = self._wanted
            self._policy_version = self._policy.version
        states = records.lock_accounts(connection, {read.bound.binding: read.bound.account for read in reads})
        decided = records.decided_before(connection, [read.transaction.transaction_id for read in reads])
        # Read after the locks are acquired, so that time spent waiting for them counts as staleness.
        now_ms = self._clock.now_ms()
        today = {zone: day_of(now_ms, zone) for zone in {r.bound.zone for r in reads}}
        days = [
            AccountDay(r.bound.account, today[r.bound.zone], currency_code(r.question.currency), r.transaction.kind)
            for r in reads
        ]
        new = [(r, day) for r, day in zip(reads, days, strict=True) if r.transaction.transaction_id not in decided]
        expire_due(connection, {day.account for _, day in new}, now_ms)
        usage = UsageBook(connection, (day for _, day in new))
        risk = RiskBook(connection, self._policy.risk, {r.bound.binding: r.bound.account for r, _ in new}, now_ms)
        fresh: list[Decided] = []
        answers: list[bytes | StandingError] = []
        for read, day in zip(reads, days, strict=True):
            before = decided.get(read.transaction.transaction_id)
            if before is not None:
                answers.append(_repeated(read.transaction, *before))
                continue
            made = self._decide_one(read, day, states[read.bound.binding], usage, risk, now_ms)
            if made is None:
                answers.append(Overtaken(states[read.bound.binding].floor))
                continue
            fresh.append(made)
            decided[read.transaction.transaction_id] = (read.transaction, made.answer)
            answers.append(made.answer.encode())
        records.write_decisions(connection, fresh, now_ms)
        usage.write()
        risk.write()
        records.write_bindings(connection, states.values())
        return answers, fresh

    def _decide_one(
        self, read: _Read, day: AccountDay, state: BindingState, usage: UsageBook, risk: RiskBook, now_ms: int
    ) -> Decided | None:
        """The decision on one transaction, with its usage added; None if it was overtaken."""
        record = read.seen.record if read.seen is not None else None
        terms = read.bound.open(record) if record is not None else None
        bound = state.bound(read.bound, terms)
        limits = terms.limits if terms is not None else NO_LIMITS
        basis = Basis(
            seen=read.seen,
            ended=state.ended,
            floor=state.floor,
            used=usage.used(day, caps_of(limits, read.question.kind)),
            day=day.day,
            policy=self._policy,
            decided_at_ms=now_ms,
        )
        decision = decide(
            read.question,
            record=record,
            terms=terms,
            expected=bound.tags,
            ended=basis.ended,
            floor=basis.floor,
            used=basis.used,
            policy=self._policy,
            now_ms=now_ms,
            risk=risk.facts(bound.binding, state.bound_at_ms),
        )
        if not read.final and state.is_ahead_of(decision):
            return None
        if decision.hold is not None:
            decision = risk.held(bound.binding, state.user_id, decision)
        state.learn(bound, decision)
        reservation = None
        if decision.outcome is Outcome.APPROVE:
            risk.approved(bound.binding, read.question)
            reservation = usage.reserve(
                day, read.question.amount_minor, now_ms=now_ms, lifetime_ms=self._reservation_lifetime_ms
            )
        answer = self._answer(read, bound, decision, reservation, basis)
        return Decided(read.transaction, decision, answer, reservation, day)

    def _answer(
        self, read: _Read, bound: Bound, decision: Decision, reservation: Reservation | None, basis: Basis
    ) -> str:
        transaction = read.transaction
        return decision_json(
            transaction,
            decision,
            reservation=reservation,
            block_number=read.seen.block_number if read.seen is not None else None,
            policy_version=self._policy_version,
            decided_at_ms=basis.decided_at_ms,
            evidence=self._evidence.sign(
                transaction.transaction_id, read.question, transaction.currency, bound, decision, basis
            ),
        )

    def _find(self, transaction_id: str) -> bytes:
        with self._storage.read() as connection:
            return records.present(connection, [transaction_id], self._clock.now_ms())[transaction_id]

    def _settle(self, requests: Sequence[SettlementRequest]) -> Sequence[bytes | StandingError]:
        return self._storage.write_all(lambda connection: self._settle_all(connection, requests), shared=True)

    def _settle_all(self, connection: Connection, requests: Sequence[SettlementRequest]) -> list[bytes | StandingError]:
        records.lock_accounts_of(connection, {request.transaction_id for request in requests})
        now_ms = self._clock.now_ms()
        outcomes = settle(connection, requests, now_ms)
        pairs = list(zip(requests, outcomes, strict=True))
        done = [request.transaction_id for request, outcome in pairs if isinstance(outcome, Reservation)]
        documents = records.present(connection, done, now_ms)
        return [
            outcome if isinstance(outcome, StandingError) else documents[request.transaction_id]
            for request, outcome in pairs
        ]


def _expected(outcome: bytes | BaseException) -> bytes | StandingError:
    if isinstance(outcome, (bytes, StandingError)):
        return outcome
    raise outcome


def _repeated(asked: Transaction, before: Transaction, answer: str) -> bytes | StandingError:
    if asked != before:
        return Conflict("transaction_id: decided before with another body; allowed: the same body, or a new id")
    return answer.encode()
