"""The publisher: signs what waits in the outbox, submits it, and sees it into a block.

The order of the steps is the crash rule: a publication is signed and stored in one transaction, and only what is stored
is ever sent; its transaction is stored before it is sent, too. After a crash, the ledger's own `publication` and `head`
say where things were. Submitting a publication twice is harmless: the contract takes each number once.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, Row, select, update

from ledger.client import BankState, LedgerClient
from ledger.clock import Clock
from ledger.errors import LedgerError, LedgerRejected, StandingError
from ledger.sender import Sender, publication_gas
from ledger.service.database import Database
from node import outbox, schema
from node.faults import Faults, no_faults
from node.outbox import Issuer

_log = structlog.get_logger()


class PublishingHalted(StandingError):
    """The node must not, or cannot, publish until somebody acts; the text says what to do."""


@dataclass(frozen=True, slots=True)
class PublisherOptions:
    """How the publisher works; times in milliseconds.

    `heartbeat_ms`: at least this long between two heartbeats. `poll_ms`: how often to look for receipts.
    `resend_after_ms`: how long a transaction may be missing before it is sent again. `max_in_flight`: how many
    publications may be on their way at once.
    """

    heartbeat_ms: int = 1_000
    poll_ms: int = 50
    resend_after_ms: int = 15_000
    max_attestations: int = 300
    max_in_flight: int = 4


class Publisher:
    """Publishes for one bank. One thread runs it; `wake` may be called from any."""

    def __init__(
        self,
        database: Database,
        client: LedgerClient,
        sender: Sender,
        issuer: Issuer,
        clock: Clock,
        options: PublisherOptions,
        faults: Faults = no_faults,
    ) -> None:
        self._database = database
        self._client = client
        self._sender = sender
        self.issuer = issuer
        self._clock = clock
        self._options = options
        self._faults = faults
        self._wake = threading.Event()
        self._stop = threading.Event()
        #: Why nothing is published at the moment; None while all is well.
        self.trouble: str | None = None

    def wake(self) -> None:
        """There may be something to publish."""
        self._wake.set()

    def stop(self) -> None:
        """End `run` soon; what is not finished goes on at the next start."""
        self._stop.set()
        self._wake.set()

    def run(self) -> None:
        """Publish until stopped. A ledger that does not answer is asked again, ever more slowly, up to 5 seconds."""
        failures = 0
        while not self._stop.is_set():
            self._wake.clear()
            try:
                in_flight = self.step()
                self.trouble, failures = None, 0
            except (LedgerError, PublishingHalted) as error:
                if str(error) != self.trouble:
                    _log.error("publishing_stopped", reason=str(error))
                self.trouble, failures, in_flight = str(error), failures + 1, 0
            if failures:
                self._stop.wait(min(5.0, 0.1 * 2**failures))
            elif in_flight:
                # A new change must not wait for the receipts of what is on its way.
                self._wake.wait(self._options.poll_ms / 1000)
            else:
                self._wake.wait(self._options.heartbeat_ms / 1000)

    def step(self) -> int:
        """Do whatever is due now, without waiting. Returns: how many publications are on their way.

        Raises: PublishingHalted, LedgerError.
        """
        with self._database.read() as connection:
            unfinished = outbox.unfinished(connection)
            due = self._is_due(connection, len(unfinished))
        if not unfinished and not due:
            return 0
        on_ledger = self._check_ledger()
        pending = self._mark_in_block(unfinished, on_ledger)
        for row in pending:
            self._see_through(row, on_ledger)
        while len(pending) < self._options.max_in_flight and (signed := self._sign_next(len(pending))) is not None:
            self._submit(signed)
            pending.append(signed)
        return len(pending)

    def _is_due(self, connection: Connection, in_flight: int) -> bool:
        """Whether something is to be signed: a row waits, or it is time for a heartbeat."""
        if outbox.waiting(connection):
            return in_flight < self._options.max_in_flight
        last = outbox.last_publication(connection)
        if in_flight or outbox.last_as_of_ms(connection) <= (last.watermark_ms if last is not None else 0):
            return False
        return last is None or self._clock.now_ms() - last.signed_at_ms >= self._options.heartbeat_ms

    def _check_ledger(self) -> BankState:
        """What the ledger holds about this bank, if it is what the store expects. Raises: PublishingHalted."""
        state = self._client.bank(self.issuer.bic)
        bic, signer = self.issuer.bic, self.issuer.signer.address
        if not state.admitted:
            raise PublishingHalted(f"{bic} is not admitted to the ledger {self._client.address}: ask its registrar")
        if state.suspended:
            raise PublishingHalted(f"{bic} is suspended on the ledger: ask its registrar")
        if state.signer != signer:
            raise PublishingHalted(
                f"the ledger expects {bic}'s publications signed by {state.signer}, this node signs as {signer}: "
                "rotate the signer on the ledger, or start the node with the right key"
            )
        with self._database.read() as connection:
            last = outbox.last_publication(connection)
            here = None
            if last is not None and 0 < state.publication <= last.number:
                here = connection.execute(
                    select(schema.publications).where(schema.publications.c.number == state.publication)
                ).one_or_none()
        if state.publication > (last.number if last is not None else 0):
            raise PublishingHalted(
                f"the ledger has {bic}'s publication {state.publication}, this store knows "
                f"{last.number if last is not None else 'none'}: it is older than the ledger and must be recovered"
            )
        if state.publication and (here is None or here.digest != state.head):
            raise PublishingHalted(
                f"publication {state.publication} on the ledger is not the one that this store signed: "
                "two histories exist under one key, and a person must look"
            )
        return state

    def _mark_in_block(self, pending: Sequence[Row[Any]], on_ledger: BankState) -> list[Row[Any]]:
        """Note which publications the ledger has by now. Returns: the others."""
        for row in pending:
            if row.number > on_ledger.publication:
                continue
            receipt = self._client.receipt(row.transaction_hash) if row.transaction_hash is not None else None
            # Without a good receipt of its own, somebody else submitted it, or a crash came in between; that is fine.
            block_number = receipt["blockNumber"] if receipt is not None and receipt["status"] == 1 else None
            self._update(row.number, block_number=block_number, in_block_at_ms=self._clock.now_ms())
            self._faults("in_block")
        return [row for row in pending if row.number > on_ledger.publication]

    def _see_through(self, row: Row[Any], on_ledger: BankState) -> None:
        """Submit a publication that is not on its way, or seems lost.

        Raises: LedgerError, with the contract's own where it refused; the next step then submits it anew.
        """
        if row.transaction_hash is None:
            self._submit(row)
            return
        receipt = self._client.receipt(row.transaction_hash)
        if receipt is not None and receipt["status"] != 1:
            # One that is not next in turn failed because of those before it; its turn comes when they are through.
            if row.number == on_ledger.publication + 1:
                self._update(row.number, transaction_hash=None)
                raise self._client.why_failed(receipt)
        elif receipt is None and self._clock.now_ms() - row.submitted_at_ms >= self._options.resend_after_ms:
            nonce = row.transaction_nonce if row.transaction_nonce >= self._sender.next_nonce("latest") else None
            _log.warning("publication_sent_again", number=row.number, same_nonce=nonce is not None)
            self._submit(row, nonce)

    def _sign_next(self, in_flight: int) -> Row[Any] | None:
        """Sign and store the next publication; None where there is nothing to say, or only a heartbeat too early."""
        with self._database.write() as connection:
            if not self._is_due(connection, in_flight):
                return None
            publication = outbox.sign_next(
                connection,
                self.issuer,
                self._client.domain,
                max_attestations=min(self._options.max_attestations, self._client.max_attestations),
                now_ms=self._clock.now_ms(),
            )
            if publication is None:
                return None
            row = outbox.last_publication(connection)
        self._faults("signed")
        return row

    def _submit(self, row: Row[Any], nonce: int | None = None) -> None:
        """Send a stored publication, exactly as it was signed, in a transaction that is stored first."""
        publication = outbox.stored_publication(row, self.issuer.bic)
        if publication.domain != self._client.domain:
            raise PublishingHalted(
                f"publication {row.number} was signed for {publication.domain}, this ledger is {self._client.domain}"
            )
        signature = row.signature
        if row.signer != self.issuer.signer.address:
            # After a rotation: the same content, the same digest, under the key that counts now.
            signature = self.issuer.signer.sign(row.digest)
            self._update(row.number, signer=self.issuer.signer.address, signature=signature)
        prepared = self._sender.prepare(
            self._client.publish_calldata(publication, signature),
            gas=publication_gas(len(publication.attestations)),
            nonce=nonce,
        )
        self._update(
            row.number,
            transaction_hash=prepared.hash,
            transaction_nonce=prepared.nonce,
            submitted_at_ms=self._clock.now_ms(),
        )
        self._faults("prepared")
        try:
            self._sender.transmit(prepared)
        except LedgerRejected:
            # Some nodes refuse at once what would fail; the next step submits it anew.
            self._update(row.number, transaction_hash=None)
            raise
        self._faults("submitted")

    def _update(self, number: int, **values: Any) -> None:
        with self._database.write() as connection:
            connection.execute(
                update(schema.publications).where(schema.publications.c.number == number).values(**values)
            )
