"""What `standing-gateway doctor` says of a bank on the ledger."""

from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from standing.gateway.access.localized import Localized
from standing.gateway.bindings.banks import Bank
from standing.gateway.decisions.policy import Policy
from standing.gateway.operations.doctor import on_ledger
from standing.ledger.chain.client import LedgerClient

BANK = Bank("YUNXCNB0", b"", Localized("Bank", "银行"), ZoneInfo("Asia/Shanghai"), "http://127.0.0.1", "key")
POLICY = Policy()
NOW_MS = 1_800_000_000_000


@pytest.mark.parametrize(
    ("age_ms", "said"),
    [
        (POLICY.widest_staleness_ms, "is up to date"),
        (POLICY.widest_staleness_ms + 1, "is silent"),
        (-POLICY.ahead_allowance_ms, "is up to date: its watermark is 0 ms old"),
        (-POLICY.ahead_allowance_ms - 1, "is ahead: its watermark is 15.0 s later than this machine's clock"),
    ],
)
def test_a_bank_is_silent_or_ahead_where_decisions_find_it_so(age_ms: int, said: str) -> None:
    state: Any = SimpleNamespace(admitted=True, suspended=False, watermark_ms=NOW_MS - age_ms)
    client = cast(LedgerClient, SimpleNamespace(bank=lambda _bic: state))
    (finding,) = on_ledger(BANK, client, POLICY, NOW_MS)
    assert said in finding.text
