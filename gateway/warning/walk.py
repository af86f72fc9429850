"""Turns a ledger's events into its banks' hours: block by block in a gateway, or from a ledger's URL alone."""

from collections.abc import Collection, Mapping
from typing import Any

from standing.gateway.warning.hours import BankHours
from standing.ledger.chain.client import LedgerClient, published_event
from standing.ledger.chain.events import BankEvent, bank_events
from standing.ledger.chain.history import History
from standing.ledger.clock import HOUR_MS
from standing.ledger.errors import InvalidValue

_ACTS = ("BankAdmitted", "BankSuspended", "BankReinstated")
#: The most hours of one walk from a URL.
MAX_HOURS = 31 * 24


def primed(client: LedgerClient, bank: str, block: int) -> BankHours:
    """A bank as of a block: its watermark, and whether it was suspended. Raises: LedgerUnreachable."""
    hours = BankHours(to_ms=client.block_time_ms(block))
    last = History(client, bank).newest(block)
    if last is not None:
        hours.watermark_ms = last.event.watermark_ms
    for event in bank_events(client, block, names=_ACTS):
        if event.bank == bank:
            hours.suspended = event.name == "BankSuspended"
    return hours


def walk(client: LedgerClient, banks: Mapping[str, BankHours], after_block: int, to_block: int) -> int:
    """Apply the events after one block up to another, and advance the time to that block's.

    Returns: the time of `to_block`. Raises: LedgerUnreachable; the hours are then incomplete and must be discarded.
    """
    times: dict[int, int] = {}
    for event in bank_events(client, to_block, from_block=after_block + 1):
        if event.bank in banks:
            if event.block_number not in times:
                times = {event.block_number: client.block_time_ms(event.block_number)}  # events are in order
            _apply(banks[event.bank], event, times[event.block_number])
    end_ms = client.block_time_ms(to_block)
    for hours in banks.values():
        hours.advance(end_ms)
    return end_ms


def recomputed(client: LedgerClient, banks: Collection[str], from_ms: int, to_block: int) -> dict[str, BankHours]:
    """The hours of banks since a given hour, from the ledger alone.

    Raises: LedgerUnreachable, InvalidValue (more than `MAX_HOURS`).
    """
    end_ms = client.block_time_ms(to_block)
    if (end_ms - from_ms) > MAX_HOURS * HOUR_MS:
        raise InvalidValue("period", "longer than the longest walk", f"at most {MAX_HOURS} hours")
    before = last_block_before(client, from_ms, to_block)
    found = {}
    for bank in banks:
        if before is None:
            found[bank] = BankHours()
        else:
            found[bank] = primed(client, bank, before)
            found[bank].to_ms = max(found[bank].to_ms, from_ms)  # time before the period is not counted
    walk(client, found, before if before is not None else -1, to_block)
    return found


def last_block_before(client: LedgerClient, time_ms: int, to_block: int) -> int | None:
    """The last block of a time before `time_ms`; None where there is none. Raises: LedgerUnreachable."""
    low, high = -1, to_block
    while low < high:
        middle = (low + high + 1) // 2
        if client.block_time_ms(middle) < time_ms:
            low = middle
        else:
            high = middle - 1
    return low if low >= 0 else None


def known_banks(client: LedgerClient, to_block: int) -> list[str]:
    """The banks that were ever admitted, in that order. Raises: LedgerUnreachable."""
    return list(dict.fromkeys(event.bank for event in bank_events(client, to_block, names=("BankAdmitted",))))


def _apply(hours: BankHours, event: BankEvent, at_ms: int) -> None:
    if event.name == "Published":
        published: Any = published_event(event.log)
        hours.published(at_ms, published.watermark_ms, len(published.bindings))
    else:
        hours.acted(at_ms, event.name)
