"""Makes the decision again from its claims, with the same function that made it."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from standing.gateway.bindings.bound import open_record
from standing.gateway.decisions.caps import Used
from standing.gateway.decisions.policy import FreshnessBand, Policy
from standing.gateway.decisions.question import Question
from standing.gateway.decisions.rules import Decision, decide
from standing.gateway.evidence.claims import COMMITTED_FIELDS, EvidenceClaims, tag_commitments
from standing.ledger.attestations.money import currency_number
from standing.ledger.attestations.terms import NOT_STATED, IdentityTags, Terms
from standing.ledger.chain.codec import Record
from standing.ledger.errors import InvalidValue

_NO_TAGS = IdentityTags(NOT_STATED, NOT_STATED, NOT_STATED)


def opened(claims: EvidenceClaims, key: bytes, record: Record) -> Terms | None:
    """The terms of a record, if the key opens it."""
    return open_record(record, key=key, bank=claims.bank, binding=claims.binding_id)


def redo(claims: EvidenceClaims, key: bytes | None, record: Record | None) -> Decision:
    """Decide again, on `record`, with policy, usage, floor and time from the claims; without risk rules.

    Without a key nothing opens. Raises: InvalidValue where no decision could have been made from a claim.
    """
    tags = _NO_TAGS
    terms = opened(claims, key, record) if key is not None and record is not None else None
    if key is not None and terms is not None:
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
        raise InvalidValue("policy", "not a possible policy", "what a policy file can contain") from error
    return decide(
        Question(claims.kind, claims.amount_minor, currency_number(claims.currency)),
        record=record,
        terms=terms,
        expected=tags,
        ended=claims.ended,
        floor=claims.floor,
        used=Used(claims.used_day_minor, claims.used_month_minor, claims.used_year_minor),
        policy=policy,
        now_ms=claims.decided_at_ms,
    )


def zone_of(claims: EvidenceClaims) -> ZoneInfo:
    """The time zone of the bank's days. Raises: InvalidValue."""
    try:
        return ZoneInfo(claims.time_zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise InvalidValue("time_zone", "not a time zone", "an IANA name") from error


def _expected_tags(claims: EvidenceClaims, key: bytes, stated: IdentityTags) -> IdentityTags:
    """Tags that give the same comparison with the bank's as those behind the commitments, which cannot be recovered.

    A field has the bank's own tag where the commitment is to that tag, no tag where it is to none, and otherwise some
    tag that differs.
    """
    mine = tag_commitments(claims.binding_id, key, stated)
    none = tag_commitments(claims.binding_id, key, _NO_TAGS)
    tags = {}
    for field in COMMITTED_FIELDS:
        tag: bytes = getattr(stated, field)
        committed = getattr(claims.expected_tags, field)
        if committed == none[field]:
            tags[field] = NOT_STATED
        else:
            tags[field] = tag if committed == mine[field] else _other_than(tag)
    return IdentityTags(**tags)


def _other_than(tag: bytes) -> bytes:
    """Some stated tag that is not this one."""
    other = bytes([*tag[:-1], tag[-1] ^ 1])
    return other if other != NOT_STATED else bytes([*tag[:-1], tag[-1] ^ 3])
