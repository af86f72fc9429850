"""`config example` of both programs states every setting, with its default where there is one."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from standing.gateway.settings import EXAMPLE as GATEWAY_EXAMPLE
from standing.gateway.settings import GatewaySettings
from standing.node.settings import EXAMPLE as NODE_EXAMPLE
from standing.node.settings import NodeSettings

_DOCS = Path(__file__).parent.parent / "docs"

#: `fault_point` is for fault tests only. `vault_secrets` is for the environment, and described beside the files.
#: `ledger_block.depth` is shown as another value of `ledger_block`.
_NOT_FOR_THE_FILE = {"fault_point", "vault_secrets", "ledger_block.depth"}
#: Keys at a node name a platform; the two services share the model.
_OF_THE_NODE = {"api_keys.platform"}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _settings(model: type[BaseModel], within: str = "") -> Iterator[str]:
    """The path of each setting: `publisher.poll_ms`."""
    for name, field in model.model_fields.items():
        yield within + name
        for inner in _models(field.annotation):
            yield from _settings(inner, f"{within}{name}.")


def _stated(value: Any, within: str = "") -> Iterator[str]:
    """The path of each setting in a parsed file."""
    if isinstance(value, list):
        for each in value:
            yield from _stated(each, within)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield within + name
            yield from _stated(inner, f"{within}{name}.")


def _with_optional(example: str) -> dict[str, Any]:
    """The example with the settings and tables that it shows as comments."""
    return tomllib.loads(re.sub(r"^# (?=\w+ = |\[)", "", example, flags=re.MULTILINE))


def _policy_page() -> set[str]:
    """The policy's settings on its page, which has more of them than the example."""
    block = (_DOCS / "GATEWAY.md").read_text(encoding="utf-8").split("## The policy file")[1].split("```toml\n")[1]
    return {re.sub(r"\.[A-Z]{3}\b", "", path) for path in _stated(_with_optional(block.split("```")[0]), "policy.")}


@pytest.mark.parametrize(
    ("model", "example"), [(NodeSettings, NODE_EXAMPLE), (GatewaySettings, GATEWAY_EXAMPLE)], ids=["node", "gateway"]
)
def test_every_setting_is_in_the_example(model: type[BaseModel], example: str) -> None:
    settings = set(_settings(model)) - _NOT_FOR_THE_FILE
    assert len(settings) > 70
    stated = set(_stated(_with_optional(example)))
    if model is GatewaySettings:
        stated |= _policy_page() | _OF_THE_NODE
    assert settings - stated == set()


def test_the_nodes_example_states_the_defaults() -> None:
    stated = _with_optional(NODE_EXAMPLE)
    for table in ("publisher", "sql_view", "drop_folder", "velocity", "micro_deposit", "console"):
        (model,) = _models(NodeSettings.model_fields[table].annotation)
        for name, value in stated[table].items():
            default = model.model_fields[name].default
            if isinstance(default, (int, str)) and (table, name) not in _RECOMMENDED:
                assert value == default, f"{table}.{name}"


#: Where the example shows something other than the default, on purpose.
_RECOMMENDED = {("publisher", "herd_size"), ("micro_deposit", "close_names")}
