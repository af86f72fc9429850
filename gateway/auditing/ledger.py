"""Audits a ledger: every bank's history is walked from its admission on, and recomputed.

Nothing is taken from the contract's word but that its events and transactions are there: numbers follow each other,
each digest is that of what was signed after the one before, each signature is of the signer in force, watermarks never
go back or ahead of their blocks, nothing is published while suspended, and rotations follow each other. In the end the
contract's own state must be what its history comes to.
"""

from dataclasses import dataclass

from eth_typing import ChecksumAddress

from standing.gateway.auditing.findings import Audit, Kind
from standing.ledger.chain.client import BankState, LedgerClient, published_event
from standing.ledger.chain.events import BankEvent, bank_events
from standing.ledger.chain.history import History, Placed, Signed
from standing.ledger.errors import LedgerUnreachable


@dataclass(slots=True)
class _Walked:
    """What a bank's history comes to so far."""

    signer: ChecksumAddress
    admin: ChecksumAddress
    number: int
    head: bytes
    watermark_ms: int = 0
    suspended: bool = False


def audit_ledger(client: LedgerClient, audit: Audit) -> int:
    """Walk everything up to the present block. Returns: its number. Raises: LedgerUnreachable."""
    to_block = client.block_number()
    walk = _Walk(client, audit)
    for event in bank_events(client, to_block):
        walk.take(event)
    walk.compare(to_block)
    return to_block


class _Walk:
    def __init__(self, client: LedgerClient, audit: Audit) -> None:
        self._client = client
        self._audit = audit
        self._banks: dict[str, _Walked] = {}
        self._histories: dict[str, History] = {}

    def take(self, event: BankEvent) -> None:
        """Go one event further."""
        self._audit.count(event.name)
        bank = self._banks.get(event.bank)
        if event.name == "BankAdmitted":
            if bank is not None:
                self._found(Kind.ADMISSION, event, "admitted a second time")
            stated = event.arguments
            self._banks[event.bank] = _Walked(stated["signer"], stated["admin"], stated["number"], stated["head"])
            self._histories[event.bank] = History(self._client, event.bank)
        elif bank is None:
            self._found(Kind.ADMISSION, event, f"{event.name} of a bank that was never admitted")
        elif event.name == "BankSuspended":
            bank.suspended = True
        elif event.name == "BankReinstated":
            if not bank.suspended:
                self._found(Kind.SUSPENSION, event, "reinstated, and was not suspended")
            bank.suspended, bank.signer, bank.admin = False, event.arguments["signer"], event.arguments["admin"]
        elif event.name == "SignerRotated":
            if event.arguments["previousSigner"] != bank.signer:
                self._found(
                    Kind.ROTATION, event, f"in place of {event.arguments['previousSigner']}, not of {bank.signer}"
                )
            bank.signer = event.arguments["signer"]
        else:
            self._published(event, bank)

    def _published(self, event: BankEvent, bank: _Walked) -> None:
        placed = Placed(published_event(event.log), event.log_index)
        told = placed.event
        if told.number != bank.number + 1:
            self._found(Kind.NUMBER, event, f"publication {told.number} after {bank.number}")
        if bank.suspended:
            self._found(Kind.SUSPENSION, event, f"publication {told.number} while suspended")
        if told.watermark_ms < bank.watermark_ms:
            self._found(Kind.WATERMARK, event, f"{told.watermark_ms} after {bank.watermark_ms}")
        latest_ms = self._client.block_time_ms(told.block_number) + self._client.ahead_allowance_ms
        if told.watermark_ms > latest_ms:
            self._found(Kind.WATERMARK, event, f"{told.watermark_ms} in a block that allows {latest_ms}")
        held = self._client.publication_of(told, bank.head)
        if held is None:
            self._found(
                Kind.CONTENT,
                event,
                f"the transaction does not hold publication {told.number} with the digest 0x{told.digest.hex()}, after "
                f"0x{bank.head.hex()}",
            )
        else:
            self._signed(event, bank, Signed(placed, *held))
        bank.number, bank.head, bank.watermark_ms = told.number, told.digest, told.watermark_ms

    def _signed(self, event: BankEvent, bank: _Walked, signed: Signed) -> None:
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


def _comes_to(bank: _Walked) -> dict[str, object]:
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
