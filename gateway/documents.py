"""What goes over the gateway's doors: bodies and answers, with what OpenAPI says about them.

Answers of the hot path are written as JSON by `gateway.desk`; their models here are documentation, and tests hold the
two against each other.
"""

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from gateway.bindings import LiveBinding, StoredBinding
from gateway.decision import Kind, Outcome, Reason
from gateway.desk import Transaction, limit_word
from gateway.usage import State
from ledger.money import MAX_AMOUNT_MINOR, currency_code
from ledger.protocol import BindingRequest, Hex32, Mismatch

_USER_PATTERN = "^[A-Za-z0-9._:-]{1,64}$"
_TRANSACTION_PATTERN = "^[A-Za-z0-9._:-]{1,64}$"
_BINDING = "0x4f2d8a6c1be09d73a5c4e8f7061b2d3c9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b"

UserId = Annotated[str, Query(pattern=_USER_PATTERN, description="The platform's own id of a user")]
TransactionId = Annotated[str, Path(pattern=_TRANSACTION_PATTERN, description="The platform's id of a transaction")]
BindingId = Annotated[Hex32, Path(description="The binding's id: 0x and 64 hexadecimal digits")]
LimitMinor = Annotated[int | Literal["none"], Field(description='Minor units; "none": the bank states no limit')]

_CLAIM: dict[str, Any] = {
    "bank": "BKCHCNBJ",
    "user_id": "u-001",
    "request_id": "bind-u-001-0001",
    "number": "6216 6100 0000 0000 00",
    "number_type": "card",
    "holder_name": "张伟",
    "id_document_scheme": "NIDN",
    "id_document_country": "CN",
    "id_document_number": "11010519491231002X",
    "phone": "+86 138 0013 8000",
}

_DECISION: dict[str, Any] = {
    "transaction_id": "t-0001",
    "binding": _BINDING,
    "kind": "payment",
    "amount_minor": 12_50,
    "currency": "CNY",
}

DECISION_REQUEST_EXAMPLES: dict[str, Any] = {
    "payment": {"summary": "A payment of CNY 12.50 out of the account", "value": _DECISION},
    "withdrawal": {
        "summary": "A withdrawal of CNY 300.00 to the account",
        "value": _DECISION | {"transaction_id": "t-0002", "kind": "withdrawal", "amount_minor": 300_00},
    },
}

_READ = {"staleness_ms": 420, "block_number": 1207, "publication": 311, "watermark_ms": 1_767_225_599_580}

DECISION_EXAMPLES: dict[str, Any] = {
    "approved": {
        "summary": "Approved: the amount is reserved",
        "value": {
            **_DECISION,
            "outcome": "approve",
            "reason": None,
            "iso20022": None,
            "message": {"en": "Approved.", "zh": "已通过。"},
            **_READ,
            "remaining": {"transaction_limit_minor": 500_000, "daily_limit_minor": "none"},
            "reservation": {"state": "reserved", "amount_minor": 12_50, "day": "2026-01-01"},
            "decided_at_ms": 1_767_225_600_000,
            "evidence": "eyJ…",
        },
    },
    "declined": {
        "summary": "Declined: the bank has frozen the account",
        "value": {
            **_DECISION,
            "outcome": "decline",
            "reason": "account_frozen",
            "iso20022": "AC06",
            "message": {"en": "The bank has frozen this account. …", "zh": "该账户已被银行冻结。…"},
            **_READ,
            "remaining": {"transaction_limit_minor": 500_000, "daily_limit_minor": 2_000_000},
            "reservation": None,
            "decided_at_ms": 1_767_225_600_000,
            "evidence": "eyJ…",
        },
    },
    "review": {
        "summary": "To be reviewed: the ledger gave no answer in time",
        "value": {
            **_DECISION,
            "outcome": "review",
            "reason": "ledger_unreachable",
            "iso20022": None,
            "message": {"en": "The state of the account cannot be checked right now. …", "zh": "暂时无法查询账户状态…"},
            "staleness_ms": None,
            "block_number": None,
            "publication": None,
            "watermark_ms": None,
            "remaining": None,
            "reservation": None,
            "decided_at_ms": 1_767_225_600_000,
            "evidence": "eyJ…",
        },
    },
}


BIND_EXAMPLES: dict[str, Any] = {
    "granted": {
        "summary": "Granted",
        "value": {
            "outcome": "granted",
            "binding": _BINDING,
            "number_masked": "621661********0000",
            "created_at_ms": 1_767_225_000_000,
            "mismatches": [],
        },
    },
    "refused": {
        "summary": "Refused by the bank: the name is another",
        "value": {
            "outcome": "refused",
            "binding": None,
            "number_masked": None,
            "created_at_ms": None,
            "mismatches": [{"field": "name", "problem": "not what the bank has", "iso_reason": "PN01"}],
        },
    },
}


class BindBody(BindingRequest):
    """Bind one account of one user. The claim is personal data: it goes to the bank, and is not stored here."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_CLAIM]})

    bank: str = Field(min_length=8, max_length=32, description="BIC (ISO 9362)")
    user_id: str = Field(pattern=_USER_PATTERN, description="The platform's own id of the user; not a name or a phone")

    def request(self) -> BindingRequest:
        """What the bank's node is asked."""
        return BindingRequest(**self.model_dump(exclude={"bank", "user_id"}))

    def __repr__(self) -> str:
        return "BindBody(…)"


class BindingDocument(BaseModel):
    """A binding as the gateway holds it. What state its account is in only the ledger says: read the one binding."""

    binding: str = Field(examples=[_BINDING])
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


class BindAnswer(BaseModel):
    """Granted, with the binding; or refused by the bank, with what does not match."""

    outcome: Literal["granted", "refused"]
    binding: str | None = Field(description="The binding's id, where granted")
    number_masked: str | None = None
    created_at_ms: int | None = None
    mismatches: list[Mismatch] = []


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


class MessageDocument(BaseModel):
    """What the user can be told, and do."""

    en: str
    zh: str


class RemainingDocument(BaseModel):
    """What debits the bank's limits still allow after this decision."""

    transaction_limit_minor: LimitMinor
    daily_limit_minor: LimitMinor


class ReservationDocument(BaseModel):
    """What an approved payment holds of the daily limit, on a day of the bank's time zone."""

    state: State
    amount_minor: int
    day: str = Field(examples=["2026-01-01"])


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
    decided_at_ms: int
    evidence: str = Field(description="JWS, EdDSA; its key is at GET /v1/evidence-key")


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
