"""A platform that decides from last night's snapshot, by the same decision function: the demo's comparison."""

from dataclasses import dataclass, field
from typing import Any

from standing.gateway.decisions.caps import Used
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.rules import Outcome, decide
from standing.ledger.attestations.documents import stated_document
from standing.ledger.attestations.identity import canonical_identity
from standing.ledger.attestations.limits import LIMIT_FIELDS, Limits
from standing.ledger.attestations.money import NO_LIMIT, currency_number
from standing.ledger.attestations.sealing import identity_tags
from standing.ledger.attestations.terms import IdentityTags, Status, Terms
from standing.ledger.chain.codec import Record
from standing.ledger.clock import SystemClock


@dataclass
class Snapshot:
    """A platform with a snapshot: what the bank stated last night, never asked again."""

    terms: Terms
    expected: IdentityTags
    used_minor: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(Kind, 0))

    @classmethod
    def of(cls, account: dict[str, Any], user: dict[str, Any]) -> "Snapshot":
        """Last night's copy of `account`, for a user who is bound to it."""
        binding, key = bytes(32), bytes(32)
        tags = identity_tags(binding, key, _identity(account))
        terms = Terms(
            status=Status[account["status"].upper()],
            debit_allowed=account["debit_allowed"],
            credit_allowed=account["credit_allowed"],
            currency=currency_number(account["currency"]),
            effective_at_ms=0,
            limits=Limits(*(_limit(account.get(name, "none")) for name in LIMIT_FIELDS)),
            tags=tags,
        )
        return cls(terms, identity_tags(binding, key, _identity(user)))

    def decide(self, question: Question, policy: Policy) -> Outcome:
        """Its answer. The snapshot has no watermark: the platform takes it as fresh, whatever its age."""
        now_ms = SystemClock().now_ms()
        used_minor = self.used_minor[question.kind]
        return decide(
            question,
            record=Record(1, bytes(26), bytes(32), now_ms, suspended=False),  # the snapshot holds unsealed terms
            terms=self.terms,
            expected=self.expected,
            ended=False,
            floor=0,
            used=Used(used_minor, used_minor, used_minor),
            policy=policy,
            now_ms=now_ms,
        ).outcome


def _identity(fields: dict[str, Any]) -> Any:
    stated = (fields.get(f"id_document_{part}") or None for part in ("scheme", "country", "number"))
    return canonical_identity(fields["holder_name"], stated_document(*stated), fields.get("phone") or None)


def _limit(stated: int | str) -> int:
    return NO_LIMIT if stated == "none" else int(stated)
