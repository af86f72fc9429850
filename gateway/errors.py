"""The gateway's own errors, leaves of the tree in `ledger.errors`; `gateway.access.dependencies` maps each to an
HTTP status.

StandingError
├── Conflict
│   ├── AlreadyBound          the bank has an active binding of this account for this platform
│   ├── BankNotServed         the binding's bank is not in the settings any more
│   ├── BankNotUsable         the ledger does not admit the bank, or has suspended it
│   ├── NothingReserved       the decision has no reservation, so there is nothing to capture or void
│   ├── AlreadySettled        captured where a void is requested, or vice versa
│   ├── NotInReview           the decision was not sent to review, so there is no review to close
│   ├── AlreadyReviewed       the review ended with the other outcome before
│   ├── ReviewNotApprovable   the bank's attestation, read again, does not allow the transaction
│   ├── ReservationExpired    it was not captured in time, and its amount was given back
│   ├── AlreadyLifted         a hold that was lifted before, or has ended
│   └── NotByProof            a hold that the policy does not let a bank's certificate lift
├── BankNodeUnreachable       the bank's node gives no usable answer in time
├── BankNodeRefused           the bank's node refuses our key, or its answer is not in the protocol
├── GrantNotTrusted           the grant of the bank's node is not valid by the ledger
├── CertificateNotTrusted     a certificate that does not answer the request, or is not signed by the bank
└── Unavailable
    ├── TooManyAttempts       the bank's velocity limit is reached; it says when to retry
    ├── BindingHeld           too many attempts to bind were refused; the hold expires, or support lifts it
    └── StorageUnavailable    the gateway's own database does not work for now; nothing was changed
"""

from standing.ledger.errors import Conflict, StandingError, Unavailable


class AlreadyBound(Conflict):
    """The bank has an active binding of this account for this platform already."""


class BankNotServed(Conflict):
    """A stored binding's bank is no longer in the settings: nothing can be said or done about it."""


class BankNotUsable(Conflict):
    """The ledger does not admit the bank, or has suspended it: nothing can be bound there."""


class NothingReserved(Conflict):
    """The decision holds no reservation, because it did not approve."""


class AlreadySettled(Conflict):
    """The reservation was settled the other way before."""


class BankNodeUnreachable(StandingError):
    """A bank's node gives no usable answer in time. Asking again is safe."""


class BankNodeRefused(StandingError):
    """A bank's node refuses this gateway's key, or gives an answer that the protocol does not know."""


class GrantNotTrusted(StandingError):
    """A grant is not for what was asked, or is not signed by the bank's signer on the ledger."""


class CertificateNotTrusted(StandingError):
    """A certificate does not answer what was asked, is not fresh, or is not signed by the bank's signer."""


class NotByProof(Conflict):
    """The hold's rule is not in the policy, or does not let a bank's certificate lift its holds."""


class StorageUnavailable(Unavailable):
    """The gateway's database does not work for now. The whole transaction was rolled back."""


class ReservationExpired(Conflict):
    """The reservation was not captured in time. Its amount has gone back to the day's limit."""


class NotInReview(Conflict):
    """The decision was not sent to review: staff have nothing to close."""


class AlreadyReviewed(Conflict):
    """The review ended with the other outcome before."""


class ReviewNotApprovable(Conflict):
    """The bank's attestation, read again, does not allow the transaction; staff can override only the platform's own
    rules."""


class AlreadyLifted(Conflict):
    """The hold was lifted before, or has ended."""


class TooManyAttempts(Unavailable):
    """A bank's node accepts no more attempts of this user, or this platform, for a while."""


class BindingHeld(Unavailable):
    """Too many of a user's attempts to bind were refused. The hold expires, or support lifts it."""
