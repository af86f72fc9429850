"""Patterns of ISO codes in API models, and what pydantic's errors say is allowed."""

import re
from collections.abc import Mapping
from typing import Any

COUNTRY_PATTERN = "^[A-Z]{2}$"
CURRENCY_PATTERN = "^[A-Z]{3}$"

_SAID = {
    COUNTRY_PATTERN: ("not a country code", "two capital letters (ISO 3166-1)"),
    CURRENCY_PATTERN: ("not a currency code", "three capital letters (ISO 4217)"),
}


def code_problem(error: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong and what is allowed, where one of pydantic's errors is about a code; None for any other."""
    if error["type"] != "string_pattern_mismatch":
        return None
    return _SAID.get(error["ctx"]["pattern"])


#: The allowed values, in pydantic's messages: "Input should be …", "String should have …".
_SHOULD = re.compile(r" should (?:be |have |match )?(.+)")


def allowed_by(message: str) -> str | None:
    """The allowed values that one of pydantic's messages states; None where it states none."""
    found = _SHOULD.search(message)
    return None if found is None else found[1]
