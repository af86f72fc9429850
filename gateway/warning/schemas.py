"""Answers about banks' pace, with what OpenAPI says about them."""

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field

from standing.gateway.access.schemas import LocalizedText, WhyField
from standing.gateway.bindings.schemas import PendingDocument
from standing.gateway.warning.check_up import Checked
from standing.gateway.warning.scorecard import Period, ScoreCard
from standing.gateway.warning.signs import Risk, Sign
from standing.gateway.warning.verdict import Verdict, Word


class VerdictDocument(BaseModel):
    """A bank in one word, by its last week on the ledger."""

    word: Word
    why: LocalizedText

    @classmethod
    def of(cls, verdict: Verdict | None) -> "VerdictDocument | None":
        return cls(word=verdict.word, why=LocalizedText.of(verdict.why)) if verdict is not None else None


class LedgerFiguresDocument(BaseModel):
    """What the ledger alone says; `standing-gateway scorecard --ledger` comes to the same figures from its URL."""

    covered_ms: int = Field(description="For how long of the period the bank had a word that was followed")
    publications: int
    heartbeats: int
    attestations: int
    age_median_ms: int | None = Field(description="Of the bank's word, weighted by time; the upper edge of a bin")
    age_p99_ms: int | None
    age_worst_ms: int | None
    silent_over_ms: int = Field(
        description="An older word counts as silence: the policy's widest bound, or the next bin"
    )
    silent_ms: int
    suspensions: int
    suspended_ms: int
    rotations: int


class OwnFiguresDocument(BaseModel):
    """What this gateway's own records say."""

    decisions: dict[str, dict[str, int]] = Field(description="By outcome and reason; none: approved")
    bindings_made: int
    bindings_ended: int
    failed: dict[str, int] = Field(description="Bindings that stopped working, by the event that told it")
    changes_seen: int
    effective_to_seen_median_ms: int | None = Field(
        description="From when a change took effect at the bank until this gateway saw it on the ledger"
    )
    effective_to_seen_p99_ms: int | None
    deposits_asked: int
    deposits_done: int


class ScoreCardDocument(BaseModel):
    """How a bank has done in a period of whole hours."""

    bank: str = Field(examples=["BKCHCNBJ"])
    period: Period
    from_ms: int
    until_ms: int
    verdict: VerdictDocument | None = Field(description="null: followed for too short a time to say")
    ledger: LedgerFiguresDocument
    own: OwnFiguresDocument

    @classmethod
    def of(cls, card: ScoreCard) -> "ScoreCardDocument":
        return cls(
            bank=card.bank,
            period=card.period,
            from_ms=card.from_ms,
            until_ms=card.until_ms,
            verdict=VerdictDocument.of(card.verdict),
            ledger=LedgerFiguresDocument(**asdict(card.ledger)),
            own=OwnFiguresDocument(**asdict(card.own)),
        )


class SignDocument(BaseModel):
    """One sign that a binding may fail at its next use."""

    word: str = Field(examples=["identity_changed"])
    what: LocalizedText
    to_do: LocalizedText

    @classmethod
    def of(cls, sign: Sign) -> "SignDocument":
        return cls(word=sign.word, what=LocalizedText.of(sign.what), to_do=LocalizedText.of(sign.to_do))


class RiskDocument(BaseModel):
    """How probably a use within the next seven days is not approved, by what is on record of this binding alone."""

    per_mille: int = Field(examples=[620])
    factors: list[SignDocument] = Field(description="What adds most to it, strongest first, at most three")
    scored_at_ms: int

    @classmethod
    def of(cls, risk: Risk | None) -> "RiskDocument | None":
        if risk is None:
            return None
        factors = [SignDocument.of(factor) for factor in risk.factors]
        return cls(per_mille=risk.per_mille, factors=factors, scored_at_ms=risk.scored_at_ms)


class CheckedDocument(BaseModel):
    """A bound account with its signs, strongest first; an empty list: nothing was found."""

    binding: str
    bank: str = Field(examples=["BKCHCNBJ"])
    number_masked: str = Field(examples=["621661********0000"])
    signs: list[SignDocument]
    risk: RiskDocument | None = Field(description="null: not scored, left out, or no model has learned enough yet")

    @classmethod
    def of(cls, checked: Checked) -> "CheckedDocument":
        stored = checked.view.stored
        return cls(
            binding="0x" + stored.binding.hex(),
            bank=stored.bank,
            number_masked=stored.number_masked,
            signs=[SignDocument.of(sign) for sign in checked.signs],
            risk=RiskDocument.of(checked.risk),
        )


class CheckUpDocument(BaseModel):
    """A user's bindings, each with what speaks for its failing at the next use."""

    accounts: list[CheckedDocument]
    lapsing: list[PendingDocument] = Field(description="Micro-deposits whose time ends within two days")
    predicted: bool = Field(description="false: the user is left out of predictions")


class PredictionBody(BaseModel):
    """Whether a user's bindings are scored, and why that is changed."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"predicted": False, "reason": "The user has asked for it"}]}
    )

    predicted: bool = Field(description="false: nothing of the user is learned, scored or told from now on")
    reason: WhyField


class PredictionDocument(BaseModel):
    """Whether a user's bindings are scored."""

    predicted: bool
    left_out_at_ms: int | None = Field(description="Since when the user is left out; null: they are not")
