"""Response bodies of early warning, with their OpenAPI descriptions."""

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field

from standing.gateway.access.schemas import LocalizedText, WhyField
from standing.gateway.bindings.schemas import PendingDocument
from standing.gateway.warning.check_up import Checked
from standing.gateway.warning.risk_model import MIN_FAILURES, MIN_LEARNED
from standing.gateway.warning.scorecard import Period, ScoreCard
from standing.gateway.warning.scoring import Scoring, ScoringState
from standing.gateway.warning.signs import Risk, Sign
from standing.gateway.warning.verdict import Pace, Verdict
from standing.gateway.warning.warning_outcomes import Failure, Warned


class VerdictDocument(BaseModel):
    """A one-word verdict on a bank, from its last week on the ledger."""

    word: Pace
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
    deposits_asked: int = Field(description="Micro-deposits requested. An expired one is deleted and not counted")
    deposits_done: int = Field(description="Those of them that were completed")


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

    code: str = Field(examples=["identity_changed"])
    what: LocalizedText
    to_do: LocalizedText

    @classmethod
    def of(cls, sign: Sign) -> "SignDocument":
        return cls(code=sign.code, what=LocalizedText.of(sign.what), to_do=LocalizedText.of(sign.to_do))


class RiskDocument(BaseModel):
    """The probability that a use within the next seven days is not approved, from this binding's own records."""

    per_mille: int | None = Field(
        examples=[620], description="null: a plain rule warns, because no model has learned enough yet"
    )
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
    risk: RiskDocument | None = Field(description="null: not scored, opted out, or no rule warns and no model is ready")

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
    lapsing: list[PendingDocument] = Field(description="Micro-deposits that expire within two days")
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


class FailureDocument(BaseModel):
    """A use that failed after a warning. `factor`: the factor that had predicted this reason; null: the warning
    predicted another."""

    transaction_id: str
    decided_at_ms: int
    reason: str = Field(examples=["over_transaction_limit"])
    factor: SignDocument | None

    @classmethod
    def of(cls, failure: Failure) -> "FailureDocument":
        factor = SignDocument.of(failure.factor) if failure.factor is not None else None
        return cls(
            transaction_id=failure.transaction_id,
            decided_at_ms=failure.decided_at_ms,
            reason=failure.reason,
            factor=factor,
        )


class WarnedDocument(BaseModel):
    """One `binding.at_risk` event and its outcome."""

    event: str = Field(description="The event's id", examples=["evt_0f1e2d3c4b5a69788796a5b4c3d2e1f0"])
    warned_at_ms: int
    until_ms: int = Field(description="The warning covers uses before this time")
    per_mille: int | None = Field(description="null: a plain rule warned", examples=[620])
    factors: list[SignDocument]
    still_at_risk: bool = Field(description="false: according to the newest score, the risk is gone")
    failure: FailureDocument | None = Field(
        description="The first use that failed for a named reason, else the first that failed; null: none so far"
    )

    @classmethod
    def of(cls, warned: Warned) -> "WarnedDocument":
        return cls(
            event=warned.event,
            warned_at_ms=warned.warned_at_ms,
            until_ms=warned.until_ms,
            per_mille=warned.per_mille,
            factors=[SignDocument.of(factor) for factor in warned.factors],
            still_at_risk=warned.still_at_risk,
            failure=FailureDocument.of(warned.failure) if warned.failure is not None else None,
        )


class WarnedList(BaseModel):
    """The warnings of a binding that are still in the event log, newest first, at most five."""

    warnings: list[WarnedDocument]


class ScoringRunDocument(BaseModel):
    """The last run of scoring."""

    began_at_ms: int
    ended_at_ms: int | None = Field(description="null: it is still running, or was stopped early")
    counts: dict[str, int] | None = Field(
        description="What the last complete run did: learned from, scored, warned, checked up",
        examples=[{"learned": 120, "scored": 4_310, "warned": 7, "checked_up": 15}],
    )


class ModelDocument(BaseModel):
    """The stored model. `in_use`: it has learned enough to be used; until then, plain rules warn."""

    in_use: bool
    learned: int = Field(description="Scores with a known outcome that it has learned from")
    failures: int = Field(description="How many of them failed")
    needed: int = Field(description="Scores that it must have learned from before it is used")
    needed_failures: int
    learned_at_ms: int | None
    weights: dict[str, float] = Field(description="By feature, in log odds")
    intercept: float


class ScoringDocument(BaseModel):
    """The state of scoring."""

    asked_at_ms: int | None = Field(description="When a pending run was requested")
    every_minutes: int | None = Field(description="null: only on request")
    warn_per_mille: int
    last: ScoringRunDocument | None
    model: ModelDocument | None = Field(description="null: the stored one is of another version; learning starts again")
    at_risk: int = Field(description="Bindings at risk by their last score")
    waiting: int = Field(description="Scores whose outcome is still unknown")
    left_out: int = Field(description="Users who opted out")

    @classmethod
    def of(cls, state: ScoringState, scoring: Scoring) -> "ScoringDocument":
        last, model = state.last, state.model
        return cls(
            asked_at_ms=state.asked_at_ms,
            every_minutes=scoring.settings.interval_minutes,
            warn_per_mille=scoring.settings.warn_per_mille,
            last=ScoringRunDocument(
                began_at_ms=last.began_at_ms,
                ended_at_ms=last.ended_at_ms,
                counts=dict(last.counts) if last.counts is not None else None,
            )
            if last is not None
            else None,
            model=ModelDocument(
                in_use=model.is_ready,
                learned=model.learned,
                failures=model.failures,
                needed=MIN_LEARNED,
                needed_failures=MIN_FAILURES,
                learned_at_ms=state.learned_at_ms,
                weights=model.weights,
                intercept=model.intercept,
            )
            if model is not None
            else None,
            at_risk=state.figures.at_risk,
            waiting=state.waiting,
            left_out=state.left_out,
        )
