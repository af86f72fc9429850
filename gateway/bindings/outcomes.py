"""How an attempt to bind ends, and what waits for the amount of a micro-deposit."""

from dataclasses import dataclass

from standing.gateway.bindings.service import StoredBinding
from standing.ledger.attestations.binding_protocol import ClaimHint, FieldMatch, Mismatch


@dataclass(frozen=True, slots=True)
class Granted:
    """A binding was made; `created` is false if the same request had already made it."""

    stored: StoredBinding
    created: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The bank refused; with the mismatches, the comparison of each field, and hints at typing errors.

    `tries_left`: of a micro-deposit whose amount was refused.
    """

    mismatches: tuple[Mismatch, ...]
    matches: tuple[FieldMatch, ...] = ()
    hints: tuple[ClaimHint, ...] = ()
    tries_left: int | None = None


@dataclass(frozen=True, slots=True)
class LooksMistyped:
    """Something in the claim looks mistyped. The bank was not asked, and the attempt does not count."""

    hints: tuple[ClaimHint, ...]


@dataclass(frozen=True, slots=True)
class DepositAsked:
    """The bank pays a small amount into the account. The user confirms it before `expires_at_ms`."""

    currency: str
    expires_at_ms: int
    matches: tuple[FieldMatch, ...] = ()


Outcome = Granted | Refused | DepositAsked | LooksMistyped


@dataclass(frozen=True, slots=True)
class PendingBinding:
    """A binding whose micro-deposit is not confirmed yet."""

    bank: str
    request_id: str
    number_masked: str
    number_type: str
    currency: str
    expires_at_ms: int
