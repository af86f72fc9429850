"""One fault of each kind is planted in a ledger, or in a gateway's export, and the auditor finds each.

Faults of a ledger come from a node that lies about logs, transactions or state: the contract itself would refuse
them. Faults of a gateway are claims that it signed itself, except for a few forged by somebody else.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_utils import event_abi_to_log_topic

from standing.gateway.auditing.export import Exported
from standing.gateway.auditing.findings import Kind
from standing.ledger.attestations.terms import Status
from standing.ledger.chain.contract import artifact
from tests.gateway.auditing.audits import (
    audited,
    audited_decisions,
    by_transaction,
    claims_of,
    export_of,
    resigned,
    taking,
)
from tests.gateway.evidence_samples import catch_up, publish_late
from tests.gateway.faulty_ledger_node import Lie, proxied
from tests.gateway.gateway_rig import BICS, Rig, rig

pytestmark = pytest.mark.long

Log = dict[str, Any]
Plant = Callable[[Rig, dict[str, Exported]], list[Exported]]
_TOPICS = {
    "0x" + event_abi_to_log_topic(entry).hex(): entry["name"] for entry in artifact()["abi"] if entry["type"] == "event"
}
_WORD = 32
_PUBLISH_HEAD = 4 + 5 * _WORD  # selector, bank, number, watermark, two offsets


# A ledger


def _name(log: Log) -> str:
    return str(_TOPICS[log["topics"][0]])


def _number(log: Log) -> int:
    return int(log["topics"][2], 16)


def _is(log: Log, name: str, number: int | None) -> bool:
    return _name(log) == name and (number is None or _number(log) == number)


def _logs(change: Callable[[Log], list[Log]]) -> Lie:
    def lie(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] != "eth_getLogs":
            return answer
        return answer | {"result": [changed for log in answer["result"] for changed in change(log)]}

    return lie


def _without(name: str, number: int | None = None) -> Lie:
    return _logs(lambda log: [] if _is(log, name, number) else [log])


def _twice(name: str, number: int | None = None) -> Lie:
    return _logs(lambda log: [log, log] if _is(log, name, number) else [log])


def _with_word(name: str, place: int, value: int, number: int | None = None) -> Lie:
    """Replace the 32-byte word at `place` of an event's data."""

    def change(log: Log) -> list[Log]:
        if not _is(log, name, number):
            return [log]
        data = bytearray.fromhex(log["data"][2:])
        data[_WORD * place : _WORD * (place + 1)] = value.to_bytes(_WORD, "big")
        return [log | {"data": "0x" + data.hex()}]

    return _logs(change)


def _transaction(number: int, change: Callable[[bytearray], dict[str, Any]]) -> Lie:
    """A transaction other than the one that submitted the publication of this number with attestations."""

    def lie(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] != "eth_getTransactionByHash":
            return answer
        data = bytearray.fromhex(answer["result"]["input"][2:])
        if int.from_bytes(data[4 + _WORD : 4 + 2 * _WORD], "big") != number:
            return answer
        return answer | {"result": answer["result"] | change(data)}

    return lie


def _flip(data: bytearray, place: int) -> dict[str, Any]:
    data[place] ^= 1
    return {"input": "0x" + data.hex()}


def _signature_at(data: bytearray) -> int:
    return 4 + int.from_bytes(data[_PUBLISH_HEAD - _WORD : _PUBLISH_HEAD], "big") + _WORD


@pytest.mark.parametrize(
    ("planted", "kind"),
    [
        pytest.param(_without("Published", 2), Kind.NUMBER, id="a publication is missing"),
        pytest.param(_twice("Published", 2), Kind.NUMBER, id="a publication appears twice"),
        pytest.param(_with_word("Published", 0, 1, 2), Kind.WATERMARK, id="a watermark that went back"),
        pytest.param(_with_word("Published", 0, 2**47, 2), Kind.WATERMARK, id="a watermark far ahead of its block"),
        pytest.param(_with_word("Published", 1, 7, 2), Kind.CONTENT, id="a digest that matches no content"),
        pytest.param(_with_word("BankAdmitted", 3, 7), Kind.CONTENT, id="a history that continues from another head"),
        pytest.param(_with_word("Published", 4, 7, 2), Kind.CONTENT, id="a binding other than the attested one"),
        pytest.param(
            _transaction(2, lambda data: _flip(data, _PUBLISH_HEAD + 2 * _WORD)),
            Kind.CONTENT,
            id="a transaction that attests something else",
        ),
        pytest.param(
            _transaction(2, lambda _: {"to": "0x" + "11" * 20}), Kind.CONTENT, id="a transaction to another contract"
        ),
        pytest.param(
            _transaction(2, lambda data: _flip(data, _signature_at(data))), Kind.SIGNATURE, id="a forged signature"
        ),
        pytest.param(_without("SignerRotated"), Kind.SIGNATURE, id="a signature of an unknown signer"),
        pytest.param(_with_word("SignerRotated", 0, 7), Kind.ROTATION, id="a rotation of another signer"),
        pytest.param(_without("BankReinstated"), Kind.SUSPENSION, id="a publication while suspended"),
        pytest.param(_without("BankSuspended"), Kind.SUSPENSION, id="an end of a suspension that never began"),
        pytest.param(_without("BankAdmitted"), Kind.ADMISSION, id="a bank that was never admitted"),
        pytest.param(_twice("BankAdmitted"), Kind.ADMISSION, id="a bank that was admitted twice"),
    ],
)
def test_a_planted_fault_in_a_history_is_found(audited_rig: Rig, planted: Lie, kind: Kind) -> None:
    with proxied(audited_rig.chain_url, planted) as node:
        assert kind in {found.kind for found in audited(node.url, audited_rig.contract).findings}


def test_a_state_that_does_not_follow_from_its_history_is_found(audited_rig: Rig) -> None:
    last = max(audited_rig.ledger.bank(bic).publication for bic in audited_rig.banks)
    with proxied(audited_rig.chain_url, _without("Published", last)) as node:
        found = audited(node.url, audited_rig.contract).findings
    assert {each.kind for each in found} == {Kind.STATE}
    assert any(f"publication is {last}" in each.text for each in found)


# A gateway's decisions


def _one(name: str, **changed: Any) -> Plant:
    """The gateway signed other claims of this transaction."""
    return lambda it, lines: [*(lines | {name: resigned(it, lines[name], **changed)}).values()]


def _of_record(name: str, **changed: Any) -> Plant:
    return lambda it, lines: _one(name, record=claims_of(lines[name])["record"] | changed)(it, lines)


def _beside(name: str, **changed: Any) -> Plant:
    """The decision contradicts its own evidence."""
    return lambda _it, lines: [
        *(lines | {name: replace(lines[name], decision=dict(lines[name].decision) | changed)}).values()
    ]


def _forged(it: Rig, lines: dict[str, Exported]) -> list[Exported]:
    return [resigned(it, lines["t-refused"], Ed25519PrivateKey.generate(), outcome="approve", reason=None)]


def _with_another_key(_it: Rig, lines: dict[str, Exported]) -> list[Exported]:
    return [replace(lines["t-1"], binding_key=bytes(32))]


@pytest.mark.parametrize(
    ("plant", "kind", "text"),
    [
        pytest.param(
            _one("t-refused", outcome="approve", reason=None),
            Kind.EVIDENCE,
            "decision: repeating it gives debit_not_allowed; the evidence states no reason",
            id="approved against the record",
        ),
        pytest.param(
            _one("t-1", outcome="decline", reason="account_frozen"),
            Kind.EVIDENCE,
            "decision: repeating it gives no reason; the evidence states account_frozen",
            id="declined against the record",
        ),
        pytest.param(_forged, Kind.EVIDENCE, "signature: these claims are not signed", id="evidence is forged"),
        pytest.param(
            _beside("t-refused", outcome="approve", reason=None),
            Kind.EVIDENCE,
            "signature: the decision given with these claims differs from them",
            id="a decision that its evidence contradicts",
        ),
        pytest.param(
            _beside("t-1", evidence="no evidence"), Kind.EVIDENCE, "not evidence of this form", id="no evidence at all"
        ),
        pytest.param(_one("t-1", block_number=2), Kind.EVIDENCE, "block: ", id="read from another block"),
        pytest.param(
            _one("t-1", block_number=2, block_hash=None), Kind.EVIDENCE, "record: ", id="a block without that record"
        ),
        pytest.param(_of_record("t-1", tail="0x" + "11" * 32), Kind.EVIDENCE, "record: ", id="another record"),
        pytest.param(
            _of_record("t-1", publication=1),
            Kind.EVIDENCE,
            "publication: ",
            id="a publication that does not contain it",
        ),
        pytest.param(
            _of_record("t-1", watermark_ms=2**47), Kind.EVIDENCE, "watermark: ", id="a watermark never published"
        ),
        pytest.param(_one("t-1", staleness_ms=1), Kind.EVIDENCE, "decision: ", id="fresher than it was"),
        pytest.param(_one("t-1", day="2020-01-01"), Kind.EVIDENCE, "the day at the bank", id="usage of another day"),
        pytest.param(_one("t-1", chain_id=5), Kind.EVIDENCE, "ledger: ", id="of another ledger"),
        pytest.param(_one("t-1", bank="no bank!"), Kind.EVIDENCE, "not a BIC", id="of an impossible bank"),
        pytest.param(_with_another_key, Kind.EVIDENCE, "terms: ", id="terms that do not open"),
        pytest.param(
            lambda _, lines: [*lines.values(), lines["t-1"]],
            Kind.TWICE,
            "decided a second time",
            id="a transaction used again",
        ),
        pytest.param(
            lambda it, lines: [*lines.values(), resigned(it, lines["t-1"], decided_at_ms=it.clock.now_ms() - 1)],
            Kind.TWICE,
            "decided a second time",
            id="a transaction decided a second time",
        ),
        pytest.param(
            lambda _, lines: [line for name, line in lines.items() if name != "t-0"],
            Kind.MISSING,
            "was used of",
            id="a decision is missing",
        ),
        pytest.param(
            lambda _, lines: [*(lines | {"t-2": taking(lines["t-2"], captured_minor=401, state="captured")}).values()],
            Kind.OVERSPENT,
            "of the 400 that were approved",
            id="more captured than was approved",
        ),
    ],
)
def test_a_planted_fault_in_a_decision_is_found(audited_rig: Rig, plant: Plant, kind: Kind, text: str) -> None:
    found = audited_decisions(audited_rig, plant(audited_rig, by_transaction(audited_rig))).findings
    assert any(each.kind is kind and text in each.text for each in found), found


def test_no_bank_is_accused_by_a_watermark_it_never_published(audited_rig: Rig) -> None:
    """The bank published a change right after the decision; the forged watermark already vouches for that time."""
    lines = by_transaction(audited_rig)
    plant = _of_record("t-3", watermark_ms=claims_of(lines["t-3"])["decided_at_ms"])
    found = audited_decisions(audited_rig, plant(audited_rig, lines)).findings
    assert {each.kind for each in found} == {Kind.EVIDENCE}


_LIMITS = {
    "daily_limit_minor": ("payment", "over_daily_limit"),
    "monthly_limit_minor": ("payment", "over_monthly_limit"),
    "yearly_limit_minor": ("payment", "over_yearly_limit"),
    "daily_credit_limit_minor": ("withdrawal", "over_daily_limit"),
    "yearly_credit_limit_minor": ("withdrawal", "over_yearly_limit"),
}


@pytest.fixture(scope="module")
def spent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """An account for each kind of limit, with two transactions just within it; and one on which each transaction names
    the currency by another of its codes."""
    with rig(tmp_path_factory.mktemp("spent")) as made:
        people = {limit: made.bound(BICS[0], **{limit: 3_000}) for limit in _LIMITS}
        person = made.bound(BICS[0], currency="XCG", daily_limit_minor=3_000)
        catch_up(made)
        for code in ("XCG", "ANG"):
            assert person.decide(transaction_id=code, amount_minor=1_500, currency=code)["outcome"] == "approve"
        for limit, person in people.items():
            for index in range(2):
                answer = person.decide(transaction_id=f"{limit}-{index}", amount_minor=1_500, kind=_LIMITS[limit][0])
                assert answer["outcome"] == "approve", answer
        yield made


@pytest.mark.parametrize("limit", _LIMITS)
def test_two_decisions_that_ignored_each_other_are_found_to_have_overspent(spent: Rig, limit: str) -> None:
    """Each claims that nothing was used before, which is right on its own; only the sum exceeds the limit."""
    lines = by_transaction(spent)
    for name in (f"{limit}-0", f"{limit}-1"):
        unused = {
            period: 0
            for period in ("used_day_minor", "used_month_minor", "used_year_minor")
            if claims_of(lines[name])[period] is not None
        }
        lines[name] = taking(resigned(spent, lines[name], None, amount_minor=1_501, **unused), amount_minor=1_501)
    found = audited_decisions(spent, list(lines.values())).findings
    assert [(each.kind, each.where) for each in found] == [(Kind.OVERSPENT, f"transaction {limit}-1")]
    assert _LIMITS[limit][1] in found[0].text
    assert "after 1501 that day" in found[0].text


def test_two_codes_of_one_currency_are_found_to_have_overspent_one_limit(spent: Rig) -> None:
    lines = by_transaction(spent)
    lines["ANG"] = taking(
        resigned(spent, lines["ANG"], amount_minor=1_501, used_day_minor=0, used_month_minor=None), amount_minor=1_501
    )
    found = audited_decisions(spent, list(lines.values())).findings
    assert [each.kind for each in found] == [Kind.OVERSPENT]
    assert "over_daily_limit" in found[0].text


def test_transactions_within_every_limit_have_no_findings(spent: Rig) -> None:
    assert audited_decisions(spent, export_of(spent)).findings == []


def test_a_bank_that_broke_its_watermark_is_found(tmp_path: Path) -> None:
    """The bank vouched for everything up to a time and later published a change from before it."""
    with rig(tmp_path) as it:
        person = it.bound()
        person.bank.publish()
        catch_up(it)
        person.bank.publish()
        person.decide(transaction_id="t-1")
        publish_late(person.bank, person, it.clock.now_ms() - 500, Status.FROZEN)
        found = audited_decisions(it, export_of(it)).findings
        assert [(each.kind, each.whose, each.where) for each in found] == [
            (Kind.WATERMARK, person.bank.bic, "transaction t-1")
        ]
