"""The invented day as its author meant it: one story per bound account, with the expected result of each step.

A step is one line:

    09:42:35 payment AMOUNT -> REASON     a transaction; AMOUNT and `-> REASON` may be left out (`ordinary`, `approve`)
    09:42:10 frozen                       the bank changes the account; `late`: it reaches the ledger only after the
                                          bank's silence
    08:10-09:30 3 ordinary                that many unremarkable transactions somewhere between these times

AMOUNT is a number of minor units or one of: `limit` (exactly the transaction limit), `limit+1`, `rest` (exactly the
rest of the daily limit), `rest+1`, and likewise `rest_of_month` and `rest_of_year`; for a withdrawal the rest of
the credit limits. `in=CNY` names another currency than the account's, `void` gives an approved amount back. A limit
change has `transaction=`, `daily=`, `monthly=`, `yearly=`, `daily_credit=` and `yearly_credit=` in minor units or
`none`; `frozen debit_only` still allows credits; `phone_changed back` is the phone that the user bound with.

The reasons here are the author's; the model in `truth` computes them independently, and the two must agree.
"""

from dataclasses import dataclass

from generator.accounts import Limit
from generator.people import PersonKind

PLATFORM_ID = "jinqiao-pay"


@dataclass(frozen=True)
class Story:
    """The steps of one bound account, and its state at the start of the day."""

    steps: tuple[str, ...]
    currency: str = "CNY"
    status: str = "active"
    limits: tuple[Limit, Limit] | None = None
    """(per transaction, per day), minor units; None: those of an ordinary account."""
    holder: PersonKind = "han"
    second_account: bool = False
    """The holder has another account at this bank, unbound; a change of identity applies to it too."""


@dataclass(frozen=True)
class Background:
    """A change of unbound accounts, which must not affect the platform."""

    step: str
    accounts: int = 1


ORDINARY_DAY = Story(("08:00-22:00 11 ordinary",))
SILENCE = ("14:10:00", "15:00:00")
"""When bank two falls silent and when it is back."""
SILENCE_MARGINS = (("14:10:00", "14:15:00"), ("15:00:00", "15:02:00"))
"""No transaction of bank two here: depending on a policy's bound its attestations may be fresh or stale."""
