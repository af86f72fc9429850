"""Bodies and answers of decisions, with their OpenAPI descriptions.

`gateway.decisions.service` writes the answers of the hot path as JSON. The models here document them, and tests compare
the two.
"""

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from standing.gateway.access.schemas import LocalizedText, WhyField
from standing.gateway.bindings.schemas import USER_PATTERN, LimitMinor
from standing.gateway.decisions.question import Kind, Transaction
from standing.gateway.decisions.rules import Outcome, Reason
from standing.gateway.decisions.search import CURSOR_PATTERN, MAX_PAGE
from standing.gateway.decisions.service import MAX_BATCH
from standing.gateway.decisions.usage import State
from standing.ledger.attestations.binding_protocol import MAX_TIME_MS, Hex32
from standing.ledger.attestations.code_patterns import CURRENCY_PATTERN
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR

_TRANSACTION_PATTERN = "^[A-Za-z0-9._:-]{1,64}$"

TransactionId = Annotated[str, Path(pattern=_TRANSACTION_PATTERN, description="The platform's id of a transaction")]


UserFilter = Annotated[str | None, Query(pattern=USER_PATTERN, description="Only of this user's bindings")]
BindingFilter = Annotated[Hex32 | None, Query(description="Only of this binding")]
AccountFilter = Annotated[
    Hex32 | None, Query(description="A binding's id: decisions on its account, through any of the account's bindings")
]
OutcomeFilter = Annotated[Outcome | None, Query(description="Only with this original outcome")]
ReasonFilter = Annotated[Reason | None, Query(description="Only with this reason")]
Since = Annotated[int | None, Query(ge=0, le=MAX_TIME_MS, description="Decided at this time or later, ms")]
Until = Annotated[int | None, Query(ge=0, le=MAX_TIME_MS, description="Decided before this time, ms")]
Cursor = Annotated[
    str | None,
    Query(pattern=CURSOR_PATTERN, max_length=80, description="`next` of the previous page; omitted: first page"),
]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="The most decisions per page")]


class DecisionBody(BaseModel):
    """A transaction to decide on. The same id with the same body gets the same answer again."""

    model_config = ConfigDict(extra="forbid")

    transaction_id: str = Field(pattern=_TRANSACTION_PATTERN)
    binding: Hex32
    kind: Kind = Field(description="payment debits the account, withdrawal pays out to it")
    amount_minor: int = Field(
        ge=1, le=MAX_AMOUNT_MINOR, strict=True, description="In minor units of the currency: CNY 12.50 is 1250"
    )
    currency: str = Field(pattern=CURRENCY_PATTERN, description="ISO 4217, alphabetic")

    def transaction(self) -> Transaction:
        return Transaction(
            self.transaction_id, bytes.fromhex(self.binding[2:]), self.kind, self.amount_minor, self.currency
        )


class BatchBody(BaseModel):
    """Transactions to decide on, in this order. If one is malformed, it is named by its index and none is decided."""

    model_config = ConfigDict(extra="forbid")

    decisions: list[DecisionBody] = Field(min_length=1, max_length=MAX_BATCH)


class CaptureBody(BaseModel):
    """How much to capture; what is not captured is released."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"amount_minor": 10_00}]})

    amount_minor: int | None = Field(
        None, ge=1, le=MAX_AMOUNT_MINOR, strict=True, description="In minor units; omitted: all of it"
    )


class RefundBody(BaseModel):
    """What was paid back of a captured payment. The same `refund_id` again, with the same amount, changes nothing."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"refund_id": "r-0001", "amount_minor": 2_50}]}
    )

    refund_id: str = Field(pattern=_TRANSACTION_PATTERN)
    amount_minor: int = Field(ge=1, le=MAX_AMOUNT_MINOR, strict=True, description="In minor units")


class RemainingDocument(BaseModel):
    """What the bank's limits still allow after this decision, in its direction: debits for a payment, credits for a
    withdrawal."""

    transaction_limit_minor: LimitMinor
    daily_limit_minor: LimitMinor
    monthly_limit_minor: LimitMinor
    yearly_limit_minor: LimitMinor


class ReservationDocument(BaseModel):
    """What an approved transaction holds of the bank's limits on a day of its time zone, and its state."""

    state: State
    amount_minor: int
    day: str = Field(examples=["2026-01-01"])
    expires_at_ms: int | None = Field(
        description="Released if not captured by then; null for a withdrawal, which counts until it is voided"
    )
    captured_minor: int | None = Field(description="null: not captured")
    refunded_minor: int
    settled_at_ms: int | None = Field(None, description="When it was captured, voided or expired; null: still reserved")


class HoldDocument(BaseModel):
    """Why the risk policy holds the transaction, and until when; support may lift it before."""

    hold_id: str = Field(examples=["h_5f0c1b7a9e4c83b6d1f2a394"])
    rule: str = Field(examples=["burst"])
    why: LocalizedText = Field(
        description="For support; the message for the user is the decision's `message`",
        examples=[{"en": "more than 10 transactions within 10 minutes", "zh": "10 分钟内交易超过 10 笔"}],
    )
    ends_at_ms: int


class ReviewDocument(BaseModel):
    """The review of a decision: open until staff approve or decline the transaction."""

    state: Literal["open", "closed"]
    outcome: Literal["approve", "decline"] | None = Field(description="The decision of staff; null while it is open")
    message: LocalizedText | None = Field(description="A message for the user; null while it is open")
    closed_at_ms: int | None
    staleness_ms: int | None = Field(description="The bank's staleness when staff approved")
    block_number: int | None = Field(description="The block that was read when staff approved")
    publication: int | None


class DecisionDocument(BaseModel):
    """A decision, with one reason if it does not approve, and everything that it is based on."""

    transaction_id: str
    binding: str
    kind: Kind
    amount_minor: int
    currency: str
    outcome: Outcome
    reason: Reason | None = Field(description="null: approved")
    iso20022: str | None = Field(description="ExternalStatusReason1Code, if one fits exactly")
    message: LocalizedText
    staleness_ms: int | None = Field(
        description="The bank's staleness when this was decided; negative where its clock is ahead of ours"
    )
    block_number: int | None
    publication: int | None
    watermark_ms: int | None
    remaining: RemainingDocument | None = Field(description="null if the bank's limits do not apply")
    reservation: ReservationDocument | None = Field(description="null: nothing to capture or void")
    hold: HoldDocument | None = Field(description="With the reason risk_hold, else null")
    review: ReviewDocument | None = Field(
        None, description="With the outcome review, else null. The outcome above stays as decided"
    )
    policy: str = Field(description="The policy's version: its name and a hash of its content")
    decided_at_ms: int
    evidence: str = Field(description="JWS, EdDSA; its key is at GET /v1/evidence-key")


class DecisionList(BaseModel):
    """A page of decisions. Ask again with `cursor` = `next` for the next one, until `next` is null."""

    decisions: list[DecisionDocument]
    next: str | None = Field(description="null: this is the last page", examples=["1767225600000~t-0001"])


class ReviewBody(BaseModel):
    """How staff end a review, and why."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"outcome": "approve", "reason": "The user was called back, ticket 4711"}]},
    )

    outcome: Literal["approve", "decline"]
    reason: WhyField


class BatchItem(BaseModel):
    """One transaction's decision, or the problem instead; `status` is what a single call would have returned."""

    status: int = Field(examples=[200])
    decision: DecisionDocument | None = None
    problem: dict[str, Any] | None = Field(None, description="A problem document (RFC 9457)")


class BatchAnswer(BaseModel):
    """An item for each transaction, in the order of the request."""

    answers: list[BatchItem]
