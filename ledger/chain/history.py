"""A bank's history on the ledger, from logs and transactions alone. No old state is needed, so any full node will do.

It covers publications with what was signed, the signer in force for each, and the links of the hash chain.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from eth_abi.abi import encode
from eth_typing import ChecksumAddress
from eth_utils import to_checksum_address
from hexbytes import HexBytes
from web3.types import EventData

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.publication import Publication, recover
from standing.ledger.chain.client import LedgerClient, Published, published_event
from standing.ledger.chain.connection import check_logs, ledger_errors, narrower, quantity
from standing.ledger.chain.contract import artifact
from standing.ledger.errors import LedgerRejected, LedgerUnreachable

_Event = Literal["Published", "BankAdmitted", "BankReinstated", "SignerRotated"]

#: The events that change whose signature counts.
_SIGNER_EVENTS: tuple[_Event, ...] = ("BankAdmitted", "BankReinstated", "SignerRotated")

_FIRST_WINDOW_BLOCKS = 64
#: Four years of a block each second, at a node that lets one query search 5,000 blocks, as Besu does by default.
_MAX_QUERIES = 50_000
_ERC1271 = bytes.fromhex("1626ba7e")


@dataclass(frozen=True, slots=True)
class Placed:
    """A publication's event and its place in the block."""

    event: Published
    log_index: int


@dataclass(frozen=True, slots=True)
class Signed:
    """A publication as it was signed, from its transaction's input."""

    placed: Placed
    publication: Publication
    signature: bytes


@dataclass(frozen=True, slots=True)
class NamedSigner:
    """A signer that the ledger named for a bank, with the event and the block."""

    address: ChecksumAddress
    event: str
    block_number: int


class History:
    """One bank's history on one ledger. Every method raises LedgerUnreachable."""

    def __init__(self, client: LedgerClient, bank: str) -> None:
        self.client = client
        self.bank = bank
        self._contract = client.w3.eth.contract(address=client.address, abi=artifact()["abi"])
        # A number has one publication and its content never changes, so nothing is asked for twice.
        self._found: dict[int, Placed] = {}
        self._signed: dict[int, Signed | None] = {}
        self._signers: tuple[int, list[EventData]] = (-1, [])
        self._times_ms: dict[int, int] = {}
        self._accepted: dict[tuple[ChecksumAddress, bytes], bool] = {}

    def latest(self) -> int:
        """The number of the last block that this history reaches: the ledger's newest."""
        return self.client.block_number()

    def time_ms(self, block: int) -> int:
        """The time of a block. Asked for once: blocks are final where publications are taken for history."""
        if block not in self._times_ms:
            self._times_ms[block] = self.client.block_time_ms(block)
        return self._times_ms[block]

    def publication(self, number: int, to_block: int) -> Placed | None:
        """The event of a publication, by its number, in a block up to `to_block`."""
        known = self._found.get(number)
        if known is None:
            log = self._newest("Published", to_block, first_window=to_block + 1, number=number)
            if log is None:
                return None
            known = self._found[number] = Placed(published_event(log), log["logIndex"])
        return known if known.event.block_number <= to_block else None

    def newest(self, to_block: int) -> Placed | None:
        """The bank's last publication in the blocks up to `to_block`."""
        log = self._newest("Published", to_block, first_window=_FIRST_WINDOW_BLOCKS)
        return None if log is None else Placed(published_event(log), log["logIndex"])

    def after(self, block: int, to_block: int) -> Iterator[Placed]:
        """The bank's publications in the blocks after `block`, in their order."""
        low, window = block + 1, _FIRST_WINDOW_BLOCKS
        while low <= to_block:
            high = min(low + window - 1, to_block)
            try:
                logs = self._logs("Published", low, high)
            except LedgerUnreachable as refusal:
                window = narrower(window, refusal)
                continue
            for log in sorted(logs, key=_place):
                yield Placed(published_event(log), log["logIndex"])
            low, window = high + 1, window * 2

    def previous_digest(self, placed: Placed) -> bytes | None:
        """The digest that a publication names as `previous`: that of the publication before, or the head that the bank
        was admitted with. None where the ledger has neither."""
        event = placed.event
        before = self.publication(event.number - 1, event.block_number) if event.number > 1 else None
        if before is not None:
            return before.event.digest
        for log in self._signer_logs(event.block_number):
            if log["event"] == "BankAdmitted" and log["args"]["number"] == event.number - 1:
                return bytes(log["args"]["head"])
        return None

    def signed(self, placed: Placed) -> Signed | None:
        """The publication behind an event; None where its transaction does not hold it, or it does not follow the one
        before."""
        number = placed.event.number
        if number not in self._signed:
            previous = self.previous_digest(placed)
            found = self.client.publication_of(placed.event, previous) if previous is not None else None
            self._signed[number] = None if found is None else Signed(placed, *found)
        return self._signed[number]

    def signer_of(self, placed: Placed) -> NamedSigner | None:
        """The signer that counted when a publication was accepted."""
        block = placed.event.block_number
        # One in the same block counts if it came before the publication.
        named = [
            log for log in self._signer_logs(block) if log["blockNumber"] < block or log["logIndex"] < placed.log_index
        ]
        return _named(max(named, key=_place)) if named else None

    def signers(self, to_block: int) -> list[NamedSigner]:
        """Every signer that the ledger ever named for the bank, in order."""
        return [_named(log) for log in sorted(self._signer_logs(to_block), key=_place)]

    def accepts(self, signer: ChecksumAddress, signed: Signed) -> bool:
        """Whether a signature is the signer's: by its key, or by its ERC-1271 contract at that block.

        Raises: LedgerUnreachable, also where the node has no state of that block.
        """
        asked = (signer, signed.placed.event.transaction_hash)
        if asked not in self._accepted:
            self._accepted[asked] = self._is_signed_by(signer, signed)
        return self._accepted[asked]

    def _is_signed_by(self, signer: ChecksumAddress, signed: Signed) -> bool:
        digest, block = signed.publication.digest, signed.placed.event.block_number
        if recover(digest, signed.signature) == signer:
            return True
        with ledger_errors():
            if not self.client.w3.eth.get_code(signer):
                return False
            data = _ERC1271 + encode(["bytes32", "bytes"], [digest, signed.signature])
            try:
                with ledger_errors():
                    answer = self.client.w3.eth.call({"to": signer, "data": HexBytes(data)}, block)
            except LedgerRejected:
                return False
        return bytes(answer[:4]) == _ERC1271

    def _signer_logs(self, to_block: int) -> list[EventData]:
        looked_to, found = self._signers
        if looked_to < to_block:
            for event in _SIGNER_EVENTS:
                found = found + self._all(event, to_block, looked_to + 1)
            self._signers = (to_block, found)
        return [log for log in found if log["blockNumber"] <= to_block]

    def _all(self, event: _Event, to_block: int, from_block: int) -> list[EventData]:
        """Every log of a rare event, in as few queries as the node allows."""
        found: list[EventData] = []
        high, window = to_block, to_block + 1
        refused = window + 1
        for _ in range(_MAX_QUERIES):
            if high < from_block:
                return found
            low = max(from_block, high - window + 1)
            try:
                found += self._logs(event, low, high)
            except LedgerUnreachable as refusal:
                refused, window = window, narrower(window, refusal)
                continue
            high, window = low - 1, _wider(window, refused)
        raise _too_narrow(event)

    def _newest(self, event: _Event, to_block: int, *, first_window: int, **filters: Any) -> EventData | None:
        """The last log of an event, searched backwards in growing windows."""
        high, window = to_block, first_window
        refused = to_block + 2  # more than there are
        for _ in range(_MAX_QUERIES):
            if high < 0:
                return None
            low = max(0, high - window + 1)
            try:
                logs = self._logs(event, low, high, **filters)
            except LedgerUnreachable as refusal:
                refused, window = window, narrower(window, refusal)
                continue
            if logs:
                return max(logs, key=_place)
            high, window = low - 1, _wider(window, refused)
        raise _too_narrow(event)

    def _logs(self, event: _Event, low: int, high: int, **filters: Any) -> list[EventData]:
        with ledger_errors():
            logs = list(
                self._contract.events[event].get_logs(
                    from_block=low, to_block=high, argument_filters={"bank": bic_to_bytes11(self.bank), **filters}
                )
            )
            check_logs(logs, low, high)  # one without a block, as of a pending transaction, has no place in a history
            for log in logs:
                quantity(log["logIndex"], "log's place in its block")
        return logs


def _wider(window: int, refused: int) -> int:
    """The next range of blocks: twice as many, unless the node refused so many before."""
    return window * 2 if window * 2 < refused else window


def _too_narrow(event: str) -> LedgerUnreachable:
    return LedgerUnreachable(
        f"the ledger's node allows searches of too few blocks to find {event}: raise its limit (Besu: "
        "rpc-max-logs-range), or ask another node"
    )


def _place(log: EventData) -> tuple[int, int]:
    return log["blockNumber"], log["logIndex"]


def _named(log: EventData) -> NamedSigner:
    return NamedSigner(to_checksum_address(log["args"]["signer"]), log["event"], log["blockNumber"])
