"""The errors that both sides share, as one tree. Services add their own leaves; `ledger.service.problems` maps them.

StandingError
├── InvalidValue              a value breaks its format or its bounds
├── NotFound                  what the call names is not here
├── Conflict                  the call conflicts with existing data
├── NotAllowed                the caller may not do this
├── Unavailable               this service cannot do it at the moment; nothing was changed
│   └── Overloaded            a bound on waiting work is reached
├── TermsUnreadable           sealed terms do not open, or what opens is not terms
└── LedgerError
    ├── LedgerUnreachable     no usable answer in time
    │   └── RequestTooLong    a ledger node, or a proxy before it, takes no request of this length
    ├── LedgerMismatch        an answer, but from another chain, or no contract at the address
    └── LedgerRejected        the contract refused, with its own error
"""

from collections.abc import Sequence


class StandingError(Exception):
    """The root of every error that Standing raises on purpose. Its text may be shown: it holds no secret and no
    personal data."""


class InvalidValue(StandingError):
    """A value breaks its format or its bounds.

    Attributes: `field` (where), `problem` (what is wrong, without the value itself, which may be personal),
    `allowed` (what would be right).
    """

    def __init__(self, field: str, problem: str, allowed: str) -> None:
        super().__init__(f"{field}: {problem}; allowed: {allowed}")
        self.field = field
        self.problem = problem
        self.allowed = allowed

    def within(self, place: str) -> "InvalidValue":
        """The same error with a longer field path, as in `within("changes[3]")`."""
        return InvalidValue(f"{place}.{self.field}", self.problem, self.allowed)


class NotFound(StandingError):
    """What the call names does not exist here."""


class Conflict(StandingError):
    """The call conflicts with existing data, such as one id with two contents."""


class NotAllowed(StandingError):
    """The caller is known but may not do this."""


class Unavailable(StandingError):
    """This service cannot do it at the moment; nothing was changed. `retry_after_s`: when to try again, in seconds."""

    def __init__(self, text: str, retry_after_s: int) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Overloaded(Unavailable):
    """A bound on waiting work is reached; nothing was changed."""


class TermsUnreadable(StandingError):
    """Sealed terms do not open with this key, or the content is not terms."""


class LedgerError(StandingError):
    """The root of errors about the ledger."""


class LedgerUnreachable(LedgerError):
    """The ledger gave no usable answer within the time allowed."""


class RequestTooLong(LedgerUnreachable):
    """A ledger node, or a proxy before it, takes no request of this length. A shorter one may succeed."""


class LedgerMismatch(LedgerError):
    """The ledger answers, but it is another chain, or there is no contract at the address."""


class LedgerRejected(LedgerError):
    """The contract refused a call or a transaction.

    Attributes: `error` (the name of the contract's custom error, see `contracts/IStatusLedger.sol`, or a reason in
    words) and `arguments`. `meaning` says it in words, where the arguments do not. `shown`: the arguments as people
    read them.
    """

    def __init__(
        self, error: str, arguments: tuple[object, ...] = (), meaning: str = "", shown: Sequence[str] = ()
    ) -> None:
        listed = f"({', '.join(shown)})" if arguments or error.isidentifier() else ""
        super().__init__(f"the ledger refused: {error}{listed}" + (f": {meaning}" if meaning else ""))
        self.error = error
        self.arguments = arguments
