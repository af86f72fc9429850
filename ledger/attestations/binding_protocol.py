"""The bodies that a platform's gateway and a bank's node exchange over HTTP: claims, grants, micro-deposits."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from standing.ledger.attestations.grant import Grant
from standing.ledger.attestations.identity import IdDocument, Identity, canonical_identity, canonical_number

#: A platform's id. It enters key derivation, so its form is fixed.
PLATFORM_PATTERN = "^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$"

#: The largest time that the ledger can hold, in milliseconds.
MAX_TIME_MS = 2**48 - 1


def _hex_of(size: int) -> AfterValidator:
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

    return AfterValidator(check)


Hex16 = Annotated[str, _hex_of(16)]
Hex26 = Annotated[str, _hex_of(26)]
Hex32 = Annotated[str, _hex_of(32)]
Hex65 = Annotated[str, _hex_of(65)]
TimeMs = Annotated[int, Field(ge=0, le=MAX_TIME_MS, strict=True)]


class Claim(BaseModel):
    """What a user claims about an account: its number and its holder. Personal data."""

    model_config = ConfigDict(extra="forbid")

    number: str = Field(min_length=4, max_length=64, description="Card or account number, spaces and hyphens allowed")
    number_type: Literal["card", "account"]
    holder_name: str = Field(min_length=1, max_length=140)
    id_document_scheme: Literal["NIDN", "CCPT"] = Field(description="ISO 20022: national identity number or passport")
    id_document_country: str = Field(pattern="^[A-Z]{2}$", description="ISO 3166-1 alpha-2")
    id_document_number: str = Field(min_length=1, max_length=35)
    phone: str = Field(min_length=3, max_length=40)

    def canonical_number(self) -> str:
        """The number in canonical form. Raises: InvalidValue."""
        return canonical_number(self.number, self.number_type)

    def identity(self) -> Identity:
        """The three identity fields in canonical form. Raises: InvalidValue."""
        document = IdDocument(self.id_document_scheme, self.id_document_country, self.id_document_number)
        return canonical_identity(self.holder_name, document, self.phone)

    def __repr__(self) -> str:
        return "Claim(…)"


class BindingRequest(Claim):
    """A platform's request to bind an account. `request_id` makes it safe to ask again after a lost answer."""

    request_id: str = Field(min_length=8, max_length=64, pattern="^[A-Za-z0-9_-]+$")
    on_behalf_of: str | None = Field(
        None,
        pattern="^[A-Za-z0-9._:-]{1,64}$",
        description="The platform's own, opaque id of the user who asks: the bank bounds how often one may guess. "
        "Not a name or a phone",
    )
    replaces: Hex32 | None = Field(
        None,
        description="This platform's active binding of the same account that ends, in the same step, where the new one "
        "is granted; until then, and where none is, it stays",
    )


class Mismatch(BaseModel):
    """One reason against a binding. `iso_reason` is an ISO 20022 code where one truly fits."""

    field: Literal["number", "name", "id_document", "phone", "account", "amount"]
    problem: str
    iso_reason: str | None = None


class GrantDocument(BaseModel):
    """A grant as JSON. Holds the binding key: a secret of bank and platform."""

    bank: str
    binding: Hex32
    platform: str
    granted_at_ms: TimeMs
    binding_key: Hex32
    signature: Hex65

    @classmethod
    def of(cls, grant: Grant) -> "GrantDocument":
        return cls(
            bank=grant.bank,
            binding="0x" + grant.binding.hex(),
            platform=grant.platform,
            granted_at_ms=grant.granted_at_ms,
            binding_key="0x" + grant.binding_key.hex(),
            signature="0x" + grant.signature.hex(),
        )

    def grant(self) -> Grant:
        return Grant(
            bank=self.bank,
            binding=bytes.fromhex(self.binding[2:]),
            platform=self.platform,
            granted_at_ms=self.granted_at_ms,
            binding_key=bytes.fromhex(self.binding_key[2:]),
            signature=bytes.fromhex(self.signature[2:]),
        )

    def __repr__(self) -> str:
        return f"GrantDocument(bank={self.bank!r}, binding={self.binding!r})"


#: The amounts of micro-deposits, in minor units.
MAX_DEPOSIT_MINOR = 100


class MicroDepositDocument(BaseModel):
    """A small amount that the bank pays into the account. The user names it before `expires_at_ms`."""

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

    After a micro-deposit, `mismatches` of a grant name the fields that the bank does not vouch for, such as the phone.
    The terms carry the bank's own value of them from the first attestation on.
    """

    outcome: Literal["granted", "refused", "micro_deposit"]
    mismatches: list[Mismatch] = []
    grant: GrantDocument | None = None
    micro_deposit: MicroDepositDocument | None = None
