"""What `doctor` says of the ledger."""

from typing import Any

import pytest

from standing.ledger.service import diagnosis
from standing.ledger.service.diagnosis import State
from tests.world import World


def test_a_ledger_that_makes_no_blocks_is_not_reported_as_a_wrong_clock_of_this_machine(
    a_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Operators were sent to NTP while the network had no quorum."""
    client = a_world.client
    ask = client._plain_block

    def without_pending(asked: str) -> dict[str, Any] | None:
        return None if asked == "pending" else ask(asked)

    monkeypatch.setattr(client, "_plain_block", without_pending)
    newest_ms = client.head().time_s * 1000
    (finding,) = diagnosis.clock(client, newest_ms + client.ahead_allowance_ms + 90_000)
    assert (finding.what, finding.state) == ("clock", State.WRONG)
    assert "at least 90.0 s behind this machine's clock: either it makes no blocks" in finding.text
    assert "or this clock is ahead (set it by NTP)" in finding.text
