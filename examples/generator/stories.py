"""The invented day as its author meant it: one story per bound account, with what each step is there to show.

A step is one line:

    09:42:35 payment AMOUNT -> REASON     a transaction; AMOUNT and `-> REASON` may be left out (`ordinary`, `approve`)
    09:42:10 frozen                       the bank changes the account; `late` says that the ledger learns of it only
                                          after the bank's silence
    08:10-09:30 3 ordinary                that many unremarkable transactions somewhere between these times

AMOUNT is a number of minor units or one of: `limit` (exactly the transaction limit), `limit+1`, `rest` (exactly what is
left of the daily limit), `rest+1`, and likewise `rest_of_month` and `rest_of_year`; for a withdrawal what is left of
the limits of credits. `in=CNY` names another currency than the account's, `void` gives an approved amount back. A limit
change takes `transaction=`, `daily=`, `monthly=`, `yearly=`, `daily_credit=` and `yearly_credit=` in minor units or
`none`; `frozen debit_only` goes on allowing credits; `phone_changed back` is the phone that the user bound with.

The reasons here are the author's; the model in `truth` works them out again, and the two must agree.
"""

from dataclasses import dataclass

from generator.accounts import Limit
from generator.people import PersonKind

PLATFORM_ID = "jinqiao-pay"


@dataclass(frozen=True)
class Story:
    """What one bound account goes through, and how it stands when the day begins."""

    steps: tuple[str, ...]
    currency: str = "CNY"
    status: str = "active"
    limits: tuple[Limit, Limit] | None = None
    """(per transaction, per day), minor units; None leaves what an ordinary account has."""
    holder: PersonKind = "han"
    second_account: bool = False
    """The holder has another account at this bank, which nobody bound; it goes along with a change of identity."""


@dataclass(frozen=True)
class Background:
    """A change of accounts that nobody bound: the platform has no use for it and must not stumble over it."""

    step: str
    accounts: int = 1


ORDINARY_DAY = Story(("08:00-22:00 11 ordinary",))
SILENCE = ("14:10:00", "15:00:00")
"""When bank two falls silent and when it is back."""
SILENCE_MARGINS = (("14:10:00", "14:15:00"), ("15:00:00", "15:02:00"))
"""No transaction of bank two here: its word is not yet too old, or only just back, as a policy's bound may have it."""
