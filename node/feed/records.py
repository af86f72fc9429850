"""Flat records: one change or one account per row, from a CSV line, a JSON line or a row of a view.

The columns are the fields of `node.accounts.changes.AccountChange`. An empty cell or a null states nothing. Booleans
are `true` and `false` in any case, or 1 and 0. Limits are whole numbers or `none`. `unbind` names platforms, separated
by commas. Errors name the field and never show a value.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from standing.ledger.attestations.identity import canonical_number
from standing.ledger.attestations.limits import LIMIT_FIELDS
from standing.ledger.attestations.numbers import trimmed_fields
from standing.ledger.errors import InvalidValue, StandingError
from standing.node.accounts.changes import AccountChange
from standing.node.accounts.store import apply_change, open_account

FIELDS: tuple[str, ...] = tuple(AccountChange.model_fields)

_BOOLEANS = ("debit_allowed", "credit_allowed")
_INTEGERS = ("effective_at_ms", "account_class")
_LIMITS = LIMIT_FIELDS
_WORDS = {"true": True, "1": True, "false": False, "0": False}
_MAX_SHOWN = 10


class InvalidRecord(StandingError):
    """A record is not a valid change. `problems`: what is wrong, field by field."""

    def __init__(self, problems: tuple[InvalidValue, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems[:_MAX_SHOWN]))
        self.problems = problems


def parse_change(record: Mapping[str, Any], *, effective_at_ms: int | None = None) -> AccountChange:
    """The change that a record states; `effective_at_ms` where it does not state its own. Raises: InvalidRecord."""
    stated = {name: value for name, value in trimmed_fields(dict(record)).items() if value is not None}
    problems = []
    for convert, names in ((_boolean, _BOOLEANS), (_integer, _INTEGERS), (_limit, _LIMITS), (_text, _TEXTS)):
        for name in names:
            if name in stated:
                try:
                    stated[name] = convert(name, stated[name])
                except InvalidValue as error:
                    problems.append(error)
    if isinstance(stated.get("unbind"), str):
        stated["unbind"] = [platform.strip() for platform in stated["unbind"].split(",")]
    if effective_at_ms is not None:
        stated.setdefault("effective_at_ms", effective_at_ms)
    if problems:
        raise InvalidRecord(tuple(problems))
    try:
        return AccountChange.model_validate(stated)
    except ValidationError as error:
        raise InvalidRecord(tuple(_problem(item) for item in error.errors(include_input=False))) from error


def check_values(change: AccountChange) -> None:
    """Check that every stated value has a canonical form, as the feed demands, without looking at any account.

    Raises: InvalidValue.
    """
    canonical_number(change.number, change.number_type or "account")
    if change.replaces is not None:
        canonical_number(change.replaces, "account", "replaces")
    # A valid value stands in for whatever is not stated, so that exactly the stated values are judged.
    document = (change.id_document_scheme, change.id_document_country, change.id_document_number)
    partial = {
        name: None
        for name in ("id_document_scheme", "id_document_country", "id_document_number")
        if not all(part is not None for part in document)
    }
    apply_change(STAND_IN, change.model_copy(update={"number_type": None, **partial}))


def _problem(item: Any) -> InvalidValue:
    allowed = "; ".join(f"{key} {value}" for key, value in item.get("ctx", {}).items() if key != "error")
    return InvalidValue(".".join(str(part) for part in item["loc"][:1]), item["msg"], allowed or "see docs/FEED.md")


def _boolean(field: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = _WORDS.get(str(value).strip().lower())
    if word is None:
        raise InvalidValue(field, "no boolean", "true or false")
    return word


def _integer(field: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) <= 20:
        return int(value)
    raise InvalidValue(field, "no whole number", "digits only")


def _limit(field: str, value: Any) -> int | str:
    if isinstance(value, str) and value.strip().lower() == "none":
        return "none"
    return _integer(field, value)


def _text(field: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    # A core may store numbers as numbers. It loses only leading zeros, which it does not have then either.
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(_integer(field, value))
    raise InvalidValue(field, "no text", "text")


_TEXTS = tuple(name for name in FIELDS if name not in {*_BOOLEANS, *_INTEGERS, *_LIMITS, "unbind"})

#: Stands in for an account when only the stated values are to be judged.
STAND_IN = open_account(
    AccountChange(
        number="0000",
        effective_at_ms=0,
        number_type="account",
        status="active",
        debit_allowed=False,
        credit_allowed=False,
        currency="EUR",
        transaction_limit_minor=0,
        daily_limit_minor=0,
        holder_name="stand-in",
        id_document_scheme="CCPT",
        id_document_country="FR",
        id_document_number="00AA00000",
        phone="+33123456789",
    ),
    "0000",
)
