"""Every event of the contract, in the order of the chain, for auditors who have only a ledger's URL."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from web3.types import EventData

from standing.ledger.attestations.bic import bytes11_to_bic
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.connection import checked_block, ledger_errors, narrower, quantity
from standing.ledger.chain.contract import artifact
from standing.ledger.errors import InvalidValue, LedgerUnreachable

#: The events that are about a bank.
BANK_EVENTS = ("BankAdmitted", "BankSuspended", "BankReinstated", "SignerRotated", "Published")

_FIRST_WINDOW_BLOCKS = 4_096


@dataclass(frozen=True, slots=True)
class BankEvent:
    """One event about a bank. `arguments`: as the contract's interface names them; `log` is web3's own form of it."""

    bank: str
    name: str
    arguments: dict[str, Any]
    block_number: int
    log_index: int
    log: EventData


def bank_events(
    client: LedgerClient, to_block: int, *, from_block: int = 0, names: Sequence[str] = BANK_EVENTS
) -> Iterator[BankEvent]:
    """The events about banks from `from_block` to `to_block`, of all kinds or of some, in their order.

    Banks whose name is not a BIC are left out: no Standing party knows them. Raises: LedgerUnreachable.
    """
    low, window = from_block, _FIRST_WINDOW_BLOCKS
    while low <= to_block:
        high = min(low + window - 1, to_block)
        try:
            found = _between(client, low, high, names)
        except LedgerUnreachable as refusal:
            window = narrower(window, refusal)
            continue
        yield from sorted(found, key=lambda event: (event.block_number, event.log_index))
        low, window = high + 1, min(window * 2, _FIRST_WINDOW_BLOCKS)


def _between(client: LedgerClient, low: int, high: int, names: Sequence[str]) -> list[BankEvent]:
    contract = client.w3.eth.contract(address=client.address, abi=artifact()["abi"])
    found = []
    with ledger_errors():
        for name in names:
            for log in contract.events[name].get_logs(from_block=low, to_block=high):
                arguments = dict(log["args"])
                try:
                    bank = bytes11_to_bic(arguments.pop("bank"))
                except InvalidValue:
                    continue
                block = checked_block(log["blockNumber"], "log's block number", first=low, last=high)
                found.append(BankEvent(bank, name, arguments, block, quantity(log["logIndex"], "log's place"), log))
    return found
