"""The publisher: signs what waits in the outbox, submits it, and follows it into a block.

The order of the steps makes a crash safe. A publication is signed and stored in one transaction, and nothing else is
ever sent; its transaction too is stored before it is sent (`node.publishing.submission`). After a crash, the
ledger's own `publication` and `head` show how far things were. Submitting a publication twice is harmless: the contract
accepts each number once. Only the leader signs (`node.storage.leadership`), which is checked inside the signing
transaction.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, Row

from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.sender import NonceAhead
from standing.ledger.clock import Clock, has_passed
from standing.ledger.errors import LedgerError, Unavailable
from standing.node.fault_points import Faults, no_faults
from standing.node.publishing import deployments, outbox, publications, restating
from standing.node.publishing.agreement import LedgerAgreement
from standing.node.publishing.deployments import Deployment
from standing.node.publishing.metrics import Meters
from standing.node.publishing.outbox import AHEAD_ALLOWANCE_MS, Issuer
from standing.node.publishing.restating import Restating
from standing.node.publishing.submission import Attempt, PublishingHalted, Submitter
from standing.node.storage.database import NodeDatabase

_log = structlog.get_logger()
_SLOWEST_RETRY_S = 5.0
_IDLE_LOOK_S = 1.0
_CHECK_EVERY_MS = 30_000


@dataclass(frozen=True, slots=True)
class PublisherOptions:
    """The publisher's options; times in milliseconds.

    `heartbeat_ms`: the shortest time between two heartbeats. `poll_ms`: how often to look for receipts.
    `batch_wait_ms`: how long a change may wait for others to share its publication; 0: it goes out at once.
    `resend_after_ms`: how long a transaction may be missing before it is sent again. `max_in_flight`: how many
    publications may be on their way at once.
    """

    heartbeat_ms: int = 1_000
    poll_ms: int = 50
    batch_wait_ms: int = 0
    resend_after_ms: int = 15_000
    max_attestations: int = 300
    max_in_flight: int = 4


class Publisher:
    """Publishes for one bank. One thread runs it; any thread may call `wake`."""

    def __init__(
        self,
        database: NodeDatabase,
        client: LedgerClient,
        agreement: LedgerAgreement,
        submitter: Submitter,
        restating_: Restating,
        issuer: Issuer,
        clock: Clock,
        options: PublisherOptions,
        *,
        confirm_leadership: Callable[[Connection], None],
        meters: Meters,
        faults: Faults = no_faults,
    ) -> None:
        self._database = database
        self._client = client
        self.agreement = agreement
        self._submitter = submitter
        self._restating = restating_
        self.issuer = issuer
        self._clock = clock
        self._options = options
        self._confirm_leadership = confirm_leadership
        self._meters = meters
        self._faults = faults
        self._wake = threading.Event()
        # Set when a caller does not find a sent publication on the ledger.
        self._missed = threading.Event()
        self._stop = threading.Event()
        # When this process first saw rows wait; None while none does.
        self._waiting_since_ms: int | None = None
        # The latest time that the ledger accepted when it was last asked; the bound never falls.
        self._latest_ms = 0
        # By how much this machine's clock exceeded the latest time that the ledger accepted, when last asked.
        self._ahead_ms = 0
        # When this process last compared store and ledger; None: not yet.
        self._checked_at_ms: int | None = None
        # The signing time and number of the oldest publication that is in no block yet; None if there is none.
        self._unmined: tuple[int, int] | None = None
        # The ledger's number when it was last asked.
        self._reached = 0
        #: Why nothing is published at the moment; None while all is well.
        self.trouble: str | None = None

    @property
    def ahead_ms(self) -> int:
        """How far this machine's clock was beyond the latest time that the ledger accepts, at the last signature; 0
        once it was set back."""
        return max(0, min(self._ahead_ms, self._clock.now_ms() - self._latest_ms))

    def wake(self) -> None:
        """Signal that there may be something to publish."""
        self._wake.set()

    def send_again(self) -> None:
        """Send at once every publication that no block holds, however recently it was sent: a caller has not seen
        one on the ledger."""
        self._missed.set()
        self._wake.set()

    def stop(self) -> None:
        """End `run` soon. Unfinished work continues at the next start."""
        self._stop.set()
        self._wake.set()

    def run(self) -> None:
        """Publish until stopped. A ledger that does not answer is asked again at growing intervals of up to 5 seconds.

        Raises: LeadershipLost where another node took over.
        """
        failures, said, stopped_at = 0, "", 0
        while not self._stop.is_set():
            self._wake.clear()
            try:
                in_flight = self.step()
                # Not yet where a node merely took a transaction: of full pools, one may take it and refuse the next.
                if said and (not in_flight or self._reached > stopped_at):
                    _log.info("publishing_resumed")
                    said = ""
                self.trouble, failures = self._stuck(), 0
            except (LedgerError, PublishingHalted, Unavailable) as error:
                self._meters.ledger_errors.labels(type(error).__name__).inc()
                if str(error) != said:
                    _log.error("publishing_stopped", reason=str(error))
                failures, in_flight, said, stopped_at = failures + 1, 0, str(error), self._reached
                # While the ledger makes no blocks, its nodes may accept one transaction and refuse the next for its
                # nonce.
                self.trouble = (self._stuck() if isinstance(error, NonceAhead) else None) or said
            except Exception as error:
                # A fault of this program: report it, and let the thread end visibly.
                self.trouble = f"the publisher failed unexpectedly ({type(error).__name__}): start the node again"
                raise
            if failures:
                self._stop.wait(min(_SLOWEST_RETRY_S, 0.1 * 2 ** min(failures, 10)))
            elif in_flight or self._waiting_since_ms is not None:
                # A new change must not wait for the receipts of earlier ones.
                self._wake.wait(self._options.poll_ms / 1000)
            else:
                # A command may put something into the store at any time, so this wait is short even if heartbeats are
                # rare.
                self._wake.wait(min(_IDLE_LOOK_S, self._options.heartbeat_ms / 1000))

    def step(self) -> int:
        """Do whatever is due now, without waiting. Returns: how many publications are on their way.

        Raises: PublishingHalted, LedgerError, LeadershipLost, DatabaseUnavailable.
        """
        with self._database.read() as connection:
            # Checked at every step, not only before signing: a node that lost its lock unnoticed, for example when the
            # database restarted, would otherwise remain a second leader while the core is quiet or the ledger is down.
            self._confirm_leadership(connection)
            deployment = deployments.current(connection)
            unfinished = publications.unfinished(connection, deployment.base_number if deployment is not None else 0)
            due = self._is_due(connection, deployment, len(unfinished))
        if not unfinished:
            self._unmined = None
            if not due and not self._must_check():
                return 0
        on_ledger = self.agreement.check(deployment)
        self._reached = on_ledger.publication
        if self._checked_at_ms is None:
            self._submitter.check_in_flight()
        self._checked_at_ms = self._clock.now_ms()
        pending = self._submitter.mark_in_block(unfinished, on_ledger)
        self._unmined = (pending[0].signed_at_ms, pending[0].number) if pending else None
        if self._missed.is_set():
            self._missed.clear()
            self._submitter.assume_unsent()
        for row in pending:
            self._submitter.ensure_sent(row, on_ledger)
        sent: Attempt | None = None
        while len(pending) < self._options.max_in_flight and (signed := self._sign_next(len(pending))) is not None:
            pending.append(signed)
            sent = self._submitter.submit(signed, after=sent)
        return len(pending)

    def _must_check(self) -> bool:
        """Whether to ask the ledger although nothing is due. While the core is silent, nothing else would show that the
        bank was suspended, or that somebody else publishes for it."""
        last_ms = self._checked_at_ms
        return last_ms is None or has_passed(self._clock.now_ms(), last_ms, _CHECK_EVERY_MS)

    def _stuck(self) -> str | None:
        """Describes a publication that nodes accepted but that no block holds, although it was sent again; None if
        there is none."""
        if self._unmined is None:
            return None
        since_ms, number = self._unmined
        waited_ms = self._clock.now_ms() - since_ms
        if waited_ms <= 2 * self._options.resend_after_ms:
            return None
        return (
            f"publication {number} has been on its way for {waited_ms // 1000} s and no block holds it: look at the "
            "ledger's block production, and at the sender's balance and gas price (max_gas_price_wei)"
        )

    def _is_due(self, connection: Connection, deployment: Deployment | None, in_flight: int) -> bool:
        """Whether there is something to sign: a binding to state again, waiting rows, or a heartbeat that is due."""
        if restating.left(connection):
            return in_flight < self._options.max_in_flight
        waiting = outbox.waiting(connection, self._options.max_attestations)
        if waiting:
            return in_flight < self._options.max_in_flight and self._has_waited_enough(waiting)
        self._waiting_since_ms = None
        last = outbox.last_publication(connection)
        floor_ms = outbox.watermark_floor_ms(last, deployment) if deployment is not None else 0
        if in_flight or outbox.last_as_of_ms(connection) <= floor_ms:
            return False
        return last is None or has_passed(self._clock.now_ms(), last.signed_at_ms, self._options.heartbeat_ms)

    def _has_waited_enough(self, waiting: int) -> bool:
        """Whether the batch is full, or its oldest row has waited long enough."""
        now_ms = self._clock.now_ms()
        if self._waiting_since_ms is None:
            self._waiting_since_ms = now_ms
        return waiting >= self._options.max_attestations or has_passed(
            now_ms, self._waiting_since_ms, self._options.batch_wait_ms
        )

    def _sign_next(self, in_flight: int) -> Row[Any] | None:
        """Sign and store the next publication; None where there is nothing to publish, or a heartbeat is too early."""
        domain = self._client.domain
        bound = min(self._options.max_attestations, self._client.max_attestations, self._submitter.max_attestations())
        # Asked for each publication, because an old block's time would cap an entry that has just arrived.
        latest_ms = self._latest_allowed_ms()
        with self._database.write() as connection:
            self._confirm_leadership(connection)
            # Read the clock only now: otherwise an entry that arrived during the call to the ledger would seem to come
            # from the future.
            now_ms = self._clock.now_ms()
            deployment = deployments.current(connection)
            if not self._is_due(connection, deployment, in_flight):
                return None
            if deployment is None:
                deployment = deployments.begin(connection, domain, 0, now_ms)
            publication = self._restating.sign_next(
                connection, deployment, max_attestations=bound, latest_ms=latest_ms, now_ms=now_ms
            ) or publications.sign_next(
                connection, self.issuer, deployment, max_attestations=bound, latest_ms=latest_ms, now_ms=now_ms
            )
            if publication is None:
                return None
            row = outbox.last_publication(connection)
        self._waiting_since_ms = None
        self._faults("signed")
        return row

    def _latest_allowed_ms(self) -> int:
        """The latest time that the ledger is known to accept. Asks the ledger if a waiting row may be later."""
        now_ms = self._clock.now_ms()
        if now_ms + AHEAD_ALLOWANCE_MS > self._latest_ms:
            self._latest_ms = self._client.latest_allowed_ms()
            was_ahead, self._ahead_ms = self._ahead_ms > 0, max(0, now_ms - self._latest_ms)
            if self._ahead_ms and not was_ahead:
                _log.warning("clock_ahead_of_ledger", latest_allowed_ms=self._latest_ms, now_ms=now_ms)
        return self._latest_ms
