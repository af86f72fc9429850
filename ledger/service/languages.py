"""The languages of the services, and which of them a caller prefers (RFC 9110, Accept-Language)."""

from typing import Literal

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")

_MAX_HEADER = 500


def preferred(accept_language: str) -> Language:
    """The language for an `Accept-Language` header: the supported language with the greatest weight, the first of
    several; English if none is named."""
    best: Language = "en"
    greatest = 0
    for part in accept_language[:_MAX_HEADER].split(","):
        tag, _, parameter = part.partition(";")
        name, weight = tag.strip().lower(), _thousandths(parameter.strip())
        for language in LANGUAGES:
            if (name == language or name.startswith(language + "-")) and weight > greatest:
                best, greatest = language, weight
    return best


def _thousandths(parameter: str) -> int:
    """The weight `q=0.5` as 500; 1000 where none is stated, 0 where it cannot be read."""
    if not parameter:
        return 1_000
    name, _, value = parameter.partition("=")
    whole, _, decimals = value.strip().partition(".")
    if name.strip().lower() != "q" or whole not in {"0", "1"} or len(decimals) > 3:
        return 0
    if decimals and not (decimals.isascii() and decimals.isdigit()):
        return 0
    return min(int(whole) * 1_000 + int(decimals.ljust(3, "0")), 1_000)
