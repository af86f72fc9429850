"""Whose statement, delay or clock a decision rested on."""

from pathlib import Path

import pytest

from standing.gateway.evidence.verification.causes import Who
from standing.gateway.evidence.verification.lines import Verdict
from standing.ledger.attestations.terms import Status
from standing.ledger.clock import ManualClock
from tests.gateway.evidence_samples import (
    EvidenceSample,
    catch_up,
    evidence_sample,
    publish_late,
)
from tests.gateway.fake_bank import FakeBank
from tests.gateway.gateway_rig import Rig, rig


def test_a_change_published_after_the_decision_is_the_banks_delay(a_rig: Rig) -> None:
    person = a_rig.bound()
    catch_up(a_rig)
    a_rig.clock.advance(500)
    changed_at_ms = a_rig.clock.now_ms()
    shown = evidence_sample(a_rig, person)
    assert shown.answer["outcome"] == "approve"
    a_rig.clock.advance(5_000)
    publish_late(person.bank, person, changed_at_ms, Status.LOST)
    report = shown.verify()
    assert report.verdict is Verdict.HOLDS  # it was right by the state of the ledger
    assert report.cause is not None
    assert report.cause.who is Who.BANK_DELAY
    assert (report.cause.changed_at_ms, report.cause.decided_at_ms) == (changed_at_ms, shown.claims["decided_at_ms"])
    assert report.cause.published_at_ms is not None
    assert report.cause.published_at_ms > report.cause.decided_at_ms
    assert "account_lost" in report.cause.text


def test_a_late_change_behind_the_watermark_is_the_banks_broken_promise(a_rig: Rig) -> None:
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


def test_the_first_attestation_of_a_new_binding_breaks_no_watermark(
    a_rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It attests a long-standing state, for a time that the watermark had already vouched for."""
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


def test_a_repeated_attestation_is_no_change_and_no_delay(a_rig: Rig) -> None:
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
def test_reading_an_old_block_when_a_newer_one_existed_is_the_accesss_delay(tmp_path: Path) -> None:
    with rig(tmp_path, ledger_block={"depth": 3}) as behind:
        person = behind.bound()
        for _ in range(2):
            behind.heartbeat()
        person.bank.change(person.number, status=Status.LOST)
        behind.clock.advance(20_000)
        shown = evidence_sample(behind, person)
        assert shown.answer["outcome"] == "approve"  # the block read does not contain it yet
        report = shown.verify()
        assert report.verdict is Verdict.HOLDS
        assert report.cause is not None
        assert report.cause.who is Who.LEDGER_ACCESS_DELAY


def _line_3(sample: EvidenceSample) -> tuple[Verdict, str]:
    found = next(line for line in sample.verify().lines if line.number == 3)
    return found.verdict, found.text


def test_a_block_ahead_of_the_gateways_clock_within_the_policys_tolerance_is_allowed_and_stated(
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


def test_a_gateway_with_a_clock_far_behind_decides_silence_and_its_evidence_holds(
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
