"""Verification: a claim about an account compared with the bank's book, field by field."""

from standing.ledger.attestations.binding_protocol import Mismatch
from standing.ledger.attestations.identity import Identity
from standing.ledger.attestations.terms import Status
from standing.node.accounts.store import Account

# ISO 20022 ExternalVerificationReason1Code, where the meaning is truly the same; there is none for a phone.
_ISO_NUMBER = "AC01"  # account number invalid or missing
_ISO_NAME = "PN01"  # owner's name and account number do not match
_ISO_ID_DOCUMENT = "PI01"  # owner's identification and account number do not match
_ISO_ACCOUNT = "AG01"  # forbidden on this account: blocked, closed

_DIFFERS = "not what the bank has"

#: States of accounts for which a new binding makes no sense.
UNBINDABLE = frozenset({Status.LOST, Status.CLOSED})

NO_SUCH_ACCOUNT = Mismatch(field="number", problem="no such account", iso_reason=_ISO_NUMBER)
PHONE_DIFFERS = Mismatch(field="phone", problem=_DIFFERS)
NO_CREDIT = Mismatch(
    field="account", problem="no amount can be paid in, and the bank asks for that", iso_reason=_ISO_ACCOUNT
)
#: What the core says of the account cannot be understood, so nobody can be compared with it. No secret of the holder.
UNSTATED = Mismatch(field="account", problem="the bank cannot say at the moment how the account is; ask again later")
HOLDER_CHANGED = Mismatch(field="account", problem="what the bank has of its holder changed; ask with a new request id")


def compare(account: Account | None, identity: Identity, number_type: str) -> list[Mismatch]:
    """Every reason against a binding; empty where there is none.

    The state of an account is revealed only to a caller who named its holder correctly.
    """
    if account is None or account.number_type != number_type:
        return [NO_SUCH_ACCOUNT]
    found = []
    held = account.identity
    if held.name != identity.name:
        found.append(Mismatch(field="name", problem=_DIFFERS, iso_reason=_ISO_NAME))
    if held.id_document != identity.id_document:
        found.append(Mismatch(field="id_document", problem=_DIFFERS, iso_reason=_ISO_ID_DOCUMENT))
    if held.phone != identity.phone:
        found.append(PHONE_DIFFERS)
    return found or unbindable(account)


def unbindable(account: Account) -> list[Mismatch]:
    """The reason against a binding in the account's own state; None where there is none."""
    if account.unstated:
        return [UNSTATED]
    if account.status not in UNBINDABLE:
        return []
    return [Mismatch(field="account", problem=f"the account is {account.status.word}", iso_reason=_ISO_ACCOUNT)]
