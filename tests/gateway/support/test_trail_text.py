"""The trail as text: every possible state has an equivalent line in each language."""

import re
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from standing.gateway.access.localized import Localized
from standing.gateway.bindings.banks import Bank
from standing.gateway.decisions.messages import REVIEWED, of_decision
from standing.gateway.decisions.rules import Outcome, Reason
from standing.gateway.support.hops import Hop, HopName, HopState
from standing.gateway.support.trail import BindingTrail, Cause, ChangeTrail, LastDecision
from standing.gateway.support.trail_text import HOP_NAMES, REMEDIES, plain, remedy

BANK = Bank("YUNXCNB0", b"", Localized("Bank", "银行"), ZoneInfo("Asia/Shanghai"), "http://127.0.0.1", "key")
#: 2026-01-01 12:00:00.580 in Shanghai.
AT_MS = 1_767_240_000_580
NEVER_STALLED = {(HopName.EFFECTIVE, HopState.STALLED), (HopName.USED, HopState.STALLED)}
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def trail(*hops: Hop, **changes: Any) -> BindingTrail:
    change = ChangeTrail(7, AT_MS, hops)
    values: dict[str, Any] = {
        "binding": bytes(32),
        "bank": BANK,
        "changes": (change,) if hops else (),
        "stalled": change.stalled,
        "cause": None,
        "troubles": (),
        "watermark_ms": AT_MS,
        "staleness_ms": 9_999,
        "last_decision": None,
        "read_at_ms": AT_MS,
    }
    return BindingTrail(**(values | changes))


def check(shown: BindingTrail) -> tuple[list[str], list[str]]:
    """The lines, after checking each one's language and that both contain the same figures."""
    en, zh = plain(shown)
    assert len(en) == len(zh)
    for line, other in zip(en, zh, strict=True):
        assert not _CHINESE.search(line), line
        assert _CHINESE.search(other), other
        assert re.findall(r"\d+", line) == re.findall(r"\d+", other)
    return en, zh


@pytest.mark.parametrize(
    ("name", "state"),
    # The first hop is never waited for, and the last one without a bound.
    [each for each in product(HopName, HopState) if each not in NEVER_STALLED],
)
def test_every_hop_in_every_state_has_a_line_in_both_languages(name: HopName, state: HopState) -> None:
    done = state is HopState.DONE
    hop = Hop(name, state, AT_MS if done else None, 31_000, 30_000)
    en, zh = check(trail(hop))
    assert HOP_NAMES[name].en in en[-1]
    assert HOP_NAMES[name].zh in zh[-1]
    if done:
        assert "2026-01-01 12:00:00.580 UTC+8" in en[-1]  # the bank's time
    if state is HopState.STALLED:
        assert remedy(trail(hop)) == REMEDIES[name]
        assert "31 s (expected within 30 s)" in en[-1]
    else:
        assert "stalled" not in en[-1]


def test_every_state_of_a_hop_has_its_own_text() -> None:
    lines = {state: check(trail(Hop(HopName.IN_BLOCK, state, None, 1, 1))) for state in HopState}
    assert len({en[-1] for en, _ in lines.values()}) == len({zh[-1] for _, zh in lines.values()}) == len(HopState)


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_and_every_trouble_has_a_remedy_in_both_languages(cause: Cause) -> None:
    hop = Hop(HopName.IN_BLOCK, HopState.WAITING)
    en, zh = check(trail(hop, stalled=HopName.IN_BLOCK, cause=cause, troubles=(cause,)))
    assert (en[0], zh[0]) == (REMEDIES[cause].en, REMEDIES[cause].zh)
    assert en.count(REMEDIES[cause].en) == 1  # the stalled hop is not repeated as a problem
    en, _ = check(trail(Hop(HopName.IN_BLOCK, HopState.DONE, AT_MS), troubles=(cause,)))
    if cause in {Cause.NODE_UNREACHABLE, Cause.NODE_REFUSES}:  # the node may hold a newer change
        assert en[:2] == [
            "No stalled hop is known: decisions use the newest attestation on the ledger.",
            REMEDIES[cause].en,
        ]
    else:
        assert en[:2] == ["No hop is stalled: decisions use the bank's newest attestation.", REMEDIES[cause].en]


@pytest.mark.parametrize("reason", [None, *Reason])
@pytest.mark.parametrize("outcome", ["approve", "decline", "review"])
def test_the_last_decision_is_shown_with_its_reason_in_both_languages(outcome: str, reason: Reason | None) -> None:
    en, zh = check(trail(last_decision=LastDecision("t-1", outcome, reason, AT_MS, 7)))
    assert (
        en[1] == f"Last decision, 2026-01-01 12:00:00.580 UTC+8: {outcome}. {of_decision(reason, Outcome(outcome)).en}"
    )
    assert of_decision(reason, Outcome(outcome)).zh in zh[1]


@pytest.mark.parametrize("outcome", [Outcome.APPROVE, Outcome.DECLINE])
def test_a_closed_review_is_told_with_its_outcome_and_not_as_one_that_is_still_open(outcome: Outcome) -> None:
    en, zh = check(trail(last_decision=LastDecision("t-1", "review", Reason.PHONE_CHANGED, AT_MS, 7, outcome.value)))
    assert f"{outcome} after review. {REVIEWED[outcome].en}" in en[1]
    assert f"（经人工审核）。{REVIEWED[outcome].zh}" in zh[1]


@pytest.mark.parametrize("staleness_ms", [-9_999, 0, 9_999, 599_999, 600_000, 35_999_999, 36_000_000])
def test_the_time_since_the_banks_last_publication_is_shown_in_both_languages(staleness_ms: int) -> None:
    en, _ = check(trail(staleness_ms=staleness_ms))
    assert ("ahead of ours" in en[1]) is (staleness_ms < 0)


def test_an_account_without_a_known_change_is_shown_as_such() -> None:
    en, _ = check(trail(staleness_ms=None))
    assert en == ["No changes to this account are known yet."]  # nor is it said that decisions use one


@pytest.mark.parametrize("name", list(HopName))
def test_decisions_are_not_said_to_use_a_change_that_is_not_on_the_ledger(name: HopName) -> None:
    before = name in {HopName.ACCEPTED, HopName.SIGNED, HopName.SUBMITTED, HopName.IN_BLOCK}
    en, _ = check(trail(Hop(name, HopState.WAITING)))
    assert ("once it is there" in en[0], "decisions use the bank's newest" in en[0]) == (before, not before)
