"""A user's check-up: each sign at and below its edge, and none for a healthy binding."""

from pathlib import Path

import pytest
from sqlalchemy import insert

from standing.gateway.access.localized import Localized
from standing.gateway.accounts.health import Condition, Health
from standing.gateway.decisions.rules import Reason
from standing.gateway.events import log as event_log
from standing.gateway.events.types import Event, EventType
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.warning.check_up import MAX_SIGNS, Seen, seen_of, signs_of
from standing.gateway.warning.verdict import Pace, Verdict
from standing.ledger.service.database import Database, migrate
from tests.databases import new_database
from tests.gateway.follower_rig import follow_rig

GOOD = Condition(Health.GOOD, None, can_pay=True, can_withdraw=True)
FROZEN = Condition(Health.BLOCKED, Reason.ACCOUNT_FROZEN, can_pay=False, can_withdraw=False)


def _verdict(pace: Pace) -> Verdict:
    return Verdict(pace, Localized.same("…"))


@pytest.mark.parametrize(
    ("now", "seen", "pace", "words"),
    [
        (GOOD, Seen(2, 1), None, []),
        (GOOD, Seen(3, 1), None, ["status_flickers"]),
        (GOOD, Seen(2, 2), None, ["meets_limits"]),
        (GOOD, Seen(identity_changed=True), _verdict(Pace.STEADY), ["identity_changed"]),
        (GOOD, Seen(), _verdict(Pace.SLOW), ["bank_slow"]),
        (FROZEN, Seen(9, 9, True), _verdict(Pace.UNSTEADY), ["not_usable_now", "identity_changed", "meets_limits"]),
    ],
)
def test_the_strongest_signs_are_reported(now: Condition, seen: Seen, pace: Verdict | None, words: list[str]) -> None:
    found = signs_of(now, seen, pace)
    assert [sign.code for sign in found] == words
    assert len(found) <= MAX_SIGNS
    assert all(text for sign in found for text in (sign.what.en, sign.what.zh, sign.to_do.en, sign.to_do.zh))


def test_a_check_up_reports_what_the_gateway_saw_of_a_users_bindings(tmp_path: Path) -> None:
    with follow_rig(tmp_path) as it:
        person = it.bound(daily_limit_minor=1_000)
        person.bank.publish(bytes.fromhex(person.binding[2:]))
        it.follow()
        path = f"/v1/users/{person.user_id}/check-up"
        first = it.platform("GET", path).json()
        assert (first["lapsing"], [account["signs"] for account in first["accounts"]]) == ([], [[]])
        for _ in range(2):
            assert person.decide(amount_minor=5_000)["reason"] == "over_daily_limit"
        person.bank.change(person.number, debit_allowed=False)
        it.follow()
        (account,) = it.platform("GET", path).json()["accounts"]
        assert account["binding"] == person.binding
        assert [sign["code"] for sign in account["signs"]] == ["not_usable_now", "meets_limits"]
        assert it.platform("GET", "/v1/users/nobody/check-up").status_code == 404


def test_only_a_bindings_own_recent_records_are_signs(tmp_path: Path) -> None:
    now_ms, day_ms = 100 * 86_400_000, 86_400_000
    week_ms, month_ms = now_ms - 7 * day_ms, now_ms - 30 * day_ms
    database = Database(new_database(tmp_path, "gateway"))
    migrate(database, "standing.gateway.storage")
    storage = Storage(database)
    texts = {"bank": "YUNXCNB0", "user_id": "u", "number_masked": "*", "number_type": "card"}
    blobs = dict.fromkeys(("account", "key_sealed", "tags", "grant_signature"), b"")
    times = dict.fromkeys(("granted_at_ms", "created_at_ms", "floor"), 0)
    changes = [(EventType.FROZEN, week_ms), (EventType.CLEARED, week_ms + 1), (EventType.IDENTITY_CHANGED, month_ms)]
    hits = [("over_daily_limit", week_ms), ("over_yearly_limit", week_ms + 1), ("account_frozen", now_ms)]
    fixed = {"kind": "payment", "amount_minor": 1, "currency": "CNY", "outcome": "decline", "answer": "{}"}
    try:
        with storage.write() as connection:
            for name, later_ms in ((b"b", 0), (b"c", 1)):
                connection.execute(insert(schema.bindings).values(binding=name, **texts, **blobs, **times))
                events = [Event(kind, "YUNXCNB0", name, 1, 1, 1, at_ms + later_ms, {}) for kind, at_ms in changes]
                event_log.append(connection, events)
                for reason, at_ms in hits:
                    row = fixed | {"transaction_id": f"{name!r} {reason}", "reason": reason}
                    row |= {"binding": name, "decided_at_ms": at_ms + later_ms}
                    connection.execute(insert(schema.decisions).values(row))
            assert seen_of(connection, b"b", now_ms) == Seen(1, 1, identity_changed=False)
            assert seen_of(connection, b"c", now_ms) == Seen(2, 2, identity_changed=True)
    finally:
        storage.close()
