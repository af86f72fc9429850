"""The gateway's pages are accurate: examples, fields, problems."""

import json
import re
from collections import defaultdict
from pathlib import Path

from standing.gateway.bindings.schemas import BindBody
from standing.gateway.decisions.schemas import BatchBody, DecisionBody
from standing.gateway.events.types import EventType
from standing.ledger.service.problems import MEDIA_TYPE
from tests.gateway.gateway_rig import Rig

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = (_DOCS / "GATEWAY.md").read_text(encoding="utf-8")


def _section(title: str) -> str:
    return _PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_documented_batch_is_valid() -> None:
    shown = json.loads(_section("Batches").split("```json\n")[1].split("```")[0])
    assert len(BatchBody.model_validate(shown).decisions) == 2


def test_every_field_of_a_decision_is_documented_and_required() -> None:
    section = _section("Decisions")
    for name, field in DecisionBody.model_fields.items():
        assert field.is_required(), name
        assert f"| `{name}` |" in section, name


def test_every_required_field_of_binding_is_documented() -> None:
    section = _section("Binding")
    missing = {
        name for name, field in BindBody.model_fields.items() if field.is_required() and f"`{name}`" not in section
    }
    assert missing == set()


def test_every_type_of_event_is_documented_once() -> None:
    table = (_DOCS / "EVENTS.md").read_text(encoding="utf-8").split("\n## Types\n")[1].split("\n```")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert sorted(kind for row in rows for kind in re.findall(r"`([a-z_.]+)`", row)) == sorted(EventType)


#: What is answered before a route is found, and what should not happen.
_OF_NO_ROUTE = {"http-bad-request", "http-not-found", "http-method-not-allowed", "headers-too-large", "unexpected"}


def test_every_problem_that_a_route_may_answer_with_is_documented(a_rig: Rig) -> None:
    stated: dict[str, set[str]] = defaultdict(set)
    for operation in (operation for path in a_rig.nobody.openapi["paths"].values() for operation in path.values()):
        for status, answer in operation["responses"].items():
            for word in answer.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}):
                stated[word].add(status)
    rows = [row.split("|") for row in _section("Problems").splitlines() if row.startswith("| ")]
    documented = {word: set(row[1].strip().split(", ")) for row in rows for word in re.findall(r"`([a-z-]+)`", row[2])}
    assert len(stated) > 20
    assert {word: statuses for word, statuses in stated.items() if not statuses <= documented.get(word, set())} == {}
    assert documented.keys() - stated.keys() == _OF_NO_ROUTE
