"""Compares the ledger with the store before anything is published. Where they differ, the error says what the operator
has to do."""

from typing import Any

import structlog
from sqlalchemy import Row, select

from standing.ledger.chain.client import BankState, LedgerClient
from standing.ledger.clock import Clock, has_passed
from standing.ledger.errors import LedgerUnreachable, Unavailable
from standing.ledger.service.times import exactly
from standing.node.publishing import outbox, publications, recoveries
from standing.node.publishing.deployments import Deployment
from standing.node.publishing.outbox import Issuer
from standing.node.publishing.submission import PublishingHalted
from standing.node.storage import schema
from standing.node.storage.database import NodeDatabase

_log = structlog.get_logger()


class SignerReplaced(Unavailable):
    """The ledger names another signer of this bank than this node, so no platform accepts what the node signs."""


class LedgerAgreement:
    """Whether the ledger's state of one bank is what its store expects.

    `resend_after_ms`: how long publications may be missing from the ledger before their blocks count as undone.
    """

    def __init__(
        self, database: NodeDatabase, client: LedgerClient, issuer: Issuer, clock: Clock, *, resend_after_ms: int
    ) -> None:
        self._database = database
        self._client = client
        self._issuer = issuer
        self._clock = clock
        self._resend_after_ms = resend_after_ms
        # The ledger's publication number when it was first found to be ahead of the store; None while it is not ahead.
        self._unknown: int | None = None
        # When the ledger was first found to lack publications that were seen in blocks; None while it lacks none.
        self._undone_since_ms: int | None = None
        # Whether the ledger named another signer of this bank when it was last asked.
        self._signer_replaced = False

    def require_signer(self) -> None:
        """Check that the ledger accepts this node's signing key, as far as is known. Raises: SignerReplaced.

        Between the steps of a rotation it does not. An account granted then would count as bound here, although its
        platform has refused the grant.
        """
        if self._signer_replaced:
            raise SignerReplaced("the bank's signing key is being replaced; allowed: the same again, later", 30)

    def check(self, deployment: Deployment | None) -> BankState:
        """The ledger's state of this bank, if it is as the store expects. Raises: PublishingHalted, LedgerError."""
        state = self._client.bank(self._issuer.bic)
        try:
            self._check_state(state, deployment)
        except PublishingHalted:
            # The error sends the operator to the registrar or to recovery. First rule out that the URL leads to another
            # ledger now.
            self._client.check_again()
            raise
        return state

    def _check_state(self, state: BankState, deployment: Deployment | None) -> None:
        bic, signer = self._issuer.bic, self._issuer.signer.address
        self._signer_replaced = state.admitted and state.signer != signer
        # Checked before the admission, because a new deployment must admit the bank with the number and head that
        # `recover` prints.
        if deployment is not None and deployment.domain != self._client.domain:
            raise PublishingHalted(
                f"this store has published to {deployment.domain}, the ledger is {self._client.domain}: "
                "if the old one is gone for good, run `standing-node recover`"
            )
        if not state.admitted and deployment is not None:
            raise PublishingHalted(
                f"{bic} is not admitted to the ledger {self._client.address}, to which this store has published: the "
                "ledger has lost what it held; if so for good, run `standing-node recover`, which says with what "
                "number and head its registrar must admit it"
            )
        if not state.admitted:
            raise PublishingHalted(f"{bic} is not admitted to the ledger {self._client.address}: ask its registrar")
        if state.suspended:
            raise PublishingHalted(f"{bic} is suspended on the ledger: ask its registrar")
        if self._signer_replaced:
            raise PublishingHalted(
                f"the ledger expects {bic}'s publications signed by {state.signer}, this node signs as {signer}: "
                "rotate the signer on the ledger, or start the node with the right key"
            )
        self._check_history(state, deployment)

    def _check_history(self, state: BankState, deployment: Deployment | None) -> None:
        """Check that the ledger holds a part of the history that this store knows, or all of it. Raises:
        PublishingHalted."""
        bic = self._issuer.bic
        with self._database.read() as connection:
            unmet = recoveries.pending(connection)
            last = outbox.last_publication(connection)
            seen = outbox.last_in_block(connection, deployment.base_number if deployment is not None else 0)
            here = None
            if last is not None and 0 < state.publication <= last.number:
                here = connection.execute(
                    select(schema.publications).where(schema.publications.c.number == state.publication)
                ).one_or_none()
        if unmet is not None:
            raise PublishingHalted(
                f"this store was recovered; the core must feed again all that it said from "
                f"{exactly(unmet.core_from_ms)} to {exactly(unmet.core_until_ms)}, and then "
                "`standing-node recover --fed-again` must be run"
            )
        if state.publication > (last.number if last is not None else 0):
            self._unknown = self._unknown or state.publication
            if state.publication > self._unknown:
                raise PublishingHalted(
                    f"{bic} publishes without this node, {self._unknown} to {state.publication} by now: another node "
                    "uses its signing key, or a thief (docs/runbook-signing-key.md): stop that one, or this one; do "
                    "not recover this store before"
                )
            raise PublishingHalted(
                f"the ledger has {bic}'s publication {state.publication}, this store knows "
                f"{last.number if last is not None else 'none'}: it is older than the ledger and must be recovered: "
                "run `standing-node recover`"
            )
        self._unknown = None
        if state.publication < seen:
            self._client.failover.doubt()
            self._send_undone(deployment, state, here)
            raise LedgerUnreachable(
                f"the ledger holds {bic}'s publication {state.publication}, but {seen} was seen in a block: its node "
                "is behind, or the ledger has lost what it held; if so for good, run `standing-node recover`"
            )
        self._undone_since_ms = None
        if state.publication and (here is None or here.digest != state.head):
            raise PublishingHalted(
                f"publication {state.publication} on the ledger is not the one that this store signed: "
                "two histories exist under one key: stop the node, and see docs/runbook-signing-key.md"
            )
        expected_ms = 0 if deployment is None else outbox.watermark_floor_ms(here, deployment)
        if state.watermark_ms != expected_ms:
            raise PublishingHalted(
                f"the ledger's watermark is {state.watermark_ms}, this store's {expected_ms}: the ledger has lost "
                "data, as after a new deployment; run `standing-node recover`"
            )

    def _send_undone(self, deployment: Deployment | None, state: BankState, here: Row[Any] | None) -> None:
        """Where every ledger node lacks publications that were seen in blocks, and for as long as a transaction may be
        missing, their blocks were undone, as by a reorg: let the next step send them again, unchanged.

        A node that only lags refuses them, or drops them once it has caught up. Raises: LedgerUnreachable where they
        will be sent.
        """
        now_ms = self._clock.now_ms()
        if self._undone_since_ms is None:
            self._undone_since_ms = now_ms
        goes_on = here.digest == state.head if here is not None else state.publication == 0
        if not has_passed(now_ms, self._undone_since_ms, self._resend_after_ms) or not goes_on:
            return
        with self._database.write() as connection:
            base_number = deployment.base_number if deployment is not None else 0
            undone = publications.undo(connection, max(state.publication, base_number), self._issuer.bic)
        if undone:
            _log.warning("publications_undone", after=state.publication, publications=undone)
            raise LedgerUnreachable(
                f"the ledger has lost {undone} publications after {state.publication}: they will be sent again"
            )
