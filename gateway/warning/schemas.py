"""Response bodies of early warning, with their OpenAPI descriptions."""

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field

from standing.gateway.access.schemas import LocalizedText, WhyField
from standing.gateway.bindings.schemas import PendingDocument
from standing.gateway.warning.check_up import Checked
from standing.gateway.warning.scorecard import Period, ScoreCard
from standing.gateway.warning.signs import Risk, Sign
from standing.gateway.warning.verdict import Verdict, Word


class VerdictDocument(BaseModel):
    """A bank in one word, from its last week on the ledger."""

    word: Word
    why: LocalizedText

    @classmethod
    def of(cls, verdict: Verdict | None) -> "VerdictDocument | None":
        return cls(word=verdict.word, why=LocalizedText.of(verdict.why)) if verdict is not None else None


class LedgerFiguresDocument(BaseModel):
    """From the ledger alone; `standing-gateway scorecard --ledger` computes the same figures from a node's URL."""

    covered_ms: int = Field(description="How much of the period was followed while the bank had a watermark")
    publications: int
    heartbeats: int
    attestations: int
    age_median_ms: int | None = Field(description="Staleness, weighted by time; the upper edge of a bin")
    age_p99_ms: int | None
    age_worst_ms: int | None
    silent_over_ms: int = Field(
        description="Staleness above this counts as silence: the policy's widest bound, or the next bin edge"
    )
    silent_ms: int
    suspensions: int
    suspended_ms: int
    rotations: int


class OwnFiguresDocument(BaseModel):
    """From this gateway's own records."""

    decisions: dict[str, dict[str, int]] = Field(description="By outcome and reason; none: approved")
    bindings_made: int
    bindings_ended: int
    failed: dict[str, int] = Field(description="Bindings that stopped working, by event")
    changes_seen: int
    effective_to_seen_median_ms: int | None = Field(
        description="Time between a change taking effect at the bank and this gateway seeing it on the ledger"
    )
    effective_to_seen_p99_ms: int | None
    deposits_asked: int
    deposits_done: int


class ScoreCardDocument(BaseModel):
    """How a bank performed in a period of whole hours."""

    bank: str = Field(examples=["BKCHCNBJ"])
    period: Period
    from_ms: int
    until_ms: int
    verdict: VerdictDocument | None = Field(description="null: not followed for long enough")
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
    """The probability that a use within the next seven days is not approved, from this binding's own records."""

    per_mille: int = Field(examples=[620])
    factors: list[SignDocument] = Field(description="The strongest factors, strongest first, at most three")
    scored_at_ms: int

    @classmethod
    def of(cls, risk: Risk | None) -> "RiskDocument | None":
        if risk is None:
            return None
        factors = [SignDocument.of(factor) for factor in risk.factors]
        return cls(per_mille=risk.per_mille, factors=factors, scored_at_ms=risk.scored_at_ms)


class CheckedDocument(BaseModel):
    """A bound account with its signs, strongest first; an empty list where nothing was found."""

    binding: str
    bank: str = Field(examples=["BKCHCNBJ"])
    number_masked: str = Field(examples=["621661********0000"])
    signs: list[SignDocument]
    risk: RiskDocument | None = Field(description="null: not scored, opted out, or no model has learned enough yet")

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
    """A user's bindings, each with the signs that it may fail at its next use."""

    accounts: list[CheckedDocument]
    lapsing: list[PendingDocument] = Field(description="Micro-deposits that lapse within two days")
    predicted: bool = Field(description="false: the user has opted out of predictions")


class PredictionBody(BaseModel):
    """Whether a user's bindings are scored, and the reason for the change."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"predicted": False, "reason": "The user asked for it"}]}
    )

    predicted: bool = Field(description="false: nothing about the user is learned, scored or reported from now on")
    reason: WhyField


class PredictionDocument(BaseModel):
    """Whether a user's bindings are scored."""

    predicted: bool
    left_out_at_ms: int | None = Field(description="When the user opted out; null: opted in")
