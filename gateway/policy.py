"""The platform's policy: how old a bank's word may be for an amount, and what to do where the table leaves a choice."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ledger.money import MAX_AMOUNT_MINOR

#: An outcome that a policy may choose: approving is not among them, silence is not consent.
Caution = Literal["decline", "review"]

_MAX_STALENESS_MS = 7 * 24 * 3600 * 1000


class FreshnessBand(BaseModel):
    """How old a bank's watermark may be, in ms, for amounts up to and with `up_to_minor`, or for any amount."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    up_to_minor: Annotated[int, Field(ge=1, le=MAX_AMOUNT_MINOR)] | Literal["any"]
    max_staleness_ms: int = Field(ge=1, le=_MAX_STALENESS_MS)


class IdentityOutcomes(BaseModel):
    """What follows where the bank's word on the holder is no longer what the user was bound with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Caution = "decline"
    id_document: Caution = "decline"
    phone: Caution = "review"


class Policy(BaseModel):
    """Everything that check 4 and check 11 of `gateway.decision` leave to the platform.

    Bands are listed by rising amounts and the last is for any amount, so exactly one applies. Amounts are in minor
    units of whatever currency the transaction has.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    freshness: tuple[FreshnessBand, ...] = Field(
        default=(
            FreshnessBand(up_to_minor=1_000_000, max_staleness_ms=300_000),
            FreshnessBand(up_to_minor="any", max_staleness_ms=60_000),
        ),
        min_length=1,
        max_length=32,
    )
    when_silent: Caution = "review"
    identity: IdentityOutcomes = IdentityOutcomes()
    #: How far a bank's watermark may be ahead of our clock. The ledger allows 10 s over its block's time.
    ahead_allowance_ms: int = Field(default=15_000, ge=0, le=600_000)

    @model_validator(mode="after")
    def _bands_cover_every_amount_once(self) -> "Policy":
        amounts = [band.up_to_minor for band in self.freshness]
        if amounts[-1] != "any" or "any" in amounts[:-1]:
            raise ValueError('freshness: the last band, and only the last, has up_to_minor = "any"')
        bounds = [amount for amount in amounts if amount != "any"]
        if any(lower >= upper for lower, upper in pairwise(bounds)):
            raise ValueError("freshness: up_to_minor rises from band to band")
        return self

    def max_staleness_ms(self, amount_minor: int) -> int:
        """The bound that applies to an amount."""
        for band in self.freshness:
            if band.up_to_minor == "any" or amount_minor <= band.up_to_minor:
                return band.max_staleness_ms
        raise AssertionError("the last band is for any amount")

    @property
    def widest_staleness_ms(self) -> int:
        """The largest bound of all bands: a bank beyond it can have nothing approved."""
        return max(band.max_staleness_ms for band in self.freshness)
