"""What a user is told of a binding: signs that it may fail, and how probably, in words."""

from dataclasses import dataclass

from standing.gateway.access.localized import Localized


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign that a binding may fail. `word` is its stable name."""

    word: str
    what: Localized
    to_do: Localized


@dataclass(frozen=True, slots=True)
class Risk:
    """How probably a use within the horizon is not approved, in thousandths, and the strongest factors. `per_mille`:
    None where plain rules say that one will not be, as no model has learned enough to say how probably."""

    per_mille: int | None
    factors: tuple[Sign, ...]
    scored_at_ms: int
