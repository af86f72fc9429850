"""The node's documentation is accurate: examples, settings, fields, figures, tables."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from sqlalchemy import LargeBinary

from standing.ledger.attestations.binding_protocol import BindingAnswer, BindingRequest
from standing.ledger.service.problems import MEDIA_TYPE
from standing.node.accounts.changes import FeedEntry
from standing.node.bindings.settings import MicroDepositSettings, VelocitySettings
from standing.node.feed.file_report import FileReport
from standing.node.feed.records import FIELDS
from standing.node.feed.settings import DropFolderSettings, SqlViewSettings
from standing.node.storage import schema
from tests.world import World

_DOCS = Path(__file__).parents[2] / "docs"


def _page(name: str) -> str:
    return (_DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("page", "index", "model"),
    [
        ("BINDING.md", 0, BindingRequest),
        ("BINDING.md", 1, BindingAnswer),
        ("FEED.md", 0, FeedEntry),
        ("FEED.md", 1, FileReport),
    ],
)
def test_json_examples_match_what_the_node_accepts_and_returns(page: str, index: int, model: type[BaseModel]) -> None:
    stated: dict[str, Any] = json.loads(_page(page).split("```json\n")[1 + index].split("```")[0])
    parsed = model.model_validate(stated)
    assert set(stated) <= set(model.model_fields)
    if isinstance(parsed, BindingRequest):
        assert parsed.identity()
        assert parsed.canonical_number() == stated["number"]


def test_the_documented_bounds_on_guessing_match_the_settings() -> None:
    page = _page("BINDING.md")
    for whose in ("platform", "caller"):
        names = [f"{whose}_capacity", f"{whose}_refill_per_hour"]
        values = ", ".join(str(VelocitySettings.model_fields[name].default) for name in names)
        assert f"| `{names[0]}`, `{names[1]}` | {values} |" in page
    assert "| `require_on_behalf_of` | `false` |" in page
    rules = MicroDepositSettings.model_fields
    assert [rules[name].default for name in ("tries", "lifetime_days", "max_a_week")] == [3, 7, 3]
    assert "Three `tries`, seven `lifetime_days`, and no more than three (`max_a_week`)" in page


@pytest.mark.parametrize(("section", "model"), [("sql_view", SqlViewSettings), ("drop_folder", DropFolderSettings)])
def test_every_setting_of_a_source_is_documented_with_its_default(section: str, model: type[BaseModel]) -> None:
    table = _page("FEED.md").split(f"| setting in `[{section}]`")[1].split("\n\n")[0]
    stated: dict[str, str] = {}
    for row in table.splitlines()[2:]:
        _, names, values, *_ = row.split("|")
        for name, value in zip(re.findall(r"`(\w+)`", names), values.split(", "), strict=True):
            stated[name] = value.strip("` ")
    defaults = {name: field.default for name, field in model.model_fields.items()}
    assert set(stated) == set(defaults)
    for name, default in defaults.items():
        if isinstance(default, bool | int) or name in {"view", "role"}:
            assert stated[name] == str(default).lower(), name


def test_every_field_of_a_change_is_documented() -> None:
    section = _page("FEED.md").split("## The fields of a change")[1].split("\n## ")[0]
    named = [name for line in section.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line)]
    assert set(FIELDS) <= set(named)


def test_every_metric_has_a_help_text_and_is_documented(a_world: World) -> None:
    bank = a_world.start_bank()
    exposed = httpx.get(bank.url + "/metrics", timeout=30).text
    documented = re.findall(r"`(standing_node_[a-z_]+)", _page("OPERATIONS.md"))
    families = re.findall(r"^# TYPE (\w+) ", exposed, flags=re.MULTILINE)
    helped = re.findall(r"^# HELP (\w+) \S", exposed, flags=re.MULTILINE)
    assert sorted(helped) == sorted(families)
    # prometheus_client adds when each counter was made.
    assert set(documented) == {name for name in families if not name.endswith("_created")}


@pytest.mark.parametrize("table", schema.metadata.sorted_tables, ids=lambda table: table.name)
def test_every_table_and_every_sensitive_column_is_on_the_page_of_data_at_rest(table: Any) -> None:
    rows = [line.split("|")[1] for line in _page("DATA-AT-REST.md").splitlines() if line.startswith("| ")]
    its = " ".join(row for row in rows if re.search(rf"\b{table.name}\b", row))
    assert its, f"{table.name} is not on the page"
    # Of these columns, keys and the ledger's own hashes are only identifiers.
    technical = {"id", "binding_id", "hash", "previous", "digest", "signature", "transaction_hash"}
    hiding = {column.name for column in table.columns if isinstance(column.type, LargeBinary)} - technical
    assert hiding <= set(re.findall(r"\w+", its))


def test_every_problem_of_a_push_is_documented(a_world: World) -> None:
    bank = a_world.start_bank()
    responses = httpx.get(bank.url + "/openapi.json", timeout=30).json()["paths"]["/v1/feed"]["post"]["responses"]
    documents = [answer.get("content", {}).get(MEDIA_TYPE, {}) for answer in responses.values()]
    stated = {word for document in documents for word in document.get("examples", {})}
    section = _page("FEED.md").split("\n## HTTP push\n")[1].split("\n## ")[0]
    cells = [row.split("|")[2] for row in section.splitlines() if row.startswith("| ")]
    assert len(stated) > 8
    assert stated == set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", " ".join(cells))) - {"type"}


def test_every_change_at_a_node_states_that_a_standby_refuses_it(a_world: World) -> None:
    paths = httpx.get(a_world.start_bank().url + "/openapi.json", timeout=30).json()["paths"]
    changing = {
        f"{method} {path}": operation["responses"].get("503", {}).get("content", {}).get(MEDIA_TYPE, {})
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method != "get" and ":reload" not in path
    }
    assert len(changing) > 5
    assert {name for name, document in changing.items() if "standby" not in document.get("examples", {})} == set()
