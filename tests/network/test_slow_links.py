"""The promises that hold when every link between ledger nodes is slow and lossy: netem in namespaces, else TCP
pipes."""

from pathlib import Path

import pytest

from tests.network.consortium import BANKS, consortium
from tests.network.hosts import hosts_in_use
from tests.network.load import Load, amiss

_DECISIONS = 48
#: Twice the demo's bound on silence, so that a machine busy with other work does not look like a bank that is silent.
_POLICY = {"freshness": [{"up_to_minor": "any", "max_staleness_ms": 16_000}], "when_silent": "review"}


def test_links_of_200_ms_with_5_percent_loss_raise_staleness_and_make_no_decision_wrong(tmp_path: Path) -> None:
    """Blocks take longer. Decisions rest on an attestation; where staleness exceeds the bound they are `bank_silent`,
    which is rare. None contradicts the bank, and the auditor finds nothing."""
    with consortium(tmp_path, weather=True) as it:
        if reason := it.network.hosts.why_no_weather:  # where namespaces were asked for
            pytest.skip(reason)
        for bic, name in BANKS:
            it.add_bank(bic, name)
        it.start_gateways(_POLICY)
        load = Load(it)
        load.bind()
        load.start()
        try:
            load.wait_until_well()
            mark = load.mark()
            it.network.worsen(delay_ms=200, loss_per_mille=50)
            it.network.wait_for_blocks(10)
            load.decisions(load.mark(), _DECISIONS)
            asked, changes = load.since(mark), load.changes
            it.network.heal()
            load.wait_until_well()
            load.pause()
            assert load.wrong() == []
            assert it.audited().findings == []
        finally:
            load.stop()
    assert set(load.reasons(amiss(asked))) <= {"bank_silent"}, hosts_in_use()
    assert len(amiss(asked)) * 10 <= len(asked)
    assert changes > 4
