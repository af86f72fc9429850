"""Makes the decision again from its claims, with the same function that made it."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from standing.gateway.bindings.bound import Bound
from standing.gateway.decisions.policy import FreshnessBand, Policy
from standing.gateway.decisions.question import Question
from standing.gateway.decisions.rules import Decision, decide
from standing.gateway.evidence.claims import COMMITTED_FIELDS, EvidenceClaims, tag_commitments
from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.money import currency_number
from standing.ledger.attestations.terms import IdentityTags, Terms
from standing.ledger.chain.codec import Record
from standing.ledger.errors import InvalidValue

_ANY_ZONE = ZoneInfo("UTC")
_NO_TAGS = IdentityTags(bytes(4), bytes(4), bytes(4))


def opened(claims: EvidenceClaims, key: bytes, record: Record) -> Terms | None:
    """The terms of a record, if the key opens it."""
    return _bound(claims, key, _NO_TAGS).open(record)


def redo(claims: EvidenceClaims, key: bytes | None, record: Record | None) -> Decision:
    """Decide again, on `record`, by what the claims say of policy, usage, floor and time; without risk rules.

    Without a key nothing opens. Raises: InvalidValue where no decision could have been made from a claim.
    """
    tags = _NO_TAGS
    if key is not None and record is not None:
        terms = opened(claims, key, record)
        if terms is not None:
            tags = _expected_tags(claims, key, terms.tags)
    stated = claims.policy
    try:
        policy = Policy(
            freshness=(FreshnessBand(up_to_minor="any", max_staleness_ms=stated.max_staleness_ms),),
            when_silent=stated.when_silent,
            identity=stated.identity,
            ahead_allowance_ms=stated.ahead_allowance_ms,
        )
    except ValueError as error:
        raise InvalidValue("policy", "not one that can be", "what a policy file may say") from error
    return decide(
        Question(claims.kind, claims.amount_minor, currency_number(claims.currency)),
        record=record,
        bound=_bound(claims, key or bytes(32), tags),
        ended=claims.ended,
        floor=claims.floor,
        used_today_minor=claims.used_today_minor,
        policy=policy,
        now_ms=claims.decided_at_ms,
    )


def zone_of(claims: EvidenceClaims) -> ZoneInfo:
    """The time zone of the bank's days. Raises: InvalidValue."""
    try:
        return ZoneInfo(claims.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidValue("time_zone", "not a time zone", "an IANA name") from error


def _bound(claims: EvidenceClaims, key: bytes, tags: IdentityTags) -> Bound:
    return Bound(
        binding=claims.binding_id,
        bank=claims.bank,
        bank_bytes=bic_to_bytes11(claims.bank),
        account=b"",
        key=key,
        tags=tags,
        zone=_ANY_ZONE,  # the account behind the usage is checked elsewhere
    )


def _expected_tags(claims: EvidenceClaims, key: bytes, stated: IdentityTags) -> IdentityTags:
    """Tags that compare with the bank's as the expected ones did: the bank's own where the commitment is to it, none
    where it is to none, any other one where it is not."""
    mine = tag_commitments(claims.binding_id, key, stated)
    none = IdentityTags(*(bytes(len(getattr(stated, field))) for field in COMMITTED_FIELDS))
    without = tag_commitments(claims.binding_id, key, none)
    tags = {}
    for field in COMMITTED_FIELDS:
        tag: bytes = getattr(stated, field)
        expected = getattr(claims.expected_tags, field)
        if expected in {mine[field], without[field]}:
            tags[field] = tag if expected == mine[field] else getattr(none, field)
        else:
            tags[field] = bytes(byte ^ 0xFF for byte in tag)
    return IdentityTags(**tags)
