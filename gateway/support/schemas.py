"""Bodies and answers of holds, changes of identity, resync and rebind."""

from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from standing.gateway.access.schemas import LocalizedText, WhyField
from standing.gateway.bindings.examples import BINDING_EXAMPLE, CLAIM_EXAMPLE
from standing.gateway.bindings.identity_change import NewIdentity
from standing.gateway.bindings.schemas import USER_PATTERN, ClaimBody
from standing.gateway.decisions.holds import StoredHold
from standing.gateway.support.proof import LiftedByProof
from standing.ledger.attestations.binding_protocol import Hex32
from standing.ledger.attestations.certificate import CertificateDocument
from standing.ledger.attestations.documents import MAX_DOCUMENT, CountryField, SchemeField, stated_document
from standing.ledger.attestations.phones import MAX_PHONE

UserQuery = Annotated[str | None, Query(pattern=USER_PATTERN, description="The platform's own id of a user")]
BindingQuery = Annotated[Hex32 | None, Query(description="The binding's id: 0x and 64 hexadecimal digits")]
HoldId = Annotated[str, Path(pattern="^h_[0-9a-f]{24}$", description="As in a decision or the list of holds")]

_WHY: dict[str, Any] = {"reason": "Call of the user, ticket 4711"}
_CLAIM: dict[str, Any] = {name: value for name, value in CLAIM_EXAMPLE.items() if name not in {"bank", "user_id"}}


class WhyBody(BaseModel):
    """Why something is done."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_WHY]})

    reason: WhyField


class RebindBody(ClaimBody):
    """The user's current claim on the account, and why the account is bound again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_CLAIM | _WHY]})

    reason: WhyField


class IdentityBody(BaseModel):
    """The user's changed details on the platform, and why. Personal data, used to compute tags and not stored."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"phone": "+86 139 0013 9000", "reason": "New phone number"}]}
    )

    holder_name: str | None = Field(None, min_length=1, max_length=140)
    id_document_scheme: SchemeField | None = None
    id_document_country: CountryField | None = None
    id_document_number: str | None = Field(None, min_length=1, max_length=MAX_DOCUMENT)
    phone: str | None = Field(None, min_length=1, max_length=MAX_PHONE)
    reason: WhyField

    def new(self) -> NewIdentity:
        """The changed details in canonical form. Raises: InvalidValue."""
        document = stated_document(self.id_document_scheme, self.id_document_country, self.id_document_number)
        return NewIdentity.parse(self.holder_name, document, self.phone)

    def __repr__(self) -> str:
        return "IdentityBody(…)"


class IdentityAnswer(BaseModel):
    """How many bindings got new tags."""

    bindings: int


class ResyncAnswer(BaseModel):
    """`queued` is false where the newest attestation was already on its way to the ledger."""

    queued: bool


class HoldView(BaseModel):
    """A hold. `binding` is null where the user's attempts to bind are held."""

    hold_id: str = Field(examples=["h_5f0c1b7a9e4c83b6d1f2a394"])
    binding: str | None = Field(examples=[BINDING_EXAMPLE])
    user_id: str
    rule: str = Field(description="Of the policy; BINDING_ATTEMPTS for attempts to bind", examples=["burst"])
    why: LocalizedText
    whole: bool = Field(
        description="Whether every transaction of the account is held, not only those that the rule matches"
    )
    began_at_ms: int
    ends_at_ms: int
    lifted_at_ms: int | None
    lifted_by: str | None = Field(description="Name of the key that lifted it; the reason is in the audit")

    @classmethod
    def of(cls, hold: StoredHold) -> "HoldView":
        binding = "0x" + hold.binding.hex() if hold.binding is not None else None
        values: dict[str, Any] = {name: getattr(hold, name) for name in cls.model_fields}
        return cls(**values | {"binding": binding, "why": LocalizedText.of(hold.why)})


class ProofAnswer(BaseModel):
    """The lifted hold, and the certificate that lifted it: anyone can verify it against the bank's signer on the
    ledger."""

    hold: HoldView
    certificate: CertificateDocument

    @classmethod
    def of(cls, lifted: LiftedByProof) -> "ProofAnswer":
        return cls(hold=HoldView.of(lifted.hold), certificate=CertificateDocument.of(lifted.certificate))


class HoldList(BaseModel):
    """Holds, newest first, ended and lifted ones included, at most 200."""

    holds: list[HoldView]
