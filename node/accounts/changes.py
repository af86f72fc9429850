"""The core's statements: feed entries and their changes, as JSON and, field for field, as CSV."""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from standing.ledger.attestations.binding_protocol import PLATFORM_PATTERN, TimeMs
from standing.ledger.attestations.code_patterns import CURRENCY_PATTERN, code_problem
from standing.ledger.attestations.documents import MAX_DOCUMENT, CountryField, SchemeField
from standing.ledger.attestations.identity import HolderKind
from standing.ledger.attestations.limits import LIMIT_FIELDS, stated
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR
from standing.ledger.attestations.names import MAX_NAME
from standing.ledger.attestations.numbers import canonical_number, trimmed_fields
from standing.ledger.attestations.phones import MAX_PHONE
from standing.ledger.errors import InvalidValue

MAX_CHANGES = 5000
MAX_PARTS = 100_000
MAX_UNBOUND = 32

#: Validation context for values that are trimmed already. Trimming takes a tenth of the validation's time.
TRIMMED = object()

_READABLE_NUMBER = re.compile(r"[0-9A-Za-z \-]{4,64}")
_MAX_SHOWN = 10
_MAX_PROBLEM = 500

#: A field that a new account must state. ID document and phone are not among them: a core may have neither.
StateField = Literal[
    "number_type",
    "status",
    "debit_allowed",
    "credit_allowed",
    "currency",
    "transaction_limit_minor",
    "daily_limit_minor",
    "holder_name",
]
#: A field of an account's state, including those that a core may not have.
AccountField = Literal[
    StateField,
    "holder_kind",
    "id_document_scheme",
    "id_document_country",
    "id_document_number",
    "phone",
    "monthly_limit_minor",
    "yearly_limit_minor",
    "daily_credit_limit_minor",
    "yearly_credit_limit_minor",
    "account_class",
]

LimitValue = Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR, strict=True)] | Literal["none"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an account is unstated: `source` says where (a file and line, a row), `problem` what is wrong. No values."""

    source: str
    problem: str


class AccountChange(BaseModel):
    """One change of one account. What is not stated stays as it is; a new account states all of STATE_FIELDS.

    Blanks around a value do not count, and an empty value states nothing. Personal data: never logged.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "number": "9156026831789191",
                    "effective_at_ms": 1767225599000,
                    "status": "frozen",
                    "debit_allowed": False,
                    "credit_allowed": False,
                }
            ]
        },
    )

    STATE_FIELDS: ClassVar[tuple[StateField, ...]] = get_args(StateField)
    ACCOUNT_FIELDS: ClassVar[tuple[AccountField, ...]] = get_args(AccountField)

    _trouble: Trouble | None = PrivateAttr(None)

    number: str = Field(min_length=4, max_length=64, description="Card or account number")
    effective_at_ms: TimeMs = Field(
        description="When it took effect; after the last entry's as_of_ms, up to this one's"
    )
    number_type: Literal["card", "account"] | None = None
    status: Literal["active", "frozen", "lost", "dormant", "closed"] | None = None
    debit_allowed: StrictBool | None = None
    credit_allowed: StrictBool | None = None
    currency: str | None = Field(None, pattern=CURRENCY_PATTERN, description="ISO 4217, alphabetic")
    transaction_limit_minor: LimitValue | None = Field(None, description="Minor units; 0 allows no debit")
    daily_limit_minor: LimitValue | None = Field(None, description="Minor units; 0 allows no debit")
    monthly_limit_minor: LimitValue | None = Field(None, description="Debits; a new account has no limit unless stated")
    yearly_limit_minor: LimitValue | None = Field(None, description="Debits; a new account has no limit unless stated")
    daily_credit_limit_minor: LimitValue | None = Field(None, description="The same for credits")
    yearly_credit_limit_minor: LimitValue | None = Field(None, description="The same for credits")
    account_class: Literal[1, 2, 3] | None = Field(
        None,
        description="Class I, II or III of a bank settlement account; for information only; its caps are in the limits",
    )
    holder_kind: HolderKind | None = None
    holder_name: str | None = Field(None, min_length=1, max_length=MAX_NAME)
    id_document_scheme: SchemeField | Literal["none"] | None = Field(
        None, description='ISO 20022 code, such as NIDN, CCPT, COID; "none": the bank no longer has a document'
    )
    id_document_country: CountryField | None = None
    id_document_number: str | None = Field(None, min_length=1, max_length=MAX_DOCUMENT)
    phone: str | None = Field(
        None, min_length=1, max_length=MAX_PHONE, description='"none": the bank no longer has a phone number'
    )
    unbind: list[Annotated[str, Field(pattern=PLATFORM_PATTERN)]] = Field(
        default_factory=list,  # a default is copied for each change, at the cost of a tenth of it
        json_schema_extra={"default": []},
        max_length=MAX_UNBOUND,
        description="Platforms whose binding the holder has ended at the bank",
    )
    replaces: str | None = Field(
        None,
        min_length=4,
        max_length=64,
        description="Number of the account or card that this one replaces. A new account states its status; "
        "everything else that it does not state is taken from the one it replaces",
    )
    replaced_bindings: Literal["go_on", "end"] = Field(
        "go_on", description="What happens to the bindings of the replaced account"
    )

    unstated: list[AccountField] = Field(
        default_factory=list,
        json_schema_extra={"default": []},
        max_length=32,
        description="Fields of the account that the core cannot state at the moment. Until they are stated again, "
        "platforms send the account's transactions to review. Of such a change, only `unbind` counts in addition",
    )

    @model_validator(mode="before")
    @classmethod
    def _trim(cls, stated: Any, info: ValidationInfo) -> Any:
        return stated if info.context is TRIMMED else trimmed_fields(stated)

    def __repr__(self) -> str:
        return "AccountChange(…)"

    @property
    def trouble(self) -> Trouble | None:
        """Where this was stated and why it makes its account unstated, where that is known."""
        return self._trouble

    def stated_in(self, source: str) -> "AccountChange":
        """This change, with its source. `source` is shown if the change does not fit its account."""
        self._trouble = Trouble(source, "")
        return self

    def counting_from(self, effective_at_ms: int) -> "AccountChange":
        """This change, as if it took effect at another time."""
        if self.effective_at_ms == effective_at_ms:
            return self  # a copy costs as much as half of what follows
        return self.model_copy(update={"effective_at_ms": effective_at_ms})

    @classmethod
    def not_understood(
        cls,
        number: str,
        effective_at_ms: int,
        fields: Container[str],
        trouble: Trouble,
        *,
        stated: Mapping[str, Any] | None = None,
    ) -> "AccountChange":
        """A change saying that the core's statement about an account cannot be understood. `fields`: those it
        mentioned.

        `stated`: the statement itself. The bindings that it ends and the account that it replaces are kept where they
        can be read: no later statement would repeat them.
        """
        concerned: list[AccountField] = [field for field in cls.ACCOUNT_FIELDS if field in fields] or ["status"]
        change = cls(
            number=number,
            effective_at_ms=effective_at_ms,
            unstated=concerned,
            unbind=_readable_platforms(stated or {}),
            replaces=_readable_predecessor(number, stated or {}),
        )
        change._trouble = trouble
        return change


def listed_platforms(stated: Any) -> Any:
    """The platforms of `unbind`: a text lists them, separated by commas; anything else is returned unchanged."""
    return [platform.strip() for platform in stated.split(",")] if isinstance(stated, str) else stated


def _readable_platforms(stated: Mapping[str, Any]) -> list[str]:
    """The platforms that a statement unbinds; none where one of them is not a platform's id."""
    platforms = listed_platforms(stated.get("unbind"))
    if not isinstance(platforms, list) or len(platforms) > MAX_UNBOUND:
        return []
    return (
        platforms if all(isinstance(each, str) and re.fullmatch(PLATFORM_PATTERN, each) for each in platforms) else []
    )


def _readable_predecessor(number: str, stated: Mapping[str, Any]) -> str | None:
    """The number that a statement replaces; None where it cannot be read, or is the account's own."""
    replaced = stated.get("replaces")
    if not isinstance(replaced, str) or not _READABLE_NUMBER.fullmatch(replaced):
        return None
    try:
        same = canonical_number(replaced, "account") == canonical_number(number, "account")
    except InvalidValue:
        return None
    return None if same else replaced


class FeedEntry(BaseModel):
    """What the core states at one time: every change up to `as_of_ms` that it has not stated before.

    An entry too large for one call is sent in parts with the same `as_of_ms`, numbered from 1, all but the last with
    `complete` false. The changes of each part take effect as they arrive. The watermark moves only with the last part.
    If an entry is never completed, the next, later entry covers it.
    """

    model_config = ConfigDict(extra="forbid")

    #: The class of the entry's changes.
    CHANGE: ClassVar[type[AccountChange]] = AccountChange

    as_of_ms: TimeMs = Field(description="The core's own time: the feed contains all changes up to then")
    on_bad_change: Literal["refuse", "unstate"] = Field(
        "refuse",
        exclude=True,
        description="What to do with a malformed change: refuse the entry, or make its account unstated",
    )
    changes: list[AccountChange] = Field(default=[], max_length=MAX_CHANGES)
    part: int = Field(1, ge=1, le=MAX_PARTS, strict=True, description="Number of this part of the entry, from 1")
    complete: StrictBool = Field(True, description="False: more changes up to the same time follow")

    @field_validator("changes", mode="wrap")
    @classmethod
    def _take_bad_changes(cls, stated: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        """Where the core asks for it, a malformed change makes its account unstated."""
        if info.data.get("on_bad_change") != "unstate" or "as_of_ms" not in info.data or not isinstance(stated, list):
            return handler(stated)
        as_of_ms = info.data["as_of_ms"]
        return handler([_change_or_unstated(cls.CHANGE, index, each, as_of_ms) for index, each in enumerate(stated)])


def _change_or_unstated(kind: type[AccountChange], index: int, stated: Any, as_of_ms: int) -> Any:
    try:
        return kind.model_validate(stated)
    except ValidationError as error:
        number = stated.get("number") if isinstance(stated, dict) else None
        if not isinstance(number, str) or not _READABLE_NUMBER.fullmatch(number):
            return stated  # the change's account is unknown, so the entry is refused
        found = error.errors(include_input=False, include_url=False)[:_MAX_SHOWN]
        problem = "; ".join(f"{each['loc'][0]!a}: {_said(each)}" for each in found)
        trouble = Trouble(f"HTTP push of {as_of_ms}, changes[{index}]", problem[:_MAX_PROBLEM])
        return kind.not_understood(number, as_of_ms, stated, trouble, stated=stated)


def _said(error: Mapping[str, Any]) -> str:
    said = code_problem(error)
    return str(error["msg"]) if said is None else f"{said[0]}; allowed: {said[1]}"


def limits_rounded(changes: Iterable[AccountChange]) -> int:
    """How many limits in these changes are published as a lower amount than stated."""
    limits = (getattr(change, name) for change in changes for name in LIMIT_FIELDS)
    return sum(1 for limit in limits if isinstance(limit, int) and stated(limit) != limit)


class FeedReceipt(BaseModel):
    """The node's receipt: an entry, or a part of it, is durable.

    `attestations`: how many records it will write on the ledger. `limits_rounded`: how many of its limits the ledger
    cannot hold exactly; each is published as the next lower amount that it can (`ledger.attestations.limits`).
    """

    as_of_ms: int
    part: int = 1
    complete: bool = True
    changes: int
    attestations: int
    received_at_ms: int
    limits_rounded: int = 0
