"""A one-word verdict on a bank, for a user who chooses where to bind, with its reason in both languages. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from standing.gateway.access.localized import Localized
from standing.gateway.warning.hours import LedgerFigures
from standing.ledger.clock import HOUR_MS

#: A bank that was followed for less time has no verdict yet.
MIN_COVERED_MS = HOUR_MS
#: A bank that is silent for more of the time, in thousandths, is unsteady.
_MAX_SILENT_PER_MILLE = 1


class Pace(StrEnum):
    """How regularly a bank published in the last week."""

    STEADY = "steady"
    SLOW = "slow"
    UNSTEADY = "unsteady"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A one-word verdict with its reason."""

    word: Pace
    why: Localized


def verdict(week: LedgerFigures) -> Verdict | None:
    """The verdict on a bank from its last week on the ledger; None where too little is known."""
    if week.suspensions or week.suspended_ms:
        return Verdict(
            Pace.UNSTEADY, Localized("The bank was suspended within the last week.", "最近一周内，该银行曾被暂停。")
        )
    if week.covered_ms < MIN_COVERED_MS or week.age_p99_ms is None:
        return None
    if week.silent_ms * 1000 > week.covered_ms * _MAX_SILENT_PER_MILLE:
        minutes = -(-week.silent_ms // 60_000)
        return Verdict(
            Pace.UNSTEADY,
            Localized(
                f"In the last week the bank did not report for {minutes} minutes in total; payments had to wait.",
                f"最近一周内，该银行累计有 {minutes} 分钟未更新账户信息，其间付款需要等待。",
            ),
        )
    seconds = -(-week.age_p99_ms // 1000)
    if week.age_p99_ms * 2 > week.silent_over_ms:
        return Verdict(
            Pace.SLOW,
            Localized(
                f"The bank reports late: in the last week its information was up to {seconds} seconds old.",
                f"该银行更新较慢：最近一周内，账户信息最长延迟约 {seconds} 秒。",
            ),
        )
    return Verdict(
        Pace.STEADY,
        Localized(
            f"In the last week the bank's information was at most {seconds} seconds old 99% of the time.",
            f"最近一周内，99% 的时间里该银行的账户信息延迟不超过 {seconds} 秒。",
        ),
    )
