"""Payouts: how a micro-deposit's amount reaches the account. The bank puts its own payment system behind `Payout`.

The default writes orders to files for the bank's payment system. They hold account numbers and the amounts that users
have to name, so only their owner can read them.
"""

import fcntl
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from standing.ledger.errors import Unavailable
from standing.ledger.service.private_files import sync_folder

_RETRY_AFTER_S = 60


class PayoutFailed(Unavailable):
    """The order was not accepted. It is given again later, under the same id."""


@dataclass(frozen=True, slots=True)
class PayoutOrder:
    """An order to pay `amount_minor` into an account. `id`: 32 random bytes; one id is paid once, however often it is
    given."""

    id: bytes
    number: str
    number_type: str
    currency: str
    amount_minor: int
    created_at_ms: int

    def __repr__(self) -> str:  # the number is personal data, the amount a secret
        return f"PayoutOrder(id=0x{self.id.hex()})"


class Payout(Protocol):
    """Accepts payment orders, each id once. An order is durable when the call returns."""

    def pay(self, order: PayoutOrder) -> None:
        """Accept an order. One with a known id was accepted before. Raises: PayoutFailed."""


class FilePayout:
    """Appends orders as JSON lines to one file for each UTC day, `payouts-YYYYMMDD.jsonl` in `folder`.

    The day is that on which the order was made, so an order given again finds itself. A line is durable when `pay`
    returns. A line cut short by a crash was never acknowledged and is removed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pay(self, order: PayoutOrder) -> None:
        """See `Payout.pay`."""
        day = datetime.fromtimestamp(order.created_at_ms / 1000, UTC).strftime("%Y%m%d")
        path = self._folder / f"payouts-{day}.jsonl"
        identifier = "0x" + order.id.hex()
        line = json.dumps(
            {
                "id": identifier,
                "number": order.number,
                "number_type": order.number_type,
                "currency": order.currency,
                "amount_minor": order.amount_minor,
                "created_at_ms": order.created_at_ms,
            }
        )
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if not _holds(file.fileno(), path, identifier):
                    file.write(line.encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
            sync_folder(self._folder)
        except OSError as error:
            raise PayoutFailed(f"payouts: {path.name} cannot be written: {error.strerror}", _RETRY_AFTER_S) from error
        except (ValueError, KeyError, TypeError) as error:
            raise PayoutFailed(f"payouts: {path.name} contains a line that is not an order", _RETRY_AFTER_S) from error


def _holds(descriptor: int, path: Path, identifier: str) -> bool:
    """Whether the file has an order already. Removes a line that was cut short."""
    whole = 0
    with path.open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                os.ftruncate(descriptor, whole)
                return False
            if json.loads(line)["id"] == identifier:
                return True
            whole += len(line)
    return False
