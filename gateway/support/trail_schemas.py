"""Answers about a binding's trail, with their OpenAPI descriptions."""

from typing import Annotated, Literal

from fastapi import Path
from pydantic import BaseModel, Field

from standing.gateway.access.schemas import LocalizedText
from standing.gateway.events.schemas import _BINDING
from standing.gateway.support.hops import HopName, HopState
from standing.gateway.support.trail import BindingTrail, Cause, ChangeTrail
from standing.gateway.support.trail_text import plain, remedy
from standing.ledger.attestations.binding_protocol import Hex32


class HopDocument(BaseModel):
    """One hop of a change."""

    name: HopName
    state: HopState
    at_ms: int | None
    took_ms: int | None = Field(description="Since the last hop whose time is known, until it happened or until now")
    expected_ms: int | None = Field(description="How long that may take; null where nothing is expected")


class ChangeDocument(BaseModel):
    """One change, with its hops in order."""

    publication: int | None = Field(description="null: not signed yet")
    effective_at_ms: int
    stalled: HopName | None
    hops: list[HopDocument]

    @classmethod
    def of(cls, change: ChangeTrail) -> "ChangeDocument":
        hops = [
            HopDocument(
                name=hop.name, state=hop.state, at_ms=hop.at_ms, took_ms=hop.took_ms, expected_ms=hop.expected_ms
            )
            for hop in change.hops
        ]
        return cls(
            publication=change.publication, effective_at_ms=change.effective_at_ms, stalled=change.stalled, hops=hops
        )


class LastDecisionDocument(BaseModel):
    """The newest decision on the binding."""

    transaction_id: str
    outcome: Literal["approve", "decline", "review"]
    reason: str | None
    decided_at_ms: int
    publication: int | None


class PlainDocument(BaseModel):
    """The trail as lines of text."""

    en: list[str]
    zh: list[str]


class TrailDocument(BaseModel):
    """A binding's sync trail: the newest changes, newest first, and the first hop that does not move."""

    binding: str = Field(examples=[_BINDING])
    bank: str = Field(examples=["BKCHCNBJ"])
    stalled: HopName | None = Field(description="null: no hop is stalled")
    cause: Cause | None = Field(description="Why, where more is known than the hop")
    troubles: list[Cause] = Field(description="Who could not be asked, or is not to be believed")
    to_do: LocalizedText = Field(description="The stalled hop, and what to do about it")
    watermark_ms: int | None = Field(description="null: the ledger could not be read, or the bank has not spoken yet")
    staleness_ms: int | None
    last_decision: LastDecisionDocument | None
    changes: list[ChangeDocument]
    plain: PlainDocument
    read_at_ms: int

    @classmethod
    def of(cls, trail: BindingTrail) -> "TrailDocument":
        en, zh = plain(trail)
        to_do, last = remedy(trail), trail.last_decision
        return cls(
            binding="0x" + trail.binding.hex(),
            bank=trail.bank.bic,
            stalled=trail.stalled,
            cause=trail.cause,
            troubles=list(trail.troubles),
            to_do=LocalizedText.of(to_do),
            watermark_ms=trail.watermark_ms,
            staleness_ms=trail.staleness_ms,
            last_decision=LastDecisionDocument.model_validate(
                {
                    "transaction_id": last.transaction_id,
                    "outcome": last.outcome,
                    "reason": last.reason,
                    "decided_at_ms": last.decided_at_ms,
                    "publication": last.publication,
                }
            )
            if last is not None
            else None,
            changes=[ChangeDocument.of(change) for change in trail.changes],
            plain=PlainDocument(en=en, zh=zh),
            read_at_ms=trail.read_at_ms,
        )


BindingPath = Annotated[Hex32, Path(description="The binding's id: 0x and 64 hexadecimal digits")]
