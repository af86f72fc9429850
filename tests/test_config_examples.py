"""`config example` of both programs, and the pages that it points to, document every setting."""

import re
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

#: For fault tests only; operators must not set it.
_HIDDEN = {"fault_point"}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        for inner in _models(field.annotation):
            yield from _names(inner)


@pytest.mark.parametrize(
    ("model", "example", "pages"),
    [(NodeSettings, NODE_EXAMPLE, ["FEED.md", "BINDING.md"]), (GatewaySettings, GATEWAY_EXAMPLE, ["GATEWAY.md"])],
    ids=["node", "gateway"],
)
def test_every_setting_is_in_the_example_or_on_the_page_about_its_part(
    model: type[BaseModel], example: str, pages: list[str]
) -> None:
    names = set(_names(model))
    assert len(names) > 50
    documented = "\n".join([example, *((_DOCS / page).read_text() for page in pages)])
    assert {name for name in names - _HIDDEN if not re.search(rf"\b{name}\b", documented)} == set()
