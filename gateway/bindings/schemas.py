"""Bodies and answers of bindings, with their OpenAPI descriptions."""

from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from standing.gateway.access.schemas import LocalizedText
from standing.gateway.bindings.examples import BINDING_EXAMPLE, CLAIM_EXAMPLE
from standing.gateway.bindings.messages import of_hint, of_match
from standing.gateway.bindings.outcomes import PendingBinding
from standing.gateway.bindings.service import LiveBinding, StoredBinding
from standing.ledger.attestations.binding_protocol import (
    MAX_DEPOSIT_MINOR,
    BindingRequest,
    Claim,
    ClaimHint,
    FieldMatch,
    Hex32,
    MatchCode,
    MatchWord,
    Mismatch,
)
from standing.ledger.attestations.hints import Hint
from standing.ledger.attestations.limits import LIMIT_FIELDS
from standing.ledger.attestations.money import currency_code, limit_word
from standing.ledger.attestations.terms import NOT_STATED

USER_PATTERN = "^[A-Za-z0-9._:-]{1,64}$"


UserId = Annotated[str, Query(pattern=USER_PATTERN, description="The platform's own id of a user")]


BindingId = Annotated[Hex32, Path(description="The binding's id: 0x and 64 hexadecimal digits")]


LimitMinor = Annotated[int | Literal["none"], Field(description='Minor units; "none": the bank states no limit')]


class ClaimBody(Claim):
    """What a user claims about an account. `request_id` makes it safe to repeat the request after a lost answer."""

    request_id: str = Field(pattern="^[A-Za-z0-9_-]{8,64}$")
    as_written: bool = Field(
        False, description="Send the claim to the bank even if something looks mistyped: the user has checked it"
    )

    def request(self) -> BindingRequest:
        """The request to the bank's node."""
        asked = {name: getattr(self, name) for name in Claim.model_fields}
        return BindingRequest(request_id=self.request_id, **asked)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class BindBody(ClaimBody):
    """Bind one account of one user. The claim is personal data: it goes to the bank, and is not stored here."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [CLAIM_EXAMPLE]})

    bank: str = Field(min_length=8, max_length=32, description="BIC (ISO 9362)")
    user_id: str = Field(pattern=USER_PATTERN, description="The platform's own id of the user; not a name or a phone")


class BindingDocument(BaseModel):
    """A binding as the gateway holds it. Only the ledger knows the state of its account: read the single binding for
    that."""

    binding: str = Field(examples=[BINDING_EXAMPLE])
    bank: str = Field(examples=["BKCHCNBJ"])
    user_id: str = Field(examples=["u-001"])
    number_masked: str = Field(examples=["621661********0000"])
    number_type: str = Field(examples=["card"])
    created_at_ms: int = Field(examples=[1_767_225_000_000])
    ended_at_ms: int | None = Field(description="When this platform ended it; null: not ended", examples=[None])
    bank_notified_at_ms: int | None = Field(description="When the bank was notified of that end", examples=[None])
    usable_since_ms: int | None = Field(
        description="When the first attestation of the binding was seen on the ledger, as in the event "
        "binding.usable; null: not yet, and decisions give no_attestation",
        examples=[1_767_225_001_200],
    )

    @classmethod
    def of(cls, stored: StoredBinding) -> "BindingDocument":
        return cls(
            binding="0x" + stored.binding.hex(),
            bank=stored.bank,
            user_id=stored.user_id,
            number_masked=stored.number_masked,
            number_type=stored.number_type,
            created_at_ms=stored.created_at_ms,
            ended_at_ms=stored.ended_at_ms,
            bank_notified_at_ms=stored.bank_notified_at_ms,
            usable_since_ms=stored.usable_since_ms,
        )


class DepositDocument(BaseModel):
    """A small amount that the bank pays into the account. The user has to state it before `expires_at_ms`."""

    currency: str = Field(examples=["CNY"])
    expires_at_ms: int


class MatchDocument(BaseModel):
    """How a field compares with the bank's records, with a message for the user. The bank's value is never shown."""

    field: str = Field(examples=["name"])
    match: MatchWord
    code: MatchCode = Field(description="As Verification of Payee names it (ISO 20022)")
    message: LocalizedText

    @classmethod
    def of(cls, found: FieldMatch) -> "MatchDocument":
        return cls(field=found.field, match=found.match, code=found.code, message=of_match(found))


class HintDocument(BaseModel):
    """What looks mistyped in a field, with a message for the user."""

    field: str = Field(examples=["number"])
    hint: Hint
    message: LocalizedText

    @classmethod
    def of(cls, found: ClaimHint) -> "HintDocument":
        return cls(field=found.field, hint=found.hint, message=of_hint(found))


class BindAnswer(BaseModel):
    """Granted, with the binding; refused by the bank, with what does not match; a micro-deposit first; or something
    looks mistyped, in which case the bank was not asked and no attempt was counted."""

    outcome: Literal["granted", "refused", "micro_deposit", "looks_mistyped"]
    binding: str | None = Field(description="The binding's id, if granted")
    number_masked: str | None = None
    created_at_ms: int | None = None
    usable_since_ms: int | None = Field(
        None,
        description="As of the binding: null right after the grant, until the first attestation is on the ledger. Wait "
        "for the event binding.usable, or ask for the binding",
    )
    mismatches: list[Mismatch] = []
    matches: list[MatchDocument] = Field([], description="How each field compares, unless granted or unknown")
    hints: list[HintDocument] = Field(
        [], description="What looks mistyped; repeat the request with as_written if it is correct"
    )
    message: LocalizedText = Field(description="A message for the user: what happened, and what they can do")
    micro_deposit: DepositDocument | None = Field(None, description="Confirm it with POST /v1/bindings:confirm")
    tries_left: int | None = Field(
        None,
        description="Where the amount of a micro-deposit is refused: how many other amounts the user may still name. "
        "0: start again with a new request_id",
    )


class BindingList(BaseModel):
    """A user's bindings, newest first, ended ones included."""

    bindings: list[BindingDocument]


class IdentityDocument(BaseModel):
    """Whether the holder's details at the bank still match the user as bound. `not_stated`: one of the two states none,
    so nothing is compared."""

    name: Literal["same", "changed", "not_stated"]
    id_document: Literal["same", "changed", "not_stated"]
    phone: Literal["same", "changed", "not_stated"]


class TermsDocument(BaseModel):
    """What the bank attests about the account."""

    status: Literal["active", "frozen", "lost", "dormant", "closed", "unbound", "unstated"]
    debit_allowed: bool
    credit_allowed: bool
    currency: str = Field(examples=["CNY"])
    transaction_limit_minor: LimitMinor
    daily_limit_minor: LimitMinor
    monthly_limit_minor: LimitMinor
    yearly_limit_minor: LimitMinor
    daily_credit_limit_minor: LimitMinor
    yearly_credit_limit_minor: LimitMinor
    account_class: Literal[1, 2, 3] | None = Field(description="Of a bank settlement account; null: not stated")
    holder: Literal["person", "organisation"]
    identity: IdentityDocument


class LiveBindingDocument(BindingDocument):
    """A binding with the ledger's record of it at the time of the request."""

    problem: Literal["no_attestation", "ledger_rolled_back", "attestation_unreadable"] | None = Field(
        description="Why there are no terms, or none to rely on; null if they were decrypted"
    )
    terms: TermsDocument | None
    publication: int | None
    effective_at_ms: int | None = Field(description="When the terms took effect at the bank")
    bank_suspended: bool
    watermark_ms: int | None = Field(description="null: the bank has not published yet")
    staleness_ms: int | None
    block_number: int

    @classmethod
    def of_live(cls, live: LiveBinding) -> "LiveBindingDocument":
        record = live.seen.record
        return cls(
            **BindingDocument.of(live.stored).model_dump(),
            problem=_problem(live),
            terms=_terms(live),
            publication=record.publication or None,
            effective_at_ms=live.terms.effective_at_ms if live.terms is not None else None,
            bank_suspended=record.suspended,
            watermark_ms=record.watermark_ms or None,
            staleness_ms=live.read_at_ms - record.watermark_ms if record.watermark_ms else None,
            block_number=live.seen.block_number,
        )


def _problem(
    live: LiveBinding,
) -> Literal["no_attestation", "ledger_rolled_back", "attestation_unreadable"] | None:
    publication = live.seen.record.publication
    if publication == 0:
        return "no_attestation"
    if publication < live.stored.floor:
        return "ledger_rolled_back"
    return "attestation_unreadable" if live.terms is None else None


def _terms(live: LiveBinding) -> TermsDocument | None:
    terms, expected = live.terms, live.expected_tags
    if terms is None:
        return None
    return TermsDocument.model_validate(
        {
            "status": terms.status.word,
            "debit_allowed": terms.debit_allowed,
            "credit_allowed": terms.credit_allowed,
            "currency": currency_code(terms.currency),
            **{name: limit_word(getattr(terms.limits, name)) for name in LIMIT_FIELDS},
            "account_class": terms.account_class or None,
            "holder": "organisation" if terms.organisation else "person",
            "identity": {
                "name": _same(terms.tags.name, expected.name),
                "id_document": _same(terms.tags.id_document, expected.id_document),
                "phone": _same(terms.tags.phone, expected.phone),
            },
        }
    )


def _same(tag: bytes, expected: bytes) -> str:
    if NOT_STATED in (tag, expected):
        return "not_stated"
    return "same" if tag == expected else "changed"


UserPath = Annotated[str, Path(pattern=USER_PATTERN, description="The platform's own id of a user")]


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


class PendingDocument(BaseModel):
    """A binding that is waiting for the user to state the amount of a micro-deposit."""

    bank: str
    request_id: str
    number_masked: str
    number_type: str
    currency: str
    expires_at_ms: int

    @classmethod
    def of(cls, pending: PendingBinding) -> "PendingDocument":
        return cls(**{name: getattr(pending, name) for name in cls.model_fields})
