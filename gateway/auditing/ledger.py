"""Audits a ledger: walks every bank's history from its admission on, and recomputes it.

The contract is trusted only for the existence of its events and transactions. The audit checks that numbers are
consecutive, that each digest covers the signed content and the previous digest, that each signature is by the signer in
force, that watermarks never move back or ahead of their blocks, that nothing is published during a suspension, and that
rotations are consistent. Finally, the contract's state must match its history.

Transactions and blocks are prefetched a few at a time. The walked history is kept (`Walked`), so that an audit of
decisions does not fetch it again.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from eth_typing import ChecksumAddress

from standing.gateway.auditing.findings import Audit, Kind
from standing.ledger.attestations.publication import Publication
from standing.ledger.chain.client import BankState, LedgerClient, published_event
from standing.ledger.chain.events import BankEvent, bank_events
from standing.ledger.chain.history import Placed, Signed
from standing.ledger.chain.walked_history import WalkedHistory
from standing.ledger.errors import LedgerUnreachable

#: Called with the amount done and the total.
Progress = Callable[[int, int], None]
_T = TypeVar("_T")

#: Concurrent calls: enough to keep a node busy, few enough for it to serve others.
PARALLEL = 4
_AHEAD = 128  # events whose transactions and blocks are prefetched together


def quiet(_done: int, _total: int) -> None:
    """Ignore progress."""


def in_batches(items: Iterable[_T], size: int) -> Iterator[tuple[_T, ...]]:
    """The items in order, in batches of at most `size`."""
    left = iter(items)
    while batch := tuple(islice(left, size)):
        yield batch


@dataclass(frozen=True, slots=True)
class Walked:
    """A ledger's history up to `to_block`, by bank. A bank without an entry was never admitted."""

    client: LedgerClient
    to_block: int
    histories: dict[str, WalkedHistory] = field(default_factory=dict)


@dataclass(slots=True)
class _Bank:
    """The state of a bank according to its history so far."""

    signer: ChecksumAddress
    admin: ChecksumAddress
    number: int
    head: bytes
    watermark_ms: int = 0
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class _Fetched:
    """The fetched data of one publication. `held`: the publication and its signature, if the transaction contains
    them."""

    placed: Placed
    block_time_ms: int
    held: tuple[Publication, bytes] | None


def audit_ledger(client: LedgerClient, audit: Audit, progress: Progress = quiet) -> Walked:
    """Walk the history up to the latest block. `progress` counts blocks. Raises: LedgerUnreachable."""
    walked = Walked(client, client.block_number())
    walk = _Walk(walked, audit)
    with ThreadPoolExecutor(PARALLEL) as pool:
        for events in in_batches(bank_events(client, walked.to_block), _AHEAD):
            for event, fetched in walk.fetched(events, pool):
                walk.apply(event, fetched.result() if fetched is not None else None)
            progress(events[-1].block_number, walked.to_block)
    for history in walked.histories.values():
        history.walked_to = walked.to_block
    walk.compare(walked.to_block)
    progress(walked.to_block, walked.to_block)
    return walked


class _Walk:
    def __init__(self, walked: Walked, audit: Audit) -> None:
        self._client = walked.client
        self._audit = audit
        self._banks: dict[str, _Bank] = {}
        self._histories = walked.histories

    def fetched(
        self, events: tuple[BankEvent, ...], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[BankEvent, Future[_Fetched] | None]]:
        """The events, each publication with its prefetched data. The digest that a publication must follow is known in
        advance: the preceding event states it."""
        heads = {bic: bank.head for bic, bank in self._banks.items()}
        pending: list[Future[_Fetched] | None] = []
        for event in events:
            if event.name == "BankAdmitted":
                heads[event.bank] = event.arguments["head"]
            if event.name != "Published" or event.bank not in heads:
                pending.append(None)
                continue
            placed = Placed(published_event(event.log), event.log_index)
            pending.append(pool.submit(self._fetch, placed, heads[event.bank]))
            heads[event.bank] = placed.event.digest
        return zip(events, pending, strict=True)

    def _fetch(self, placed: Placed, previous: bytes) -> _Fetched:
        time_ms = self._client.block_time_ms(placed.event.block_number)
        return _Fetched(placed, time_ms, self._client.publication_of(placed.event, previous))

    def apply(self, event: BankEvent, fetched: _Fetched | None) -> None:
        """Check one event and apply it to its bank's state."""
        self._audit.count(event.name)
        bank = self._banks.get(event.bank)
        if event.name == "BankAdmitted":
            if bank is not None:
                self._found(Kind.ADMISSION, event, "admitted a second time")
            stated = event.arguments
            self._banks[event.bank] = _Bank(stated["signer"], stated["admin"], stated["number"], stated["head"])
            self._histories.setdefault(event.bank, WalkedHistory(self._client, event.bank)).named(event.log)
        elif bank is None:
            self._found(Kind.ADMISSION, event, f"{event.name} of a bank that was never admitted")
        elif event.name == "BankSuspended":
            bank.suspended = True
        elif event.name == "BankReinstated":
            if not bank.suspended:
                self._found(Kind.SUSPENSION, event, "reinstated without having been suspended")
            bank.suspended, bank.signer, bank.admin = False, event.arguments["signer"], event.arguments["admin"]
            self._histories[event.bank].named(event.log)
        elif event.name == "SignerRotated":
            if event.arguments["previousSigner"] != bank.signer:
                self._found(
                    Kind.ROTATION,
                    event,
                    f"replaces {event.arguments['previousSigner']}, but the signer in force is {bank.signer}",
                )
            bank.signer = event.arguments["signer"]
            self._histories[event.bank].named(event.log)
        else:
            assert fetched is not None
            self._published(event, bank, fetched)

    def _published(self, event: BankEvent, bank: _Bank, fetched: _Fetched) -> None:
        published = fetched.placed.event
        if published.number != bank.number + 1:
            self._found(Kind.NUMBER, event, f"publication {published.number} after {bank.number}")
        if bank.suspended:
            self._found(Kind.SUSPENSION, event, f"publication {published.number} while suspended")
        if published.watermark_ms < bank.watermark_ms:
            self._found(Kind.WATERMARK, event, f"{published.watermark_ms} after {bank.watermark_ms}")
        latest_ms = fetched.block_time_ms + self._client.ahead_allowance_ms
        if published.watermark_ms > latest_ms:
            self._found(Kind.WATERMARK, event, f"{published.watermark_ms} in a block that allows {latest_ms}")
        signed = None
        if fetched.held is None:
            self._found(
                Kind.CONTENT,
                event,
                f"the transaction does not hold publication {published.number} with the digest "
                f"0x{published.digest.hex()}, after 0x{bank.head.hex()}",
            )
        else:
            signed = Signed(fetched.placed, *fetched.held)
            self._signed(event, bank, signed)
        self._histories[event.bank].took(fetched.placed, signed, fetched.block_time_ms)
        bank.number, bank.head, bank.watermark_ms = published.number, published.digest, published.watermark_ms

    def _signed(self, event: BankEvent, bank: _Bank, signed: Signed) -> None:
        publication = signed.publication
        self._audit.count("attestations", len(publication.attestations))
        bindings = tuple(attestation.binding for attestation in publication.attestations)
        if publication.watermark_ms != signed.placed.event.watermark_ms or bindings != signed.placed.event.bindings:
            self._found(
                Kind.CONTENT, event, f"the event of publication {publication.number} does not match its transaction"
            )
        history = self._histories[event.bank]
        try:
            accepted = history.accepts(bank.signer, signed)
        except LedgerUnreachable:
            # Only a contract's answer needs the state of the block, which a full node has pruned after a while. Where
            # the node does not answer at all, the next call ends the audit.
            self._audit.count("not checked: signature by a contract")
            return
        if not accepted:
            self._found(Kind.SIGNATURE, event, f"publication {publication.number} is not signed by {bank.signer}")

    def compare(self, to_block: int) -> None:
        """Compare the state that the histories lead to with the contract's state."""
        for bic, bank in self._banks.items():
            self._audit.count("banks")
            try:
                state = self._client.bank(bic, to_block)
            except LedgerUnreachable:
                # The node has pruned that block's state. The latest state is the same if nothing was published since.
                state = self._client.bank(bic)
                if state.publication != bank.number:
                    raise
            for name, walked in _state_by_history(bank).items():
                if (stated := getattr(state, name)) != walked:
                    self._audit.found(
                        Kind.STATE, bic, f"block {to_block}", f"{name} is {_shown(stated)}, by history {_shown(walked)}"
                    )

    def _found(self, kind: Kind, event: BankEvent, text: str) -> None:
        self._audit.found(kind, event.bank, f"block {event.block_number}", text)


def _state_by_history(bank: _Bank) -> dict[str, object]:
    state = BankState(
        signer=bank.signer,
        publication=bank.number,
        watermark_ms=bank.watermark_ms,
        admin=bank.admin,
        suspended=bank.suspended,
        head=bank.head,
    )
    return {name: getattr(state, name) for name in BankState.__dataclass_fields__}


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
