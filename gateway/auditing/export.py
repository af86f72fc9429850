"""The export that a gateway gives its auditor: JSON Lines, one per decision, with the answer and its later state.

A line holds the `decision` with its evidence, the current state of its `reservation`, and the `account`. The account
is a keyed hash: it links decisions that share a limit without disclosing the account. `binding_key` decrypts the bank's
terms of the binding, and is present only on request: a file with keys is as secret as the database.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from standing.gateway.decisions.records import present
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.errors import InvalidValue
from standing.ledger.service.vault import Vault

_PAGE = 500
_MAX_LINE_CHARS = 1_000_000


@dataclass(frozen=True, slots=True)
class Exported:
    """One line of an export."""

    decision: Mapping[str, Any]
    account: str
    binding_key: bytes | None

    def line(self) -> str:
        """The line without its line break."""
        document: dict[str, Any] = {"decision": self.decision, "account": self.account}
        if self.binding_key is not None:
            document["binding_key"] = "0x" + self.binding_key.hex()
        return json.dumps(document, ensure_ascii=False)

    @property
    def counts_minor(self) -> int:
        """The amount that finally counts against the account's limits: captured or still reserved, less refunds.

        When a later payment was decided, this amount was the same or, before captures, refunds and voids, higher.
        """
        held = self._reservation
        if held.get("state") not in {"reserved", "captured"}:
            return 0
        captured = held.get("captured_minor")
        amount = held.get("amount_minor", 0) if captured is None else captured
        return int(amount) - int(held.get("refunded_minor") or 0)

    @property
    def reserved_minor(self) -> int:
        """The amount first reserved, regardless of later settlement; 0 without a reservation."""
        return int(self._reservation.get("amount_minor") or 0)

    @property
    def reserved_day(self) -> str | None:
        """The bank's day against which the amount was reserved."""
        day = self._reservation.get("day")
        return day if isinstance(day, str) else None

    @property
    def _reservation(self) -> Mapping[str, Any]:
        held = self.decision.get("reservation")
        return held if isinstance(held, dict) else {}


def exported(storage: Storage, vault: Vault | None, now_ms: int) -> Iterator[Exported]:
    """Every decision, ordered by id; with binding keys if a vault to open them is given.

    Raises: StorageUnavailable.
    """
    decision, binding = schema.decisions.c, schema.bindings.c
    query = select(decision.transaction_id, binding.account, binding.key_sealed).select_from(
        schema.decisions.join(schema.bindings)
    )
    last = ""
    while True:
        page = query.where(decision.transaction_id > last).order_by(decision.transaction_id).limit(_PAGE)
        with storage.read() as connection:
            rows = connection.execute(page).all()
            if not rows:
                return
            answers = present(connection, [row.transaction_id for row in rows], now_ms)
        for row in rows:
            key = vault.unseal(row.key_sealed) if vault is not None else None
            yield Exported(json.loads(answers[row.transaction_id]), "0x" + row.account.hex(), key)
        last = rows[-1].transaction_id


def parse_line(line: str, number: int) -> Exported:
    """A line of an export. Raises: InvalidValue, naming the line."""
    field, allowed = f"export, line {number}", "a line as `standing-gateway export` wrote it"
    if len(line) > _MAX_LINE_CHARS:
        raise InvalidValue(field, f"longer than {_MAX_LINE_CHARS} characters", allowed)
    try:
        document = json.loads(line)
        key = document.get("binding_key")
        made = Exported(document["decision"], str(document["account"]), bytes.fromhex(key[2:]) if key else None)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise InvalidValue(field, "not readable", allowed) from error
    if not isinstance(made.decision, dict) or not isinstance(made.decision.get("evidence"), str):
        raise InvalidValue(field, "not a decision with its evidence", allowed)
    if made.binding_key is not None and len(made.binding_key) != 32:
        raise InvalidValue(field, "a binding key of another size", "32 bytes in hexadecimal")
    return made
