"""Publications: the ordered batches that a bank signs, with their EIP-712 digest and signature.

The digest is computed here, field by field, because `eth_account`'s general typed-data encoder takes several times as
long for a batch of hundreds. Tests compare the two.
"""

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from eth_account import Account
from eth_hash.backends.pysha3 import keccak256
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_typing import ChecksumAddress, HexStr
from eth_utils import ValidationError, keccak, to_canonical_address, to_checksum_address

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.errors import InvalidValue

# `eth_account` imports `py_ecc`, which raises Python's recursion limit to 100,000, more than the stack can hold. Deeply
# nested JSON, which anybody can send, would then end the process instead of one request. Nothing here recurses, so
# Python's own limit is restored.
sys.setrecursionlimit(1_000)

ATTESTATION_FIELDS = (
    ("bytes32", "binding"),
    ("bytes26", "tagAndHead"),
    ("bytes32", "tail"),
)
PUBLICATION_FIELDS = (
    ("bytes11", "bank"),
    ("uint48", "number"),
    ("bytes32", "previous"),
    ("uint48", "watermarkMs"),
    ("Attestation[]", "attestations"),
)
#: The seal's tag and the first bytes of the sealed terms, which share a storage slot with the publication's number.
TAG_AND_HEAD_SIZE = 26
#: The words of one attestation.
ATTESTATION_SIZE = 3 * 32
_WORD_FILLING = bytes(32 - TAG_AND_HEAD_SIZE)
_U48_MAX = 2**48 - 1


def _type_string(name: str, fields: tuple[tuple[str, str], ...]) -> str:
    return f"{name}({','.join(f'{kind} {field}' for kind, field in fields)})"


_ATTESTATION_TYPEHASH = keccak(text=_type_string("Attestation", ATTESTATION_FIELDS))
_PUBLICATION_TYPEHASH = keccak(
    text=_type_string("Publication", PUBLICATION_FIELDS) + _type_string("Attestation", ATTESTATION_FIELDS)
)
_DOMAIN_TYPEHASH = keccak(text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
DOMAIN_NAME = "Standing StatusLedger"
DOMAIN_VERSION = "1"


class Signer(Protocol):
    """Signs 32-byte digests with a secp256k1 key. Where the key lives is up to the implementation: keystore, HSM or
    KMS."""

    @property
    def address(self) -> ChecksumAddress: ...

    def sign(self, digest: bytes) -> bytes:
        """The signature r ‖ s ‖ v, 65 bytes, with low s and v 27 or 28."""
        ...


class LocalSigner:
    """A signer whose key is in this process's memory."""

    def __init__(self, private_key: bytes) -> None:
        self._account = Account.from_key(private_key)

    @property
    def address(self) -> ChecksumAddress:
        return to_checksum_address(self._account.address)

    def sign(self, digest: bytes) -> bytes:
        return bytes(self._account.unsafe_sign_hash(digest).signature)


def recover(digest: bytes, signature: bytes) -> ChecksumAddress | None:
    """The address whose key signed `digest`; None where `signature` is not 65 bytes r ‖ s ‖ v with v 27 or 28."""
    if len(signature) != 65:
        return None
    try:
        vrs = (signature[64] - 27, int.from_bytes(signature[0:32]), int.from_bytes(signature[32:64]))
        return Signature(vrs=vrs).recover_public_key_from_msg_hash(digest).to_checksum_address()
    except (BadSignature, ValidationError):
        return None


@dataclass(frozen=True, slots=True)
class Domain:
    """The EIP-712 domain: one ledger contract on one chain. A signature for another domain is not valid here."""

    chain_id: int
    contract: ChecksumAddress

    @property
    def separator(self) -> bytes:
        """The EIP-712 domain separator."""
        return keccak(
            _DOMAIN_TYPEHASH
            + keccak(text=DOMAIN_NAME)
            + keccak(text=DOMAIN_VERSION)
            + self.chain_id.to_bytes(32, "big")
            + to_canonical_address(self.contract).rjust(32, b"\0")
        )


@dataclass(frozen=True, slots=True)
class Attestation:
    """A bank's sealed terms of one binding, as they are on the ledger."""

    binding: bytes
    tag_and_head: bytes
    tail: bytes

    def __post_init__(self) -> None:
        if len(self.binding) == len(self.tail) == 32 and len(self.tag_and_head) == TAG_AND_HEAD_SIZE:
            return
        for field, size in (("binding", 32), ("tag_and_head", TAG_AND_HEAD_SIZE), ("tail", 32)):
            if len(getattr(self, field)) != size:
                raise InvalidValue(field, f"{len(getattr(self, field))} bytes", f"{size} bytes")

    @property
    def words(self) -> bytes:
        """The three 32-byte words of the attestation, the same in EIP-712 and in calldata."""
        return self.binding + self.tag_and_head + _WORD_FILLING + self.tail

    @classmethod
    def of_words(cls, words: bytes) -> "Attestation":
        """The attestation of its three words. Raises: InvalidValue."""
        return cls(words[:32], words[32 : 32 + TAG_AND_HEAD_SIZE], words[64:])

    def as_tuple(self) -> tuple[bytes, bytes, bytes]:
        """The attestation as the contract's ABI takes it."""
        return self.binding, self.tag_and_head, self.tail


@dataclass(frozen=True)
class Publication:
    """An ordered batch of attestations with a watermark: number `number` in `bank`'s history on `domain`.

    `previous` is the digest of the publication before; 32 zero bytes before the first.
    """

    domain: Domain
    bank: str
    number: int
    previous: bytes
    watermark_ms: int
    attestations: tuple[Attestation, ...]

    def __post_init__(self) -> None:
        if len(self.previous) != 32:
            raise InvalidValue("previous", f"{len(self.previous)} bytes", "32 bytes")
        for field, lowest in (("number", 1), ("watermark_ms", 0)):
            if not lowest <= getattr(self, field) <= _U48_MAX:
                raise InvalidValue(field, "out of range", f"{lowest} to 2^48-1")

    @cached_property
    def digest(self) -> bytes:
        """The 32 bytes that the bank signs (EIP-712), and the `previous` of the next publication."""
        # pysha3's Keccak takes a fifth of the time of pycryptodome's, which `keccak` would use, for so few bytes.
        batch = keccak(b"".join([keccak256(_ATTESTATION_TYPEHASH + item.words) for item in self.attestations]))
        content = keccak(
            _PUBLICATION_TYPEHASH
            + bic_to_bytes11(self.bank).ljust(32, b"\0")
            + self.number.to_bytes(32, "big")
            + self.previous
            + self.watermark_ms.to_bytes(32, "big")
            + batch
        )
        return keccak(b"\x19\x01" + self.domain.separator + content)

    def typed_data(self) -> dict[str, Any]:
        """The same message as EIP-712 JSON, for a bank's own signing tools (`eth_signTypedData_v4`)."""
        return {
            "types": {
                "EIP712Domain": [
                    {"name": name, "type": kind}
                    for kind, name in (
                        ("string", "name"),
                        ("string", "version"),
                        ("uint256", "chainId"),
                        ("address", "verifyingContract"),
                    )
                ],
                "Publication": [{"name": name, "type": kind} for kind, name in PUBLICATION_FIELDS],
                "Attestation": [{"name": name, "type": kind} for kind, name in ATTESTATION_FIELDS],
            },
            "primaryType": "Publication",
            "domain": {
                "name": DOMAIN_NAME,
                "version": DOMAIN_VERSION,
                "chainId": self.domain.chain_id,
                "verifyingContract": self.domain.contract,
            },
            "message": {
                "bank": _hex(bic_to_bytes11(self.bank)),
                "number": self.number,
                "previous": _hex(self.previous),
                "watermarkMs": self.watermark_ms,
                "attestations": [
                    {
                        "binding": _hex(item.binding),
                        "tagAndHead": _hex(item.tag_and_head),
                        "tail": _hex(item.tail),
                    }
                    for item in self.attestations
                ],
            },
        }


def _hex(raw: bytes) -> HexStr:
    return HexStr("0x" + raw.hex())
