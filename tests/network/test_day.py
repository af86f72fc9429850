"""The demo's whole day, on four validators and an observer: the outcome is that of the development chain."""

from pathlib import Path

from demo_day import Day
from tests.network.consortium import BANKS, consortium
from tests.timeouts import patient_ledger

#: For a network of validators that shares two cores with the tests; with blocks of 0.36 s the usual value is 0.4 s.
_SEEN_WITHIN_MS = 5_000


def test_the_demos_day_has_the_same_outcome_on_validators_as_on_the_development_chain(tmp_path: Path) -> None:
    with consortium(tmp_path) as it:
        for bic, name in BANKS:
            it.add_bank(bic, name)
        it.start_gateways()
        day = Day(it.net)
        try:
            for bic in day.cores:
                day.load(bic)
            list(day.bind_all())
            list(day.play())
        finally:
            day.close()
        tally = day.tally
        assert tally.unexpected == []
        assert (tally.wrong("standing", "approve"), tally.wrong("standing", "decline")) == (0, 0)
        assert len(tally.decided) > 400
        assert tally.changes > 50
        assert max(tally.feed_to_decision_ms) < _SEEN_WITHIN_MS
        # Every node of the network holds the same history.
        it.network.wait_until_level()
        heads = {
            bic: {patient_ledger(node.url, it.net.contract).bank(bic).admin for node in it.network.nodes}
            for bic in day.cores
        }
        assert [len(found) for found in heads.values()] == [1] * len(heads)
