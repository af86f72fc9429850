"""Verification of evidence: honest evidence holds, and each way of lying fails at the line that is about it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_account import Account as Wallet
from eth_utils import keccak
from typer.testing import CliRunner

from standing.gateway.cli import app
from standing.gateway.decisions.policy import IdentityOutcomes, Policy
from standing.gateway.decisions.rules import Reason
from standing.gateway.evidence.verification.case import parse_evidence
from standing.gateway.evidence.verification.causes import Who
from standing.gateway.evidence.verification.lines import Verdict
from standing.ledger.attestations.binding_protocol import GrantDocument
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.attestations.terms import Status
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.clock import ManualClock
from standing.ledger.errors import InvalidValue
from tests.gateway.evidence_samples import (
    EvidenceSample,
    catch_up,
    evidence_sample,
    failing,
    grant_of,
    publish_late,
    unknown,
    write,
)
from tests.gateway.fake_bank import FakeBank
from tests.gateway.faulty_ledger_node import Lie, proxied
from tests.gateway.gateway_rig import BICS, GUARDIAN, REGISTRAR, Rig, rig

_ALL = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13]


@pytest.fixture(scope="module")
def approved(shared_rig: Rig) -> EvidenceSample:
    """An approval that many tests look at and none changes; what comes onto the ledger later does not matter to it."""
    shared_rig.heartbeat()
    return evidence_sample(shared_rig, shared_rig.bound())


def test_an_honest_approval_holds_in_every_check(approved: EvidenceSample) -> None:
    report = approved.verify()
    assert [(line.number, line.verdict) for line in report.lines] == [(number, Verdict.HOLDS) for number in _ALL]
    assert report.verdict is Verdict.HOLDS
    assert report.cause is not None
    assert report.cause.who is Who.BANK_WORD


def test_evidence_says_nothing_about_who_the_user_is(approved: EvidenceSample) -> None:
    said = json.dumps(approved.claims, ensure_ascii=False)
    for text in (*approved.person.claim.values(), approved.person.user_id, approved.answer["transaction_id"]):
        if len(text) > 4:
            assert text not in said
    bank = approved.person.bank
    binding = bytes.fromhex(approved.person.binding[2:])
    tags = bank.accounts[approved.person.number].terms(binding, bank.key(binding), 0).tags
    for tag in (tags.name, tags.id_document, tags.phone):
        assert f'{tag.hex()}"' not in said
    assert bank.key(binding).hex() not in said


@pytest.mark.parametrize(
    ("account", "transaction", "reason"),
    [
        ({"status": Status.CLOSED}, {}, Reason.ACCOUNT_CLOSED),
        ({"status": Status.LOST}, {}, Reason.ACCOUNT_LOST),
        ({"status": Status.FROZEN, "debit_allowed": False}, {}, Reason.ACCOUNT_FROZEN),
        ({"status": Status.DORMANT}, {}, Reason.ACCOUNT_DORMANT),
        ({"debit_allowed": False}, {}, Reason.DEBIT_NOT_ALLOWED),
        ({"credit_allowed": False}, {"kind": "withdrawal"}, Reason.CREDIT_NOT_ALLOWED),
        ({}, {"currency": "USD"}, Reason.CURRENCY_NOT_ALLOWED),
        ({}, {"amount_minor": 500_001}, Reason.OVER_TRANSACTION_LIMIT),
        ({"daily_limit_minor": 999}, {}, Reason.OVER_DAILY_LIMIT),
    ],
)
def test_honest_refusals_hold_whatever_the_reason(
    a_rig: Rig, account: dict[str, Any], transaction: dict[str, Any], reason: Reason
) -> None:
    person = a_rig.bound()
    person.bank.change(person.number, **account)
    shown = evidence_sample(a_rig, person, **transaction)
    assert shown.claims["reason"] == reason
    assert shown.verify().verdict is Verdict.HOLDS


@pytest.mark.long
@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("holder_name", "诸葛另", Reason.NAME_CHANGED),
        ("id_document_number", "E99999999", Reason.ID_DOCUMENT_CHANGED),
        ("phone", "+8613900000000", Reason.PHONE_CHANGED),
    ],
)
def test_a_changed_identity_is_decided_again_without_knowing_it(
    a_rig: Rig, field: str, value: str, reason: Reason
) -> None:
    person = a_rig.bound()
    holder = person.bank.accounts[person.number].holder.model_copy(update={field: value})
    person.bank.change(person.number, holder=holder)
    shown = evidence_sample(a_rig, person)
    assert shown.claims["reason"] == reason
    assert shown.verify().verdict is Verdict.HOLDS


@pytest.mark.parametrize("bound_without", [True, False])
def test_a_phone_that_one_side_does_not_state_is_not_compared_and_the_evidence_holds(
    a_rig: Rig, bound_without: bool
) -> None:
    person = a_rig.person()
    account = person.bank.accounts[person.number]
    whole, without = account.holder, account.holder.model_copy(update={"phone": None})
    if bound_without:
        del person.claim["phone"]
        person.bank.change(person.number, holder=without)
    person.binding = person.bind().json()["binding"]
    person.bank.change(person.number, holder=whole if bound_without else without)
    shown = evidence_sample(a_rig, person)
    assert shown.answer["outcome"] == "approve"
    assert shown.verify().verdict is Verdict.HOLDS


def test_what_is_left_of_the_daily_limit_is_the_gateways_own_word_and_counts(a_rig: Rig) -> None:
    person = a_rig.bound(daily_limit_minor=1_500)
    evidence_sample(a_rig, person)
    second = evidence_sample(a_rig, person)
    assert (second.claims["reason"], second.claims["used_day_minor"]) == (Reason.OVER_DAILY_LIMIT, 1_000)
    report = second.verify()
    assert report.verdict is Verdict.HOLDS
    assert "used today 1000" in next(line.text for line in report.lines if line.number == 12)


def test_a_silent_bank_is_the_banks_silence(a_rig: Rig) -> None:
    person = a_rig.bound()
    a_rig.clock.advance(400_000)
    shown = evidence_sample(a_rig, person)
    assert shown.claims["reason"] == Reason.BANK_SILENT
    report = shown.verify()
    assert report.verdict is Verdict.HOLDS
    assert report.cause is not None
    assert report.cause.who is Who.BANK_SILENCE


def test_an_end_by_the_platform_is_the_platforms_word(a_rig: Rig) -> None:
    person = a_rig.bound()
    assert a_rig.platform("DELETE", f"/v1/bindings/{person.binding}").status_code == 204
    shown = evidence_sample(a_rig, person)
    report = shown.verify()
    assert (shown.claims["ended"], report.verdict) == (True, Verdict.HOLDS)
    assert report.cause is not None
    assert report.cause.who is Who.PLATFORM_WORD


def test_a_ledger_out_of_reach_is_the_gateways_own_word(a_rig: Rig) -> None:
    person = a_rig.bound()
    catch_up(a_rig)
    a_rig.chain.down = True
    answer = person.decide()
    a_rig.chain.down = False
    shown = replace(evidence_sample(a_rig, person), answer=answer)
    assert shown.claims["record"] is None
    report = shown.verify()
    assert report.verdict is Verdict.HOLDS
    assert report.cause is not None
    assert report.cause.who is Who.GATEWAY_WORD
    assert failing(shown.resigned(reason="bank_silent").verify()) == [12]
    assert failing(shown.resigned(block_number=1).verify()) == [4]


@pytest.mark.long
def test_a_record_that_does_not_open_needs_the_grant_to_be_believed(a_rig: Rig) -> None:
    person = a_rig.bound()
    person.bank.publish(bytes.fromhex(person.binding[2:]), terms=b"\x55" * 32)
    shown = evidence_sample(a_rig, person)
    assert shown.claims["reason"] == Reason.ATTESTATION_UNREADABLE
    assert unknown(shown.verify()) == [10]
    assert shown.verify(grant=grant_of(person)).verdict is Verdict.HOLDS


# Who lies: a third party


def test_evidence_that_somebody_else_signed_or_changed_is_not_the_gateways(approved: EvidenceSample) -> None:
    other = approved.resigned(key=Ed25519PrivateKey.generate())
    assert [(line.number, line.verdict) for line in other.verify().lines] == [(1, Verdict.FAILS)]
    head, payload, signature = approved.answer["evidence"].split(".")
    for forged in (
        ".".join((head, payload[:-4] + ("AAAA" if payload[-4:] != "AAAA" else "BBBB"), signature)),
        ".".join((head, payload, signature[:-4] + ("AAAA" if signature[-4:] != "AAAA" else "BBBB"))),
    ):
        assert failing(replace(approved, answer={"evidence": forged}).verify()) == [1]


@pytest.mark.parametrize(
    "changed",
    [
        {"outcome": "decline"},
        {"reason": "account_frozen"},
        {"transaction_id": "t-of-another"},
        {"amount_minor": 1},
        {"policy": "lax@0"},
        {"binding": "0x" + "00" * 32},
    ],
)
def test_a_decision_that_says_otherwise_than_the_evidence_in_it_is_caught(
    approved: EvidenceSample, changed: dict[str, Any]
) -> None:
    report = replace(approved, answer=approved.answer | changed).verify()
    assert failing(report) == [1]
    assert report.lines[0].text.endswith(f"about: {next(iter(changed))}")


@pytest.mark.parametrize("claim", ["decided_at_ms", "record__watermark_ms"])
def test_a_time_past_every_calendar_is_a_line_that_fails_and_no_crash(approved: EvidenceSample, claim: str) -> None:
    changed: dict[str, Any] = {claim: 2**48 - 1}
    assert failing(approved.resigned(**changed).verify())


def test_another_document_that_the_gateways_key_signed_is_no_evidence(approved: EvidenceSample) -> None:
    assert failing(approved.resigned(typ="standing-receipt").verify()) == [1]
    assert failing(approved.resigned(form=1).verify()) == [1]
    assert failing(approved.resigned(record__publication=-1).verify()) == [1]


def test_evidence_of_another_ledger_is_not_held_against_this_one(approved: EvidenceSample) -> None:
    for changed in ({"chain_id": 1}, {"contract": "0x" + "11" * 20}):
        assert failing(approved.resigned(**changed).verify()) == [2]


# Who lies: the gateway itself, with its own key


@pytest.mark.long
@pytest.mark.parametrize(
    ("claim", "change", "fails"),
    [
        ("block_hash", lambda _: "0x" + "11" * 32, [3]),
        ("block_number", lambda number: number - 1, [3, 4, 5]),
        ("decided_at_ms", lambda at: at - 3_600_000, [3, 12]),
        ("record__publication", lambda number: number - 1, [4, 5, 10, 12]),
        ("record__tag_and_head", lambda _: "0x" + "11" * 26, [4, 5, 10, 12]),
        ("record__tail", lambda _: "0x" + "11" * 32, [4, 5, 10, 12]),
        ("record__watermark_ms", lambda at: at + 1, [4, 8, 12]),
        ("record__suspended", lambda _: True, [4, 12]),
        ("publication", lambda number: number + 1, [12]),
        ("watermark_ms", lambda at: at + 1, [12]),
        ("staleness_ms", lambda age: age + 1, [12]),
        ("outcome", lambda _: "decline", [12]),
        ("reason", lambda _: "account_frozen", [12]),
        ("amount_minor", lambda _: 500_001, [12]),
        ("kind", lambda _: "withdrawal", []),
        ("currency", lambda _: "USD", [12]),
        ("currency", lambda _: "XXQ", [12]),
        ("floor", lambda _: 2**40, [12]),
        ("ended", lambda _: True, [12]),
        ("used_day_minor", lambda _: 2_000_000, [12]),
        ("day", lambda _: "2001-01-01", [12]),
        ("time_zone", lambda _: "Mars/Olympus", [12]),
        ("held_by", lambda _: "velocity", [12]),
        ("policy__max_staleness_ms", lambda _: 0, [12]),
        ("policy__ahead_allowance_ms", lambda _: -1, [12]),
        ("expected_tags__name", lambda _: "0x" + "11" * 16, [12]),
        ("expected_tags__id_document", lambda _: "0x" + "11" * 16, [12]),
        ("expected_tags__phone", lambda _: "0x" + "11" * 16, [12]),
        ("binding", lambda _: "0x" + "11" * 32, [4, 5, 10, 12]),
        ("bank", lambda _: BICS[1], [4, 5, 10, 12]),
    ],
)
def test_a_gateway_that_lies_is_caught_by_the_check_that_is_about_it(
    approved: EvidenceSample, claim: str, change: Callable[[Any], Any], fails: list[int]
) -> None:
    value: Any = approved.claims
    for part in claim.split("__"):
        value = value[part]
    report = approved.resigned(**{claim: change(value)}).verify()
    assert set(failing(report)) == set(fails), report.lines


def test_a_gateway_that_declined_for_nothing_is_caught(approved: EvidenceSample) -> None:
    report = approved.resigned(outcome="decline", reason="over_daily_limit").verify()
    assert failing(report) == [12]


def test_a_policy_that_is_not_what_evidence_says_is_caught(approved: EvidenceSample) -> None:
    policy = approved.rig.settings.policy
    assert approved.verify(policy=policy).verdict is Verdict.HOLDS
    other = Policy(name="other", identity=IdentityOutcomes(phone="decline"))
    assert failing(approved.verify(policy=other)) == [11]
    # The right version, and yet another bound than that policy has.
    assert failing(approved.resigned(policy__max_staleness_ms=299_999).verify(policy=policy)) == [11]


# Who lies: the ledger's node, or the bank


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
        # The sealed terms in the input: not what the bank signed, nor what the event names.
        (_lie_about("eth_getTransactionByHash", _change_input(2 * (32 * 4 + 1))), {5, 8}),
        # The signature's s: what was published is right, but nobody signed it.
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
def test_a_node_that_lies_is_caught_by_the_check_that_is_about_it(
    approved: EvidenceSample, lie: Lie, fails: set[int]
) -> None:
    with proxied(approved.rig.chain_url, lie) as node:
        report = approved.verify(LedgerClient(node.url, approved.rig.contract))
    assert set(failing(report)) == fails, report.lines


def test_a_history_that_was_exchanged_behind_the_publication_breaks_the_chain(a_rig: Rig) -> None:
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


def test_a_node_that_has_pruned_the_state_is_told_from_one_that_says_otherwise(approved: EvidenceSample) -> None:
    def pruned(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_call":
            error = {"code": -32000, "message": "missing trie node 11 (path ) state is not available"}
            return {"jsonrpc": "2.0", "id": call["id"], "error": error}
        return answer

    with proxied(approved.rig.chain_url, pruned) as node:
        report = approved.verify(LedgerClient(node.url, approved.rig.contract))
    assert (failing(report), unknown(report)) == ([], [4])
    assert "archive node" in next(line.text for line in report.lines if line.number == 4)


def test_a_publication_of_before_a_key_rotation_is_the_old_signers(a_rig: Rig) -> None:
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
def test_a_suspended_bank_is_the_guardians_word(tmp_path: Path) -> None:
    with rig(tmp_path) as alone:
        person = alone.bound()
        governance.execute(alone.ledger, governance.suspend(person.bank.bic), GUARDIAN)
        shown = evidence_sample(alone, person)
        report = shown.verify(binding_key=None)  # it does not come to the terms
        assert (shown.claims["reason"], report.verdict) == (Reason.BANK_SUSPENDED, Verdict.HOLDS)
        assert report.cause is not None
        assert report.cause.who is Who.GUARDIAN_WORD


# Keys and grants


def test_without_the_binding_key_what_rests_on_the_terms_is_unknown(approved: EvidenceSample) -> None:
    report = approved.verify(binding_key=None)
    assert (failing(report), unknown(report), report.verdict) == ([], [10, 12], Verdict.UNKNOWN)


def test_another_key_does_not_open_the_terms(approved: EvidenceSample) -> None:
    assert failing(approved.verify(binding_key=bytes(32))) == [10, 12]


@pytest.mark.long
def test_a_grant_shows_the_key_to_be_right_and_another_one_is_caught(approved: EvidenceSample) -> None:
    grant = grant_of(approved.person)
    assert approved.verify(grant=grant, binding_key=None).verdict is Verdict.HOLDS
    other = grant_of(approved.rig.bound())
    assert 9 in failing(approved.verify(grant=other))
    assert failing(approved.verify(grant=replace(grant, signature=other.signature))) == [9]
    assert failing(approved.verify(grant=replace(grant, binding_key=bytes(32)), binding_key=None)) == [9, 10, 12]
    assert 9 in failing(approved.verify(grant=replace(grant, binding_key=bytes(32))))


# Whose delay


def test_a_change_that_the_bank_published_after_the_decision_is_the_banks_delay(a_rig: Rig) -> None:
    person = a_rig.bound()
    catch_up(a_rig)
    a_rig.clock.advance(500)
    changed_at_ms = a_rig.clock.now_ms()
    shown = evidence_sample(a_rig, person)
    assert shown.answer["outcome"] == "approve"
    a_rig.clock.advance(5_000)
    publish_late(person.bank, person, changed_at_ms, Status.LOST)
    report = shown.verify()
    assert report.verdict is Verdict.HOLDS  # by what the ledger said, it was right
    assert report.cause is not None
    assert report.cause.who is Who.BANK_DELAY
    assert (report.cause.changed_at_ms, report.cause.decided_at_ms) == (changed_at_ms, shown.claims["decided_at_ms"])
    assert report.cause.published_at_ms is not None
    assert report.cause.published_at_ms > report.cause.decided_at_ms
    assert "account_lost" in report.cause.text


def test_a_late_change_that_a_watermark_had_vouched_for_is_the_banks_broken_word(a_rig: Rig) -> None:
    person = a_rig.bound()
    catch_up(a_rig)
    changed_at_ms = a_rig.clock.now_ms()
    a_rig.clock.advance(100)
    person.bank.publish()  # a heartbeat that vouches for a time after the change
    shown = evidence_sample(a_rig, person)
    publish_late(person.bank, person, changed_at_ms, Status.FROZEN)
    cause = shown.verify().cause
    assert cause is not None
    assert cause.who is Who.BANK_BROKE_ITS_WATERMARK


def test_the_first_word_on_a_new_binding_breaks_no_watermark(a_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of an account that has been so for long, and the watermark had vouched for that time before."""
    with monkeypatch.context() as nothing_is_published:
        nothing_is_published.setattr(FakeBank, "publish", lambda *_bindings: None)
        person = a_rig.bound()
    catch_up(a_rig)
    opened_at_ms = a_rig.clock.now_ms()
    a_rig.clock.advance(100)
    person.bank.publish()
    shown = evidence_sample(a_rig, person)
    assert shown.answer["reason"] == "no_attestation"
    publish_late(person.bank, person, opened_at_ms, Status.ACTIVE)
    cause = shown.verify().cause
    assert cause is not None
    assert cause.who is Who.BANK_DELAY


def test_the_same_word_said_again_is_no_change_and_so_no_delay(a_rig: Rig) -> None:
    person = a_rig.bound()
    catch_up(a_rig)
    changed_at_ms = a_rig.clock.now_ms()
    publish_late(person.bank, person, changed_at_ms, Status.FROZEN)
    a_rig.clock.advance(100)
    person.bank.publish()
    shown = evidence_sample(a_rig, person)
    publish_late(person.bank, person, changed_at_ms, Status.FROZEN)  # as after a resync
    cause = shown.verify().cause
    assert cause is not None
    assert (cause.who, cause.changed_at_ms) == (Who.BANK_WORD, changed_at_ms)


def test_a_change_after_the_decision_is_nobodys_delay(a_rig: Rig) -> None:
    person = a_rig.bound()
    shown = evidence_sample(a_rig, person)
    a_rig.clock.advance(1)
    person.bank.change(person.number, status=Status.CLOSED)
    cause = shown.verify().cause
    assert cause is not None
    assert cause.who is Who.BANK_WORD


@pytest.mark.long
def test_an_old_block_read_while_a_newer_one_was_there_is_the_accesss_delay(tmp_path: Path) -> None:
    with rig(tmp_path, ledger_block={"depth": 3}) as behind:
        person = behind.bound()
        for _ in range(2):
            behind.heartbeat()
        person.bank.change(person.number, status=Status.LOST)
        behind.clock.advance(20_000)
        shown = evidence_sample(behind, person)
        assert shown.answer["outcome"] == "approve"  # the block that is read does not have it yet
        report = shown.verify()
        assert report.verdict is Verdict.HOLDS
        assert report.cause is not None
        assert report.cause.who is Who.LEDGER_ACCESS_DELAY


# The command


def _command(shown: EvidenceSample, folder: Path, *more: str) -> list[str]:
    key = write(folder, "gateway.jwk", dict(shown.means.gateway_key))
    assert shown.means.binding_key is not None
    return [
        "verify",
        str(write(folder, "evidence.json", shown.answer)),
        "--contract",
        shown.rig.contract,
        "--gateway-key",
        str(key),
        "--ledger",
        shown.rig.chain_url,
        *more,
    ]


def test_the_command_says_each_check_in_a_line_and_its_exit_code_says_all(
    approved: EvidenceSample, tmp_path: Path
) -> None:
    runner = CliRunner()
    assert approved.means.binding_key is not None
    key = approved.means.binding_key.hex()
    held = runner.invoke(app, _command(approved, tmp_path, "--binding-key", key))
    assert held.exit_code == 0, held.output
    assert [int(line.split()[0]) for line in held.stdout.splitlines()[:-1]] == _ALL
    assert held.stdout.splitlines()[-1].split() == ["evidence", "holds"]
    assert runner.invoke(app, _command(approved, tmp_path)).exit_code == 2
    lie = approved.resigned(outcome="decline")
    failed = runner.invoke(app, _command(lie, tmp_path, "--binding-key", key, "--json"))
    assert failed.exit_code == 1
    document = json.loads(failed.stdout)
    assert document["verdict"] == "fails"
    assert [check["number"] for check in document["checks"] if check["verdict"] == "fails"] == [12]
    assert document["cause"]["who"] == "bank_word"


def test_the_command_takes_key_grant_and_policy_from_files(approved: EvidenceSample, tmp_path: Path) -> None:
    assert approved.means.binding_key is not None
    grant = GrantDocument.of(grant_of(approved.person)).model_dump_json()
    more = ["--grant", str(write(tmp_path, "grant.json", grant))]
    key_file = write(tmp_path, "key", "0x" + approved.means.binding_key.hex() + "\n")
    assert CliRunner().invoke(app, _command(approved, tmp_path, *more)).exit_code == 0
    result = CliRunner().invoke(app, _command(approved, tmp_path, "--binding-key", str(key_file)))
    assert result.exit_code == 0
    policy = write(tmp_path, "policy.toml", 'name = "another"\n')
    assert CliRunner().invoke(app, _command(approved, tmp_path, *more, "--policy", str(policy))).exit_code == 1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("--ledger", "--header", "ledger"),
        ("--contract", None, "contract"),
        ("--gateway-key", None, "gateway-key"),
    ],
)
def test_what_is_missing_or_wrong_on_the_command_line_is_one_line(
    approved: EvidenceSample, tmp_path: Path, old: str, new: str | None, told: str
) -> None:
    command = _command(approved, tmp_path)
    at = command.index(old)
    if new is None:
        command[at + 1] = "nonsense"
    else:
        command[at] = new
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert told in result.stderr


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"not it", b"\xff", b'{"evidence": 1}', b'{"evidence": "a.b"}', b"{"]
)
def test_a_file_that_holds_no_evidence(raw: bytes) -> None:
    with pytest.raises(InvalidValue, match="evidence"):
        parse_evidence(raw)


def test_evidence_is_had_from_the_gateway_also_without_a_proof_where_nodes_give_none(
    approved: EvidenceSample, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = approved.rig
    monkeypatch.delitem(rig.chain.devnet._own, "eth_getProof")  # eth-tester has none
    path = f"/v1/decisions/{approved.answer['transaction_id']}/evidence"
    plain = rig.support("GET", path).json()
    assert plain["evidence"] == approved.answer["evidence"]
    assert plain["key"] == rig.nobody("GET", "/v1/evidence-key").json()
    assert (plain["block"], plain["proof"], plain["no_proof_because"]) == (None, None, None)
    asked = rig.support("GET", path + "?proof=true").json()
    assert asked["proof"] is None
    assert asked["no_proof_because"]
    assert approved.person.decide()["outcome"] == "approve"  # a node without proofs is read as before


def _line_3(sample: EvidenceSample) -> tuple[Verdict, str]:
    found = next(line for line in sample.verify().lines if line.number == 3)
    return found.verdict, found.text


def test_a_block_may_be_ahead_of_the_gateways_clock_by_what_the_policy_allows_and_it_is_stated(
    approved: EvidenceSample,
) -> None:
    block_ms = approved.rig.ledger.head(approved.claims["block_number"]).time_s * 1000
    allowed_ms = approved.claims["policy"]["ahead_allowance_ms"]
    assert allowed_ms > 1_000
    for ahead_ms, verdict, said in (
        (0, Verdict.HOLDS, ""),
        (allowed_ms, Verdict.HOLDS, "ahead of the gateway's clock, within the"),
        (allowed_ms + 1, Verdict.FAILS, "after the decision"),
    ):
        found, text = _line_3(approved.resigned(decided_at_ms=block_ms - ahead_ms))
        assert found is verdict, text
        assert said in text
        assert ("ahead" in text) == (ahead_ms > 0)


def test_a_gateway_whose_clock_is_far_behind_decides_silence_and_its_evidence_holds(
    a_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    person, right = a_rig.bound(), ManualClock(a_rig.clock.now_ms() + 600_000)
    monkeypatch.setattr(a_rig.chain.devnet, "_now_s", lambda: right.now_ms() // 1000)
    monkeypatch.setattr(person.bank, "clock", right)
    person.bank.publish()
    sample = evidence_sample(a_rig, person, catching_up=False)
    assert sample.answer["reason"] == "bank_silent"
    report = sample.verify()
    assert report.verdict is Verdict.HOLDS, report.lines
    assert "one of the clocks is wrong" in _line_3(sample)[1]
