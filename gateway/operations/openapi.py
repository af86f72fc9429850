"""Examples of answers, put into OpenAPI where FastAPI would lose their nulls.

FastAPI drops every null from the document that it makes, in examples too, and an example of a decision without its
nulls would not be one.
"""

from typing import Any

from fastapi import FastAPI

from standing.gateway.bindings.examples import BIND_EXAMPLES
from standing.gateway.decisions.examples import DECISION_EXAMPLES

_EXAMPLES = {"DecisionDocument": DECISION_EXAMPLES, "BindAnswer": BIND_EXAMPLES}


def install(app: FastAPI) -> None:
    """Make `app` show the examples of these documents with each answer that is one of them."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        for methods in document["paths"].values():
            for operation in methods.values():
                for response in operation["responses"].values():
                    _add_examples(response)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _add_examples(response: dict[str, Any]) -> None:
    content = response.get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    if name in _EXAMPLES:
        content["examples"] = _EXAMPLES[name]
