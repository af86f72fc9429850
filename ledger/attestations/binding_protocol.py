"""The bodies that a platform's gateway and a bank's node exchange over HTTP: claims, grants, micro-deposits."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from standing.ledger.attestations.documents import MAX_DOCUMENT, CountryField, IdDocument, SchemeField, stated_document
from standing.ledger.attestations.grant import Grant, KeylessGrant
from standing.ledger.attestations.hints import Hint, document_hint, number_hint, phone_hint
from standing.ledger.attestations.identity import HolderKind, Identity, canonical_identity, canonical_number
from standing.ledger.attestations.names import MAX_NAME
from standing.ledger.attestations.numbers import trimmed_fields
from standing.ledger.attestations.phones import MAX_PHONE

#: A platform's id. It enters key derivation, so its form is fixed.
PLATFORM_PATTERN = "^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$"
#: The same in words.
PLATFORM_FORM = "1 to 32 lowercase letters, digits and hyphens; no hyphen at either end"

#: The largest time that the ledger can hold, in milliseconds.
MAX_TIME_MS = 2**48 - 1


def _hex_of(size: int) -> tuple[AfterValidator, WithJsonSchema]:
    def check(text: str) -> str:
        if len(text) != 2 + 2 * size or not text.startswith("0x"):
            raise ValueError(f"0x and {2 * size} hexadecimal digits")
        try:
            raw = bytes.fromhex(text[2:])
        except ValueError as error:
            raise ValueError(f"0x and {2 * size} hexadecimal digits") from error
        if len(raw) != size:  # `fromhex` skips white space
            raise ValueError(f"0x and {2 * size} hexadecimal digits")
        return "0x" + raw.hex()

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^0x[0-9a-fA-F]{{{2 * size}}}$"})


Hex16 = Annotated[str, *_hex_of(16)]
Hex26 = Annotated[str, *_hex_of(26)]
Hex32 = Annotated[str, *_hex_of(32)]
Hex65 = Annotated[str, *_hex_of(65)]
TimeMs = Annotated[int, Field(ge=0, le=MAX_TIME_MS, strict=True)]


class ClaimHint(BaseModel):
    """What looks mistyped in a claim. It is found in the claim alone, without the bank's records."""

    field: Literal["number", "id_document", "phone"]
    hint: Hint = Field(description="check_digit, length, or unknown_range: a range that no library knows as in use")


class Claim(BaseModel):
    """What a user claims about an account: its number and its holder, a person or an organisation. Personal data.

    ID document and phone may be left out; the bank asks for what it has of them. Blanks around a value do not count,
    and an empty value is one that is left out.
    """

    model_config = ConfigDict(extra="forbid")

    number: str = Field(min_length=4, max_length=64, description="Card or account number, spaces and hyphens allowed")
    number_type: Literal["card", "account"]
    holder_kind: HolderKind | None = Field(None, description="Omitted: not compared")
    holder_name: str = Field(min_length=1, max_length=MAX_NAME)
    id_document_scheme: SchemeField | None = None
    id_document_country: CountryField | None = None
    id_document_number: str | None = Field(None, min_length=1, max_length=MAX_DOCUMENT)
    phone: str | None = Field(None, min_length=1, max_length=MAX_PHONE)

    @model_validator(mode="before")
    @classmethod
    def _trim(cls, stated: Any) -> Any:
        return trimmed_fields(stated, Claim.model_fields)

    def canonical_number(self) -> str:
        """The number in canonical form. Raises: InvalidValue."""
        return canonical_number(self.number, self.number_type)

    def identity(self) -> Identity:
        """The three identity fields in canonical form. Raises: InvalidValue."""
        return canonical_identity(self.holder_name, self.id_document(), self.phone)

    def id_document(self) -> IdDocument | None:
        """The ID document; None where none is stated. Raises: InvalidValue where only a part of it is."""
        return stated_document(self.id_document_scheme, self.id_document_country, self.id_document_number)

    def hints(self) -> list[ClaimHint]:
        """Hints at typing slips. Raises: InvalidValue where a value has no canonical form."""
        self.canonical_number()
        self.identity()
        document = self.id_document()
        found: dict[Literal["number", "id_document", "phone"], Hint | None] = {
            "number": number_hint(self.number, self.number_type),
            "id_document": document_hint(document) if document is not None else None,
            "phone": phone_hint(self.phone) if self.phone is not None else None,
        }
        return [ClaimHint(field=field, hint=hint) for field, hint in found.items() if hint is not None]

    def __repr__(self) -> str:
        return "Claim(…)"


class BindingRequest(Claim):
    """A platform's request to bind an account. `request_id` makes it safe to repeat the request after a lost answer."""

    request_id: str = Field(min_length=8, max_length=64, pattern="^[A-Za-z0-9_-]+$")
    on_behalf_of: str | None = Field(
        None,
        pattern="^[A-Za-z0-9._:-]{1,64}$",
        description="The platform's own, opaque id of the user who asks: the bank limits the attempts of each user. "
        "Not a name or a phone",
    )
    replaces: Hex32 | None = Field(
        None,
        description="An active binding of the same account at this platform. It ends when the new one is "
        "granted; until then, or if none is granted, it remains active",
    )


class Mismatch(BaseModel):
    """One reason against a binding. `iso_reason` is an ISO 20022 code if one fits exactly."""

    field: Literal["number", "name", "id_document", "phone", "holder_kind", "account", "amount"]
    problem: str
    iso_reason: str | None = None


MatchWord = Literal["match", "close", "no_match", "not_stated"]
MatchCode = Literal["MTCH", "CMTC", "NMTC", "NOAP"]

#: The codes of ISO 20022's Verification of Payee.
MATCH_CODES: dict[MatchWord, MatchCode] = {"match": "MTCH", "close": "CMTC", "no_match": "NMTC", "not_stated": "NOAP"}


class FieldMatch(BaseModel):
    """How a claimed field compares with the bank's records.

    `match`: one canonical form. `close`, of names only: a person would look twice. `not_stated`: the bank has none, or
    the claim states none.
    """

    field: Literal["name", "id_document", "phone"]
    match: MatchWord
    code: MatchCode

    @classmethod
    def of(cls, field: Literal["name", "id_document", "phone"], match: MatchWord) -> "FieldMatch":
        return cls(field=field, match=match, code=MATCH_CODES[match])


class _GrantBase(BaseModel):
    """What a grant states as JSON, with its key or without."""

    bank: str
    binding: Hex32
    platform: str
    granted_at_ms: TimeMs
    signature: Hex65

    @staticmethod
    def _stated(grant: Grant | KeylessGrant) -> dict[str, Any]:
        return {
            "bank": grant.bank,
            "binding": "0x" + grant.binding.hex(),
            "platform": grant.platform,
            "granted_at_ms": grant.granted_at_ms,
            "signature": "0x" + grant.signature.hex(),
        }

    def _parsed(self) -> dict[str, Any]:
        return {
            "bank": self.bank,
            "binding": bytes.fromhex(self.binding[2:]),
            "platform": self.platform,
            "granted_at_ms": self.granted_at_ms,
            "signature": bytes.fromhex(self.signature[2:]),
        }


class KeylessGrantDocument(_GrantBase):
    """The bank's grant with a commitment in place of the key: it shows which key is the right one."""

    key_commitment: Hex32

    @classmethod
    def of(cls, grant: KeylessGrant) -> "KeylessGrantDocument":
        return cls(**cls._stated(grant), key_commitment="0x" + grant.key_commitment.hex())

    def grant(self) -> KeylessGrant:
        return KeylessGrant(**self._parsed(), key_commitment=bytes.fromhex(self.key_commitment[2:]))


class GrantDocument(_GrantBase):
    """A grant as JSON. Holds the binding key: a secret of bank and platform."""

    binding_key: Hex32

    @classmethod
    def of(cls, grant: Grant) -> "GrantDocument":
        return cls(**cls._stated(grant), binding_key="0x" + grant.binding_key.hex())

    def grant(self) -> Grant:
        return Grant(**self._parsed(), binding_key=bytes.fromhex(self.binding_key[2:]))

    def __repr__(self) -> str:
        return f"GrantDocument(bank={self.bank!r}, binding={self.binding!r})"


#: The amounts of micro-deposits, in minor units.
MAX_DEPOSIT_MINOR = 100


class MicroDepositDocument(BaseModel):
    """A small amount that the bank pays into the account. The user has to state it before `expires_at_ms`."""

    id: Hex32
    currency: str = Field(description="ISO 4217, alphabetic")
    expires_at_ms: TimeMs
    tries_left: int


class DepositConfirmation(BaseModel):
    """The amount that the user saw on the account."""

    model_config = ConfigDict(extra="forbid")

    amount_minor: int = Field(ge=1, le=MAX_DEPOSIT_MINOR, strict=True, description="In minor units")

    def __repr__(self) -> str:
        return "DepositConfirmation(…)"


class BindingAnswer(BaseModel):
    """The bank's answer: granted, refused with what does not match, or a micro-deposit first.

    `matches` says of each field how it compares; it is empty where no account was found, and where all that the
    bank has matches.
    `hints` of a refusal say which of the fields that do not match look mistyped.

    After a micro-deposit, `mismatches` of a grant name the fields that the bank does not vouch for, such as the phone.
    The terms carry the bank's own value of them from the first attestation on.
    """

    outcome: Literal["granted", "refused", "micro_deposit"]
    mismatches: list[Mismatch] = []
    matches: list[FieldMatch] = []
    hints: list[ClaimHint] = []
    grant: GrantDocument | None = None
    micro_deposit: MicroDepositDocument | None = None
    tries_left: int | None = Field(
        None,
        ge=0,
        le=100,
        description="Where the amount of a micro-deposit is refused: how many other amounts may still be named. 0: ask "
        "with a new request id",
    )
