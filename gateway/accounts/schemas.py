"""Answers about a user's accounts, with their OpenAPI descriptions."""

from pydantic import BaseModel, Field

from standing.gateway.access.localized import Localized
from standing.gateway.access.schemas import LocalizedText
from standing.gateway.accounts.health import Health
from standing.gateway.accounts.service import AccountView
from standing.gateway.bindings.examples import BINDING_EXAMPLE
from standing.gateway.bindings.schemas import PendingDocument
from standing.gateway.decisions.messages import NOT_SERVED, of_account
from standing.gateway.decisions.rules import Reason


class AccountDocument(BaseModel):
    """One of a user's bound accounts and its current state."""

    binding: str = Field(examples=[BINDING_EXAMPLE])
    bank: str = Field(examples=["BKCHCNBJ"])
    bank_name: LocalizedText = Field(examples=[{"en": "Bank of China", "zh": "中国银行"}])
    number_masked: str = Field(examples=["621661********0000"])
    number_type: str = Field(examples=["card"])
    health: Health = Field(
        description="good: payments and withdrawals are possible; limited: one of the two; blocked: neither, for now; "
        "ended: neither will be possible again; unknown: cannot be determined now"
    )
    reason: Reason | None = Field(
        description="Why it is not good; null where it is, and for a bank that this platform no longer serves"
    )
    message: LocalizedText
    can_pay: bool
    can_withdraw: bool
    staleness_ms: int | None = Field(description="The bank's staleness; null where there is no watermark")
    bound_at_ms: int
    usable_since_ms: int | None = Field(
        description="When the first attestation of the binding was seen; null: not yet, and nothing is approved"
    )

    @classmethod
    def of(cls, view: AccountView) -> "AccountDocument":
        how, stored = view.condition, view.stored
        message = of_account(how.reason) if view.bank is not None else NOT_SERVED
        return cls(
            binding="0x" + stored.binding.hex(),
            bank=stored.bank,
            bank_name=LocalizedText.of(view.bank.name if view.bank is not None else Localized.same(stored.bank)),
            number_masked=stored.number_masked,
            number_type=stored.number_type,
            health=how.health,
            reason=how.reason,
            message=LocalizedText.of(message),
            can_pay=how.can_pay,
            can_withdraw=how.can_withdraw,
            staleness_ms=view.staleness_ms,
            bound_at_ms=stored.created_at_ms,
            usable_since_ms=stored.usable_since_ms,
        )


class AccountList(BaseModel):
    """A user's bound accounts, newest first, and the bindings that await a micro-deposit's amount."""

    accounts: list[AccountDocument]
    pending: list[PendingDocument]
