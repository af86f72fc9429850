"""What the user sees about a binding: signs that it may fail, and the probability."""

from dataclasses import dataclass

from standing.gateway.access.localized import Localized


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign that a binding may fail. `code` is its stable name."""

    code: str
    what: Localized
    to_do: Localized


@dataclass(frozen=True, slots=True)
class Risk:
    """The probability that a use within the horizon is not approved, in thousandths, and the strongest factors.
    `per_mille`: None where plain rules warn because no model has learned enough."""

    per_mille: int | None
    factors: tuple[Sign, ...]
    scored_at_ms: int
