"""Submission: stored publications on their way into a block, each exactly as it was signed.

Every transaction is stored before it is sent. One that is not in a block in time, or that this process has not sent
itself, is sent again with the same nonce and payload; only its fee grows, and only while the ledger makes blocks:
otherwise it would empty the account once they come again. The ledger's state, not the fate of a transaction, shows
whether a publication is there: another party may have submitted it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Row

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.publication import ATTESTATION_SIZE, Domain
from standing.ledger.chain.client import BankState, LedgerClient, Receipt
from standing.ledger.chain.codec import encode_publish
from standing.ledger.chain.sender import (
    InsufficientFunds,
    NonceAhead,
    NonceUsed,
    Prepared,
    Sender,
    Underpriced,
    attestations_within,
    publication_gas,
)
from standing.ledger.clock import Clock, has_passed
from standing.ledger.errors import LedgerError, LedgerRejected, StandingError
from standing.ledger.service.database import Database
from standing.node.fault_points import Faults, no_faults
from standing.node.publishing.metrics import Meters
from standing.node.publishing.outbox import Issuer
from standing.node.publishing.publications import words_of
from standing.node.publishing.transactions import TransactionStore

#: How long the ledger's block gas limit is cached. It moves by less than a thousandth from block to block.
_CEILING_LIFETIME_MS = 10_000

#: After this fraction of the time until a transaction is late, the node checks that nobody took its nonce.
_NONCE_CHECK_FRACTION = 5

_log = structlog.get_logger()


class PublishingHalted(StandingError):
    """The node must not, or cannot, publish until somebody acts. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A transaction of a publication."""

    nonce: int
    gas_price_wei: int


class Submitter:
    """Sends publications and follows them into a block. For one thread: it owns the sending account's nonce."""

    def __init__(
        self,
        database: Database,
        client: LedgerClient,
        sender: Sender,
        issuer: Issuer,
        clock: Clock,
        *,
        resend_after_ms: int,
        meters: Meters,
        faults: Faults = no_faults,
    ) -> None:
        self._store = TransactionStore(database, sender.address)
        self._client = client
        self._sender = sender
        self._issuer = issuer
        self._clock = clock
        self._resend_after_ms = resend_after_ms
        self._meters = meters
        self._faults = faults
        # Numbers whose transaction this process has passed to a node. All others are sent at once, also after a start.
        self._sent: set[int] = set()
        # The ledger's newest block when a number was last found late.
        self._late_at: dict[int, int] = {}
        self._ceiling_gas: int | None = None
        self._ceiling_asked_ms = 0

    def mark_in_block(self, pending: Sequence[Row[Any]], on_ledger: BankState) -> list[Row[Any]]:
        """Note which publications the ledger has by now. Returns: the others. Raises: LedgerError."""
        # Without a good receipt another party submitted it, which is fine.
        there = [(row, self._receipt(row.number, good=True)) for row in pending if row.number <= on_ledger.publication]
        now_ms = self._clock.now_ms()
        self._store.note_blocks({row.number: receipt for row, receipt in there}, now_ms)
        for row, receipt in there:
            self._sent.discard(row.number)
            self._late_at.pop(row.number, None)
            self._meters.publications.inc()
            self._meters.attestations.inc(len(row.attestations) // ATTESTATION_SIZE)
            self._meters.publication_latency.observe(max(0, now_ms - row.signed_at_ms) / 1000)
            if receipt is not None:
                self._meters.gas.inc(receipt["gasUsed"])
            self._faults("in_block")
        return [row for row in pending if row.number > on_ledger.publication]

    def check_in_flight(self) -> None:
        """Check that this store knows every pending transaction of the sending account.

        Each was stored before it was sent. An unknown one shows that the store has lost what it signed, as a backup
        has, or a replica that lagged. The next signature would reuse a lost number.

        Raises: PublishingHalted, LedgerError.
        """
        # In this order: a transaction that enters a block in between is not pending.
        pending, latest = self._sender.next_nonce("pending"), self._sender.next_nonce("latest")
        if pending <= latest:
            return
        unknown = pending - latest - self._store.count_nonces(latest, pending)
        if unknown > 0:
            raise PublishingHalted(
                f"{unknown} transactions of the sender {self._sender.address} are pending that this store does "
                "not know: it may be an older copy; nothing is signed until they are in blocks"
            )

    def max_attestations(self) -> int:
        """How many attestations a publication may have for its transaction to fit into a block.

        Raises: PublishingHalted where not even one fits, LedgerError.
        """
        ceiling = self._gas_ceiling()
        fitting = attestations_within(ceiling)
        if fitting < 1:
            raise PublishingHalted(
                f"the ledger's blocks hold {ceiling} gas, one attestation needs {publication_gas(1)}: "
                "ask those who run the ledger for a higher block gas limit"
            )
        return fitting

    def _gas_ceiling(self) -> int:
        """The most gas that a transaction can have; asked again every few seconds. Raises: LedgerError."""
        now_ms = self._clock.now_ms()
        if self._ceiling_gas is None or has_passed(now_ms, self._ceiling_asked_ms, _CEILING_LIFETIME_MS):
            self._ceiling_gas, self._ceiling_asked_ms = self._sender.gas_ceiling(), now_ms
        return self._ceiling_gas

    def assume_unsent(self) -> None:
        """Assume that no transaction is on its way: `ensure_sent` sends each again unchanged."""
        self._sent.clear()

    def ensure_sent(self, row: Row[Any], on_ledger: BankState) -> None:
        """Send a publication that is not on its way, or seems lost.

        Raises: LedgerError, with the contract's own where it refused; the next step then submits it again.
        """
        if row.transaction_hash is None or not (row.number in self._sent or self._store.sent(row.transaction_hash)):
            self.submit(row)
            return
        is_next = row.number == on_ledger.publication + 1
        is_late = self._has_waited(row, self._resend_after_ms)
        if row.number in self._sent and not is_next and not is_late:
            return  # publications enter blocks in the order of their numbers, so this one waits for others
        failed = self._receipt(row.number, good=False)
        if failed is not None:
            # One that is not next failed because of those before it: it is sent again after them.
            if is_next:
                self._forget_transaction(row.number)
                raise self._client.why_failed(failed)
        elif row.number not in self._sent:
            try:
                self._send_again(row, bump=False)
            except NonceAhead:
                if not is_next or not self._close_gap(row):
                    raise
        elif is_late:
            if is_next:
                # Either the fee is too low, or this ledger node does not pass it on. A higher fee helps the first,
                # another node the second.
                self._client.failover.doubt()
            if not is_next or not self._close_gap(row):
                before, newest = self._late_at.get(row.number, -1), self._client.block_number()
                self._send_again(row, bump=newest > before)
                self._late_at[row.number] = max(newest, before)  # another ledger node may be further behind
        elif is_next and self._has_waited(row, self._resend_after_ms // _NONCE_CHECK_FRACTION):
            self._check_nonce(row)

    def _has_waited(self, row: Row[Any], time_ms: int) -> bool:
        return row.submitted_at_ms is not None and has_passed(self._clock.now_ms(), row.submitted_at_ms, time_ms)

    def _check_nonce(self, row: Row[Any]) -> None:
        """Check that the nonce of the next publication is still its own. Raises: NonceUsed, and the next step submits
        it under another nonce; LedgerError."""
        # In this order: where its own transaction has just entered a block, the ledger has the publication as well.
        if row.transaction_nonce >= self._sender.next_nonce("latest"):
            return
        if self._client.bank(self._issuer.bic).publication >= row.number:
            return
        self._forget_transaction(row.number)
        raise NonceUsed(
            f"another transaction of {self._sender.address} has the nonce {row.transaction_nonce} of publication "
            f"{row.number}: another program uses this bank's sending key; give the node a key of its own"
        )

    def _close_gap(self, row: Row[Any]) -> bool:
        """Submit the next publication under the account's next nonce if its own is later. Returns: whether it is.

        An earlier transaction was lost although its publication is on the ledger, or was another program's: nothing
        will ever fill the gap. Raises as `submit`.
        """
        nonce = self._sender.next_nonce("latest")
        if row.transaction_nonce <= nonce:
            return False
        _log.warning("nonce_gap_closed", number=row.number)
        self.submit(row, nonce=nonce)
        return True

    def submit(self, row: Row[Any], nonce: int | None = None, after: Attempt | None = None) -> Attempt:
        """Send a stored publication in a new transaction, with the account's next nonce unless one is given.

        `after`: what was sent a moment ago; the nonce then follows, at the same price, and no node is asked. Returns:
        what was sent. Raises: LedgerError, PublishingHalted.
        """
        if after is not None:
            attempt = Attempt(after.nonce + 1, after.gas_price_wei)
        else:
            attempt = Attempt(self._next_nonce() if nonce is None else nonce, self._sender.gas_price_wei())
        self._transmit(row, self._prepare(row, attempt))
        return attempt

    def _send_again(self, row: Row[Any], *, bump: bool) -> None:
        """Send the same transaction again, with a higher fee if `bump` is set and the maximum allows it.

        Even without `bump` it offers what the network asks by now: a node that has lost it may not accept it for less.
        An account that cannot pay what it has offered before offers just that.
        """
        paid_wei = self._store.paid_wei(row.number, row.transaction_nonce)
        price_wei = self._sender.replacement_gas_price_wei(paid_wei, bump=bump)
        try:
            self._repeat(row, price_wei)
        except InsufficientFunds:
            asked_wei = self._sender.gas_price_wei()
            if asked_wei >= price_wei:
                raise
            self._repeat(row, asked_wei)

    def _repeat(self, row: Row[Any], price_wei: int) -> None:
        _log.warning("transaction_sent_again", number=row.number, nonce=row.transaction_nonce, gas_price_wei=price_wei)
        self._meters.sent_again.inc()
        self._transmit(row, self._prepare(row, Attempt(row.transaction_nonce, price_wei)))

    def _prepare(self, row: Row[Any], attempt: Attempt) -> Prepared:
        """Sign a transaction for a stored publication, and store it. Raises: PublishingHalted, LedgerError."""
        words = words_of(row)
        gas, ceiling = publication_gas(len(words)), self._gas_ceiling()
        if gas > ceiling:
            raise PublishingHalted(
                f"publication {row.number} needs {gas} gas, and a transaction on this ledger can have {ceiling}: ask "
                "for a higher block gas limit, or abandon it with `standing-node recover --give-up-oversized`"
            )
        domain = Domain(row.chain_id, row.contract)
        if domain != self._client.domain:
            raise PublishingHalted(
                f"publication {row.number} was signed for {domain}, this ledger is {self._client.domain}"
            )
        signature = row.signature
        if row.signer != self._issuer.signer.address or not signature:
            # After a rotation, or rebuilt from the ledger: the same content and digest, under the key that counts now.
            signature = self._issuer.signer.sign(row.digest)
            self._store.update_publication(row.number, signer=self._issuer.signer.address, signature=signature)
        prepared = self._sender.prepare(
            encode_publish(bic_to_bytes11(self._issuer.bic), row.number, row.watermark_ms, words, signature),
            gas=gas,
            nonce=attempt.nonce,
            gas_price_wei=attempt.gas_price_wei,
        )
        self._store.add(row.number, prepared, self._clock.now_ms())
        self._faults("prepared")
        return prepared

    def _transmit(self, row: Row[Any], prepared: Prepared) -> None:
        try:
            self._sender.transmit(prepared)
        except Underpriced:
            if row.transaction_hash is None:
                # A fresh nonce, so what the node has under it is another program's: the next step takes the one after.
                self._store.update_publication(row.number, transaction_hash=None, submitted_at_ms=row.submitted_at_ms)
                raise
            # An earlier attempt at the node pays more. That one is kept, and the next one offers more.
            _log.warning("transaction_underpriced", number=row.number, gas_price_wei=prepared.gas_price_wei)
        except (NonceUsed, LedgerRejected):
            # NonceUsed: by an earlier attempt, which the next step sees, or by someone else. LedgerRejected: some nodes
            # refuse at once what would fail. Either way the next step submits it again if it is still missing.
            self._forget_transaction(row.number)
            raise
        except LedgerError as error:
            if isinstance(error, NonceAhead):
                self._sent.clear()  # an earlier one was lost: all are sent again, in order
            self._sent.discard(row.number)  # each step tries again until a node takes it, and says why none does
            # The time was stored before sending: the trail must not tell a platform that it waits for a block since.
            self._store.update_publication(row.number, submitted_at_ms=row.submitted_at_ms)
            raise
        self._sent.add(row.number)
        self._faults("submitted")

    def _next_nonce(self) -> int:
        """The account's next nonce, after everything that the node knows of and everything on its way from here."""
        highest = self._store.highest_nonce(self._client.domain)
        return max(self._sender.next_nonce("pending"), -1 if highest is None else highest + 1)

    def _receipt(self, number: int, *, good: bool) -> Receipt | None:
        """The receipt of an attempt for a publication: of one that succeeded (`good`), or of one that failed.

        Failed attempts count only for the nonce in use: those of an abandoned nonce have been dealt with.
        """
        for transaction_hash in self._store.hashes(number, all_nonces=good):
            receipt = self._client.receipt(transaction_hash)
            if receipt is not None and (receipt["status"] == 1) == good:
                return receipt
        return None

    def _forget_transaction(self, number: int) -> None:
        self._sent.discard(number)
        self._store.update_publication(number, transaction_hash=None)
