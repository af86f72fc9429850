"""Verification when the ledger's node or the bank lies: the check for that lie fails."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Wallet
from eth_utils import keccak

from standing.gateway.decisions.rules import Reason
from standing.gateway.evidence.verification.causes import Who
from standing.gateway.evidence.verification.lines import Verdict
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from tests.gateway.evidence_samples import (
    EvidenceSample,
    evidence_sample,
    failing,
    grant_of,
    unknown,
)
from tests.gateway.faulty_ledger_node import Lie, proxied
from tests.gateway.gateway_rig import BICS, GUARDIAN, REGISTRAR, Rig, rig


def _lie_about(method: str, change: Callable[[Any], Any], when: Callable[[list[Any]], bool] = lambda _: True) -> Lie:
    def lie(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == method and "result" in answer and when(call["params"]):
            return answer | {"result": change(answer["result"])}
        return answer

    return lie


def _flip_last(text: str, by: int = 1) -> str:
    return text[:-by] + ("0" * by if text[-by:] != "0" * by else "1" * by)


def _of_kind(name: str) -> Callable[[list[Any]], bool]:
    topics = {
        "Published": "Published(bytes11,uint48,uint48,bytes32,bytes32[])",
        "BankAdmitted": "BankAdmitted(bytes11,address,address,uint48,bytes32)",
    }
    topic = "0x" + keccak(text=topics[name]).hex()
    return lambda params: params[0]["topics"][0] == topic


def _replace_in_logs(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Any], Any]:
    return lambda logs: [change(dict(log)) for log in logs]


def _change_input(offset: int) -> Callable[[Any], Any]:
    """Change one digit of a transaction's input, counted from its end."""

    def change(transaction: dict[str, Any]) -> dict[str, Any]:
        text = transaction["input"]
        at = len(text) - offset
        return transaction | {"input": text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]}

    return change


@pytest.mark.long
@pytest.mark.parametrize(
    ("lie", "fails"),
    [
        (_lie_about("eth_getBlockByNumber", lambda block: block | {"hash": "0x" + "11" * 32}), {3}),
        (_lie_about("eth_call", lambda text: _flip_last(text[:-129]) + text[-129:]), {4}),
        # The sealed terms in the input: neither what the bank signed nor what the event states.
        (_lie_about("eth_getTransactionByHash", _change_input(2 * (32 * 4 + 1))), {5, 8}),
        # The signature's s: the content is right, but nobody signed it.
        (_lie_about("eth_getTransactionByHash", _change_input(2 * 32 * 2 - 4)), {6, 8}),
        (
            _lie_about(
                "eth_getLogs",
                _replace_in_logs(lambda log: log | {"data": log["data"][:26] + "11" * 20 + log["data"][66:]}),
                _of_kind("BankAdmitted"),
            ),
            {6, 8},
        ),
        (_lie_about("eth_getLogs", lambda _: [], _of_kind("BankAdmitted")), {6, 8}),
        (_lie_about("eth_getLogs", lambda _: [], _of_kind("Published")), {5, 8}),
        (
            _lie_about(
                "eth_getLogs",
                _replace_in_logs(lambda log: log | {"data": "0x" + _flip_last(log["data"][2:66]) + log["data"][66:]}),
                _of_kind("Published"),
            ),
            {8},
        ),
    ],
    ids=["block", "record", "terms", "signature", "signer", "no signer", "no publication", "watermark"],
)
def test_each_lie_of_a_node_is_caught_by_the_check_for_it(approved: EvidenceSample, lie: Lie, fails: set[int]) -> None:
    with proxied(approved.rig.chain_url, lie) as node:
        report = approved.verify(LedgerClient(node.url, approved.rig.contract))
    assert set(failing(report)) == fails, report.lines


def test_a_history_replaced_behind_a_publication_breaks_the_hash_chain(a_rig: Rig) -> None:
    shown = evidence_sample(a_rig, a_rig.bound())
    shown.person.bank.publish()
    after = shown.person.bank.number

    def change(log: dict[str, Any]) -> dict[str, Any]:
        if int(log["topics"][2], 16) != after:
            return log
        return log | {"data": log["data"][:66] + "11" * 32 + log["data"][130:]}

    lie = _lie_about("eth_getLogs", _replace_in_logs(change), _of_kind("Published"))
    with proxied(a_rig.chain_url, lie) as node:
        assert failing(shown.verify(LedgerClient(node.url, a_rig.contract))) == [7]


def test_pruned_state_at_a_node_is_distinguished_from_a_contradiction(approved: EvidenceSample) -> None:
    def pruned(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_call":
            error = {"code": -32000, "message": "missing trie node 11 (path ) state is not available"}
            return {"jsonrpc": "2.0", "id": call["id"], "error": error}
        return answer

    with proxied(approved.rig.chain_url, pruned) as node:
        report = approved.verify(LedgerClient(node.url, approved.rig.contract))
    assert (failing(report), unknown(report)) == ([], [4])
    assert "archive node" in next(line.text for line in report.lines if line.number == 4)


def test_a_publication_before_a_key_rotation_is_checked_against_the_old_signer(a_rig: Rig) -> None:
    person = a_rig.bound(BICS[1])
    bank = person.bank
    before = evidence_sample(a_rig, person)
    old, new = bank.signer, LocalSigner(Wallet.create().key)
    governance.execute(a_rig.ledger, governance.rotate_signer(bank.bic, new.address), REGISTRAR)
    bank.signer = new
    bank.publish(bytes.fromhex(person.binding[2:]))
    after = evidence_sample(a_rig, person)
    for shown, signer in ((before, old), (after, new)):
        report = shown.verify(grant=grant_of(person))
        assert report.verdict is Verdict.HOLDS, report.lines
        assert signer.address in next(line.text for line in report.lines if line.number == 6)


@pytest.mark.long
def test_a_decision_for_a_suspended_bank_is_attributed_to_the_guardian(tmp_path: Path) -> None:
    with rig(tmp_path) as alone:
        person = alone.bound()
        governance.execute(alone.ledger, governance.suspend(person.bank.bic), GUARDIAN)
        shown = evidence_sample(alone, person)
        report = shown.verify(binding_key=None)  # the terms are not reached
        assert (shown.claims["reason"], report.verdict) == (Reason.BANK_SUSPENDED, Verdict.HOLDS)
        assert report.cause is not None
        assert report.cause.who is Who.GUARDIAN_WORD
