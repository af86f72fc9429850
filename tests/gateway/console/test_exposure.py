"""Decisions a snapshot would have got wrong, computed from the event log."""

from zoneinfo import ZoneInfo

import pytest

from standing.gateway.console.exposure import Changed, rests_on, taken_ms
from standing.gateway.events.types import EventType

SHANGHAI = ZoneInfo("Asia/Shanghai")
FROZEN = Changed(100, EventType.FROZEN, "frozen", "active")
CLEARED = Changed(200, EventType.CLEARED, "active", "frozen")
LIMITS = Changed(100, EventType.LIMITS_CHANGED, "active", "active")
IDENTITY = Changed(100, EventType.IDENTITY_CHANGED, "active", "active")


@pytest.mark.parametrize(
    ("outcome", "reason", "changes", "taken", "wrong"),
    [
        ("decline", "account_frozen", [FROZEN], 99, True),
        ("decline", "account_frozen", [FROZEN], 100, False),
        ("approve", None, [FROZEN, CLEARED], 150, True),
        ("approve", None, [FROZEN, CLEARED], 50, False),
        ("approve", None, [LIMITS], 50, False),
        (
            "decline",
            "account_frozen",
            [FROZEN, CLEARED, Changed(300, EventType.FROZEN, "frozen", "active")],
            150,
            False,
        ),
        ("decline", "over_daily_limit", [LIMITS], 99, True),
        ("decline", "over_daily_limit", [IDENTITY], 99, False),
        ("review", "phone_changed", [IDENTITY], 99, True),
        ("review", "bank_silent", [FROZEN], 99, False),
        ("review", "risk_hold", [LIMITS], 99, False),
        ("decline", "account_frozen", [], 0, False),
    ],
)
def test_a_snapshot_is_wrong_for_a_decision_that_rests_on_a_later_change(
    outcome: str, reason: str | None, changes: list[Changed], taken: int, wrong: bool
) -> None:
    assert (rests_on(outcome, reason, changes, taken) is not None) is wrong


def test_a_nightly_snapshot_is_taken_at_midnight_in_the_banks_zone_and_others_at_their_interval() -> None:
    noon_ms = 1_767_240_000_000  # 2026-01-01 12:00 in Shanghai
    assert taken_ms(0, noon_ms, SHANGHAI) == noon_ms - 12 * 3_600_000
    assert taken_ms(3_600_000, noon_ms + 5, SHANGHAI) == noon_ms
    assert taken_ms(300_000, noon_ms + 299_999, SHANGHAI) == noon_ms
