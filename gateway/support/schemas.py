"""Bodies and answers of accounts, holds, changes of identity, binding again, and the audit."""

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from standing.gateway.access.audit import MAX_REASON, AuditEntry
from standing.gateway.accounts.health import Health
from standing.gateway.accounts.service import AccountView
from standing.gateway.bindings.flow import PendingBinding
from standing.gateway.bindings.identity_change import NewIdentity
from standing.gateway.decisions.examples import BINDING_EXAMPLE, CLAIM_EXAMPLE
from standing.gateway.decisions.holds import StoredHold
from standing.gateway.decisions.messages import NOT_SERVED, of_account
from standing.gateway.decisions.rules import Reason
from standing.gateway.decisions.schemas import USER_PATTERN, ClaimBody, MessageDocument
from standing.ledger.attestations.binding_protocol import MAX_DEPOSIT_MINOR, Hex32
from standing.ledger.attestations.identity import IdDocument
from standing.ledger.errors import InvalidValue

UserPath = Annotated[str, Path(pattern=USER_PATTERN, description="The platform's own id of a user")]
UserQuery = Annotated[str | None, Query(pattern=USER_PATTERN, description="The platform's own id of a user")]
BindingQuery = Annotated[Hex32 | None, Query(description="The binding's id: 0x and 64 hexadecimal digits")]
HoldId = Annotated[str, Path(pattern="^h_[0-9a-f]{24}$", description="As a decision or the list of holds names it")]
Before = Annotated[int | None, Query(ge=1, le=2**62, description="Only entries before this position")]
Subject = Annotated[str | None, Query(min_length=1, max_length=140, description="Only acts on this subject")]

WhyField = Annotated[
    str,
    Field(min_length=3, max_length=MAX_REASON, pattern=r"\S", description="Why this is done; kept in the audit"),
]
_WHY: dict[str, Any] = {"reason": "Call of the user, ticket 4711"}
_CLAIM: dict[str, Any] = {name: value for name, value in CLAIM_EXAMPLE.items() if name not in {"bank", "user_id"}}


class WhyBody(BaseModel):
    """Why something is done."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_WHY]})

    reason: WhyField


class ConfirmBody(BaseModel):
    """The amount that the user saw on the account."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"bank": "BKCHCNBJ", "user_id": "u-001", "request_id": "bind-u-001-0001", "amount_minor": 37}]
        },
    )

    bank: str = Field(min_length=8, max_length=32, description="BIC (ISO 9362)")
    user_id: str = Field(pattern=USER_PATTERN)
    request_id: str = Field(pattern="^[A-Za-z0-9_-]{8,64}$", description="Of the request that led to the deposit")
    amount_minor: int = Field(ge=1, le=MAX_DEPOSIT_MINOR, strict=True, description="In minor units of the currency")

    def __repr__(self) -> str:
        return "ConfirmBody(…)"


class RebindBody(ClaimBody):
    """The user's claim on the account as it is now, and why the account is bound again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_CLAIM | _WHY]})

    reason: WhyField


class IdentityBody(BaseModel):
    """What of a user has changed on the platform, and why; personal data, used to make tags and not stored."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"phone": "+86 139 0013 9000", "reason": "New phone number"}]}
    )

    holder_name: str | None = Field(None, min_length=1, max_length=140)
    id_document_scheme: Literal["NIDN", "CCPT"] | None = None
    id_document_country: str | None = Field(None, pattern="^[A-Z]{2}$")
    id_document_number: str | None = Field(None, min_length=1, max_length=35)
    phone: str | None = Field(None, min_length=3, max_length=40)
    reason: WhyField

    def new(self) -> NewIdentity:
        """What has changed, in canonical form. Raises: InvalidValue."""
        parts = (self.id_document_scheme, self.id_document_country, self.id_document_number)
        match parts:
            case (None, None, None):
                document = None
            case (str(scheme), str(country), str(number)):
                document = IdDocument(scheme, country, number)
            case _:
                raise InvalidValue("id_document", "not whole", "scheme, country and number, all three or none")
        return NewIdentity.parse(self.holder_name, document, self.phone)

    def __repr__(self) -> str:
        return "IdentityBody(…)"


class IdentityAnswer(BaseModel):
    """For how many bindings the tags were made anew."""

    bindings: int


class ResyncAnswer(BaseModel):
    """`queued` is false where the bank's newest word was on its way to the ledger already."""

    queued: bool


class HoldView(BaseModel):
    """A hold. `binding` is null where it is the user's attempts to bind that are held."""

    hold_id: str = Field(examples=["h_5f0c1b7a9e4c83b6d1f2a394"])
    binding: str | None = Field(examples=[BINDING_EXAMPLE])
    user_id: str
    rule: str = Field(description="Of the policy; BINDING_ATTEMPTS for attempts to bind", examples=["burst"])
    why: str
    whole: bool = Field(description="Every transaction of the account is held, and not only those that the rule is for")
    began_at_ms: int
    ends_at_ms: int
    lifted_at_ms: int | None
    lifted_by: str | None = Field(description="Name of the key that lifted it; why stands in the audit")

    @classmethod
    def of(cls, hold: StoredHold) -> "HoldView":
        binding = "0x" + hold.binding.hex() if hold.binding is not None else None
        told: dict[str, Any] = {name: getattr(hold, name) for name in cls.model_fields if name != "binding"}
        return cls(binding=binding, **told)


class HoldList(BaseModel):
    """Holds, newest first, ended and lifted ones too, at most 200."""

    holds: list[HoldView]


class AccountDocument(BaseModel):
    """One of a user's bound accounts, and how it is now."""

    binding: str = Field(examples=[BINDING_EXAMPLE])
    bank: str = Field(examples=["BKCHCNBJ"])
    bank_name: str = Field(examples=["Bank of China"])
    number_masked: str = Field(examples=["621661********0000"])
    number_type: str = Field(examples=["card"])
    health: Health = Field(
        description="good: payments and withdrawals are possible; limited: one of the two; blocked: neither, for now; "
        "ended: neither any more; unknown: it cannot be said now"
    )
    reason: Reason | None = Field(
        description="Why it is not good; null where it is, and for a bank that this platform serves no longer"
    )
    message: MessageDocument
    can_pay: bool
    can_withdraw: bool
    staleness_ms: int | None = Field(description="How old the bank's word is; null where there is none")
    bound_at_ms: int

    @classmethod
    def of(cls, view: AccountView) -> "AccountDocument":
        how, stored = view.condition, view.stored
        message = of_account(how.reason) if view.bank is not None else NOT_SERVED
        return cls(
            binding="0x" + stored.binding.hex(),
            bank=stored.bank,
            bank_name=view.bank.name if view.bank is not None else stored.bank,
            number_masked=stored.number_masked,
            number_type=stored.number_type,
            health=how.health,
            reason=how.reason,
            message=MessageDocument(en=message.en, zh=message.zh),
            can_pay=how.can_pay,
            can_withdraw=how.can_withdraw,
            staleness_ms=view.staleness_ms,
            bound_at_ms=stored.created_at_ms,
        )


class PendingDocument(BaseModel):
    """A binding that waits for the user to name the amount of a micro-deposit."""

    bank: str
    request_id: str
    number_masked: str
    number_type: str
    currency: str
    expires_at_ms: int

    @classmethod
    def of(cls, pending: PendingBinding) -> "PendingDocument":
        return cls(**{name: getattr(pending, name) for name in cls.model_fields})


class AccountList(BaseModel):
    """A user's bound accounts, newest first, and what waits for an amount."""

    accounts: list[AccountDocument]
    pending: list[PendingDocument]


class AuditDocument(BaseModel):
    """Who did what, and why. `outcome`: done, or the kind of error; null: it is not known whether it had its effect."""

    position: int
    at_ms: int
    caller: str = Field(description="Name of the key")
    role: str
    action: str = Field(examples=["lift_hold"])
    subject: str
    reason: str
    outcome: str | None = Field(examples=["done"])
    finished_at_ms: int | None

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditDocument":
        return cls(**{name: getattr(entry, name) for name in cls.model_fields})


class AuditList(BaseModel):
    """Entries, newest first, at most 200; go on with `before` = the last position."""

    entries: list[AuditDocument]
