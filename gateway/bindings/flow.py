"""The binding flow: request a binding, confirm a micro-deposit, rebind, resync.

A user's claim is personal data, and goes to the bank. Only the masked number, a keyed hash of it, and the tags that
attestations are compared with are stored here. While a micro-deposit is pending, the identity is kept encrypted,
because the tags need the key that comes with the grant.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakValueDictionary

import structlog
from sqlalchemy import Connection, Row, delete, insert, select, update

from standing.gateway.access.admission import Admission
from standing.gateway.bindings.attempts import BindingBounds, Failure, check_may_bind, note_failure, note_refusal
from standing.gateway.bindings.banks import Bank, BankDirectory, NodeClient
from standing.gateway.bindings.outcomes import DepositAsked, Granted, LooksMistyped, Outcome, PendingBinding, Refused
from standing.gateway.bindings.service import Bindings, mask, stored_binding, stored_bindings, trusted
from standing.gateway.errors import AlreadyBound, BankNotUsable, GrantNotTrusted, TooManyAttempts
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.attestations.binding_protocol import (
    BindingAnswer,
    BindingRequest,
    Mismatch,
)
from standing.ledger.attestations.grant import Grant
from standing.ledger.attestations.identity import Identity
from standing.ledger.attestations.sealing import identity_tags
from standing.ledger.chain.client import LedgerClient
from standing.ledger.clock import HOUR_MS, Clock
from standing.ledger.errors import Conflict, InvalidValue, NotFound
from standing.ledger.service.vault import Vault

_TAG_FIELDS = ("name", "id_document", "phone")
_MAX_FORGOTTEN = 500
#: How long an expired pending binding is kept. Its amount may have been stated in time, and be at the bank still: the
#: identity is needed for the grant that comes back.
_KEPT_EXPIRED_MS = HOUR_MS
_NOT_PENDING = "request_id: no binding of this user is waiting for an amount; allowed: start with a new request"


class BindingFlow:
    """Makes the bindings of one platform."""

    def __init__(
        self,
        *,
        platform: str,
        storage: Storage,
        vault: Vault,
        banks: BankDirectory,
        nodes: NodeClient,
        ledger: LedgerClient,
        bindings: Bindings,
        bounds: BindingBounds,
        clock: Clock,
        max_waiting: int,
    ) -> None:
        self._platform = platform
        self._storage = storage
        self._vault = vault
        self._banks = banks
        self._nodes = nodes
        self._ledger = ledger
        self._bindings = bindings
        self.bounds = bounds  #: replaced together with the policy
        self._clock = clock
        self._admission = Admission(max_waiting, "requests to bind")
        self._attempts: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # by user

    async def bind(self, bic: str, user_id: str, request: BindingRequest, *, as_written: bool = False) -> Outcome:
        """Ask a bank to bind an account for a user, check the grant, and store it.

        A claim that looks mistyped is answered with hints, and sent to the bank only if `as_written`. Nothing is stored
        unless the whole grant is valid. The request may be repeated after a lost answer.

        Raises: InvalidValue, BindingHeld, TooManyAttempts, AlreadyBound, Conflict, BankNotUsable, GrantNotTrusted,
        BankNodeUnreachable, BankNodeRefused, LedgerUnreachable, StorageUnavailable, Overloaded.
        """
        with self._admission:
            bank = self._banks.find(bic)
            hints = () if as_written else tuple(request.hints())
            return LooksMistyped(hints) if hints else await self._bind(bank, user_id, request, None)

    async def rebind(self, binding: bytes, request: BindingRequest, *, as_written: bool = False) -> Outcome:
        """Replace a binding whose record cannot be decrypted, or whose holder changed, by one of the same account.

        The old binding ends when the new one is granted: at the bank in the same step, then here. Until then it is
        unchanged, also while a micro-deposit is pending and after a refusal. The account's usage of the day carries
        over. The request may be repeated, and must be if the bank became unreachable in between.

        Raises: the errors of `bind`, and NotFound, BankNotServed.
        """
        with self._admission:
            old = await self._bindings.row(binding)
            bank = self._banks.of_binding(old.bank)
            if self.account(bank, request.canonical_number()) != old.account:
                raise InvalidValue("number", "of another account", "the account of this binding, or a new binding")
            hints = () if as_written else tuple(request.hints())
            return LooksMistyped(hints) if hints else await self._bind(bank, old.user_id, request, binding)

    async def resync(self, binding: bytes) -> bool:
        """Ask the bank to publish a binding's terms again. Returns: False if they were already being published.

        Raises: NotFound, BankNotServed, TooManyAttempts, BankNodeUnreachable, BankNodeRefused, StorageUnavailable,
        Overloaded.
        """
        with self._admission:
            row = await self._bindings.row(binding)
            return await self._nodes.resync(self._banks.of_binding(row.bank), binding)

    async def confirm(self, bic: str, user_id: str, request_id: str, amount_minor: int) -> Granted | Refused:
        """State the amount of a micro-deposit. Repeating it after a grant returns the same grant.

        Raises: NotFound (no deposit is pending), Conflict (the binding has ended), and the errors of `bind`.
        """
        with self._admission:
            bank = self._banks.find(bic)
            pending = await self._storage.reading(self._pending, bank.bic, user_id, request_id)
            if pending.binding is not None:
                await self._end_replaced(pending.replaces)
                return await self._granted_before(pending.binding)
            signer = await self.signer(bank)
            async with self._noted(user_id, bank, pending.number_masked):
                answer = await self._nodes.confirm(bank, pending.deposit, amount_minor)
            if answer.grant is None:
                why = [each.field for each in answer.mismatches] + ["no_tries_left"] * (answer.tries_left == 0)
                failure = Failure(user_id, bank.bic, pending.number_masked, tuple(why))
                await self._storage.writing(self._note, failure)
                return Refused(tuple(answer.mismatches), tries_left=answer.tries_left)
            grant = trusted(answer.grant, bank, self._platform, signer)
            granted = await self._storage.writing(self._store_confirmed, bank, grant, request_id, answer.mismatches)
            if granted is None:
                granted = await self._granted_before(grant.binding)
            await self._end_replaced(pending.replaces)
            return granted

    async def _granted_before(self, binding: bytes) -> Granted:
        row = await self._bindings.row(binding)
        _check_not_ended(row)
        return Granted(stored_binding(row), created=False)

    async def pending_of(self, user_id: str) -> list[PendingBinding]:
        """A user's pending bindings, newest first. Raises: StorageUnavailable."""

        def read() -> list[PendingBinding]:
            table = schema.pending_bindings
            query = select(table).where(
                table.c.user_id == user_id,
                table.c.binding.is_(None),
                table.c.expires_at_ms > self._clock.now_ms(),
            )
            with self._storage.read() as connection:
                rows = connection.execute(query.order_by(table.c.created_at_ms.desc(), table.c.request_id)).all()
            return [
                PendingBinding(
                    row.bank, row.request_id, row.number_masked, row.number_type, row.currency, row.expires_at_ms
                )
                for row in rows
            ]

        return await self._storage.reading(read)

    async def _bind(self, bank: Bank, user_id: str, request: BindingRequest, replaces: bytes | None) -> Outcome:
        # One attempt of a user at a time, so that each is checked after the refusals before it were counted.
        async with self._attempts.setdefault(user_id, asyncio.Lock()):
            return await self._bind_alone(bank, user_id, request, replaces)

    async def _bind_alone(self, bank: Bank, user_id: str, request: BindingRequest, replaces: bytes | None) -> Outcome:
        number = request.canonical_number()
        identity = request.identity()
        await self._storage.reading(self._check_may_bind, user_id)
        # Before the request to the bank: without the ledger a grant could not be checked and would be left unused.
        signer = await self.signer(bank)
        # The bank limits guesses per user; it only learns that requests are from the same user.
        on_behalf_of = self._vault.lookup("user", f"{bank.bic}:{user_id}").hex()
        ends = None if replaces is None else "0x" + replaces.hex()
        asked = request.model_copy(update={"on_behalf_of": on_behalf_of, "replaces": ends})
        async with self._noted(user_id, bank, mask(number)):
            answer = await self._nodes.bind(bank, asked)
        account = {
            "number_masked": mask(number),
            "number_type": request.number_type,
            "account": self.account(bank, number),
            "replaces": replaces,
        }
        if answer.micro_deposit is not None:
            return await self._ask_deposit(bank, user_id, request.request_id, identity, account, answer)
        if answer.grant is None:
            why = tuple(each.field for each in answer.mismatches)
            await self._storage.writing(self._note_refusal, Failure(user_id, bank.bic, mask(number), why))
            return Refused(tuple(answer.mismatches), tuple(answer.matches), tuple(answer.hints))
        grant = trusted(answer.grant, bank, self._platform, signer)
        values = self._values(bank, grant, user_id, identity, answer.mismatches) | account
        granted = await self._storage.writing(self._store, values, (bank.bic, request.request_id))
        if granted.created:
            structlog.get_logger().info("bound", binding="0x" + grant.binding.hex(), bank=bank.bic)
        await self._end_replaced(replaces)
        return granted

    async def _end_replaced(self, binding: bytes | None) -> None:
        # Always notify the bank: if it now keeps the binding for another card, only this ends it there.
        if binding is not None:
            await self._bindings.end(binding)

    async def signer(self, bank: Bank) -> str:
        """The address of the bank's present signer on the ledger. Raises: BankNotUsable, LedgerUnreachable."""
        state = await asyncio.to_thread(self._ledger.bank, bank.bic)
        if not state.admitted or state.suspended:
            raise BankNotUsable(f"the ledger {'has suspended' if state.suspended else 'does not admit'} {bank.bic}")
        return state.signer

    def account(self, bank: Bank, number: str) -> bytes:
        """The keyed hash that is stored in place of an account's canonical number."""
        return self._vault.lookup("account", f"{bank.bic}:{number}")

    def _values(
        self, bank: Bank, grant: Grant, user_id: str, identity: Identity, mismatches: Collection[Mismatch]
    ) -> dict[str, Any]:
        unvouched = [field for field in _TAG_FIELDS if any(mismatch.field == field for mismatch in mismatches)]
        return {
            "binding": grant.binding,
            "bank": bank.bic,
            "user_id": user_id,
            "key_sealed": self._vault.seal(grant.binding_key),
            "tags": identity_tags(grant.binding, grant.binding_key, identity).pack(),
            "unvouched": ",".join(unvouched) or None,
            "granted_at_ms": grant.granted_at_ms,
            "grant_signature": grant.signature,
            "created_at_ms": self._clock.now_ms(),
            "floor": 0,
        }

    async def _ask_deposit(
        self,
        bank: Bank,
        user_id: str,
        request_id: str,
        identity: Identity,
        account: dict[str, Any],
        answer: BindingAnswer,
    ) -> DepositAsked:
        deposit = answer.micro_deposit
        assert deposit is not None
        sealed = self._vault.seal_text(
            json.dumps({field: getattr(identity, field) for field in _TAG_FIELDS}, ensure_ascii=False)
        )
        values = account | {
            "bank": bank.bic,
            "request_id": request_id,
            "user_id": user_id,
            "deposit": bytes.fromhex(deposit.id[2:]),
            "identity_sealed": sealed,
            "currency": deposit.currency,
            "created_at_ms": self._clock.now_ms(),
            "expires_at_ms": deposit.expires_at_ms,
        }
        await self._storage.writing(self._store_pending, values)
        return DepositAsked(deposit.currency, deposit.expires_at_ms, tuple(answer.matches))

    def forget_expired(self) -> int:
        """Delete pending bindings that expired an hour ago, with their identity, at most 500 at once.

        Runs at startup, and with every new binding and deposit. Returns: how many. Raises: StorageUnavailable.
        """
        with self._storage.write() as connection:
            return self._forget_expired(connection)

    def _forget_expired(self, connection: Connection) -> int:
        table = schema.pending_bindings
        expired_ms = self._clock.now_ms() - _KEPT_EXPIRED_MS
        late = select(table.c.bank, table.c.request_id).where(table.c.expires_at_ms <= expired_ms)
        rows = connection.execute(late.order_by(table.c.expires_at_ms).limit(_MAX_FORGOTTEN)).all()
        for row in rows:
            connection.execute(delete(table).where(table.c.bank == row.bank, table.c.request_id == row.request_id))
        return len(rows)

    def _store_pending(self, values: dict[str, Any]) -> None:
        table = schema.pending_bindings
        this = (table.c.bank == values["bank"], table.c.request_id == values["request_id"])

        def store(connection: Connection) -> None:
            self._bindings.check_vault(connection)
            self._forget_expired(connection)
            row = connection.execute(select(table).where(*this).with_for_update()).one_or_none()
            if row is None:
                connection.execute(insert(table).values(**values))
            elif row.user_id != values["user_id"]:
                raise Conflict("request_id: used before for another user; allowed: a new id")
            elif row.deposit != values["deposit"]:
                # The bank no longer knows the earlier one, as after a restored backup: only this one can be confirmed.
                connection.execute(update(table).where(*this, table.c.binding.is_(None)).values(**values))

        self._storage.write_all(store)

    def _pending(self, bic: str, user_id: str, request_id: str) -> Row[Any]:
        table = schema.pending_bindings
        query = select(table).where(table.c.bank == bic, table.c.request_id == request_id, table.c.user_id == user_id)
        with self._storage.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or (row.binding is None and self._clock.now_ms() >= row.expires_at_ms):
            raise NotFound(_NOT_PENDING)
        return row

    def _check_may_bind(self, user_id: str) -> None:
        with self._storage.read() as connection:
            check_may_bind(connection, user_id, self._clock.now_ms())

    @asynccontextmanager
    async def _noted(self, user_id: str, bank: Bank, number_masked: str) -> AsyncIterator[None]:
        """Keeps for support that the bank's node answered a request with one of these errors."""
        try:
            yield
        except (AlreadyBound, TooManyAttempts) as error:
            why = "already_bound" if isinstance(error, AlreadyBound) else "too_many_attempts"
            await self._storage.writing(self._note, Failure(user_id, bank.bic, number_masked, (why,)))
            raise

    def _note(self, failure: Failure) -> None:
        with self._storage.write() as connection:
            note_failure(connection, failure, self._clock.now_ms())

    def _note_refusal(self, failure: Failure) -> None:
        """Like `_note`, of an attempt that counts."""
        with self._storage.write() as connection:
            note_failure(connection, failure, self._clock.now_ms())
            note_refusal(connection, failure.user_id, self.bounds, self._clock.now_ms())

    def _store_confirmed(
        self, bank: Bank, grant: Grant, request_id: str, mismatches: Collection[Mismatch]
    ) -> Granted | None:
        """Store the result of a deposit; None if a concurrent confirmation has already stored it. Raises: NotFound."""
        # Read in the writing thread: the user's identity may have changed during the request to the bank.
        table = schema.pending_bindings
        with self._storage.read() as connection:
            pending = connection.execute(
                select(table).where(table.c.bank == bank.bic, table.c.request_id == request_id)
            ).one_or_none()
        if pending is None:  # the bank's answer took longer than an expired one is kept
            raise NotFound(_NOT_PENDING)
        if pending.binding is not None:
            return None
        identity = Identity(**json.loads(self._vault.unseal_text(pending.identity_sealed)))
        values = self._values(bank, grant, pending.user_id, identity, mismatches) | {
            name: getattr(pending, name) for name in ("number_masked", "number_type", "account", "replaces")
        }
        return self._store(values, (bank.bic, request_id))

    def _store(self, values: dict[str, Any], asked: tuple[str, str]) -> Granted:
        same = stored_bindings().where(schema.bindings.c.binding == values["binding"])
        pending = schema.pending_bindings

        def store(connection: Connection) -> tuple[Row[Any], bool]:
            row = connection.execute(same).one_or_none()
            if row is not None:
                return row, False
            self._bindings.check_vault(connection)
            self._forget_expired(connection)
            connection.execute(insert(schema.bindings).values(**values))
            connection.execute(
                update(pending)
                .where(pending.c.bank == asked[0], pending.c.request_id == asked[1])
                .values(binding=values["binding"], identity_sealed=None)
            )
            return connection.execute(same).one(), True

        row, created = self._storage.write_all(store)
        if row.bank != values["bank"]:
            # The ids of all bindings are on the ledger: a bank could name another's.
            raise GrantNotTrusted(f"the grant of {values['bank']}'s node is for a binding of another bank")
        _check_not_ended(row)
        if row.user_id != values["user_id"]:
            raise Conflict("request_id: used before for another user; allowed: a new id")
        return Granted(stored_binding(row), created)


def _check_not_ended(binding: Row[Any]) -> None:
    if binding.ended_at_ms is not None:
        raise Conflict("request_id: its binding has ended; allowed: a new id for a new binding")
