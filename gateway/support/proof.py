"""Lifts holds by proof: a fresh certificate of the account by the bank, requested and verified by the gateway.

The policy states for each risk rule whether its holds may be lifted this way (`lift_by_proof`); by default none may.
Lifting exempts the binding from that one rule. Every other check of a decision is made as before, on the ledger's
record at that moment: a proof never approves anything.
"""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, select

from standing.gateway.bindings.banks import BankDirectory, NodeClient
from standing.gateway.bindings.flow import BindingFlow
from standing.gateway.decisions.holds import Holds, StoredHold
from standing.gateway.decisions.policy import Policy
from standing.gateway.errors import AlreadyLifted, CertificateNotTrusted, NotByProof
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.attestations.certificate import CHALLENGE_SIZE, Certificate, ExpectedCertificate, fault_of
from standing.ledger.attestations.terms import NOT_STATED, IdentityTags
from standing.ledger.clock import Clock
from standing.ledger.errors import NotFound

#: `lifted_by` of such a hold. No API key can have this name.
BY_PROOF = "(the bank's certificate)"


@dataclass(frozen=True, slots=True)
class LiftedByProof:
    """A lifted hold, and the certificate that lifted it."""

    hold: StoredHold
    certificate: Certificate


class HoldProofs:
    """Lifts holds by certificates."""

    def __init__(
        self,
        *,
        platform: str,
        storage: Storage,
        banks: BankDirectory,
        nodes: NodeClient,
        flow: BindingFlow,
        holds: Holds,
        policy: Policy,
        clock: Clock,
    ) -> None:
        self._platform = platform
        self._storage = storage
        self._banks = banks
        self._nodes = nodes
        self._flow = flow
        self._holds = holds
        self._policy = policy
        self._clock = clock

    def use(self, policy: Policy) -> None:
        """Use another policy from now on."""
        self._policy = policy

    async def lift(self, hold_id: str) -> LiftedByProof:
        """Ask the bank for a certificate of the held binding, verify it, and lift the hold.

        Each attempt has its own challenge, which is not stored, so an older certificate does not answer it.

        Raises: NotFound (no such hold, or a binding unknown to the bank), AlreadyLifted, NotByProof,
        BankNotServed, BankNotUsable, Conflict (the bank does not certify the account), TooManyAttempts,
        BankNodeUnreachable, BankNodeRefused, CertificateNotTrusted, LedgerUnreachable, StorageUnavailable.
        """
        row = await self._storage.reading(self._held, hold_id)
        rule = next((rule for rule in self._policy.risk if rule.name == row.rule), None)
        if row.held_binding is None or rule is None or not rule.lift_by_proof:
            raise NotByProof("the hold cannot be lifted by proof; allowed: one of a rule with lift_by_proof")
        if row.lifted_at_ms is not None or self._clock.now_ms() >= row.ends_at_ms:
            raise AlreadyLifted("the hold was lifted or has ended; there is nothing to lift")
        bank, challenge = self._banks.of_binding(row.bank), secrets.token_bytes(CHALLENGE_SIZE)
        certificate = await self._nodes.certificate(bank, row.held_binding, challenge)
        request = ExpectedCertificate(
            bank=bank.bic,
            binding=row.held_binding,
            platform=self._platform,
            challenge=challenge,
            signer=await self._flow.signer(bank),
            tags=_vouched(row),
            max_age_ms=self._policy.widest_staleness_ms,
            ahead_ms=self._policy.ahead_allowance_ms,
        )
        fault = fault_of(certificate, request, self._clock.now_ms())
        if fault is not None:
            raise CertificateNotTrusted(f"the certificate of {bank.bic} is not valid: {fault.value}")
        return LiftedByProof(await self._holds.lift(hold_id, BY_PROOF), certificate)

    def _held(self, hold_id: str) -> Any:
        table, own = schema.holds.c, schema.bindings.c
        query = (
            select(
                table.binding.label("held_binding"),
                table.rule,
                table.lifted_at_ms,
                table.ends_at_ms,
                own.bank,
                own.tags,
                own.unvouched,
            )
            .outerjoin_from(schema.holds, schema.bindings, own.binding == table.binding)
            .where(table.hold_id == hold_id)
        )
        with self._storage.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound("hold_id: no such hold; allowed: one that a decision or GET /v1/holds names")
        return row


def _vouched(row: Row[Any]) -> IdentityTags:
    """The tags that the user was bound with, without those that the bank never vouched for."""
    unvouched = row.unvouched.split(",") if row.unvouched else []
    return replace(IdentityTags.unpack(row.tags), **dict.fromkeys(unvouched, NOT_STATED))
