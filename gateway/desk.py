"""The desk, where transactions are decided: read the ledger, then decide and record in one shared transaction.

The path of one transaction: its binding's key from memory, one coalesced read of the ledger (`gateway.reading`), one
group commit (`gateway.commits`). Inside the commit, for all that wait at the moment: lock the bindings, look for
transactions decided before, tell the time, lock the usage rows, decide each in turn with usage adding up, write.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from gateway import schema
from gateway.admission import Admission
from gateway.bindings import Bindings
from gateway.commits import GroupCommit
from gateway.decision import Bound, Decision, Kind, Outcome, Question, Reason, decide
from gateway.evidence import EvidenceSigner
from gateway.messages import MESSAGES
from gateway.policy import Policy
from gateway.reading import Reader, Seen
from gateway.storage import Storage
from gateway.usage import AccountDay, Reservation, Settlement, State, UsageBook, day_of, settle
from ledger.clock import Clock
from ledger.errors import Conflict, LedgerUnreachable, NotFound, StandingError
from ledger.money import NO_LIMIT, currency_number


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction that a platform asks about. `currency` is ISO 4217, alphabetic."""

    transaction_id: str
    binding: bytes
    kind: Kind
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class _Read:
    """A transaction with all that was found out about it outside of the database."""

    transaction: Transaction
    question: Question
    bound: Bound
    seen: Seen | None  # None: the ledger gave no usable answer
    final: bool  # False: where another request has seen a newer record meanwhile, the ledger may be read again


class _Outrun(StandingError):
    """Another request's later read was recorded first, so this one looks older than what has been seen."""


class Desk:
    """Decides transactions, records the decisions, and settles what they reserved."""

    def __init__(
        self,
        *,
        storage: Storage,
        bindings: Bindings,
        reader: Reader,
        evidence: EvidenceSigner,
        policy: Policy,
        clock: Clock,
        max_waiting: int,
    ) -> None:
        self._storage = storage
        self._bindings = bindings
        self._reader = reader
        self._evidence = evidence
        self._policy = policy
        self._clock = clock
        self._admission = Admission(max_waiting, "transactions")
        self._decisions = GroupCommit(self._commit, storage.writer, max_waiting=max_waiting)
        self._settlements = GroupCommit(self._settle, storage.writer, max_waiting=max_waiting)

    async def decide(self, transaction: Transaction) -> bytes:
        """The answer, as JSON; the same as before for a transaction that was decided before.

        Raises: NotFound (no such binding), InvalidValue (currency), Conflict (the id with another content),
        Overloaded, BankNotServed, StorageUnavailable. Nothing is stored where it raises.
        """
        with self._admission:
            question = Question(transaction.kind, transaction.amount_minor, currency_number(transaction.currency))
            bound = await self._bindings.bound(transaction.binding)
            try:
                return await self._read_and_commit(transaction, question, bound, final=False)
            except _Outrun:
                # A read that starts now is later than what was recorded: if it is older still, that is a rollback.
                return await self._read_and_commit(transaction, question, bound, final=True)

    async def _read_and_commit(
        self, transaction: Transaction, question: Question, bound: Bound, *, final: bool
    ) -> bytes:
        try:
            seen = await self._reader.read(bound.bank_bytes, bound.binding)
        except LedgerUnreachable:
            seen = None  # check 1 decides on that
        return await self._decisions.submit(_Read(transaction, question, bound, seen, final))

    async def find(self, transaction_id: str) -> bytes:
        """A decision, with its reservation as it is now. Raises: NotFound, Overloaded, StorageUnavailable."""
        with self._admission:
            return await self._storage.reading(self._find, transaction_id)

    async def settle(self, transaction_id: str, state: State) -> bytes:
        """Capture or void what a decision reserved; asking again changes nothing.

        Raises: NotFound, NothingReserved, AlreadySettled, Overloaded, StorageUnavailable.
        """
        return await self._settlements.submit(Settlement(transaction_id, state))

    def _commit(self, reads: Sequence[_Read]) -> Sequence[bytes | StandingError]:
        return self._storage.write_all(lambda connection: self._decide_all(connection, reads))

    def _decide_all(self, connection: Connection, reads: Sequence[_Read]) -> list[bytes | StandingError]:
        mutable = _lock_bindings(connection, {read.bound.binding for read in reads})
        decided = _decided_before(connection, [read.transaction.transaction_id for read in reads])
        # Not before the locks are held: a decision that had to wait for them counts that as staleness.
        now_ms = self._clock.now_ms()
        days = [AccountDay(r.bound.account, day_of(now_ms, r.bound.zone), r.transaction.currency) for r in reads]
        usage = UsageBook(connection, days)
        fresh: list[tuple[_Read, Decision, str, Reservation | None]] = []
        floors: dict[bytes, int] = {}
        answers: list[bytes | StandingError] = []
        for read, day in zip(reads, days, strict=True):
            before = decided.get(read.transaction.transaction_id)
            if before is not None:
                answers.append(_repeated(read.transaction, *before))
                continue
            ended_at_ms, floor = mutable[read.bound.binding]
            floor = max(floor, floors.get(read.bound.binding, 0))
            decision = decide(
                read.question,
                record=read.seen.record if read.seen is not None else None,
                bound=read.bound,
                ended=ended_at_ms is not None,
                floor=floor,
                used_today_minor=usage.used_minor(day),
                policy=self._policy,
                now_ms=now_ms,
            )
            if decision.reason is Reason.LEDGER_ROLLED_BACK and not read.final:
                answers.append(_Outrun("a later read was recorded first"))
                continue
            reservation = None
            if decision.outcome is Outcome.APPROVE and read.question.kind is Kind.PAYMENT:
                usage.add(day, read.question.amount_minor)
                reservation = Reservation(State.RESERVED, read.question.amount_minor, day.day)
            if decision.opened and decision.publication is not None and decision.publication > floor:
                floors[read.bound.binding] = decision.publication
            answer = self._answer(read, decision, reservation, now_ms)
            fresh.append((read, decision, answer, reservation))
            decided[read.transaction.transaction_id] = (read.transaction, answer)
            answers.append(answer.encode())
        _write(connection, fresh, now_ms)
        usage.write()
        _raise_floors(connection, floors)
        return answers

    def _answer(self, read: _Read, decision: Decision, reservation: Reservation | None, now_ms: int) -> str:
        transaction, message = read.transaction, MESSAGES[decision.reason]
        block_number = read.seen.block_number if read.seen is not None else None
        remaining = decision.remaining
        return _json(
            {
                "transaction_id": transaction.transaction_id,
                "binding": "0x" + transaction.binding.hex(),
                "kind": transaction.kind.value,
                "amount_minor": transaction.amount_minor,
                "currency": transaction.currency,
                "outcome": decision.outcome.value,
                "reason": decision.reason.value if decision.reason is not None else None,
                "iso20022": decision.iso20022,
                "message": {"en": message.en, "zh": message.zh},
                "staleness_ms": decision.staleness_ms,
                "block_number": block_number,
                "publication": decision.publication,
                "watermark_ms": decision.watermark_ms,
                "remaining": {
                    "transaction_limit_minor": limit_word(remaining.transaction_limit_minor),
                    "daily_limit_minor": limit_word(remaining.daily_limit_minor),
                }
                if remaining is not None
                else None,
                "reservation": _reservation_document(reservation),
                "decided_at_ms": now_ms,
                "evidence": self._evidence.sign(
                    transaction.transaction_id,
                    read.question,
                    transaction.currency,
                    read.bound,
                    decision,
                    block_number=block_number,
                    decided_at_ms=now_ms,
                ),
            }
        )

    def _find(self, transaction_id: str) -> bytes:
        with self._storage.read() as connection:
            return _present(connection, [transaction_id])[transaction_id]

    def _settle(self, wishes: Sequence[Settlement]) -> Sequence[bytes | StandingError]:
        with self._storage.write() as connection:
            outcomes = settle(connection, wishes, self._clock.now_ms())
            done = [
                wish.transaction_id
                for wish, outcome in zip(wishes, outcomes, strict=True)
                if isinstance(outcome, Reservation)
            ]
            documents = _present(connection, done)
        return [
            outcome if isinstance(outcome, StandingError) else documents[wish.transaction_id]
            for wish, outcome in zip(wishes, outcomes, strict=True)
        ]


def limit_word(limit_minor: int) -> int | str:
    """A limit as the API writes it: minor units, or "none" where the bank states none."""
    return "none" if limit_minor == NO_LIMIT else limit_minor


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _reservation_document(reservation: Reservation | None) -> dict[str, Any] | None:
    if reservation is None:
        return None
    return {
        "state": reservation.state.value,
        "amount_minor": reservation.amount_minor,
        "day": reservation.day.isoformat(),
    }


def _lock_bindings(connection: Connection, bindings: set[bytes]) -> dict[bytes, tuple[int | None, int]]:
    """When each binding ended, if it did, and its floor; locked in one order until the transaction ends."""
    table = schema.bindings.c
    rows = connection.execute(
        select(table.binding, table.ended_at_ms, table.floor)
        .where(table.binding.in_(sorted(bindings)))
        .order_by(table.binding)
        .with_for_update()
    )
    return {row.binding: (row.ended_at_ms, row.floor) for row in rows}


def _decided_before(connection: Connection, transaction_ids: list[str]) -> dict[str, tuple[Transaction, str]]:
    """Of these transactions those that were decided: what was asked, and the answer."""
    rows = connection.execute(select(schema.decisions).where(schema.decisions.c.transaction_id.in_(transaction_ids)))
    return {
        row.transaction_id: (
            Transaction(row.transaction_id, row.binding, Kind(row.kind), row.amount_minor, row.currency),
            row.answer,
        )
        for row in rows
    }


def _repeated(asked: Transaction, before: Transaction, answer: str) -> bytes | StandingError:
    if asked != before:
        return Conflict("transaction_id: decided before with another body; allowed: the same body, or a new id")
    return answer.encode()


def _write(
    connection: Connection, fresh: Sequence[tuple[_Read, Decision, str, Reservation | None]], now_ms: int
) -> None:
    if not fresh:
        return
    connection.execute(
        insert(schema.decisions),
        [
            {
                "transaction_id": read.transaction.transaction_id,
                "binding": read.transaction.binding,
                "kind": read.transaction.kind.value,
                "amount_minor": read.transaction.amount_minor,
                "currency": read.transaction.currency,
                "outcome": decision.outcome.value,
                "reason": decision.reason.value if decision.reason is not None else None,
                "decided_at_ms": now_ms,
                "answer": answer,
            }
            for read, decision, answer, _ in fresh
        ],
    )
    reserved = [
        {
            "transaction_id": read.transaction.transaction_id,
            "account": read.bound.account,
            "day": reservation.day,
            "currency": read.transaction.currency,
            "amount_minor": reservation.amount_minor,
            "state": reservation.state.value,
        }
        for read, _, _, reservation in fresh
        if reservation is not None
    ]
    if reserved:
        connection.execute(insert(schema.reservations), reserved)


def _raise_floors(connection: Connection, floors: dict[bytes, int]) -> None:
    if floors:
        connection.execute(
            update(schema.bindings)
            .where(schema.bindings.c.binding == bindparam("of_binding"))
            .values(floor=bindparam("new_floor")),
            [{"of_binding": binding, "new_floor": floor} for binding, floor in sorted(floors.items())],
        )


def _present(connection: Connection, transaction_ids: Sequence[str]) -> dict[str, bytes]:
    """Decisions as they were answered, each with its reservation as it is now. Raises: NotFound."""
    joined = schema.decisions.outerjoin(schema.reservations)
    held = schema.reservations.c
    rows = connection.execute(
        select(schema.decisions.c.transaction_id, schema.decisions.c.answer, held.state, held.amount_minor, held.day)
        .select_from(joined)
        .where(schema.decisions.c.transaction_id.in_(transaction_ids))
    )
    found = {}
    for row in rows:
        document = json.loads(row.answer)
        if row.state is not None:
            reservation = Reservation(State(row.state), row.amount_minor, row.day)
            document["reservation"] = _reservation_document(reservation)
        found[row.transaction_id] = _json(document).encode()
    for transaction_id in transaction_ids:
        if transaction_id not in found:
            raise NotFound("transaction_id: no decision with this id; allowed: one that was decided before")
    return found
