"""The promises that hold when processes, stores and clocks fail instead of the network. Each test's name states its
promise.

As in `test_faults`, one consortium under one load serves all tests, and the last one audits the whole run. Here
banks and gateways use a PostgreSQL of the tests' own, which can be restarted; the first bank's node reaches its
validator through a proxy that can drop transactions it has accepted; and the clocks of that node and of the second
gateway can be moved.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from demo_day import wait_for
from processes import free_port
from standing.gateway.auditing.decisions import audit_decisions
from standing.gateway.auditing.findings import Audit, Kind
from standing.gateway.auditing.ledger import audit_ledger
from standing.ledger.chain.codec import decode_read
from standing.ledger.devnet.chain import DEVNET_KEYS
from tests.network.consortium import BANKS
from tests.network.faulty_consortium import Place, placed
from tests.network.load import Asked, Load, amiss, rests_on_attestation
from tests.network.shifted_clock import ShiftedClock, why_not
from tests.network.validators import NetworkNode
from tests.timeouts import patient_ledger

FIRST, SECOND = (bic for bic, _ in BANKS)
_A_WHILE = 12
_OFF_MS = 30_000
#: A new block is older than this only if a clock that is `_OFF_MS` behind gave it its time.
_MEDIAN_S = 20
_LAG_BLOCKS = 30
#: A read's answer: four 32-byte words before the records, then five per record.
_HEAD_WORDS, _RECORD_WORDS, _TAIL, _WATERMARK = 4, 5, 2, 3
_ON_ONE_STORE = "several processes share a PostgreSQL, an SQLite file is for one: apt-get install postgresql"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with placed(Path(tmp_path_factory.mktemp("place"))) as made:
        yield made


@pytest.fixture(autouse=True)
def _begins_and_ends_well(place: Place) -> Iterator[None]:
    place.load.wait_until_well()
    yield
    place.liar.lie = None
    place.bank_clock.move(0)
    place.gateway_clock.move(0)
    place.load.wait_until_well()


def _reasons_amiss(asked: list[Asked]) -> set[str]:
    return set(Load.reasons(amiss(asked)))


def test_a_transaction_that_a_node_accepted_and_dropped_is_sent_again(place: Place) -> None:
    """The bank continues without help, in order and without a gap. The other bank is not affected."""
    mark, before = place.load.mark(), place.published(FIRST)
    place.dropping.left = 3
    wait_for(lambda: place.dropping.dropped == 3, "three transactions to be dropped")
    reached = place.published(FIRST)
    wait_for(lambda: place.published(FIRST) > reached + 5, "the bank to publish on")
    wait_for(lambda: rests_on_attestation(place.load.decide(FIRST)), "the bank to be usable")
    assert place.published(FIRST) > before
    assert _reasons_amiss(place.load.since(mark, SECOND)) == set()
    assert _reasons_amiss(place.load.since(mark, FIRST)) <= {"bank_silent"}


def test_the_standby_node_takes_over_when_the_active_one_is_killed(place: Place) -> None:
    """It continues where the other stopped: no number is missing or duplicated, and the core can feed it."""
    if place.store is None:
        pytest.skip(_ON_ONE_STORE)
    bank = place.it.net.banks[SECOND]
    standby, url = place.it.net.start_standby(bank)
    assert bank.process is not None
    mark = place.load.mark()
    bank.process.kill()
    reached = place.published(SECOND)
    place.load.connect_core_to(SECOND, url)
    wait_for(lambda: place.published(SECOND) > reached + 5, "the standby to publish")
    wait_for(lambda: rests_on_attestation(place.load.decide(SECOND)), "the bank to be usable")
    changes = place.load.changes
    wait_for(lambda: place.load.changes > changes + 4, "changes that the standby accepts")
    assert _reasons_amiss(place.load.since(mark, SECOND)) <= {"bank_silent"}
    assert _reasons_amiss(place.load.since(mark, FIRST)) == set()
    bank.process, bank.url = standby, url


def test_a_gateway_killed_in_the_middle_of_decisions_leaves_each_transaction_decided_once(place: Place) -> None:
    """A client without an answer asks again, at any gateway: a recorded answer is repeated verbatim, and
    anything else is decided now."""
    (first, _), *others = place.it.gateways.items()
    url, process = others[0] if others else next(iter(place.it.gateways.items()))
    account = place.load.accounts[FIRST]
    place.load.pause()
    place.load.wait_until_free(FIRST)
    names = [f"killed-{index:03d}" for index in range(120)]
    answered: dict[str, dict[str, Any]] = {}
    few = threading.Event()

    def ask(name: str, at: str) -> dict[str, Any] | None:
        body = {"transaction_id": name, "binding": account.binding, "kind": "payment", "amount_minor": 1}
        headers = {"Authorization": f"Bearer {place.it.net.gateway_key}"}
        try:
            answer = httpx.post(f"{at}/v1/decisions", json=body | {"currency": "CNY"}, headers=headers, timeout=30)
        except httpx.TransportError:
            return None
        found: dict[str, Any] = answer.json()
        return found if answer.is_success else None

    def ask_and_note(name: str) -> None:
        answer = ask(name, url)
        if answer is not None:
            answered[name] = answer
            if len(answered) >= len(names) // 10:
                few.set()

    with ThreadPoolExecutor(16) as many:
        for name in names:
            many.submit(ask_and_note, name)
        assert few.wait(60)
        process.kill()
    assert len(answered) < len(names)
    place.it.gateways[url] = place.it.net.start_again(process, url)
    final = {name: ask(name, first) for name in names}
    assert {name: answer["evidence"] for name, answer in final.items() if answer and name in answered} == {
        name: answer["evidence"] for name, answer in answered.items()
    }
    exported = [line for line in place.it.export() if line.decision["transaction_id"] in names]
    assert sorted(line.decision["transaction_id"] for line in exported) == names
    assert all(answer is not None and answer["outcome"] == "approve" for answer in final.values())
    place.load.resume()


def test_restarting_the_store_under_load_causes_errors_and_no_other_harm(place: Place) -> None:
    """While PostgreSQL is down nothing is decided and no feed entry is accepted: platform and core get errors and
    ask again. Nodes and gateways reconnect without help and continue where they were."""
    if place.store is None:
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    mark, changes = place.load.mark(), place.load.changes

    def while_down() -> None:
        down = place.load.mark() + len(place.load.accounts) * len(place.it.gateways)  # some are in progress
        wait_for(lambda: len(place.load.since(down)) >= _A_WHILE, "requests without a store")
        assert {rests_on_attestation(each) for each in place.load.since(down)} == {False}

    place.store.restart(after=while_down)
    place.load.wait_until_well()
    wait_for(lambda: place.load.changes > changes + 4, "changes that are accepted again")
    place.load.decisions(place.load.mark(), _A_WHILE)
    assert _reasons_amiss(place.load.since(mark)) <= {"503", "none answered", "bank_silent"}


@pytest.mark.parametrize("off_ms", [_OFF_MS, -_OFF_MS], ids=["ahead", "behind"])
def test_a_gateway_whose_clock_is_30_s_off_approves_nothing(place: Place, off_ms: int) -> None:
    """By its clock every watermark is too old or in the future: `bank_silent`. The other gateway decides as before,
    and once the clock is right everything is as before."""
    if not place.several:
        pytest.skip(_ON_ONE_STORE)
    (right, _), (wrong, _) = place.it.gateways.items()
    place.gateway_clock.move(off_ms)
    wait_for(lambda: place.load.decide(FIRST, wrong).reason == "bank_silent", "the clock to take effect")
    mark = place.load.mark() + 2 * len(place.load.accounts)  # one request per gateway may be in progress
    assert {each.reason for each in place.load.decisions(mark, _A_WHILE, gateway=wrong)} == {"bank_silent"}
    assert _reasons_amiss(place.load.decisions(mark, _A_WHILE, gateway=right)) == set()


def test_a_bank_node_whose_clock_is_30_s_ahead_publishes_as_before(place: Place) -> None:
    """It signs the times that its core stated, and never a later time than the ledger accepts."""
    mark = place.load.mark()
    place.bank_clock.move(_OFF_MS)
    reached = place.published(FIRST)
    wait_for(lambda: place.published(FIRST) > reached + 10, "the bank to publish")
    place.load.decisions(place.load.mark(), _A_WHILE)
    assert _reasons_amiss(place.load.since(mark)) == set()


def test_a_bank_node_whose_clock_is_30_s_behind_falls_silent_and_states_nothing_wrong(place: Place) -> None:
    """It refuses its core's entries, whose times are in the future, and the core retries. The bank is silent once
    the bound has passed, and recovers when the clock is right."""
    mark, changes = place.load.mark(), place.load.changes
    place.bank_clock.move(-_OFF_MS)
    wait_for(lambda: place.load.decide(FIRST).reason == "bank_silent", "the bank to be silent")
    place.bank_clock.move(0)
    place.load.wait_until_well()
    wait_for(lambda: place.load.changes > changes + 4, "changes that are accepted again")
    assert _reasons_amiss(place.load.since(mark, FIRST)) <= {"bank_silent"}
    assert _reasons_amiss(place.load.since(mark, SECOND)) == set()


@pytest.fixture(scope="module", params=[0, 3], ids=["of-a-bank", "of-a-gateway"])
def movable(request: pytest.FixtureRequest, place: Place) -> tuple[NetworkNode, ShiftedClock]:
    """A validator whose clock can be moved: the one the first bank uses, or the one the second gateway asks first."""
    if reason := why_not():
        pytest.skip(reason)
    network = place.it.network
    node = network.validators[request.param]
    network.stop(node)
    clock = network.launch_with_clock(node)
    network.wait_until_level()
    place.load.wait_until_well()
    return node, clock


@pytest.mark.parametrize("off_ms", [_OFF_MS, -_OFF_MS], ids=["ahead", "behind"])
def test_a_validator_whose_clock_is_30_s_off_affects_nobody(
    place: Place, movable: tuple[NetworkNode, ShiftedClock], off_ms: int
) -> None:
    """A block's time is the median of the times in the validators' votes, which fewer than a third of them cannot move.
    Every decision rests on an attestation, and nothing has to be repaired once the clock is right."""
    (node, clock), network, mark = movable, place.it.network, place.load.mark()
    for by_ms in (off_ms, 0):
        clock.move(by_ms)
        wait_for(lambda ms=by_ms: abs(_ahead_s(node.own_time()) - ms / 1000) < _MEDIAN_S / 2, "its clock to be moved")
        network.wait_for_blocks(10)
        assert [each.name for each in network.nodes if not -_MEDIAN_S < _ahead_s(each.block_time()) <= 0] == []
        place.load.decisions(place.load.mark(), _A_WHILE)
    assert _reasons_amiss(place.load.since(mark)) == set()


def _ahead_s(moment: datetime) -> float:
    """How far a moment is ahead of this machine's clock."""
    return (moment - datetime.now(UTC)).total_seconds()


def test_adding_and_removing_a_validator_affects_nobody(place: Place) -> None:
    """The observer, which a gateway uses, becomes a fifth validator and then an observer again while banks publish."""
    network, mark = place.it.network, place.load.mark()
    network.begin_to_vote(network.observer, DEVNET_KEYS[-1])
    wait_for(lambda: {network.voting(node) for node in network.nodes} == {5}, "every node to know of five")
    place.load.decisions(place.load.mark(), _A_WHILE)
    network.end_to_vote(network.observer)
    wait_for(lambda: {network.voting(node) for node in network.nodes} == {4}, "every node to know of four")
    place.load.decisions(place.load.mark(), _A_WHILE)
    network.wait_until_level()
    assert _reasons_amiss(place.load.since(mark)) == set()


# A lying node


def _records_changed(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Change the terms of every record."""
    return _with_words(call, answer, _TAIL, lambda word: bytes([word[0] ^ 1]) + word[1:])


def _watermark_forged(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """Move every bank's watermark one second ahead."""
    return _with_words(call, answer, _WATERMARK, lambda word: (int.from_bytes(word) + 1_000).to_bytes(32))


def _with_words(call: dict[str, Any], answer: dict[str, Any], place: int, change: Any) -> dict[str, Any]:
    if call["method"] != "eth_call" or "result" not in answer:
        return answer
    data = bytes.fromhex(answer["result"][2:])
    words = [data[at : at + 32] for at in range(0, len(data), 32)]
    count = (len(words) - _HEAD_WORDS) // _RECORD_WORDS
    decode_read(data, count)  # an answer to `read`
    for record in range(count):
        at = _HEAD_WORDS + record * _RECORD_WORDS + place
        words[at] = change(words[at])
    return answer | {"result": "0x" + b"".join(words).hex()}


def _another_gateway(place: Place, name: str, *ledger_urls: str) -> str:
    """Start another gateway process of the platform, with ledger nodes of its own. Returns: its URL."""
    if place.store is None:
        pytest.skip(_ON_ONE_STORE)
    net, port = place.it.net, free_port()
    urls = net.gateway_settings["ledger_urls"]
    net.gateway_settings["ledger_urls"] = list(ledger_urls)
    process = net.launch_gateway(name, port)
    net.gateway_settings["ledger_urls"] = urls
    url = f"http://127.0.0.1:{port}"
    process.wait_for(url + "/healthz")
    return url


@pytest.fixture(scope="module")
def misled(place: Place) -> str:
    """A gateway whose only ledger node can lie."""
    return _another_gateway(place, "gateway-misled", place.liar.url)


def test_a_ledger_node_that_lags_costs_no_decision_while_another_one_is_current(place: Place) -> None:
    """The gateway asks it first. Its answers are correct but about ten seconds old, older than what the gateway has
    read before, so the next node is asked within the time budget. Every decision rests on an attestation."""
    gateway = _another_gateway(place, "gateway-lagged", place.liar.url, place.it.network.validators[3].url)
    for bic in (FIRST, SECOND):
        wait_for(lambda b=bic: rests_on_attestation(place.load.decide(b, gateway)), "an honest answer through the node")

    def lag(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        past = hex(place.it.network.observer.height() - _LAG_BLOCKS)
        if call["method"] == "eth_blockNumber":
            return answer | {"result": past}
        if "latest" not in call["params"]:
            return answer
        old = call | {"params": [past if each == "latest" else each for each in call["params"]]}
        past_answer: dict[str, Any] = httpx.post(place.liar.behind, json=old, timeout=30).json()
        return past_answer

    asked: list[Asked] = []
    place.liar.calls.clear()
    place.liar.lie = lag
    ends_at = place.it.network.observer.height() + 2 * _LAG_BLOCKS
    while place.it.network.observer.height() < ends_at:
        asked += [place.load.decide(bic, gateway) for bic in (FIRST, SECOND)]
    place.liar.lie = None
    assert "eth_call" in place.liar.calls
    assert _reasons_amiss(asked) == set()
    assert place.load.wrong(asked) == []


def test_a_ledger_node_that_changes_records_gets_nothing_approved(place: Place, misled: str) -> None:
    """Sealed terms can be opened unchanged or not at all."""
    wait_for(lambda: rests_on_attestation(place.load.decide(FIRST, misled)), "an honest answer through the node")
    place.liar.lie = _records_changed
    lied_to = [place.load.decide(bic, misled) for bic in (FIRST, SECOND) for _ in range(_A_WHILE)]
    assert {(each.outcome, each.reason) for each in lied_to} == {("decline", "attestation_unreadable")}
    place.liar.lie = None
    wait_for(lambda: rests_on_attestation(place.load.decide(FIRST, misled)), "an honest answer through the node")


def test_a_ledger_node_that_shows_the_past_gets_nothing_approved(place: Place, misled: str) -> None:
    """It answers from an old state, which was once true. The gateway knows of a later publication."""
    wait_for(lambda: rests_on_attestation(place.load.decide(FIRST, misled)), "an honest answer through the node")
    past = hex(place.it.network.observer.height())
    reached = place.load.changes
    wait_for(lambda: place.load.changes > reached + 8, "changes after that")
    place.load.wait_until_well()

    def lie(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] != "eth_call":
            return answer
        old = call | {"params": [call["params"][0], past]}
        past_answer: dict[str, Any] = httpx.post(place.liar.behind, json=old, timeout=30).json()
        return past_answer

    place.liar.lie = lie
    lied_to = [place.load.decide(bic, misled) for bic in (FIRST, SECOND) for _ in range(_A_WHILE)]
    place.liar.lie = None
    assert {each.outcome for each in lied_to} == {"review"}
    assert {each.reason for each in lied_to} <= {"ledger_rolled_back", "bank_silent", "ledger_unreachable"}


# The whole run


def test_no_decision_of_the_whole_run_contradicts_the_bank(place: Place) -> None:
    assert len(place.load.asked) > 500
    assert place.load.changes > 50
    assert place.load.wrong() == []


def test_the_auditor_finds_a_forged_watermark_and_nothing_else(place: Place, misled: str) -> None:
    """A gateway cannot see that a read's watermark is slightly later than the bank's; an auditor with an honest node
    can. The auditor finds nothing else in the whole run: nothing lost, nothing duplicated, no wrong decision."""
    load = place.load
    load.pause()
    place.liar.lie = _watermark_forged
    forged = [load.decide(bic, misled) for bic in (FIRST, SECOND)]
    place.liar.lie = None
    assert {rests_on_attestation(each) for each in forged} == {True}
    lines = place.it.export()
    place.it.network.wait_until_level()
    audit = Audit()
    walked = audit_ledger(patient_ledger(place.it.network.validators[2].url, place.it.net.contract), audit)
    assert audit.findings == []
    audit_decisions(lines, place.it.means(), walked, audit)
    load.resume()
    lied = {f"transaction {each.answer['transaction_id']}" for each in forged}
    changed = {f"transaction {line.decision['transaction_id']}" for line in lines if _misled(line.decision)}
    assert [found for found in audit.findings if found.where not in lied | changed] == []
    assert [found for found in audit.findings if found.kind is not Kind.EVIDENCE] == []
    assert lied <= {found.where for found in audit.findings}
    assert {found.text.split(":")[0] for found in audit.findings if found.where in lied} == {"record", "watermark"}
    assert audit.counted["decisions"] > 500


def _misled(decision: Any) -> bool:
    """Whether a decision rests on data that the lying node changed, or on an old state that it showed."""
    return decision["reason"] in {"attestation_unreadable", "ledger_rolled_back"}
