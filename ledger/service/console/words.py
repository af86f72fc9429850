"""A console's messages in one language, and how times, durations and amounts are written in it.

Every message is in `locales/en.ftl` and `locales/zh.ftl` (Project Fluent), under one name: those that the consoles
share here, the others in the console's own package.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from fluent.runtime import FluentBundle, FluentResource

from standing.ledger.attestations.money import minor_digits
from standing.ledger.clock import DAY_MS, HOUR_MS, MAX_CALENDAR_MS, MINUTE_MS
from standing.ledger.errors import InvalidValue, StandingError
from standing.ledger.service.command_language import errors
from standing.ledger.service.languages import Language
from standing.ledger.service.times import offset

#: The languages as the HTML attribute `lang` names them.
TAGS: dict[Language, str] = {"en": "en", "zh": "zh-Hans"}

#: The package of the shared messages.
SHARED = "standing.ledger.service.console"

_SECOND_MS = 1_000


class MissingSentence(StandingError):
    """A page uses a message that a language does not have, or omits a value that it needs."""


class Bilingual(Protocol):
    """A text that another subpackage keeps in both languages."""

    @property
    def en(self) -> str: ...
    @property
    def zh(self) -> str: ...


def source(package: str, language: Language) -> str:
    """A package's message file in a language."""
    return (files(package) / "locales" / f"{language}.ftl").read_text(encoding="utf-8")


@cache
def _bundle(package: str, language: Language) -> FluentBundle:
    bundle = FluentBundle([TAGS[language]], use_isolating=False)
    for each in (SHARED, package):
        bundle.add_resource(FluentResource(source(each, language)))
    return bundle


class Words:
    """One language of a console, whose own messages are in `package`. Thread-safe."""

    def __init__(self, package: str, language: Language, zone: ZoneInfo) -> None:
        self._package = package
        self.language: Language = language
        self.tag = TAGS[language]
        self.zone = zone

    def __call__(self, name: str, **values: Any) -> str:
        """The message of this name. Raises: MissingSentence."""
        bundle = _bundle(self._package, self.language)
        if not bundle.has_message(name):
            raise MissingSentence(f"{name}: no sentence in {self.language}.ftl")
        pattern = bundle.get_message(name).value
        if pattern is None:
            raise MissingSentence(f"{name}: no text in {self.language}.ftl")
        # Numbers are written by the methods below, and not by Fluent's own formats.
        text, errors = bundle.format_pattern(pattern, {key: str(value) for key, value in values.items()})
        if errors:
            raise MissingSentence(f"{name}: {errors[0]}")
        return str(text)

    def named(self, family: str, member: str | None, otherwise: str | None = None) -> str:
        """The label of an enumeration member, such as a reason; `otherwise`, or its plain name, where there is no
        message for it yet."""
        name = f"{family}-{member or 'none'}"
        return self(name) if _bundle(self._package, self.language).has_message(name) else otherwise or str(member)

    def sentence(self, english: str) -> str | None:
        """A sentence of a service in Chinese; None where the language is English, or no translation is known."""
        return errors().of(english) if self.language == "zh" else None

    def of(self, message: Bilingual) -> str:
        """The text in this language, of a text that another subpackage keeps in both."""
        return message.en if self.language == "en" else message.zh

    def time(self, at_ms: int | None, zone: ZoneInfo | None = None) -> str:
        """A date and time of day, to the second, in a zone and with its offset; a dash where there is none.

        The offset is always written: pages show a bank's times in its own zone, and others in the console's.
        """
        if at_ms is None or not 0 <= at_ms <= MAX_CALENDAR_MS:
            return "–"
        moment = datetime.fromtimestamp(at_ms / 1000, zone or self.zone)
        return f"{moment:%Y-%m-%d %H:%M:%S} {offset(moment)}"

    def clock(self, at_ms: int | None, zone: ZoneInfo | None = None, *, beside_ms: int | None = None) -> str:
        """A time of day, to the second, to stand beside the `time` of `beside_ms` in the same zone; with its date where
        that is another day."""
        date, _, rest = self.time(at_ms, zone).partition(" ")
        if not rest:
            return date
        clock = rest.partition(" ")[0]
        return clock if beside_ms is None or self.time(beside_ms, zone).startswith(date) else f"{date} {clock}"

    def span(self, duration_ms: int | None) -> str:
        """A duration in at most two units, such as 3 min 20 s; a dash where there is none."""
        if duration_ms is None:
            return "–"
        sign, left = ("−" if duration_ms < 0 else ""), abs(duration_ms)
        if left < _SECOND_MS:
            return sign + self("unit-ms", n=left)
        if left < 10 * _SECOND_MS:
            return sign + self("unit-s", n=f"{left // 100 / 10:.1f}")
        units = (("unit-d", DAY_MS), ("unit-h", HOUR_MS), ("unit-min", MINUTE_MS), ("unit-s", _SECOND_MS))
        parts: list[str] = []
        for unit, size_ms in units:
            count, left = divmod(left, size_ms)
            if parts or count:
                parts += [self(unit, n=count)] if count else []
                if len(parts) == 2 or (parts and not count):
                    break
        return sign + " ".join(parts)

    def number(self, value: int) -> str:
        """A whole number with thousands separated."""
        return f"{value:,}"

    def money(self, amount_minor: int | str | None, currency: str) -> str:
        """An amount in major units with its currency; "none" means that no limit is stated.

        In minor units, and said so, where how many make a major unit is not known: of a withdrawn currency or a metal.
        """
        if amount_minor is None:
            return "–"
        if isinstance(amount_minor, str):
            return self("no-limit")
        digits = _decimals(currency)
        sign, amount = ("−" if amount_minor < 0 else ""), abs(amount_minor)
        if digits is None:
            return self("minor-units", amount=f"{sign}{amount:,} {currency}")
        major, minor = divmod(amount, 10**digits)
        return f"{sign}{major:,}" + (f".{minor:0{digits}d}" if digits else "") + f" {currency}"

    def listed(self, items: Iterable[str]) -> str:
        """A list in one line."""
        return (", " if self.language == "en" else "、").join(items)


@cache
def _decimals(currency: str) -> int | None:
    """How many decimals a currency's amounts have; None where that is not defined."""
    try:
        return minor_digits(currency)
    except InvalidValue:
        return None
