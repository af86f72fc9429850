"""The platform's policy: the highest staleness for an amount, and the outcome where the table leaves a choice.

A policy has a version, which every decision and its evidence state: its name, and a hash of its whole content, defaults
included. Policies with the same name and content have the same version, however their files are laid out.
"""

import json
from hashlib import sha256
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from standing.gateway.bindings.attempts import BindingBounds
from standing.gateway.decisions.habit_rules import AnyRule
from standing.gateway.decisions.risk import Currency
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR, currency_number
from standing.ledger.clock import DAY_MS

#: The outcomes that a policy may choose. Approving is not one of them: silence is not consent.
Caution = Literal["decline", "review"]

_MAX_STALENESS_MS = 7 * DAY_MS
_MAX_BANDS = 32
_MAX_CURRENCIES = 64
_MAX_RULES = 16
_HASH_DIGITS = 32


class FreshnessBand(BaseModel):
    """How old a bank's watermark may be, in ms, for amounts up to and including `up_to_minor`, or for any amount."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    up_to_minor: Annotated[int, Field(ge=1, le=MAX_AMOUNT_MINOR)] | Literal["any"]
    max_staleness_ms: int = Field(ge=1, le=_MAX_STALENESS_MS)


class IdentityOutcomes(BaseModel):
    """The outcome if the holder's details at the bank no longer match the user as bound."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Caution = "decline"
    id_document: Caution = "decline"
    phone: Caution = "review"


Bands = Annotated[tuple[FreshnessBand, ...], Field(min_length=1, max_length=_MAX_BANDS)]


def _check_bands(bands: tuple[FreshnessBand, ...], field: str) -> None:
    amounts = [band.up_to_minor for band in bands]
    if amounts[-1] != "any" or "any" in amounts[:-1]:
        raise ValueError(f'{field}: the last band, and only the last, has up_to_minor = "any"')
    bounds = [amount for amount in amounts if amount != "any"]
    if any(lower >= upper for lower, upper in pairwise(bounds)):
        raise ValueError(f"{field}: up_to_minor rises from band to band")


class Policy(BaseModel):
    """The platform's choices in checks 4, 11 and 15 of `gateway.decisions.rules`, and the time limit of check 1.

    Bands are listed by rising amounts and the last is for any amount, so exactly one applies. Amounts in `freshness`
    are in minor units of the transaction's currency; a currency in `freshness_of` has its own bands.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("default", pattern="^[A-Za-z0-9._-]{1,64}$")
    freshness: Bands = (
        FreshnessBand(up_to_minor=1_000_000, max_staleness_ms=300_000),
        FreshnessBand(up_to_minor="any", max_staleness_ms=60_000),
    )
    freshness_of: dict[Currency, Bands] = Field(default={}, max_length=_MAX_CURRENCIES)
    when_silent: Caution = "review"
    identity: IdentityOutcomes = IdentityOutcomes()
    #: How far a bank's watermark may be ahead of our clock. The ledger allows 10 s beyond its block's time.
    ahead_allowance_ms: int = Field(default=15_000, ge=0, le=600_000)
    #: From a request's arrival to the ledger's answer; None: the setting of the same name applies.
    ledger_read_timeout_ms: int | None = Field(None, ge=10, le=30_000)
    risk: tuple[AnyRule, ...] = Field(default=(), max_length=_MAX_RULES)
    binding: BindingBounds = BindingBounds()

    @field_validator("freshness")
    @classmethod
    def _bands_cover_every_amount_once(cls, bands: tuple[FreshnessBand, ...]) -> tuple[FreshnessBand, ...]:
        _check_bands(bands, "freshness")
        return bands

    @field_validator("freshness_of")
    @classmethod
    def _currency_bands_cover_every_amount_once(
        cls, stated: dict[str, tuple[FreshnessBand, ...]]
    ) -> dict[str, tuple[FreshnessBand, ...]]:
        for code, bands in stated.items():
            _check_bands(bands, f"freshness_of.{code}")
        return stated

    @field_validator("risk")
    @classmethod
    def _rule_names_are_unique(cls, rules: tuple[AnyRule, ...]) -> tuple[AnyRule, ...]:
        names = [rule.name for rule in rules]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the name {name} is given twice")
        return rules

    def max_staleness_ms(self, amount_minor: int, currency: int | None = None) -> int:
        """The bound that applies to an amount; `currency` is an ISO 4217 numeric code."""
        bands = self.freshness
        if self.freshness_of and currency is not None:
            # By number: a code in an old policy may have been replaced by another with the same number.
            of = (found for code, found in self.freshness_of.items() if currency_number(code) == currency)
            bands = next(of, bands)
        for band in bands:
            if band.up_to_minor == "any" or amount_minor <= band.up_to_minor:
                return band.max_staleness_ms
        raise AssertionError("the last band is for any amount")

    @property
    def widest_staleness_ms(self) -> int:
        """The largest bound of all bands: above it, no transaction on the bank can be approved."""
        return max(band.max_staleness_ms for bands in (self.freshness, *self.freshness_of.values()) for band in bands)

    @property
    def version(self) -> str:
        """The name, an @, and the first 32 hexadecimal digits of the SHA-256 of the content.

        The hash covers the policy as JSON with every field stated, keys sorted, and no white space.
        """
        document = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return f"{self.name}@{sha256(document.encode()).hexdigest()[:_HASH_DIGITS]}"
