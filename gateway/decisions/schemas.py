"""What goes over the gateway's doors: bodies and answers, with what OpenAPI says about them.

Answers of the hot path are written as JSON by `gateway.decisions.service`; their models here are documentation, and
tests hold the two against each other.
"""

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from standing.gateway.bindings.service import LiveBinding, StoredBinding
from standing.gateway.decisions.answers import limit_word
from standing.gateway.decisions.examples import BINDING_EXAMPLE, CLAIM_EXAMPLE
from standing.gateway.decisions.rules import Kind, Outcome, Reason, Transaction
from standing.gateway.decisions.service import MAX_BATCH
from standing.gateway.decisions.usage import State
from standing.ledger.attestations.binding_protocol import BindingRequest, Claim, Hex32, Mismatch
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, currency_code

USER_PATTERN = "^[A-Za-z0-9._:-]{1,64}$"
_TRANSACTION_PATTERN = "^[A-Za-z0-9._:-]{1,64}$"

UserId = Annotated[str, Query(pattern=USER_PATTERN, description="The platform's own id of a user")]
TransactionId = Annotated[str, Path(pattern=_TRANSACTION_PATTERN, description="The platform's id of a transaction")]
BindingId = Annotated[Hex32, Path(description="The binding's id: 0x and 64 hexadecimal digits")]
LimitMinor = Annotated[int | Literal["none"], Field(description='Minor units; "none": the bank states no limit')]


class ClaimBody(Claim):
    """What a user says about an account. `request_id` makes it safe to ask again after a lost answer."""

    request_id: str = Field(pattern="^[A-Za-z0-9_-]{8,64}$")

    def request(self) -> BindingRequest:
        """What the bank's node is asked."""
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
    """A binding as the gateway holds it. What state its account is in only the ledger says: read the one binding."""

    binding: str = Field(examples=[BINDING_EXAMPLE])
    bank: str = Field(examples=["BKCHCNBJ"])
    user_id: str = Field(examples=["u-001"])
    number_masked: str = Field(examples=["621661********0000"])
    number_type: str = Field(examples=["card"])
    created_at_ms: int = Field(examples=[1_767_225_000_000])
    ended_at_ms: int | None = Field(description="When this platform ended it; null while it has not", examples=[None])
    bank_told_at_ms: int | None = Field(description="When the bank knew of that end", examples=[None])

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
            bank_told_at_ms=stored.bank_told_at_ms,
        )


class DepositDocument(BaseModel):
    """A small amount that the bank pays into the account; the user is to name it before `expires_at_ms`."""

    currency: str = Field(examples=["CNY"])
    expires_at_ms: int


class BindAnswer(BaseModel):
    """Granted, with the binding; refused by the bank, with what does not match; or first a micro-deposit."""

    outcome: Literal["granted", "refused", "micro_deposit"]
    binding: str | None = Field(description="The binding's id, where granted")
    number_masked: str | None = None
    created_at_ms: int | None = None
    mismatches: list[Mismatch] = []
    micro_deposit: DepositDocument | None = Field(None, description="Confirm it with POST /v1/bindings:confirm")


class BindingList(BaseModel):
    """A user's bindings, newest first, ended ones included."""

    bindings: list[BindingDocument]


class IdentityDocument(BaseModel):
    """Whether the bank's word on the holder is still what the user was bound with."""

    name: Literal["same", "changed"]
    id_document: Literal["same", "changed"]
    phone: Literal["same", "changed"]


class TermsDocument(BaseModel):
    """The bank's word on the account."""

    status: Literal["active", "frozen", "lost", "dormant", "closed", "unbound"]
    debit_allowed: bool
    credit_allowed: bool
    currency: str = Field(examples=["CNY"])
    transaction_limit_minor: LimitMinor
    daily_limit_minor: LimitMinor
    identity: IdentityDocument


class LiveBindingDocument(BindingDocument):
    """A binding, with what the ledger said about it when this was asked."""

    problem: Literal["no_attestation", "ledger_rolled_back", "attestation_unreadable"] | None = Field(
        description="Why there are no terms, or none to rely on; null where they opened"
    )
    terms: TermsDocument | None
    publication: int | None
    effective_at_ms: int | None
    bank_suspended: bool
    watermark_ms: int | None = Field(description="null: the bank has not spoken yet")
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
            effective_at_ms=record.effective_at_ms if record.publication else None,
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
            "transaction_limit_minor": limit_word(terms.transaction_limit_minor),
            "daily_limit_minor": limit_word(terms.daily_limit_minor),
            "identity": {
                "name": _same(terms.tags.name, expected.name),
                "id_document": _same(terms.tags.id_document, expected.id_document),
                "phone": _same(terms.tags.phone, expected.phone),
            },
        }
    )


def _same(tag: bytes, expected: bytes) -> str:
    return "same" if tag == expected else "changed"


class DecisionBody(BaseModel):
    """A transaction to decide on. The same id with the same body gets the same answer again."""

    model_config = ConfigDict(extra="forbid")

    transaction_id: str = Field(pattern=_TRANSACTION_PATTERN)
    binding: Hex32
    kind: Kind = Field(description="payment debits the account, withdrawal pays out to it")
    amount_minor: int = Field(
        ge=1, le=MAX_AMOUNT_MINOR, strict=True, description="In minor units of the currency: CNY 12.50 is 1250"
    )
    currency: str = Field(pattern="^[A-Z]{3}$", description="ISO 4217, alphabetic")

    def transaction(self) -> Transaction:
        return Transaction(
            self.transaction_id, bytes.fromhex(self.binding[2:]), self.kind, self.amount_minor, self.currency
        )


class BatchBody(BaseModel):
    """Transactions to decide on, in this order. A malformed one is told with its index, and none is decided then."""

    model_config = ConfigDict(extra="forbid")

    decisions: list[DecisionBody] = Field(min_length=1, max_length=MAX_BATCH)


class CaptureBody(BaseModel):
    """How much to capture; what is not captured is given back."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"amount_minor": 10_00}]})

    amount_minor: int | None = Field(
        None, ge=1, le=MAX_AMOUNT_MINOR, strict=True, description="In minor units; left out, all of it"
    )


class RefundBody(BaseModel):
    """What was paid back of a captured payment. The same `refund_id` again, with the same amount, changes nothing."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"refund_id": "r-0001", "amount_minor": 2_50}]}
    )

    refund_id: str = Field(pattern=_TRANSACTION_PATTERN)
    amount_minor: int = Field(ge=1, le=MAX_AMOUNT_MINOR, strict=True, description="In minor units")


class MessageDocument(BaseModel):
    """What the user can be told, and do."""

    en: str
    zh: str


class RemainingDocument(BaseModel):
    """What debits the bank's limits still allow after this decision."""

    transaction_limit_minor: LimitMinor
    daily_limit_minor: LimitMinor


class ReservationDocument(BaseModel):
    """What an approved payment holds of the daily limit, on a day of the bank's time zone, and what became of it."""

    state: State
    amount_minor: int
    day: str = Field(examples=["2026-01-01"])
    expires_at_ms: int = Field(description="Not captured by then, it is given back")
    captured_minor: int | None = Field(description="null: not captured")
    refunded_minor: int


class HoldDocument(BaseModel):
    """Why the risk policy holds the transaction, and until when; support may lift it before."""

    hold_id: str = Field(examples=["h_5f0c1b7a9e4c83b6d1f2a394"])
    rule: str = Field(examples=["burst"])
    why: str = Field(examples=["more than 10 transactions within 10 minutes"])
    ends_at_ms: int


class DecisionDocument(BaseModel):
    """A decision, with one reason where it does not approve, and all that it rests on."""

    transaction_id: str
    binding: str
    kind: Kind
    amount_minor: int
    currency: str
    outcome: Outcome
    reason: Reason | None = Field(description="null: approved")
    iso20022: str | None = Field(description="ExternalStatusReason1Code, where one truly fits")
    message: MessageDocument
    staleness_ms: int | None = Field(
        description="How old the bank's word was when this was decided; negative where its clock is ahead of ours"
    )
    block_number: int | None
    publication: int | None
    watermark_ms: int | None
    remaining: RemainingDocument | None = Field(description="null where the bank's word on limits does not count")
    reservation: ReservationDocument | None = Field(description="null: nothing to capture or void")
    hold: HoldDocument | None = Field(description="With the reason risk_hold, else null")
    policy: str = Field(description="The policy's version: its name, and a hash of all that it says")
    decided_at_ms: int
    evidence: str = Field(description="JWS, EdDSA; its key is at GET /v1/evidence-key")


class BatchItem(BaseModel):
    """One transaction's decision, or the problem that stands in its place; `status` is what it would have had alone."""

    status: int = Field(examples=[200])
    decision: DecisionDocument | None = None
    problem: dict[str, Any] | None = Field(None, description="A problem document (RFC 9457)")


class BatchAnswer(BaseModel):
    """An item for each transaction, in the order of the request."""

    answers: list[BatchItem]


class BankDocument(BaseModel):
    """A bank, with what the ledger says about it now."""

    bic: str = Field(examples=["BKCHCNBJ"])
    name: str = Field(examples=["Bank of China"])
    time_zone: str = Field(examples=["Asia/Shanghai"])
    watermark_ms: int | None = Field(description="null: the bank has not spoken yet", examples=[1_767_225_599_580])
    staleness_ms: int | None = Field(examples=[420])
    suspended: bool
    within_widest_bound: bool = Field(
        description="Whether the bank has spoken lately enough for the policy's most lenient band"
    )
    block_number: int = Field(examples=[1207])


class BankList(BaseModel):
    """All banks whose accounts may be bound."""

    banks: list[BankDocument]


class EvidenceKeyDocument(BaseModel):
    """The public key of evidence, as a JWK (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    alg: Literal["EdDSA"]
    use: Literal["sig"]


class Health(BaseModel):
    """Whether the process is up (`/healthz`), or fit for work (`/readyz`), and why not."""

    ok: bool
    reason: str | None = None
