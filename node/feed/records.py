"""Flat records: one change or one account per row, from a CSV line, a JSON line or a row of a view.

The columns are the fields of `node.accounts.changes.AccountChange`. An empty cell or a null states nothing. Booleans
are `true` and `false` in any case, or 1 and 0. Limits are whole numbers or `none`. `unbind` names platforms, separated
by commas. Space around a value does not count: cores pad their columns. Errors name the field and never show a value.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from standing.ledger.attestations.code_patterns import allowed_by, code_problem
from standing.ledger.attestations.identity import canonical_number
from standing.ledger.attestations.limits import LIMIT_FIELDS
from standing.ledger.errors import InvalidValue
from standing.node.accounts.changes import TRIMMED, AccountChange, Trouble, listed_platforms
from standing.node.accounts.store import apply_change, open_account

#: The fields of a record. `unstated` is for HTTP push alone.
FIELDS: tuple[str, ...] = tuple(name for name in AccountChange.model_fields if name != "unstated")

BOOLEANS = ("debit_allowed", "credit_allowed")
LIMITS = LIMIT_FIELDS
#: What a row with the whole state of an account may not leave empty.
ALWAYS_STATED = ("status", *BOOLEANS)
#: Replaces bytes that are not valid text in decoded text. No text can hold it otherwise.
BAD_BYTES = "\udcff"
#: What no text may hold: that mark, what SQLite's text keeps of a bad byte, and half a character in JSON.
_NOT_TEXT = re.compile("[\ud800-\udfff]")

_INTEGERS = ("effective_at_ms", "account_class")
#: Space of all kinds, and what cores pad columns with.
_PADDING = "".join(map(chr, (0, *range(9, 14), 26, 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200C), 0x2028, 0x2029)))
_PADDING += "\u202f\u205f\u3000\ufeff"
#: That, and the separators that Python counts as space: all that a change trims anyway (`TRIMMED`).
_AROUND_A_VALUE = _PADDING + "\x1c\x1d\x1e\x1f"
_WORDS = {"true": True, "1": True, "false": False, "0": False}
_MAX_SHOWN = 10
_MAX_FIELD_SHOWN = 64

#: A record states all of these or none: it is checked without those before it.
DOCUMENT = ("id_document_scheme", "id_document_country", "id_document_number")


def read_record(
    record: Mapping[str, Any], *, effective_at_ms: int | None = None
) -> tuple[AccountChange | None, list[InvalidValue]]:
    """The change that a record states, or everything that is wrong with it, field by field."""
    stated: dict[str, Any] = {}
    problems = []
    for name, value in record.items():
        is_text = isinstance(value, str)
        stated_value = value.strip(_AROUND_A_VALUE) if is_text else value
        if stated_value is None or stated_value == "":
            continue
        stated[name] = stated_value
        convert = _CONVERTS.get(name)
        if convert is None and not is_text and name in _TEXTS:
            convert = _text
        if convert is not None:
            try:
                stated[name] = convert(name, stated_value)
            except InvalidValue as error:
                problems.append(error)
    if "unbind" in stated:
        stated["unbind"] = listed_platforms(stated["unbind"])
    if effective_at_ms is not None:
        stated.setdefault("effective_at_ms", effective_at_ms)
    if "unstated" in stated:
        problems.append(InvalidValue("unstated", "only in an HTTP push", "the fields that can be said"))
    known_bad = {problem.field for problem in problems}
    try:
        change = AccountChange.model_validate(stated, context=TRIMMED)
    except ValidationError as error:
        found = [_problem(item) for item in error.errors(include_input=False)]
        problems += [problem for problem in found if problem.field not in known_bad]
        return None, problems
    return (None if problems else change), problems


def left_empty(record: Mapping[str, Any]) -> list[InvalidValue]:
    """The problems of a row that is to state an account's whole state, and has a column of the status, or of what is
    allowed, that is empty: a state that the core's export does not know would leave the account as it was. What is
    allowed is taken over from an account that it replaces."""
    allowed = "a value on every row; [profile.empty] may say what an empty one means"
    names = ALWAYS_STATED if _is_empty(record.get("replaces")) else ("status",)
    return [InvalidValue(name, "empty", allowed) for name in names if _is_empty(record.get(name, False))]


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip(_AROUND_A_VALUE))


def not_understood(
    number: str, at_ms: int, record: Mapping[str, Any], source: str, problems: Sequence[InvalidValue]
) -> AccountChange:
    """A change that makes an account unstated because a record about it cannot be understood."""
    named = {problem.field for problem in problems}.union(
        name for name, value in record.items() if value is not None and value != ""
    )
    if "line" in named:
        named.update(AccountChange.STATE_FIELDS)  # nobody knows which fields the line stated
    why = "; ".join(str(problem) for problem in problems[:_MAX_SHOWN])
    return AccountChange.not_understood(number, at_ms, named, Trouble(source, why), stated=record)


def number_problem(change: AccountChange) -> InvalidValue | None:
    """The first problem of a change's numbers, whatever the account."""
    try:
        number = canonical_number(change.number, change.number_type or "account")
        if change.replaces is not None and canonical_number(change.replaces, "account", "replaces") == number:
            return InvalidValue("replaces", "the account itself", "the number that it had before")
    except InvalidValue as error:
        return error
    return None


def stated_number(record: Mapping[str, Any]) -> str | None:
    """The account number that a record states; None where it states none that can be read."""
    try:
        return canonical_number(trimmed(_text("number", record.get("number"))), "account")
    except InvalidValue:
        return None


def holds_bad_bytes(text: str) -> bool:
    """Whether some of a value was no text in its source: bytes that cannot be decoded, or half a character."""
    return _NOT_TEXT.search(text) is not None


def trimmed(text: str) -> str:
    """A value without surrounding space and padding."""
    return text.strip(_PADDING)


def flattened(record: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object without objects within it: their values have joined names, such as `status.value`. A list is text,
    its texts separated by commas. Raises: ValueError where two values have one name; RecursionError."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        inner = {name: value}
        if isinstance(value, dict):
            inner = {f"{name}.{key}": each for key, each in flattened(value).items()}
        elif isinstance(value, list):
            inner = {name: ",".join(x if isinstance(x, str) else json.dumps(x, ensure_ascii=False) for x in value)}
        if inner.keys() & flat.keys():
            raise ValueError("a name twice")
        flat |= inner
    return flat


def value_problems(change: AccountChange) -> list[InvalidValue]:
    """Which stated values have no canonical form, as the feed demands, without looking at any account."""
    parts = [change]
    document = (change.id_document_scheme, change.id_document_country, change.id_document_number)
    if not all(part is not None for part in document):
        parts = [change.model_copy(update=dict.fromkeys(DOCUMENT))]
    try:
        _check_values(parts[0])
    except InvalidValue:
        # At least one value is wrong, and each must be reported: they are checked one by one.
        bare = parts[0].model_copy(update=dict.fromkeys((*AccountChange.ACCOUNT_FIELDS, "replaces")))
        parts = [bare, bare.model_copy(update={"number_type": change.number_type})]
        parts += [bare.model_copy(update={field: getattr(change, field)}) for field in _SINGLE]
        if all(part is not None for part in document):
            parts.append(bare.model_copy(update=dict(zip(DOCUMENT, document, strict=True))))
    else:
        return []
    found: dict[str, InvalidValue] = {}
    for part in parts:
        try:
            _check_values(part)
        except InvalidValue as error:
            found.setdefault(error.field, error)
    return list(found.values())


def _check_values(change: AccountChange) -> None:
    canonical_number(change.number, change.number_type or "account")
    if change.replaces is not None:
        canonical_number(change.replaces, "account", "replaces")
    # Values that are not stated are replaced by valid ones, so that exactly the stated values are checked.
    apply_change(STAND_IN, change.model_copy(update={"number_type": None}))


def _problem(item: Any) -> InvalidValue:
    # A name that is no text is of no field.
    field = shown_name(str(item["loc"][0])) if item["loc"] else "line"
    if item["type"] == "string_unicode":
        return InvalidValue(field, "bytes that are not valid text", "text in the encoding of the file or view")
    code = code_problem(item)
    if code is not None:
        return InvalidValue(field, *code)
    stated = allowed_by(str(item["msg"]))
    if stated is not None:
        return InvalidValue(field, "not allowed", stated)
    allowed = "; ".join(f"{key} {value}" for key, value in item.get("ctx", {}).items() if key != "error")
    return InvalidValue(field, item["msg"], allowed or "see docs/FEED.md")


def shown_name(name: str) -> str:
    """The name of a field or column as it may be shown: a file can contain anything there."""
    plain = name if name.isprintable() else ascii(name)[1:-1]
    return plain if len(plain) <= _MAX_FIELD_SHOWN else plain[:_MAX_FIELD_SHOWN] + "…"


def _boolean(field: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = _WORDS.get(str(value).lower())
    if word is None:
        raise InvalidValue(field, "not a boolean", "true or false")
    return word


def _integer(field: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) <= 20:
        return int(value)
    raise InvalidValue(field, "not a whole number", "digits only")


def _limit(field: str, value: Any) -> int | str:
    if isinstance(value, str) and value.strip().lower() == "none":
        return "none"
    return _integer(field, value)


def _text(field: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    # A core may store card numbers as integers. That loses only leading zeros, which the core itself then lacks too.
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(_integer(field, value))
    raise InvalidValue(field, "not text", "text")


#: How to parse a value that is no plain text, by field; `unbind` is parsed separately.
_CONVERTS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(BOOLEANS, _boolean),
    **dict.fromkeys(_INTEGERS, _integer),
    **dict.fromkeys(LIMITS, _limit),
}
_TEXTS = frozenset(FIELDS) - _CONVERTS.keys() - {"unbind"}

#: Values that can be checked one by one.
_SINGLE = (
    "currency",
    *LIMITS,
    "holder_name",
    "phone",
    "replaces",
)

#: A stand-in account for checking only the stated values.
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
