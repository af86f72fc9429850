"""Micro-deposits: a small random amount is paid into the account, and its holder names it.

A deposit decides where the phone differs, where the bank has nothing but the holder's name to compare, and, if the bank
allows it, where the name is close.

Only the payout order holds the amount. The store keeps a keyed hash of it, made with the deposit's id and a key that is
not in the database, so neither the store nor a log reveals it. The node has the key: to repeat an order after a crash,
it finds the amount by trying all hundred.
"""

import hmac
import json
import secrets
from dataclasses import asdict, dataclass
from typing import Any, Literal

import structlog
from sqlalchemy import Row, insert, select, update
from sqlalchemy.engine import Connection

from standing.ledger.attestations.binding_protocol import (
    MAX_DEPOSIT_MINOR,
    BindingAnswer,
    MicroDepositDocument,
    Mismatch,
)
from standing.ledger.attestations.money import currency_code
from standing.ledger.clock import DAY_MS, Clock
from standing.ledger.errors import Conflict, NotFound
from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault
from standing.node.accounts.store import Account, AccountStore
from standing.node.bindings import off_boarding
from standing.node.bindings.granting import Granting
from standing.node.bindings.payout import Payout, PayoutFailed, PayoutOrder
from standing.node.bindings.velocity import TooManyAttempts
from standing.node.bindings.verification import (
    HOLDER_CHANGED,
    NO_CREDIT,
    Verification,
    doubts,
    note_of,
    noted_matches,
    unbindable,
    unvouched,
)
from standing.node.fault_points import Faults, no_faults
from standing.node.storage import schema

#: Never; where all but the phone matches, or only a name can be compared; or for every binding.
Policy = Literal["never", "phone_differs", "always"]

_ID_SIZE = 32
_HASH_SIZE = 32
_PAY_AT_ONCE = 100
_CLOSE = "name_close"


@dataclass(frozen=True, slots=True)
class DepositRules:
    """When a deposit is required, and its bounds.

    `close_names`: a deposit may decide on a close name, too. `max_a_week`: deposits to one account in seven days;
    without this bound, more guesses would only cost the bank money.
    """

    policy: Policy
    tries: int = 3
    lifetime_ms: int = 7 * DAY_MS
    max_a_week: int = 3
    close_names: bool = False


class MicroDeposits:
    """Opens, pays and confirms micro-deposits. Without a `payout` the rules' policy is never."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        granting: Granting,
        clock: Clock,
        rules: DepositRules,
        payout: Payout | None,
        faults: Faults = no_faults,
    ) -> None:
        assert payout is not None or rules.policy == "never"  # settings refuse everything else
        self._database = database
        self._vault = vault
        self._accounts = AccountStore(vault)
        self._granting = granting
        self._clock = clock
        self._rules = rules
        self._payout = payout
        self._faults = faults

    def needed(self, mismatches: list[Mismatch]) -> bool:
        """Whether a deposit is to decide on a claim with these mismatches."""
        labels = doubts(mismatches)
        if labels is None or self._rules.policy == "never" or (_CLOSE in labels and not self._rules.close_names):
            return False
        return bool(labels) or self._rules.policy == "always"

    def open(
        self,
        connection: Connection,
        account: Account,
        *,
        platform: str,
        request_id: str,
        request_digest: bytes,
        found: Verification,
        replaces: bytes | None,
    ) -> BindingAnswer | TooManyAttempts:
        """Choose an amount and store the deposit. `pay` orders it, after the transaction.

        `replaces`: the binding that ends when the right amount is named, see `Granting.grant`.
        """
        assert account.id is not None
        against = unbindable(account) or ([] if account.credit_allowed else [NO_CREDIT])
        if against:
            return BindingAnswer(outcome="refused", mismatches=against)
        now_ms = self._clock.now_ms()
        earlier = connection.execute(
            select(schema.micro_deposits)
            .where(schema.micro_deposits.c.account_id == account.id)
            .order_by(schema.micro_deposits.c.created_at_ms.desc())
            .limit(self._rules.max_a_week)
        ).all()
        if len(earlier) == self._rules.max_a_week and earlier[-1].created_at_ms > now_ms - 7 * DAY_MS:
            wait_ms = earlier[-1].created_at_ms + 7 * DAY_MS - now_ms
            return TooManyAttempts(
                f"too many micro-deposits to this account; allowed: {self._rules.max_a_week} in seven days",
                -(-wait_ms // 1000),
            )
        deposit = secrets.token_bytes(_ID_SIZE)
        values = {
            "id": deposit,
            "account_id": account.id,
            "platform": platform,
            "request_id": request_id,
            "request_digest": request_digest,
            "differs": note_of(found),
            "amount_hash": self._hash(deposit, self._choose(earlier[0] if earlier else None)),
            "holder_hash": self._holder_hash(deposit, account),
            "wrong_hashes": b"",
            "replaces": replaces,
            "created_at_ms": now_ms,
            "expires_at_ms": now_ms + self._rules.lifetime_ms,
        }
        connection.execute(insert(schema.micro_deposits).values(values))
        return self._document(connection, _row(connection, deposit))

    def again(self, connection: Connection, platform: str, request_id: str) -> Row[Any] | None:
        """The deposit that an earlier request led to."""
        table = schema.micro_deposits
        query = select(table).where(table.c.platform == platform, table.c.request_id == request_id)
        return connection.execute(query).one_or_none()

    def answer(self, connection: Connection, deposit: Row[Any]) -> BindingAnswer:
        """The state of a deposit: waiting for its amount, or refused."""
        over = self._why_over(deposit)
        return self._document(connection, deposit) if over is None else _refused(over, 0)

    def confirm(self, platform: str, deposit: bytes, amount_minor: int) -> BindingAnswer:
        """Take the amount that the user named: granted, or refused with how many tries are left.

        The right amount again gets the same grant again; a wrong one named twice counts once.

        Raises: NotFound, Conflict (another amount after the grant), AlreadyBound, InvalidValue, PlatformOffBoarded.
        """
        with self._database.write() as connection:
            row = _row(connection, deposit)
            if row is None or row.platform != platform:
                raise NotFound("this platform has no such micro-deposit")
            hashed = self._hash(deposit, amount_minor)
            right = hmac.compare_digest(hashed, row.amount_hash)
            if row.binding_id is not None:
                if not right:
                    raise Conflict("amount_minor: not the one that was confirmed; allowed: the same again")
                bound = connection.execute(select(schema.bindings).where(schema.bindings.c.id == row.binding_id)).one()
                return self._granting.again(bound, differing(row))
            over = self._why_over(row)
            if over is not None:
                return _refused(over, 0)
            answer = self._grant(connection, row) if right else self._count_wrong(connection, row, hashed)
        self._faults("grant_committed" if right else "amount_refused")
        return answer

    def pay(self, deposit: bytes) -> None:
        """Order the payment of a deposit's amount, unless the order was accepted already. Raises: PayoutFailed."""
        assert self._payout is not None
        with self._database.read() as connection:
            row = _row(connection, deposit)
            if row is None or row.paid_at_ms is not None:  # its account was erased meanwhile
                return
            account = self._accounts.get(connection, row.account_id)
        self._payout.pay(
            PayoutOrder(
                id=deposit,
                number=account.number,
                number_type=account.number_type,
                currency=currency_code(account.currency),
                amount_minor=self._amount(row),
                created_at_ms=row.created_at_ms,
            )
        )
        self._faults("deposit_paid")
        table = schema.micro_deposits
        with self._database.write() as connection:
            connection.execute(update(table).where(table.c.id == deposit).values(paid_at_ms=self._clock.now_ms()))

    def pay_due(self) -> None:
        """Submit every order that was not accepted yet and has not expired, at most a hundred at once. A failed order
        does not hold up the others. Raises: PayoutFailed, after all were tried.
        """
        if self._payout is None:
            return
        table = schema.micro_deposits
        with self._database.read() as connection:
            due = connection.execute(
                select(table.c.id)
                .where(table.c.paid_at_ms.is_(None), table.c.expires_at_ms > self._clock.now_ms())
                .order_by(table.c.created_at_ms)
                .limit(_PAY_AT_ONCE)
            ).scalars()
            waiting = list(due)
        failed: PayoutFailed | None = None
        for deposit in waiting:
            try:
                self.pay(deposit)
            except PayoutFailed as error:
                failed = error
        if failed is not None:
            raise failed

    def pay_now_or_later(self, deposit: bytes) -> None:
        """As `pay`, but an order that is not accepted now is left to `pay_due`."""
        try:
            self.pay(deposit)
        except PayoutFailed as error:
            structlog.get_logger().warning("payout_postponed", deposit="0x" + deposit.hex(), reason=str(error))

    def _grant(self, connection: Connection, row: Row[Any]) -> BindingAnswer:
        off_boarding.check(connection, row.platform)
        account = self._accounts.get(connection, row.account_id)
        against = unbindable(account)
        if not hmac.compare_digest(self._holder_hash(row.id, account), row.holder_hash):
            against = [HOLDER_CHANGED]
        if against:
            return BindingAnswer(outcome="refused", mismatches=against)
        why_not = self._granting.why_not(connection, account, row.platform, row.replaces)
        if why_not is not None:
            raise why_not
        answer = self._granting.grant(
            connection,
            account,
            platform=row.platform,
            request_id=row.request_id,
            request_digest=row.request_digest,
            mismatches=differing(row),
            replaces=row.replaces,
        )
        assert answer.grant is not None
        table = schema.micro_deposits
        connection.execute(
            update(table).where(table.c.id == row.id).values(binding_id=bytes.fromhex(answer.grant.binding[2:]))
        )
        return answer

    def _count_wrong(self, connection: Connection, row: Row[Any], hashed: bytes) -> BindingAnswer:
        wrong: bytes = row.wrong_hashes
        if hashed not in _hashes(wrong):
            wrong += hashed
            table = schema.micro_deposits
            connection.execute(update(table).where(table.c.id == row.id).values(wrong_hashes=wrong))
        left = self._rules.tries - len(wrong) // _HASH_SIZE
        return _refused(f"not the amount that was paid in; {left} of {self._rules.tries} tries left", left)

    def _why_over(self, row: Row[Any]) -> str | None:
        if self._tries_left(row) <= 0:
            return "no tries are left; ask with a new request id"
        if self._clock.now_ms() >= row.expires_at_ms:
            return "the time to name it is over; ask with a new request id"
        return None

    def _tries_left(self, row: Row[Any]) -> int:
        return self._rules.tries - len(row.wrong_hashes) // _HASH_SIZE

    def _document(self, connection: Connection, row: Row[Any] | None) -> BindingAnswer:
        assert row is not None
        account = self._accounts.get(connection, row.account_id)
        document = MicroDepositDocument(
            id="0x" + row.id.hex(),
            currency=currency_code(account.currency),
            expires_at_ms=row.expires_at_ms,
            tries_left=self._tries_left(row),
        )
        return BindingAnswer(outcome="micro_deposit", micro_deposit=document, matches=noted_matches(row.differs))

    def _choose(self, last: Row[Any] | None) -> int:
        """A random amount that differs from the account's last deposit."""
        avoided = None if last is None else self._amount(last)
        amount = 1 + secrets.randbelow(MAX_DEPOSIT_MINOR - (avoided is not None))
        return amount + 1 if avoided is not None and amount >= avoided else amount

    def _amount(self, row: Row[Any]) -> int:
        """The amount behind a stored hash."""
        return next(
            amount for amount in range(1, MAX_DEPOSIT_MINOR + 1) if self._hash(row.id, amount) == row.amount_hash
        )

    def _hash(self, deposit: bytes, amount_minor: int) -> bytes:
        return self._vault.lookup("micro-deposit amount", f"{deposit.hex()}:{amount_minor}")

    def _holder_hash(self, deposit: bytes, account: Account) -> bytes:
        held = json.dumps(asdict(account.identity), ensure_ascii=False)
        return self._vault.lookup("micro-deposit holder", f"{deposit.hex()}:{held}")


def differing(row: Row[Any]) -> list[Mismatch]:
    """The fields that did not match when the deposit was asked for, and that the bank does not vouch for."""
    return unvouched(row.differs)


def _refused(problem: str, tries_left: int) -> BindingAnswer:
    mismatch = Mismatch(field="amount", problem=problem)
    return BindingAnswer(outcome="refused", mismatches=[mismatch], tries_left=tries_left)


def _row(connection: Connection, deposit: bytes) -> Row[Any] | None:
    table = schema.micro_deposits
    return connection.execute(select(table).where(table.c.id == deposit)).one_or_none()


def _hashes(joined: bytes) -> list[bytes]:
    return [joined[at : at + _HASH_SIZE] for at in range(0, len(joined), _HASH_SIZE)]
