"""Granting: a verified claim becomes a binding, with its grant, and its first attestation is queued."""

from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.engine import Connection

from standing.ledger.attestations.binding_protocol import BindingAnswer, GrantDocument, Mismatch
from standing.ledger.attestations.grant import Grant, make_grant
from standing.ledger.clock import Clock
from standing.ledger.errors import Conflict, InvalidValue, NotFound
from standing.node.accounts.store import Account
from standing.node.bindings.unbinding import end_and_queue
from standing.node.publishing import herds, outbox
from standing.node.publishing.outbox import Issuer
from standing.node.storage import schema

MAX_BINDINGS_PER_ACCOUNT = 32


class AlreadyBound(Conflict):
    """The account has a binding at this platform that has not ended."""


def active_binding(connection: Connection, platform: str, binding: bytes) -> Row[Any]:
    """A binding of this platform that has not ended. Raises: NotFound."""
    table = schema.bindings
    row = connection.execute(
        select(table).where(table.c.id == binding, table.c.platform == platform, table.c.ended_at_ms.is_(None))
    ).one_or_none()
    if row is None:
        raise NotFound("this platform has no such binding, or it has ended")
    return row


class Granting:
    """Makes grants of one bank, inside the transaction that verified the claim."""

    def __init__(self, issuer: Issuer, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock

    def why_not(
        self, connection: Connection, account: Account, platform: str, replaces: bytes | None
    ) -> Conflict | InvalidValue | None:
        """The obstacle to binding the account, in place of `replaces` if that is active; None where there is none."""
        active = {
            row.id: row.platform
            for row in connection.execute(
                select(schema.bindings.c.id, schema.bindings.c.platform).where(
                    schema.bindings.c.account_id == account.id, schema.bindings.c.ended_at_ms.is_(None)
                )
            )
            if (row.id, row.platform) != (replaces, platform)
        }
        if platform in active.values():
            return AlreadyBound("the account is bound at this platform already; allowed: unbind it first")
        if len(active) >= MAX_BINDINGS_PER_ACCOUNT:
            return InvalidValue(
                "number", "bound at too many platforms", f"at most {MAX_BINDINGS_PER_ACCOUNT} bindings an account"
            )
        return None

    def grant(
        self,
        connection: Connection,
        account: Account,
        *,
        platform: str,
        request_id: str,
        request_digest: bytes,
        mismatches: list[Mismatch],
        replaces: bytes | None,
    ) -> BindingAnswer:
        """Make the binding, sign its grant, and queue its first attestation. `mismatches`: fields that are not vouched
        for.

        `replaces`, if it is an active binding of this account and platform, ends.
        """
        assert account.id is not None  # it was found in the store
        now_ms = self._clock.now_ms()
        if replaces is not None and self._is_active(connection, account, platform, replaces):
            end_and_queue(connection, self._issuer, account, binding=replaces, platform=platform, now_ms=now_ms)
        binding = self._issuer.secret.new_binding_id()
        grant = make_grant(
            self._issuer.signer,
            bank=self._issuer.bic,
            binding=binding,
            platform=platform,
            granted_at_ms=now_ms,
            binding_key=self._issuer.secret.binding_key(binding, platform),
        )
        connection.execute(
            insert(schema.bindings).values(
                id=binding,
                account_id=account.id,
                platform=platform,
                request_id=request_id,
                request_digest=request_digest,
                granted_at_ms=grant.granted_at_ms,
                grant_signature=grant.signature,
                herd=herds.join(connection, account.id, self._issuer.herd_size),
            )
        )
        outbox.put(connection, binding, account.terms(self._issuer.secret, binding, platform), now_ms)
        return BindingAnswer(outcome="granted", grant=GrantDocument.of(grant), mismatches=mismatches)

    def _is_active(self, connection: Connection, account: Account, platform: str, binding: bytes) -> bool:
        table = schema.bindings.c
        mine = (table.id == binding, table.account_id == account.id, table.platform == platform)
        return connection.execute(select(table.id).where(*mine, table.ended_at_ms.is_(None))).one_or_none() is not None

    def again(self, binding: Row[Any], mismatches: list[Mismatch]) -> BindingAnswer:
        """The answer that a stored binding was granted with.

        A grant signed before a rotation is signed anew, with the same content: a platform accepts only what the bank's
        present signer on the ledger signed, and this is its only way to a grant whose answer was lost.
        """
        key = self._issuer.secret.binding_key(binding.id, binding.platform)
        grant = Grant(
            self._issuer.bic, binding.id, binding.platform, binding.granted_at_ms, key, binding.grant_signature
        )
        if grant.signer != self._issuer.signer.address:
            grant = make_grant(
                self._issuer.signer,
                bank=grant.bank,
                binding=grant.binding,
                platform=grant.platform,
                granted_at_ms=grant.granted_at_ms,
                binding_key=key,
            )
        return BindingAnswer(outcome="granted", grant=GrantDocument.of(grant), mismatches=mismatches)
