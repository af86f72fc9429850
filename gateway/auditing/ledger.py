"""Audits a ledger: every bank's history is walked from its admission on, and recomputed.

The contract is trusted for nothing but the existence of its events and transactions: numbers follow each other,
each digest is that of what was signed after the one before, each signature is of the signer in force, watermarks never
go back or ahead of their blocks, nothing is published while suspended, and rotations follow each other. In the end the
contract's own state must be what its history comes to.

Transactions and blocks are asked for ahead, a few at a time. What was walked stays at hand (`Walked`), so that whoever
looks at decisions afterwards asks for no history again.
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

#: Is told how far it is, and how far it goes.
Progress = Callable[[int, int], None]
_T = TypeVar("_T")

#: How many calls are under way at the same time: enough that a node is never idle, few enough that it serves others.
PARALLEL = 4
_AHEAD = 128  # events whose transactions and blocks are asked for before the first of them is looked at


def quiet(_done: int, _total: int) -> None:
    """A progress that nobody wants to know."""


def in_batches(items: Iterable[_T], size: int) -> Iterator[tuple[_T, ...]]:
    """The items in their order, at most `size` together."""
    left = iter(items)
    while batch := tuple(islice(left, size)):
        yield batch


@dataclass(frozen=True, slots=True)
class Walked:
    """A ledger's history up to `to_block`, by bank. A bank that is not there was never admitted."""

    client: LedgerClient
    to_block: int
    histories: dict[str, WalkedHistory] = field(default_factory=dict)


@dataclass(slots=True)
class _Bank:
    """What a bank's history comes to so far."""

    signer: ChecksumAddress
    admin: ChecksumAddress
    number: int
    head: bytes
    watermark_ms: int = 0
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What is asked for about one publication. `held`: the publication and its signature, where the transaction holds
    them."""

    placed: Placed
    block_time_ms: int
    held: tuple[Publication, bytes] | None


def audit_ledger(client: LedgerClient, audit: Audit, progress: Progress = quiet) -> Walked:
    """Walk everything up to the present block. `progress` is told blocks. Raises: LedgerUnreachable."""
    walked = Walked(client, client.block_number())
    walk = _Walk(walked, audit)
    with ThreadPoolExecutor(PARALLEL) as pool:
        for events in in_batches(bank_events(client, walked.to_block), _AHEAD):
            for event, fetched in walk.fetched(events, pool):
                walk.take(event, fetched.result() if fetched is not None else None)
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
        """The events, those of publications with what is asked for about them. What each is to follow is known before
        it is looked at: whatever the event before names."""
        heads = {bic: bank.head for bic, bank in self._banks.items()}
        under_way: list[Future[_Fetched] | None] = []
        for event in events:
            if event.name == "BankAdmitted":
                heads[event.bank] = event.arguments["head"]
            if event.name != "Published" or event.bank not in heads:
                under_way.append(None)
                continue
            placed = Placed(published_event(event.log), event.log_index)
            under_way.append(pool.submit(self._fetch, placed, heads[event.bank]))
            heads[event.bank] = placed.event.digest
        return zip(events, under_way, strict=True)

    def _fetch(self, placed: Placed, previous: bytes) -> _Fetched:
        time_ms = self._client.block_time_ms(placed.event.block_number)
        return _Fetched(placed, time_ms, self._client.publication_of(placed.event, previous))

    def take(self, event: BankEvent, fetched: _Fetched | None) -> None:
        """Go one event further."""
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
                self._found(Kind.SUSPENSION, event, "reinstated, and was not suspended")
            bank.suspended, bank.signer, bank.admin = False, event.arguments["signer"], event.arguments["admin"]
            self._histories[event.bank].named(event.log)
        elif event.name == "SignerRotated":
            if event.arguments["previousSigner"] != bank.signer:
                self._found(
                    Kind.ROTATION, event, f"in place of {event.arguments['previousSigner']}, not of {bank.signer}"
                )
            bank.signer = event.arguments["signer"]
            self._histories[event.bank].named(event.log)
        else:
            assert fetched is not None
            self._published(event, bank, fetched)

    def _published(self, event: BankEvent, bank: _Bank, fetched: _Fetched) -> None:
        told = fetched.placed.event
        if told.number != bank.number + 1:
            self._found(Kind.NUMBER, event, f"publication {told.number} after {bank.number}")
        if bank.suspended:
            self._found(Kind.SUSPENSION, event, f"publication {told.number} while suspended")
        if told.watermark_ms < bank.watermark_ms:
            self._found(Kind.WATERMARK, event, f"{told.watermark_ms} after {bank.watermark_ms}")
        latest_ms = fetched.block_time_ms + self._client.ahead_allowance_ms
        if told.watermark_ms > latest_ms:
            self._found(Kind.WATERMARK, event, f"{told.watermark_ms} in a block that allows {latest_ms}")
        signed = None
        if fetched.held is None:
            self._found(
                Kind.CONTENT,
                event,
                f"the transaction does not hold publication {told.number} with the digest 0x{told.digest.hex()}, after "
                f"0x{bank.head.hex()}",
            )
        else:
            signed = Signed(fetched.placed, *fetched.held)
            self._signed(event, bank, signed)
        self._histories[event.bank].took(fetched.placed, signed, fetched.block_time_ms)
        bank.number, bank.head, bank.watermark_ms = told.number, told.digest, told.watermark_ms

    def _signed(self, event: BankEvent, bank: _Bank, signed: Signed) -> None:
        publication = signed.publication
        self._audit.count("attestations", len(publication.attestations))
        bindings = tuple(attestation.binding for attestation in publication.attestations)
        if publication.watermark_ms != signed.placed.event.watermark_ms or bindings != signed.placed.event.bindings:
            self._found(Kind.CONTENT, event, f"the event of publication {publication.number} says otherwise than it")
        history = self._histories[event.bank]
        if not history.accepts(bank.signer, signed):
            self._found(Kind.SIGNATURE, event, f"publication {publication.number} is not signed by {bank.signer}")

    def compare(self, to_block: int) -> None:
        """Hold what the histories come to against the contract's state."""
        for bic, bank in self._banks.items():
            self._audit.count("banks")
            try:
                state = self._client.bank(bic, to_block)
            except LedgerUnreachable:
                # The node has no state of that block any more. The present one will do where nothing has come since.
                state = self._client.bank(bic)
                if state.publication != bank.number:
                    raise
            for name, walked in _comes_to(bank).items():
                if (stated := getattr(state, name)) != walked:
                    self._audit.found(
                        Kind.STATE, bic, f"block {to_block}", f"{name} is {_shown(stated)}, by history {_shown(walked)}"
                    )

    def _found(self, kind: Kind, event: BankEvent, text: str) -> None:
        self._audit.found(kind, event.bank, f"block {event.block_number}", text)


def _comes_to(bank: _Bank) -> dict[str, object]:
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
