"""Settings of a service: from the environment, then from a TOML file; read once at start and never at import."""

import os
import re
import tomllib
from collections.abc import Callable, Collection, Sequence
from json import JSONDecodeError
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from pydantic_settings import SettingsError as SourceError

from standing.ledger.errors import InvalidValue, StandingError


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("not a time zone; allowed: an IANA name, such as Asia/Shanghai") from error
    return name


_T = TypeVar("_T")

#: The IANA name of a time zone.
TimeZoneName = Annotated[str, AfterValidator(_time_zone)]


def checked(check: Callable[[str], _T]) -> AfterValidator:
    """A pydantic validator from one of our own parsers."""

    def parse(text: str) -> _T:
        try:
            return check(text)
        except InvalidValue as error:
            raise ValueError(str(error)) from error

    return AfterValidator(parse)


#: How pydantic names the forms of a setting that has several.
_FORM = re.compile(r"literal\[.*\]|constrained-int|int")


class SettingsError(StandingError):
    """The settings are incomplete or invalid. The text names each field and never shows a value.

    Attribute: `each`, the single faults.
    """

    def __init__(self, text: str, each: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.each = tuple(each) or (text,)


class ServiceSettings(BaseSettings):
    """The base of a service's settings: the environment takes precedence over the file."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings


_Settings = TypeVar("_Settings", bound=ServiceSettings)


def load(model: type[_Settings], file: Path | None) -> _Settings:
    """Read the settings from the environment and, with lower precedence, from a TOML `file`. Raises: SettingsError."""
    return load_text(model, None if file is None else read_settings_text(file), str(file or "environment"))


def variables_without_effect(model: type[ServiceSettings], others: Sequence[str] = ()) -> list[str]:
    """Variables of the environment that are named as those of a service's settings, and are none, nor one of `others`.

    They are no error: a platform that runs containers sets some by itself, such as STANDING_NODE_SERVICE_HOST.
    """
    prefix, delimiter = model.model_config["env_prefix"], model.model_config["env_nested_delimiter"] or ""
    known = {*(prefix + name.upper() for name in model.model_fields), *others}
    named = (name for name in os.environ if name.upper().startswith(prefix))
    return sorted(name for name in named if name.upper().split(delimiter)[0] not in known)


def read_settings_text(file: Path) -> str:
    """The text of a settings file. Raises: SettingsError."""
    try:
        # Some editors write a byte order mark.
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: not UTF-8; allowed: TOML in UTF-8") from error


def parse_toml(text: str) -> dict[str, Any]:
    """A TOML document. Raises: ValueError, also where `tomllib` fails otherwise: at endless numbers and nesting."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(str(error)) from error


def load_text(model: type[_Settings], text: str | None, source: str) -> _Settings:
    """As `load`, from the text of the file; `source` names it in errors. Raises: SettingsError."""
    try:
        stated: dict[str, Any] = {} if text is None else parse_toml(text)
    except ValueError as error:
        raise SettingsError(f"{source}: {error}") from error
    if (place := _place_of_nul(stated)) is not None:  # which no path and no URL may hold
        raise SettingsError(f"{source}: {'.'.join(place)}: holds a NUL character; allowed: text without one")
    try:
        return model(**stated)
    except SourceError as error:
        raise SettingsError(_variable_fault(model, error)) from error
    except ValidationError as error:
        each = faults(error, _forms(model))
        raise SettingsError(f"{source}: " + "; ".join(each), each) from error


def _variable_fault(model: type[ServiceSettings], error: SourceError) -> str:
    """Which variable is not the JSON that its setting needs: the library's own text names the setting alone."""
    if not isinstance(error.__cause__, JSONDecodeError):
        return f"environment: {error}"
    prefix = model.model_config["env_prefix"]
    text = error.__cause__.doc
    names = sorted(name for name, value in os.environ.items() if name.upper().startswith(prefix) and value == text)
    return ", ".join(names) + ': not JSON; allowed: a list as ["a", "b"], a table as {"name": "a"}'


def _place_of_nul(value: Any) -> tuple[str, ...] | None:
    """Where in a TOML document a text holds a NUL character; None where none does."""
    if isinstance(value, str):
        return () if "\0" in value else None
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in items:
        if (place := _place_of_nul(each)) is not None:
            return (str(name), *place)
    return None


def _forms(model: type[ServiceSettings]) -> set[str]:
    """The names of the classes among the forms of a model's settings."""
    forms = (form for field in model.model_fields.values() for form in get_args(field.annotation))
    return {form.__name__ for form in forms if isinstance(form, type)}


def faults(error: ValidationError, forms: Collection[str] = ()) -> list[str]:
    """One fault for each value. Of one with several forms, such as a number or "never", pydantic reports each form, and
    adds a name of its own for it; `forms`: the names that are classes."""
    found: dict[tuple[str | int, ...], list[str]] = {}
    for item in error.errors():
        place = tuple(part for part in item["loc"] if part not in forms and not _FORM.fullmatch(str(part)))
        found.setdefault(place, []).append(item["msg"].removeprefix("Value error, "))
    # Where the right form was chosen, what is wrong within it says more than that the other forms do not fit.
    outer = {place[:length] for place in found for length in range(1, len(place))}
    return [_fault(place, ", or: ".join(msgs)) for place, msgs in found.items() if not place or place not in outer]


def _fault(place: tuple[str | int, ...], problem: str) -> str:
    """`banks.0.bic: …`; a check across several settings names them itself."""
    return f"{'.'.join(map(str, place))}: {problem}" if place else problem


def read_secret(path: Path, field: str) -> bytes:
    """A secret kept in a file: at least 32 bytes, written as hexadecimal digits on one line.

    Raises: SettingsError, which never shows the content.
    """
    try:
        secret = bytes.fromhex(path.read_text(encoding="utf-8-sig").strip())
    except OSError as error:
        raise SettingsError(f"{field}: {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{field}: {path} does not hold hexadecimal digits") from error
    if len(secret) < 32:
        raise SettingsError(f"{field}: {path} holds {len(secret)} bytes; allowed: at least 32")
    return secret


def read_text_secret(path: Path, field: str) -> str:
    """A password or key kept in a file, without its last line break. Raises: SettingsError."""
    try:
        text = path.read_text(encoding="utf-8").rstrip("\n")
    except FileNotFoundError as error:
        raise SettingsError(f"{field}: {path} does not exist; allowed: a file that holds it, on one line") from error
    except OSError as error:
        raise SettingsError(f"{field}: {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        # No `from`: the cause contains the content.
        raise SettingsError(f"{field}: {path} is not UTF-8") from None
    if not text:
        raise SettingsError(f"{field}: {path} is empty")
    return text


def checked_api_key(text: str, source: str) -> str:
    """An API key as it was given, without the space and the byte order mark around it. Raises: SettingsError."""
    key = text.strip("\ufeff \t\r\n")
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(f"{source}: not an API key; allowed: letters, digits and signs on one line")
    return key


def read_api_key(path: Path, field: str) -> str:
    """An API key kept in a file. Raises: SettingsError, without the key."""
    return checked_api_key(read_text_secret(path, field), f"{field}: {path}")
