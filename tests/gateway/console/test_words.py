"""Every enumeration value that a page shows has a message."""

from collections.abc import Iterable

import pytest

from standing.gateway.accounts.health import Health
from standing.gateway.console.decision import CHECKS, LAST_CHECK
from standing.gateway.console.exposure import INTERVALS_MS
from standing.gateway.console.find import Done
from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.rules import Outcome, Reason
from standing.gateway.decisions.usage import State
from standing.gateway.evidence.verification.causes import Who
from standing.gateway.evidence.verification.lines import Verdict
from standing.gateway.following.reconcile_report import Drift
from standing.gateway.settings import PEOPLE
from standing.gateway.support.hops import HopState
from standing.gateway.warning.scorecard import Period
from standing.gateway.warning.verdict import Pace
from standing.ledger.attestations.terms import Status
from tests.console_words import missing


@pytest.mark.parametrize(
    ("family", "members"),
    [
        ("reason", Reason),
        ("reason", CHECKS),
        ("reason", ["bank_not_served"]),
        ("outcome", Outcome),
        ("health", Health),
        ("kind", Kind),
        ("drift", Drift),
        ("done", Done),
        ("exposure", INTERVALS_MS),
        ("delivery", ["pending", "delivered", "given_up"]),
        ("hop", HopState),
        ("period", Period),
        ("pace", Pace),
        ("reservation", State),
        ("verdict", Verdict),
        ("line", Verdict),
        ("cause", Who),
        ("role", PEOPLE),
        ("status", [status.word for status in Status]),
        ("check", [str(number) for number in range(1, LAST_CHECK + 1)]),
        ("line", [str(number) for number in range(1, 14)]),
    ],
)
def test_every_value_of_an_enumeration_has_a_message(family: str, members: Iterable[str]) -> None:
    assert not missing("standing.gateway.console", {family: members})
