"""Times in a core's files and views, by the form of the profile, and the form that is learned from a file."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from standing.node.feed.profile import Profile, Times
from standing.node.feed.profile_draft import draft_profile
from standing.node.feed.profile_values import Translator

TIMES = [
    ({"form": "%Y-%m-%d %H:%M:%S", "zone": "Asia/Shanghai"}, "2026-01-01 08:00:00", 1_767_225_600_000),
    ({"form": "%Y%m%d", "zone": "Asia/Shanghai"}, "20260101", 1_767_196_800_000),
    ({"form": "iso", "zone": "Asia/Shanghai"}, "2026-01-01T08:00:00.250", 1_767_225_600_250),
    ({"form": "iso", "zone": "Asia/Shanghai"}, "2026-01-01T00:00:00Z", 1_767_225_600_000),
    ({"form": "epoch_s"}, "1767225600", 1_767_225_600_000),
    ({"form": "epoch_ms"}, 1_767_225_600_000, 1_767_225_600_000),
    ({"form": "timestamp", "zone": "Asia/Shanghai"}, datetime(2026, 1, 1, 8), 1_767_225_600_000),  # noqa: DTZ001
    ({"form": "timestamp"}, datetime(2026, 1, 1, tzinfo=UTC), 1_767_225_600_000),
    ({"form": "epoch_ms"}, Decimal("1.7672256E+12"), 1_767_225_600_000),
    ({"form": "epoch_s"}, Decimal("1767225600.2500000000"), 1_767_225_600_250),
    ({"form": "epoch_ms"}, Decimal("1E+15"), None),
    ({"form": "epoch_ms"}, Decimal("1E+999999"), None),
    ({"form": "epoch_ms"}, Decimal("-1"), None),
    ({"form": "epoch_ms"}, Decimal("NaN"), None),
    ({"form": "epoch_ms"}, Decimal("sNaN"), None),
    ({"form": "%Y／%m／%d"}, "2026/01/01", 1_767_225_600_000),
    ({"form": "%Y／%m／%d"}, "2026／01／01", 1_767_225_600_000),
    ({"form": "%d.%m.%y"}, "01.01.26", 1_767_225_600_000),
    ({"form": "%Y-%j"}, "2026-001", 1_767_225_600_000),
    ({"form": "%Y-%m-%dT%H:%M:%S.%f%z"}, "2026-01-01T08:00:00.25+0800", 1_767_225_600_250),
    ({"form": "%Y-%m-%d"}, "2026-02-30", None),
    # In numbers without separators, a lost zero would move every digit: 13000 was written for 01:30:00.
    ({"form": "%Y%m%d %H%M%S"}, "20260101 013000", 1_767_231_000_000),
    ({"form": "%Y%m%d %H%M%S"}, "20260101 13000", None),
    ({"form": "%Y%m%d %H%M%S"}, "20260101 12345", None),
    ({"form": "%Y%m%d %H%M%S"}, "20260101 500", None),
    ({"form": "%Y%m%d %H%M%S"}, "2026111 013000", None),
    ({"form": "%Y%m%d%H%M%S"}, "20260101013000", 1_767_231_000_000),
    ({"form": "%Y%m%d%H%M%S"}, "2026010113000", None),
    ({"form": "%Y%m%d%H%M%S%f"}, "20260101013000250", 1_767_231_000_250),
    ({"form": "%Y%m%d%H%M%S%f"}, "2026010113000250", None),
    ({"form": "%Y%m%d%H%M%S.%f"}, "20260101013000.5", 1_767_231_000_500),
    ({"form": "%y%j"}, "26001", 1_767_225_600_000),
    ({"form": "%y%j"}, "261", None),
    ({"form": "%d%b%Y"}, "1Jan2026", 1_767_225_600_000),
    ({"form": "%Y%m%d%z"}, "20260101Z", 1_767_225_600_000),
    ({"form": "%Y年%m月%d日 %H%M"}, "2026年1月1日 0130", 1_767_231_000_000),
    ({"form": "%Y年%m月%d日 %H%M"}, "2026年1月1日 130", None),
    ({"form": "%d/%m/%Y %H:%M:%S"}, "1/1/2026 1:30:0", 1_767_231_000_000),
    ({"form": "%Y%m%dT%H%M%S"}, "20260101t013000", 1_767_231_000_000),
    ({"form": "%Y%m%d  %H%M%S"}, "20260101 013000", 1_767_231_000_000),
    ({"form": "iso"}, "20260101T0130", 1_767_231_000_000),
    ({"form": "iso"}, "2026010110130", None),
    ({"form": "iso"}, "2026-01-0110130", None),
    ({"form": "epoch_s"}, "yesterday", None),
]


@pytest.mark.parametrize(("times", "written", "expected_ms"), TIMES)
def test_times_are_read_in_the_profiles_format(times: dict[str, str], written: Any, expected_ms: int | None) -> None:
    columns: Any = {"number": "number", "effective_at_ms": "at"}
    profile = Profile(columns=columns, times=Times.model_validate(times))
    record, problems = Translator(profile).record({"number": "7300000001", "at": written})
    wrong = [each.field for each in problems]
    assert (record.get("effective_at_ms"), wrong) == (expected_ms, [] if expected_ms else ["effective_at_ms"])


@pytest.mark.parametrize(
    ("written", "form"),
    [
        (("20260101 013000", "20260102 120000"), "%Y%m%d %H%M%S"),
        (("20260101 13000", "20260102 120000"), "?"),
        (("20260101013000", "20260102120000"), "%Y%m%d%H%M%S"),
        (("2026010113000", "20260102120000"), "?"),
        (("2026010111000", "2026010211000"), "?"),
        (("20260101", "20260102"), "%Y%m%d"),
        (("2026111", "20261112"), "?"),
        (("2026/1/1 1:30:00", "2026/01/02 12:00:00"), "%Y/%m/%d %H:%M:%S"),
    ],
)
def test_a_drafted_form_of_times_reads_every_time_of_its_file(
    written: tuple[str, ...], form: str, tmp_path: Path
) -> None:
    path = tmp_path / "book.csv"
    lines = [f"1105013700100000077{index},正常,{time}\n" for index, time in enumerate(written)]
    path.write_text("账号,账户状态,更新时间\n" + "".join(lines), encoding="utf-8")
    assert f'form = "{form}"' in draft_profile(path)
