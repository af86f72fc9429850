"""Granting: how a verified claim becomes a binding, with its grant and its first attestation on the way."""

from typing import Any

from sqlalchemy import Row, func, insert, select
from sqlalchemy.engine import Connection

from ledger.clock import Clock
from ledger.errors import Conflict, InvalidValue
from ledger.grant import Grant, make_grant
from ledger.protocol import BindingAnswer, GrantDocument, Mismatch
from node import outbox, schema
from node.accounts import Account
from node.outbox import Issuer

MAX_BINDINGS_PER_ACCOUNT = 32


class AlreadyBound(Conflict):
    """The account has a binding at this platform that has not ended."""


class Granting:
    """Makes grants of one bank, inside the transaction of whoever verified the claim."""

    def __init__(self, issuer: Issuer, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock

    def why_not(self, connection: Connection, account: Account, platform: str) -> Conflict | InvalidValue | None:
        """What stands against one more binding of the account; None where nothing does."""
        active = (schema.bindings.c.account_id == account.id, schema.bindings.c.ended_at_ms.is_(None))
        here = connection.execute(
            select(func.count()).select_from(schema.bindings).where(*active, schema.bindings.c.platform == platform)
        ).scalar_one()
        if here:
            return AlreadyBound("the account is bound at this platform already; allowed: unbind it first")
        total = connection.execute(select(func.count()).select_from(schema.bindings).where(*active)).scalar_one()
        if total >= MAX_BINDINGS_PER_ACCOUNT:
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
    ) -> BindingAnswer:
        """Make the binding, sign its grant, and queue its first attestation. `mismatches`: what is not vouched for."""
        binding = self._issuer.secret.new_binding_id()
        grant = make_grant(
            self._issuer.signer,
            bank=self._issuer.bic,
            binding=binding,
            platform=platform,
            granted_at_ms=self._clock.now_ms(),
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
            )
        )
        outbox.put(
            connection,
            binding=binding,
            effective_at_ms=account.effective_at_ms,
            terms=account.terms(self._issuer.secret, binding, platform),
            holds_from_ms=outbox.last_as_of_ms(connection) + 1,
        )
        return BindingAnswer(outcome="granted", grant=GrantDocument.of(grant), mismatches=mismatches)

    def again(self, binding: Row[Any], mismatches: list[Mismatch]) -> BindingAnswer:
        """The answer that a stored binding was granted with."""
        key = self._issuer.secret.binding_key(binding.id, binding.platform)
        grant = Grant(
            self._issuer.bic, binding.id, binding.platform, binding.granted_at_ms, key, binding.grant_signature
        )
        return BindingAnswer(outcome="granted", grant=GrantDocument.of(grant), mismatches=mismatches)
