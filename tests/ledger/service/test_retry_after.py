"""Retry-After is parsed in both of its forms, and nothing else is accepted."""

import pytest

from standing.ledger.service.retry_after import LONGEST_S, retry_after_s

_NOW_MS = 1_767_225_600_000  # 2026-01-01 00:00:00 UTC


@pytest.mark.parametrize(
    ("header", "expected_s"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("99999999999999999999", LONGEST_S),
        ("Thu, 01 Jan 2026 00:02:00 GMT", 120),
        ("Thursday, 01-Jan-26 00:02:00 GMT", 120),
        ("Thu, 01 Jan 2026 00:02:00 -0000", 120),
        ("Wed, 31 Dec 2025 23:59:59 GMT", 0),
        ("Fri, 01 Jan 2100 00:00:00 GMT", LONGEST_S),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("١٢", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Thu, 99 Jan 2026 00:02:00 GMT", None),
    ],
)
def test_retry_after_accepts_seconds_and_dates_only(header: str, expected_s: int | None) -> None:
    assert retry_after_s(header, _NOW_MS) == expected_s
