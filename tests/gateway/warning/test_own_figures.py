"""A score card's own records: those of one bank, and of the period from its first millisecond to before its end."""

import json
from contextlib import closing
from pathlib import Path

from sqlalchemy import insert

from standing.gateway.events import log as event_log
from standing.gateway.events.types import Event, EventType
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.warning.own_figures import OwnFigures, own_figures
from standing.ledger.service.database import Database, migrate
from tests.databases import new_database

FROM_MS, UNTIL_MS = 1_000_000, 2_000_000
#: Just before the period, its first and its last millisecond, and just after it.
_MOMENTS = (FROM_MS - 1, FROM_MS, UNTIL_MS - 1, UNTIL_MS)
_BANK, _OTHER = "YUNXCNB0", "JINQCNB0"


def test_a_card_counts_what_its_own_bank_did_within_its_period_and_nothing_else(tmp_path: Path) -> None:
    texts = {"user_id": "u", "number_masked": "*", "number_type": "card"}
    blobs = dict.fromkeys(("account", "key_sealed", "tags", "grant_signature"), b"")
    bindings, pending, decisions, seen, events = [], [], [], [], []
    for bank in (_BANK, _OTHER):
        for index, at_ms in enumerate(_MOMENTS):
            name = f"{bank} {index}"
            binding = name.encode().ljust(32)
            numbers = {"granted_at_ms": 0, "created_at_ms": at_ms, "ended_at_ms": at_ms, "floor": 0}
            bindings.append({"binding": binding, "bank": bank, **texts, **blobs, **numbers})
            done = {"binding": binding if index == 1 else None, "created_at_ms": at_ms, "expires_at_ms": at_ms}
            asked = {"deposit": binding, "account": b"", "currency": "CNY", "request_id": name, "bank": bank}
            pending.append(asked | done | texts)
            fixed = {"kind": "payment", "amount_minor": 1, "currency": "CNY", "outcome": "decline"}
            why = {"reason": "account_frozen", "answer": json.dumps({"publication": 1})}
            decisions.append(fixed | why | {"transaction_id": name, "binding": binding, "decided_at_ms": at_ms})
            times = {"effective_at_ms": at_ms - 100 * index, "block_number": 1, "block_time_ms": 1}
            row = times | {"publication": 1, "observed_at_ms": at_ms, "restated": False}
            seen.append({"binding": binding} | row)
            # Frozen twice: one binding that stopped working.
            events += [Event(EventType.FROZEN, bank, binding, 1, 1, 1, at_ms, {})] * 2
            events += [Event(EventType.CHANGED, bank, binding, 1, 1, 1, at_ms, {})]
    database = Database(new_database(tmp_path, "gateway"))
    migrate(database, "standing.gateway.storage")
    with closing(Storage(database)) as storage, storage.write() as connection:
        for table, rows in (
            (schema.bindings, bindings),
            (schema.pending_bindings, pending),
            (schema.decisions, decisions),
            (schema.observations, seen),
        ):
            connection.execute(insert(table), rows)
        event_log.append(connection, events)
        figures = own_figures(connection, _BANK, FROM_MS, UNTIL_MS)
    assert figures == OwnFigures(
        decisions={"decline": {"account_frozen": 2}},
        bindings_made=2,
        bindings_ended=2,
        failed={"binding.frozen": 2},
        changes_seen=2,
        effective_to_seen_median_ms=100,
        effective_to_seen_p99_ms=200,
        deposits_asked=2,
        deposits_done=1,
    )
