"""Bindings: a platform asks, the bank checks who holds the account, and grants or says what does not match."""

import hmac
import secrets
from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, func, insert, select
from sqlalchemy.engine import Connection

from ledger.clock import Clock
from ledger.errors import Conflict, InvalidValue, NotFound
from ledger.grant import Grant, make_grant
from ledger.identity import Identity
from ledger.protocol import BindingAnswer, BindingRequest, GrantDocument, Mismatch
from ledger.sealing import BINDING_SIZE, derive_binding_key
from ledger.service.database import Database
from ledger.service.vault import Vault
from ledger.terms import Status
from node import outbox, schema
from node.accounts import Account, AccountStore, unbound
from node.faults import Faults, no_faults
from node.feed import end_binding
from node.outbox import Issuer

MAX_BINDINGS_PER_ACCOUNT = 32

# ISO 20022 ExternalVerificationReason1Code, where the meaning is truly the same; there is none for a phone.
_ISO_NUMBER = "AC01"  # account number invalid or missing
_ISO_NAME = "PN01"  # owner's name and account number do not match
_ISO_ID_DOCUMENT = "PI01"  # owner's identification and account number do not match
_ISO_ACCOUNT = "AG01"  # forbidden on this account: blocked, closed

_DIFFERS = "not what the bank has"

#: Accounts that no new binding makes sense for.
_UNBINDABLE = frozenset({Status.LOST, Status.CLOSED})


class AlreadyBound(Conflict):
    """The account has a binding at this platform that has not ended."""


class Bindings:
    """Grants and ends bindings of one bank."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        issuer: Issuer,
        clock: Clock,
        *,
        on_change: Callable[[], None],
        faults: Faults = no_faults,
    ) -> None:
        self._database = database
        self._vault = vault
        self._accounts = AccountStore(vault)
        self._issuer = issuer
        self._clock = clock
        self._on_change = on_change
        self._faults = faults

    def bind(self, platform: str, request: BindingRequest) -> BindingAnswer:
        """Verify a claim and grant a binding, or say per field what does not match.

        A granted request that is asked again by the same platform, with the same content, gets the same grant.
        Raises: Conflict (the request id was used for another claim), AlreadyBound, InvalidValue.
        """
        number = request.canonical_number()
        identity = request.identity()
        digest = self._vault.lookup("binding request", request.model_dump_json())
        with self._database.write() as connection:
            again = self._granted(connection, platform, request.request_id, digest)
            if again is not None:
                return self._answer(again)
            account = self._accounts.find(connection, [number]).get(number)
            mismatches = _compare(account, identity, request.number_type)
            if account is None or mismatches:
                return BindingAnswer(outcome="refused", mismatches=mismatches)
            self._check_room(connection, account, platform)
            grant = self._grant(connection, account, platform, request.request_id, digest)
        self._faults("grant_committed")
        self._on_change()
        return BindingAnswer(outcome="granted", grant=GrantDocument.of(grant))

    def unbind(self, platform: str, binding: bytes) -> None:
        """End a binding of this platform; one that has ended already stays so. Raises: NotFound."""
        with self._database.write() as connection:
            row = connection.execute(
                select(schema.bindings).where(schema.bindings.c.id == binding, schema.bindings.c.platform == platform)
            ).one_or_none()
            if row is None:
                raise NotFound("this platform has no such binding")
            if row.ended_at_ms is not None:
                return
            account = self._accounts.get(connection, row.account_id)
            # Not before the account's last change: the ledger takes no attestation older than the one it has.
            effective_at_ms = max(self._clock.now_ms(), account.effective_at_ms)
            end_binding(connection, binding, effective_at_ms)
            outbox.put(
                connection,
                binding=binding,
                effective_at_ms=effective_at_ms,
                terms=unbound(account.terms(self._issuer.secret, binding, platform)),
                holds_from_ms=outbox.last_as_of_ms(connection) + 1,
            )
        self._on_change()

    def _granted(self, connection: Connection, platform: str, request_id: str, digest: bytes) -> Row[Any] | None:
        row = connection.execute(
            select(schema.bindings).where(
                schema.bindings.c.platform == platform, schema.bindings.c.request_id == request_id
            )
        ).one_or_none()
        if row is not None and not hmac.compare_digest(row.request_digest, digest):
            raise Conflict("request_id: used before for another claim; allowed: the same claim again, or a new id")
        return row

    def _answer(self, row: Row[Any]) -> BindingAnswer:
        key = derive_binding_key(self._issuer.secret, row.id, row.platform)
        grant = Grant(self._issuer.bic, row.id, row.platform, row.granted_at_ms, key, row.grant_signature)
        return BindingAnswer(outcome="granted", grant=GrantDocument.of(grant))

    def _check_room(self, connection: Connection, account: Account, platform: str) -> None:
        active = (schema.bindings.c.account_id == account.id, schema.bindings.c.ended_at_ms.is_(None))
        here = connection.execute(
            select(func.count()).select_from(schema.bindings).where(*active, schema.bindings.c.platform == platform)
        ).scalar_one()
        if here:
            raise AlreadyBound("the account is bound at this platform already; allowed: unbind it first")
        total = connection.execute(select(func.count()).select_from(schema.bindings).where(*active)).scalar_one()
        if total >= MAX_BINDINGS_PER_ACCOUNT:
            raise InvalidValue(
                "number", "bound at too many platforms", f"at most {MAX_BINDINGS_PER_ACCOUNT} bindings an account"
            )

    def _grant(self, connection: Connection, account: Account, platform: str, request_id: str, digest: bytes) -> Grant:
        binding = secrets.token_bytes(BINDING_SIZE)
        grant = make_grant(
            self._issuer.signer,
            bank=self._issuer.bic,
            binding=binding,
            platform=platform,
            granted_at_ms=self._clock.now_ms(),
            binding_key=derive_binding_key(self._issuer.secret, binding, platform),
        )
        connection.execute(
            insert(schema.bindings).values(
                id=binding,
                account_id=account.id,
                platform=platform,
                request_id=request_id,
                request_digest=digest,
                granted_at_ms=grant.granted_at_ms,
                grant_signature=grant.signature,
            )
        )
        outbox.put(
            connection,
            binding=binding,
            effective_at_ms=account.effective_at_ms,
            terms=account.terms(self._issuer.secret, binding, platform),
            holds_from_ms=outbox.last_as_of_ms(connection) + 1,
        )
        return grant


def _compare(account: Account | None, identity: Identity, number_type: str) -> list[Mismatch]:
    """Everything that stands against a binding; empty where nothing does."""
    if account is None or account.number_type != number_type:
        return [Mismatch(field="number", problem="no such account", iso_reason=_ISO_NUMBER)]
    found = []
    held = account.identity
    if held.name != identity.name:
        found.append(Mismatch(field="name", problem=_DIFFERS, iso_reason=_ISO_NAME))
    if held.id_document != identity.id_document:
        found.append(Mismatch(field="id_document", problem=_DIFFERS, iso_reason=_ISO_ID_DOCUMENT))
    if held.phone != identity.phone:
        found.append(Mismatch(field="phone", problem=_DIFFERS))
    # Said only to who could name the holder: the state of an account is nobody else's business.
    if not found and account.status in _UNBINDABLE:
        found.append(
            Mismatch(field="account", problem=f"the account is {account.status.word}", iso_reason=_ISO_ACCOUNT)
        )
    return found
