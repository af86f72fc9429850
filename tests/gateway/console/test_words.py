"""Every enumeration value that a page shows has a message."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from standing.gateway.accounts.health import Health
from standing.gateway.console.exposure import INTERVALS_MS
from standing.gateway.console.find import Done
from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.rules import LAST_CHECK, Outcome, Reason
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


def audited_actions() -> set[str]:
    """The name of every act that the gateway audits: an explicit one, or that of its route."""
    code = "".join(path.read_text(encoding="utf-8") for path in (Path(__file__).parents[3] / "gateway").rglob("*.py"))
    named = re.findall(r"(?:audit\.act|_audited)\([^\"\n]*\"(\w+)\"", code) + re.findall(
        r"\"(export_evidence\w*)\"", code
    )
    functions = (
        each for each in re.split(r"\n(?:async )?def ", code) if re.search(r"caller: Acting(?:Admin)?\b", each)
    )
    return {*named, *(function.partition("(")[0] for function in functions)}


def test_every_audited_act_has_a_name_in_words() -> None:
    actions = audited_actions()
    assert {"resync", "delete_binding", "export_evidence_with_key", "rotate_secret", "reload_settings"} <= actions
    assert not missing("standing.gateway.console", {"audited": actions})
