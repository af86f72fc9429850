"""One decision as a case, and the edge of every reason."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from standing.gateway.bindings.bound import Bound
from standing.gateway.decisions.caps import Used
from standing.gateway.decisions.policy import FreshnessBand, Policy
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.rules import Decision, decide
from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.limits import LIMIT_FIELDS, Limits
from standing.ledger.attestations.sealing import seal
from standing.ledger.attestations.terms import IdentityTags, Status, Terms
from standing.ledger.chain.codec import Record

BANK, BINDING, KEY = "YUNXCNB0", b"\x11" * 32, b"\x22" * 32
CNY, USD = 156, 840
NOW_MS = 1_767_225_600_000
UNUSED = Used(0, 0, 0)
TAGS = IdentityTags(b"nam", b"doc", b"pho")
BOUND = Bound(BINDING, BANK, bic_to_bytes11(BANK), b"account", KEY, TAGS, ZoneInfo("Asia/Shanghai"))
POLICY = Policy(
    freshness=(
        FreshnessBand(up_to_minor=1_000, max_staleness_ms=60_000),
        FreshnessBand(up_to_minor="any", max_staleness_ms=5_000),
    ),
    ahead_allowance_ms=2_000,
)


@dataclass(frozen=True)
class Case:
    """Everything that a decision depends on; the defaults are approved."""

    answered: bool = True
    suspended: bool = False
    publication: int = 7
    floor: int = 7
    key: bytes = KEY
    plain: bytes | None = None
    watermark_ms: int = NOW_MS - 100
    ended: bool = False
    status: Status = Status.ACTIVE
    debit: bool = True
    credit: bool = True
    name: bytes = TAGS.name
    id_document: bytes = TAGS.id_document
    phone: bytes = TAGS.phone
    terms_currency: int = CNY
    transaction_limit_minor: int = 1_000
    daily_limit_minor: int = 5_000
    monthly_limit_minor: int = 20_000
    yearly_limit_minor: int = 50_000
    daily_credit_limit_minor: int = 5_000
    yearly_credit_limit_minor: int = 50_000
    kind: Kind = Kind.PAYMENT
    amount_minor: int = 1_000
    currency: int = CNY
    used: Used = UNUSED
    policy: Policy = POLICY

    def decide(self) -> Decision:
        record = self.record()
        return decide(
            Question(self.kind, self.amount_minor, self.currency),
            record=record,
            terms=BOUND.open(record) if record is not None else None,
            expected=BOUND.tags,
            ended=self.ended,
            floor=self.floor,
            used=self.used,
            policy=self.policy,
            now_ms=NOW_MS,
        )

    def record(self) -> Record | None:
        """The ledger's answer; None: no answer in time."""
        if not self.answered:
            return None
        if self.publication == 0:
            return Record(0, bytes(26), bytes(32), self.watermark_ms, self.suspended)
        terms = Terms(
            status=self.status,
            debit_allowed=self.debit,
            credit_allowed=self.credit,
            currency=self.terms_currency,
            effective_at_ms=NOW_MS - 1_000,
            limits=Limits(*(getattr(self, name) for name in LIMIT_FIELDS)),
            tags=IdentityTags(self.name, self.id_document, self.phone),
        )
        sealed = seal(terms, key=self.key, bank=BANK, binding=BINDING, publication=self.publication)
        return Record(self.publication, *sealed, self.watermark_ms, self.suspended)


GOOD = Case()
OTHER_KEY = b"\x23" * 32
#: The codes of DESIGN section 8, written out.
CODES = {
    "account_closed": "AC04",
    "account_lost": "AC06",
    "account_frozen": "AC06",
    "account_dormant": "AC06",
    "debit_not_allowed": "AG01",
    "credit_not_allowed": "AG01",
    "name_changed": "BE01",
    "id_document_changed": "BE01",
    "phone_changed": "BE01",
    "currency_not_allowed": "AM03",
    "over_transaction_limit": "AM02",
    "over_daily_limit": "AM14",
    "over_monthly_limit": "AM14",
    "over_yearly_limit": "AM14",
}
