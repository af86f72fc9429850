"""Bindings: a platform asks, the bank checks the holder of the account, and grants or names what does not match."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.engine import Connection

from standing.ledger.attestations.binding_protocol import BindingAnswer, BindingRequest
from standing.ledger.attestations.identity import Identity
from standing.ledger.clock import Clock
from standing.ledger.errors import Conflict, InvalidValue, NotFound, StandingError
from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault
from standing.node.accounts.quarantine import Quarantine
from standing.node.accounts.store import AccountStore
from standing.node.bindings import off_boarding
from standing.node.bindings.granting import Granting
from standing.node.bindings.micro_deposit import MicroDeposits, differing
from standing.node.bindings.unbinding import end_and_queue
from standing.node.bindings.velocity import KNOWN_COST, UNKNOWN_COST, Bucket, Rate, Velocity
from standing.node.bindings.verification import NO_SUCH_ACCOUNT, UNSTATED, verify
from standing.node.fault_points import Faults, no_faults
from standing.node.publishing.outbox import Issuer
from standing.node.storage import schema


@dataclass(frozen=True, slots=True)
class AttemptRates:
    """How often bindings may be asked for: by a platform in all, and on behalf of one of its users.

    `require_caller`: whether a request must name the user on whose behalf it is made.
    """

    platform: Rate
    caller: Rate
    require_caller: bool


class Bindings:
    """Grants and ends bindings of one bank."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        issuer: Issuer,
        clock: Clock,
        *,
        granting: Granting,
        deposits: MicroDeposits,
        rates: AttemptRates,
        on_change: Callable[[], None],
        faults: Faults = no_faults,
    ) -> None:
        self._database = database
        self._vault = vault
        self._accounts = AccountStore(vault)
        self._quarantine = Quarantine(vault)
        self._issuer = issuer
        self._clock = clock
        self._granting = granting
        self._deposits = deposits
        self._velocity = Velocity(vault, clock)
        self._rates = rates
        self._on_change = on_change
        self._faults = faults

    def bind(self, platform: str, request: BindingRequest) -> BindingAnswer:
        """Verify a claim and grant a binding, or name each field that does not match, or announce a micro-deposit.

        A request that led to a grant or a micro-deposit gets the same answer when the same platform sends it again.
        Every other attempt counts against the velocity limits.

        Raises: Conflict (the request id was used for another claim), AlreadyBound, InvalidValue, TooManyAttempts,
        PlatformOffBoarded.
        """
        number = request.canonical_number()
        identity = request.identity()
        if self._rates.require_caller and request.on_behalf_of is None:
            raise InvalidValue("on_behalf_of", "missing", "the platform's own id of the user who asks")
        digest = self._vault.lookup("binding request", request.model_dump_json())
        with self._database.write() as connection:
            again = self._again(connection, platform, request, digest)
            if again is not None:
                return again
            off_boarding.check(connection, platform)
            self._velocity.check(connection, *self._buckets(platform, request))
            # Errors are raised after the transaction: the cost of the attempt must stay charged.
            outcome = self._attempt(connection, platform, request, number, identity, digest)
        if isinstance(outcome, StandingError):
            raise outcome
        if outcome.grant is not None:
            self._faults("grant_committed")
            self._on_change()
        if outcome.micro_deposit is not None:
            self._faults("deposit_committed")
            self._deposits.pay_now_or_later(bytes.fromhex(outcome.micro_deposit.id[2:]))
        return outcome

    def confirm(self, platform: str, deposit: bytes, amount_minor: int) -> BindingAnswer:
        """Take the amount of a micro-deposit that the user named; see `MicroDeposits.confirm`."""
        answer = self._deposits.confirm(platform, deposit, amount_minor)
        if answer.grant is not None:
            self._on_change()
        return answer

    def unbind(self, platform: str, binding: bytes) -> None:
        """End a binding of this platform. A binding that has ended stays ended. Raises: NotFound."""
        with self._database.write() as connection:
            row = connection.execute(
                select(schema.bindings).where(schema.bindings.c.id == binding, schema.bindings.c.platform == platform)
            ).one_or_none()
            if row is None:
                raise NotFound("this platform has no such binding")
            if row.ended_at_ms is not None:
                return
            account = self._accounts.get(connection, row.account_id)
            now_ms = self._clock.now_ms()
            end_and_queue(connection, self._issuer, account, binding=binding, platform=platform, now_ms=now_ms)
        self._faults("end_committed")
        self._on_change()

    def _again(
        self, connection: Connection, platform: str, request: BindingRequest, digest: bytes
    ) -> BindingAnswer | None:
        """The earlier answer to the request, if it led to something. Raises: Conflict."""
        granted = connection.execute(
            select(schema.bindings).where(
                schema.bindings.c.platform == platform, schema.bindings.c.request_id == request.request_id
            )
        ).one_or_none()
        deposit = self._deposits.again(connection, platform, request.request_id)
        if granted is not None:
            _check_same(granted, digest)
            return self._granting.again(granted, [] if deposit is None else differing(deposit))
        if deposit is not None:
            _check_same(deposit, digest)
            return self._deposits.answer(connection, deposit)
        return None

    def _attempt(
        self,
        connection: Connection,
        platform: str,
        request: BindingRequest,
        number: str,
        identity: Identity,
        digest: bytes,
    ) -> BindingAnswer | StandingError:
        """Verify, charge what the attempt costs, and act on it."""
        account = self._accounts.find(connection, [number]).get(number)
        found = verify(account, request, identity)
        mismatches = found.mismatches
        if account is None and self._quarantine.never_stated(connection, [number]):
            mismatches = [UNSTATED]
        cost = UNKNOWN_COST if mismatches == [NO_SUCH_ACCOUNT] else KNOWN_COST
        self._velocity.charge(connection, cost, *self._buckets(platform, request))
        by_deposit = self._deposits.needed(mismatches)
        if account is None or (mismatches and not by_deposit):
            return BindingAnswer(outcome="refused", mismatches=mismatches, matches=found.matches, hints=found.hints)
        replaces = None if request.replaces is None else bytes.fromhex(request.replaces[2:])
        why_not = self._granting.why_not(connection, account, platform, replaces)
        if why_not is not None:
            return why_not
        asked = {"platform": platform, "request_id": request.request_id}
        if by_deposit:
            return self._deposits.open(
                connection, account, **asked, request_digest=digest, found=found, replaces=replaces
            )
        return self._granting.grant(
            connection, account, **asked, request_digest=digest, mismatches=mismatches, replaces=replaces
        )

    def _buckets(self, platform: str, request: BindingRequest) -> list[Bucket]:
        buckets = [Bucket(f"bind\x1f{platform}", "this platform", self._rates.platform)]
        if request.on_behalf_of is not None:
            whose = f"bind\x1f{platform}\x1f{request.on_behalf_of}"
            buckets.append(Bucket(whose, "this user", self._rates.caller))
        return buckets


def _check_same(stored: Row[Any], digest: bytes) -> None:
    if not hmac.compare_digest(stored.request_digest, digest):
        raise Conflict("request_id: used before for another claim; allowed: the same claim again, or a new id")
