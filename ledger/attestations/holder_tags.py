"""Tags of a holder: the tag of a field that is not stated is zero, and is not compared."""

from dataclasses import replace

from standing.ledger.attestations.identity import IDENTITY_FIELDS, Identity
from standing.ledger.attestations.sealing import identity_tags
from standing.ledger.attestations.terms import IdentityTags


def holder_tags(binding: bytes, binding_key: bytes, identity: Identity) -> IdentityTags:
    """The tags of a holder for one binding, see `ledger.attestations.sealing.identity_tags`."""
    tags = identity_tags(binding, binding_key, identity)
    zero = {field: bytes(len(getattr(tags, field))) for field in IDENTITY_FIELDS if not getattr(identity, field)}
    return replace(tags, **zero) if zero else tags


def stated(tag: bytes) -> bool:
    """Whether a tag states anything."""
    return any(tag)


def tags_differ(tag: bytes, other: bytes) -> bool:
    """Whether both tags are stated, and of different values."""
    return tag != other and stated(tag) and stated(other)
