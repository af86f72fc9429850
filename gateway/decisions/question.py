"""The question: a transaction, and the part of it that the rules use."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A payment debits the account; a withdrawal is paid out to it, and credits it."""

    PAYMENT = "payment"
    WITHDRAWAL = "withdrawal"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction that a platform wants decided. `currency` is ISO 4217, alphabetic."""

    transaction_id: str
    binding: bytes
    kind: Kind
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class Question:
    """The transaction to decide on. `currency` is an ISO 4217 numeric code."""

    kind: Kind
    amount_minor: int
    currency: int
