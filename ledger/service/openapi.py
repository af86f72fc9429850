"""OpenAPI for other tools: explicit names, documented problems, no dangling references."""

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from standing.ledger.service.problems import MEDIA_TYPE

_TEXT: dict[str, Any] = {"type": "string"}

#: A problem document (RFC 9457), as `ledger.service.problems` writes it.
PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:standing:problem:[a-z0-9-]+$", "description": "Stable"},
        "title": _TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {**_TEXT, "description": "What was wrong, where, and what is allowed"},
        "errors": {
            "type": "array",
            "maxItems": 50,
            "description": "With 422: each field that is not allowed",
            "items": {"$ref": "#/components/schemas/FieldError"},
        },
        "max_bytes": {
            "type": "integer",
            "minimum": 1,
            "maximum": 2**53,
            "description": "With 413: the largest body that is taken",
        },
    },
}
FIELD_ERROR: dict[str, Any] = {
    "title": "FieldError",
    "description": "One field that is not allowed.",
    "type": "object",
    "required": ["field", "problem", "allowed"],
    "properties": {"field": _TEXT, "problem": _TEXT, "allowed": _TEXT},
}

#: FastAPI's own validation errors, which no service here answers with.
_UNUSED = ("HTTPValidationError", "ValidationError")


def operation_id(route: APIRoute) -> str:
    """The name of an operation: that of its function, unique within a service."""
    return route.name


def install(app: FastAPI) -> None:
    """Describe the problems of `app` as they are. Call it after `problems.install`."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        document = plain()
        schemas = document["components"]["schemas"]
        for name in _UNUSED:
            schemas.pop(name, None)
        schemas |= {"Problem": PROBLEM, "FieldError": FIELD_ERROR}
        for schema in schemas.values():
            _bound_integers(schema)
        for methods in document["paths"].values():
            for operation in methods.values():
                _drop_default_422(operation["responses"])
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _bound_integers(schema: Any) -> None:
    """State the bounds of integers that have none: every integer of a response is 64 bits wide.

    Without bounds some client generators use 32 bits, which times in milliseconds exceed.
    """
    if isinstance(schema, list):
        for one in schema:
            _bound_integers(one)
    elif isinstance(schema, dict):
        if schema.get("type") == "integer" and not {"enum", "const"} & schema.keys():
            if "exclusiveMinimum" not in schema:
                schema.setdefault("minimum", -(2**63))
            if "exclusiveMaximum" not in schema:
                schema.setdefault("maximum", 2**63 - 1)
            schema["format"] = "int64"
        for one in schema.values():
            _bound_integers(one)


def _drop_default_422(responses: dict[str, Any]) -> None:
    """Remove FastAPI's description of a malformed request from a route that documents its own, or has no input."""
    content = responses.get("422", {}).get("content", {})
    if content.get("application/json", {}).get("schema", {}).get("$ref", "").endswith("/HTTPValidationError"):
        del content["application/json"]
        if MEDIA_TYPE not in content:
            del responses["422"]
