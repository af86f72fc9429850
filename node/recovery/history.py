"""A bank's history on the ledger, and how a store's missing publications are rebuilt from it.

The event of a publication holds its number, digest and bindings. Its content is in its transaction's input and is
proved by the digest, which includes the digest before it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert

from standing.ledger.attestations.publication import Publication, recover
from standing.ledger.chain.client import BankState, LedgerClient, Published
from standing.ledger.chain.connection import narrower
from standing.ledger.errors import LedgerUnreachable, StandingError
from standing.node.publishing import publications
from standing.node.publishing.outbox import Issuer
from standing.node.storage import schema

_PAGE_BLOCKS = 2_000


class CannotRecover(StandingError):
    """The recovery cannot continue; the text says why and what to do."""


@dataclass
class Findings:
    """The findings of a recovery, and what it did unless it only looked. Times in milliseconds."""

    store_publication: int
    ledger_publication: int
    given_up: int = 0
    new_deployment: bool = False
    rebuilt: int = 0
    rebuilt_without_content: int = 0
    stated_again: int = 0
    ended_on_ledger: int = 0
    unknown_ended: int = 0
    unknown_unreadable: int = 0
    core_from_ms: int = 0
    core_until_ms: int = 0
    feed_again: bool = False

    @property
    def nothing_to_do(self) -> bool:
        return not (self.new_deployment or self.rebuilt or self.feed_again or self.given_up)


class History:
    """Walks one bank's history on the ledger. `progress` is called with how many blocks are done, and of how many."""

    def __init__(self, client: LedgerClient, issuer: Issuer, progress: Callable[[int, int], None]) -> None:
        self._client = client
        self._issuer = issuer
        self._progress = progress

    def _pages(self, start: int) -> Iterator[tuple[int, int, list[Published]]]:
        """The blocks from `start` on in ranges, first and last block, each with the bank's publications. The ranges are
        smaller where the ledger's node refuses wide ones."""
        end = self._client.block_number()
        first, window = start, _PAGE_BLOCKS
        while first <= end:
            last = min(first + window - 1, end)
            try:
                events = self._client.published(first, last, self._issuer.bic)
            except LedgerUnreachable as refusal:
                window = narrower(window, refusal)
                continue
            yield first, last, events
            self._progress(last - start + 1, end - start + 1)
            first = last + 1

    def fork(self, signed: Sequence[Row[Any]], start: int) -> int | None:
        """The first number of `signed`, publications in no block yet, under which the ledger holds another."""
        digests = {row.number: row.digest for row in signed}
        for _, _, events in self._pages(start):
            for event in events:
                if digests.get(event.number, event.digest) != event.digest:
                    return event.number
        return None

    def rebuild(
        self, connection: Connection, state: BankState, last: Row[Any] | None, findings: Findings, start: int
    ) -> tuple[int | None, set[bytes]]:
        """Store every publication that the ledger has and the store does not.

        Returns: the number that the bank was admitted with (None where that was before `start`), and the bindings that
        were written.
        """
        number = last.number if last is not None else 0
        head = last.digest if last is not None else bytes(32)
        base_number: int | None = None
        written: set[bytes] = set()
        for first_block, last_block, events in self._pages(start):
            admission = self._client.admission(first_block, last_block, self._issuer.bic)
            if admission is not None:
                base_number = admission.number
                if admission.number > number:
                    # A history from before this deployment, of which only the end is known here.
                    number, head = admission.number, admission.head
                    self._store_head(connection, number, head, admission.block_number)
                    findings.rebuilt_without_content += 1
            for event in events:
                if event.number == number and event.digest != head:
                    raise CannotRecover(
                        f"publication {number} on the ledger is not the one that this store holds: "
                        "two histories exist under one key, and a person must examine them"
                    )
                if event.number <= number:
                    continue
                if event.number != number + 1:
                    raise CannotRecover(
                        f"the ledger's history of {self._issuer.bic} has publication {event.number} after {number}: "
                        "give an earlier --from-block"
                    )
                self._store_rebuilt(connection, event, head, findings)
                written.update(event.bindings)
                number, head = event.number, event.digest
        if (number, head) != (state.publication, state.head):
            raise CannotRecover(
                f"the ledger's events end at publication {number}, its state says {state.publication}: "
                "give an earlier --from-block, or ask another ledger node"
            )
        return base_number, written

    def _store_rebuilt(self, connection: Connection, event: Published, previous: bytes, findings: Findings) -> None:
        findings.rebuilt += 1
        time_ms = event.watermark_ms
        columns, signature = self._bare(event.number, event.digest, previous, event.watermark_ms), b""
        # Most publications of a long history are heartbeats. The event holds all that a heartbeat states, and its
        # exact time does not matter, so the ledger is asked only about the others.
        if not self._is_heartbeat(event, previous):
            time_ms = self._client.block_time_ms(event.block_number)
            found = self._client.publication_of(event, previous)
            if found is None:
                # Submitted through another contract: number, digest and place in the chain are all that is needed.
                findings.rebuilt_without_content += 1
            else:
                columns, signature = publications.publication_columns(found[0]), found[1]
        signer = recover(event.digest, signature) if len(signature) == 65 else None
        connection.execute(
            insert(schema.publications).values(
                **columns,
                signer=signer or self._issuer.signer.address,
                signature=signature,
                signed_at_ms=time_ms,
                transaction_hash=event.transaction_hash,
                submitted_at_ms=time_ms,
                block_number=event.block_number,
                in_block_at_ms=time_ms,
            )
        )

    def _is_heartbeat(self, event: Published, previous: bytes) -> bool:
        """Whether a publication states nothing but its watermark, as its digest proves."""
        if event.bindings:
            return False
        alone = Publication(self._client.domain, event.bank, event.number, previous, event.watermark_ms, ())
        return alone.digest == event.digest

    def _store_head(self, connection: Connection, number: int, head: bytes, block_number: int) -> None:
        time_ms = self._client.block_time_ms(block_number)
        connection.execute(
            insert(schema.publications).values(
                **self._bare(number, head, bytes(32), 0),
                signer=self._issuer.signer.address,
                signature=b"",
                signed_at_ms=time_ms,
                in_block_at_ms=time_ms,
            )
        )

    def _bare(self, number: int, digest: bytes, previous: bytes, watermark_ms: int) -> dict[str, object]:
        domain = self._client.domain
        return {
            "number": number,
            "chain_id": domain.chain_id,
            "contract": domain.contract,
            "previous": previous,
            "watermark_ms": watermark_ms,
            "digest": digest,
            "attestations": b"",
        }
