"""The promises that hold when nodes of the ledger die, stall or lose contact. Each test's name and docstring state its
promise.

One consortium serves all tests, under one load from start to end: two banks that change an account every second, and
a platform that asks for payments throughout. Each test injects a fault, checks its promise, repairs the fault, and
waits until everything is normal again. The last tests look at the whole run.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo_day import wait_for
from tests.databases import on_postgresql
from tests.network.consortium import BANKS, Consortium, consortium
from tests.network.load import Load, amiss, rests_on_attestation
from tests.timeouts import patient_ledger

FIRST, SECOND = (bic for bic, _ in BANKS)
#: Decisions: enough for each gateway to have been asked several times about each bank.
_A_WHILE = 12
#: Twice the demo's bound on silence, so that a bank on a busy machine does not look silent.
_POLICY = {"freshness": [{"up_to_minor": "any", "max_staleness_ms": 16_000}], "when_silent": "review"}


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consortium]:
    with consortium(Path(tmp_path_factory.mktemp("consortium"))) as made:
        for bic, name in BANKS:
            made.add_bank(bic, name)
        made.start_gateways(_POLICY)
        yield made


@pytest.fixture(scope="module")
def load(it: Consortium) -> Iterator[Load]:
    running = Load(it)
    running.bind()
    running.start()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def _begins_and_ends_well(it: Consortium, load: Load) -> Iterator[None]:
    load.wait_until_well()
    yield
    it.network.heal()
    load.wait_until_well()


def test_killing_one_of_four_validators_affects_only_its_users(it: Consortium, load: Load) -> None:
    """More than two thirds are left. Each decision rests on an attestation, while it is down and when it comes back."""
    third, mark = it.network.validators[2], load.mark()
    it.network.kill(third)
    load.decisions(mark, 5 * _A_WHILE)
    it.network.launch(third)
    it.network.wait_for_height(third, 2)
    it.network.wait_until_level()
    load.decisions(load.mark(), _A_WHILE)
    assert amiss(load.since(mark)) == []


def test_a_gateways_own_node_that_stalls_and_recovers_costs_no_decision(it: Consortium, load: Load) -> None:
    """The next node is asked within the time budget. When the first one recovers and catches up, its outdated
    answers are asked for again elsewhere: no decision is `ledger_rolled_back`, none `ledger_unreachable`."""
    observer, mark = it.network.observer, load.mark()
    for _ in range(3):
        it.network.pause(observer)
        it.network.wait_for_blocks(15, it.network.validators)
        it.network.resume(observer)
        it.network.wait_until_level()
        load.decisions(load.mark(), _A_WHILE)
    assert load.reasons(amiss(load.since(mark))) == {}


def test_a_bank_whose_own_validator_is_cut_off_continues_through_another(it: Consortium, load: Load) -> None:
    """Partition 3|1 with the bank in the minority: its node finds that its validator has stalled and uses the next
    one. The bank is never stale beyond the bound for long, and the other bank is not affected."""
    own, mark = it.node_of(it.net.banks[FIRST]), load.mark()
    others = [node for node in it.network.nodes if node is not own]
    it.network.isolate(own)
    stalled_at = own.height()
    it.network.wait_for_blocks(30, others)
    assert own.height() <= stalled_at + 1
    wait_for(lambda: rests_on_attestation(load.decide(FIRST)), "the bank to continue through its other validator")
    state = patient_ledger(it.network.observer.url, it.net.contract).bank(FIRST)
    it.network.wait_for_blocks(20, others)
    assert patient_ledger(it.network.observer.url, it.net.contract).bank(FIRST).publication > state.publication
    it.network.heal()
    it.network.wait_until_level()
    assert own.height() > stalled_at
    assert amiss(load.since(mark, SECOND)) == []
    assert set(load.reasons(amiss(load.since(mark, FIRST)))) <= {"bank_silent"}


def test_with_two_of_four_validators_killed_banks_fall_silent_and_recover_unaided(it: Consortium, load: Load) -> None:
    """There is no quorum, so no block: nothing new is published, and nothing is approved once the bound has passed.
    The remaining nodes still answer reads, so the reason is `bank_silent` and not `ledger_unreachable`."""
    two, mark = it.network.validators[1:3], load.mark()
    it.network.kill(*two)
    for bic in (FIRST, SECOND):
        wait_for(lambda b=bic: load.decide(b).reason == "bank_silent", f"{bic} to be silent")
    silent = load.decisions(load.mark(), _A_WHILE)
    assert {each.reason for each in silent} == {"bank_silent"}
    for node in two:
        it.network.launch(node)
    load.wait_until_well()
    it.network.wait_until_level()
    assert set(load.reasons(amiss(load.since(mark)))) <= {"bank_silent"}


def test_a_network_split_in_halves_stalls_and_has_one_history_when_it_heals(it: Consortium, load: Load) -> None:
    """Partition 2|2: neither half has a quorum, so neither makes blocks, and nothing has to be undone later."""
    validators, mark = it.network.validators, load.mark()
    it.network.cut([*validators[:2], it.network.observer], validators[2:])
    for bic in (FIRST, SECOND):
        wait_for(lambda b=bic: load.decide(b).reason == "bank_silent", f"{bic} to be silent")
    stalled_at = it.network.heights()
    load.decisions(load.mark(), _A_WHILE)
    assert it.network.heights() == stalled_at
    it.network.heal()
    it.network.wait_until_level()
    load.wait_until_well()
    assert set(load.reasons(amiss(load.since(mark)))) <= {"bank_silent"}


def test_with_every_node_killed_nothing_is_approved_and_a_restart_restores_everything(
    it: Consortium, load: Load
) -> None:
    """No node answers: `ledger_unreachable`. Nothing that a bank stated in the meantime is lost."""
    mark = load.mark()
    it.network.kill(*it.network.nodes)
    down = load.mark() + len(load.accounts) * len(it.gateways)  # decisions in progress may have read before
    wait_for(lambda: len(load.since(down)) >= _A_WHILE, "decisions without a ledger")
    assert {each.reason for each in load.since(down)} == {"ledger_unreachable"}
    it.network.start()
    load.wait_until_well()
    assert set(load.reasons(amiss(load.since(mark)))) <= {"ledger_unreachable", "bank_silent"}


def test_when_a_gateway_process_is_killed_the_other_decides_and_each_transaction_is_decided_once(
    it: Consortium, load: Load
) -> None:
    """Two processes share one PostgreSQL: the other process repeats the recorded answer verbatim."""
    if not on_postgresql():
        pytest.skip("an SQLite database is for one gateway process: apt-get install postgresql")
    (first, _), (second, process) = it.gateways.items()
    asked = load.decide(FIRST, second)
    process.kill()
    again = load.ask_again(asked, first)
    assert again["evidence"] == asked.answer["evidence"]
    mark = load.mark()
    wait_for(lambda: len([each for each in load.since(mark) if each.gateway == first]) >= _A_WHILE, "decisions")
    assert amiss([each for each in load.since(mark) if each.gateway == first]) == []
    del it.gateways[second]


# The whole run


def test_no_decision_of_the_whole_run_contradicts_the_bank(load: Load) -> None:
    """As of the watermark or later: no approval of a frozen account, no decline of an active one."""
    assert len(load.asked) > 500
    assert load.changes > 50
    assert load.wrong() == []


def test_the_auditor_finds_nothing_lost_nothing_duplicated_and_no_wrong_decision(it: Consortium, load: Load) -> None:
    """The whole history is recomputed from the URL of any one node; every decision from the gateway's export."""
    load.pause()
    try:
        audit = it.audited()
    finally:
        load.resume()
    assert audit.findings == []
    assert audit.counted["Published"] > 200
    assert audit.counted["decisions"] > 500
    assert audit.counted["account days added up"] >= len(BANKS)
