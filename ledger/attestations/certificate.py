"""Certificates of good standing: a bank's fresh, signed statement that a binding's account is active, and whose it is.

Asked for with a challenge of 32 random bytes, which the bank signs as well, so that a certificate answers one question
once and cannot be shown again. Anyone who knows the bank's signer on the ledger can verify one, without a ledger's
record and without the binding's key: its statements are in the clear, but of the holder it has only the same short
keyed tags as the sealed terms. It is signed by EIP-712 in a domain of its own that names no chain, as a grant is:

    Certificate(bytes11 bank,bytes32 binding,string platform,bytes32 challenge,bytes9 tags,bool debitAllowed,
                bool creditAllowed,uint48 asOfMs,uint48 issuedAtMs,uint48 expiresAtMs)

A certificate approves nothing: a decision reads the ledger at the moment of payment, whatever was certified before.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from eth_typing import ChecksumAddress
from eth_utils import keccak
from pydantic import BaseModel, ConfigDict, Field

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.binding_protocol import PLATFORM_PATTERN, Hex32, Hex65, TimeMs
from standing.ledger.attestations.identity import IDENTITY_FIELDS
from standing.ledger.attestations.publication import Signer, recover
from standing.ledger.attestations.terms import IdentityTags, tags_differ

CHALLENGE_SIZE = 32
#: For how long a bank's node declares a certificate good, and the longest that a verifier accepts.
LIFETIME_MS = 2 * 60 * 1000
MAX_LIFETIME_MS = 10 * 60 * 1000

_DOMAIN_SEPARATOR = keccak(
    keccak(text="EIP712Domain(string name,string version)") + keccak(text="Standing Certificate") + keccak(text="1")
)
_TYPEHASH = keccak(
    text="Certificate(bytes11 bank,bytes32 binding,string platform,bytes32 challenge,bytes9 tags,bool debitAllowed,"
    "bool creditAllowed,uint48 asOfMs,uint48 issuedAtMs,uint48 expiresAtMs)"
)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A bank's statement that an account is active. `as_of_ms`: the core's newest time; `issued_at_ms`: by the node's
    clock."""

    bank: str
    binding: bytes
    platform: str
    challenge: bytes
    tags: IdentityTags
    debit_allowed: bool
    credit_allowed: bool
    as_of_ms: int
    issued_at_ms: int
    expires_at_ms: int
    signature: bytes = b""

    @property
    def digest(self) -> bytes:
        """The 32 bytes that the bank signs (EIP-712)."""
        content = keccak(
            _TYPEHASH
            + bic_to_bytes11(self.bank).ljust(32, b"\0")
            + self.binding
            + keccak(text=self.platform)
            + self.challenge
            + self.tags.pack().ljust(32, b"\0")
            + b"".join(
                int(word).to_bytes(32, "big")
                for word in (
                    self.debit_allowed,
                    self.credit_allowed,
                    self.as_of_ms,
                    self.issued_at_ms,
                    self.expires_at_ms,
                )
            )
        )
        return keccak(b"\x19\x01" + _DOMAIN_SEPARATOR + content)

    @property
    def signer(self) -> ChecksumAddress | None:
        """The address that signed it, to be compared with the bank's signer on the ledger."""
        return recover(self.digest, self.signature)


class CertificateFault(StrEnum):
    """Why a certificate proves nothing, in the order of the checks."""

    OTHER_BANK = "other_bank"
    OTHER_BINDING = "other_binding"
    OTHER_PLATFORM = "other_platform"
    OTHER_CHALLENGE = "other_challenge"
    NOT_SIGNED_BY_THE_BANK = "not_signed_by_the_bank"
    LASTS_TOO_LONG = "lasts_too_long"
    FROM_THE_FUTURE = "from_the_future"
    EXPIRED = "expired"
    CORE_SILENT = "core_silent"
    OTHER_HOLDER = "other_holder"


@dataclass(frozen=True, slots=True)
class ExpectedCertificate:
    """What a verifier expects of a certificate. `signer`: the bank's on the ledger.

    `tags`: of the holder as bound, compared where both sides state them. `max_age_ms`: how old the core's statement may
    be. `ahead_ms`: how far the bank's clock may be ahead of the verifier's.
    """

    bank: str
    binding: bytes
    platform: str
    challenge: bytes
    signer: str
    tags: IdentityTags
    max_age_ms: int
    ahead_ms: int


def fault_of(certificate: Certificate, asked: ExpectedCertificate, now_ms: int) -> CertificateFault | None:
    """Why a certificate does not prove what was asked; None where it does. Pure."""
    lifetime_ms = certificate.expires_at_ms - certificate.issued_at_ms
    faults = {
        CertificateFault.OTHER_BANK: certificate.bank != asked.bank,
        CertificateFault.OTHER_BINDING: certificate.binding != asked.binding,
        CertificateFault.OTHER_PLATFORM: certificate.platform != asked.platform,
        CertificateFault.OTHER_CHALLENGE: certificate.challenge != asked.challenge,
        # Not computed for another bank: its name may be no BIC, and then there is no digest.
        CertificateFault.NOT_SIGNED_BY_THE_BANK: certificate.bank == asked.bank and certificate.signer != asked.signer,
        CertificateFault.LASTS_TOO_LONG: not 0 < lifetime_ms <= MAX_LIFETIME_MS,
        CertificateFault.FROM_THE_FUTURE: max(certificate.issued_at_ms, certificate.as_of_ms) > now_ms + asked.ahead_ms,
        CertificateFault.EXPIRED: now_ms >= certificate.expires_at_ms,
        CertificateFault.CORE_SILENT: now_ms - certificate.as_of_ms > asked.max_age_ms,
        CertificateFault.OTHER_HOLDER: any(
            tags_differ(getattr(certificate.tags, name), getattr(asked.tags, name)) for name in IDENTITY_FIELDS
        ),
    }
    return next((fault for fault, found in faults.items() if found), None)


def sign_certificate(signer: Signer, unsigned: Certificate) -> Certificate:
    """Sign what a certificate states."""
    return Certificate(
        unsigned.bank,
        unsigned.binding,
        unsigned.platform,
        unsigned.challenge,
        unsigned.tags,
        unsigned.debit_allowed,
        unsigned.credit_allowed,
        unsigned.as_of_ms,
        unsigned.issued_at_ms,
        unsigned.expires_at_ms,
        signer.sign(unsigned.digest),
    )


class CertificateRequest(BaseModel):
    """A request for a certificate. `challenge`: 32 random bytes, new for each request."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"challenge": "0x" + "5a" * 32}]})

    challenge: Hex32


class CertificateDocument(BaseModel):
    """A certificate of good standing, as it goes over HTTP. `tags`: of name, ID document and phone, 3 bytes each."""

    model_config = ConfigDict(extra="forbid")

    bank: str = Field(min_length=8, max_length=11, examples=["BKCHCNBJ"])
    binding: Hex32
    platform: str = Field(pattern=PLATFORM_PATTERN)
    challenge: Hex32
    tags: Annotated[str, Field(pattern="^0x[0-9a-f]{18}$")]
    debit_allowed: bool
    credit_allowed: bool
    as_of_ms: TimeMs = Field(description="The core's as_of_ms when the certificate was issued")
    issued_at_ms: TimeMs
    expires_at_ms: TimeMs
    signature: Hex65 = Field(description="EIP-712, by the bank's signer on the ledger")

    @classmethod
    def of(cls, certificate: Certificate) -> "CertificateDocument":
        return cls(
            bank=certificate.bank,
            binding="0x" + certificate.binding.hex(),
            platform=certificate.platform,
            challenge="0x" + certificate.challenge.hex(),
            tags="0x" + certificate.tags.pack().hex(),
            debit_allowed=certificate.debit_allowed,
            credit_allowed=certificate.credit_allowed,
            as_of_ms=certificate.as_of_ms,
            issued_at_ms=certificate.issued_at_ms,
            expires_at_ms=certificate.expires_at_ms,
            signature="0x" + certificate.signature.hex(),
        )

    def certificate(self) -> Certificate:
        """The certificate. Where `bank` is no BIC, its `digest` and `signer` raise InvalidValue."""
        return Certificate(
            self.bank,
            bytes.fromhex(self.binding[2:]),
            self.platform,
            bytes.fromhex(self.challenge[2:]),
            IdentityTags.unpack(bytes.fromhex(self.tags[2:])),
            self.debit_allowed,
            self.credit_allowed,
            self.as_of_ms,
            self.issued_at_ms,
            self.expires_at_ms,
            bytes.fromhex(self.signature[2:]),
        )
