"""The examples on the gateway's pages are accepted by the gateway."""

import json
from pathlib import Path

from standing.gateway.bindings.schemas import BindBody
from standing.gateway.decisions.schemas import BatchBody, DecisionBody

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
