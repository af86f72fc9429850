"""The claims of evidence: enough to make the decision again, and nothing about who the user is.

A user's expected identity tags are committed to, not stated: each by 16 bytes of an HMAC under a key that is derived
from the binding key. Whoever holds that key can check whether the bank's tag is the expected one. Others learn nothing.
"""

import hmac
from typing import Annotated, Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict, Field

from standing.gateway.decisions.policy import Caution, IdentityOutcomes
from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.rules import Outcome, Reason
from standing.ledger.attestations.binding_protocol import Hex16, Hex26, Hex32
from standing.ledger.attestations.terms import IdentityTags
from standing.ledger.chain.codec import Record
from standing.ledger.clock import MAX_CALENDAR_MS

#: The form of the payload; a verifier refuses any other.
FORM = 3
COMMITMENT_SIZE = 16
COMMITTED_FIELDS = ("name", "id_document", "phone")

_U48_MAX = 2**48 - 1


_U48 = Annotated[int, Field(ge=0, le=_U48_MAX, strict=True)]


class _Claims(BaseModel):
    # Unknown claims are allowed: a later gateway may state more, and the signature covers all of it.
    model_config = ConfigDict(frozen=True)


class RecordClaims(_Claims):
    """The fields of the ledger's record, as `read` returned them."""

    publication: _U48
    tag_and_head: Hex26
    tail: Hex32
    watermark_ms: _U48
    suspended: bool

    def record(self) -> Record:
        return Record(
            self.publication,
            bytes.fromhex(self.tag_and_head[2:]),
            bytes.fromhex(self.tail[2:]),
            self.watermark_ms,
            self.suspended,
        )


class TagClaims(_Claims):
    """Commitments to the identity tags that the gateway expected."""

    name: Hex16
    id_document: Hex16
    phone: Hex16


class PolicyClaims(_Claims):
    """The platform's policy as it applied to this transaction. `version` names the whole policy."""

    version: str
    max_staleness_ms: int
    ahead_allowance_ms: int
    when_silent: Caution
    identity: IdentityOutcomes


class EvidenceClaims(_Claims):
    """The payload of one decision's evidence; times in milliseconds since the Unix epoch, amounts in minor units.

    `record` and the block are None where the ledger gave no answer in time. `ended`, `floor`, the `used_…` and
    `held_by` are the gateway's own statements: nothing on the ledger can confirm them. Month and year are None where
    the bank states no such limit.
    """

    form: Literal[3]
    platform: str
    contract: str
    chain_id: int
    bank: str
    binding: Hex32
    transaction_sha256: str
    kind: Kind
    amount_minor: int
    currency: str
    block_number: int | None
    block_hash: Hex32 | None
    record: RecordClaims | None
    publication: int | None
    watermark_ms: int | None
    staleness_ms: int | None
    expected_tags: TagClaims
    ended: bool
    floor: int
    used_day_minor: int
    used_month_minor: int | None
    used_year_minor: int | None
    day: str
    time_zone: str
    policy: PolicyClaims
    held_by: str | None
    outcome: Outcome
    reason: Reason | None
    decided_at_ms: Annotated[int, Field(ge=0, le=MAX_CALENDAR_MS, strict=True)]

    @property
    def binding_id(self) -> bytes:
        return bytes.fromhex(self.binding[2:])


def tag_commitments(binding: bytes, binding_key: bytes, tags: IdentityTags) -> dict[str, str]:
    """The commitment to each tag, by its field."""
    key = HKDF(algorithm=SHA256(), length=32, salt=binding, info=b"standing/expected-tags/v1").derive(binding_key)

    def commitment(field: str, tag: bytes) -> str:
        return "0x" + hmac.digest(key, field.encode() + b"\x1f" + tag, "sha256")[:COMMITMENT_SIZE].hex()

    return {field: commitment(field, getattr(tags, field)) for field in COMMITTED_FIELDS}
