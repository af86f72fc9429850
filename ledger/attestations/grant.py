"""Grants: a bank issues one to a platform when a binding succeeds.

A grant names the binding and carries its key. The bank signs it together with a commitment to the key. In a dispute,
anyone to whom the platform shows the key can open the record, and nobody can claim another key. The signature's domain
names no chain, because a grant outlives a deployment of the ledger, as the binding does.
"""

from dataclasses import dataclass

from eth_typing import ChecksumAddress
from eth_utils import keccak

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.publication import Signer, recover
from standing.ledger.attestations.sealing import key_commitment

_DOMAIN_SEPARATOR = keccak(
    keccak(text="EIP712Domain(string name,string version)") + keccak(text="Standing Grant") + keccak(text="1")
)
_GRANT_TYPEHASH = keccak(
    text="Grant(bytes11 bank,bytes32 binding,string platform,bytes32 keyCommitment,uint48 grantedAtMs)"
)


@dataclass(frozen=True, slots=True)
class Grant:
    """A binding, its key, and the bank's signature over both. The key is a secret of bank and platform."""

    bank: str
    binding: bytes
    platform: str
    granted_at_ms: int
    binding_key: bytes
    signature: bytes

    def __repr__(self) -> str:  # the key must not reach a log by accident
        return f"Grant(bank={self.bank!r}, binding=0x{self.binding.hex()}, platform={self.platform!r})"

    @property
    def signer(self) -> ChecksumAddress | None:
        """The address that signed the grant, to be compared with the bank's signer on the ledger."""
        return self.without_key.signer

    @property
    def without_key(self) -> "KeylessGrant":
        """The part that anyone may see: proof that the bank signed for a key, without the key."""
        commitment = key_commitment(self.binding, self.binding_key)
        return KeylessGrant(self.bank, self.binding, self.platform, self.granted_at_ms, commitment, self.signature)

    def grants(self, binding_key: bytes) -> bool:
        """Whether this is the key that was granted."""
        return binding_key == self.binding_key


@dataclass(frozen=True, slots=True)
class KeylessGrant:
    """A grant with the commitment in place of the key: it shows a holder of a key whether it is the right one."""

    bank: str
    binding: bytes
    platform: str
    granted_at_ms: int
    key_commitment: bytes
    signature: bytes

    @property
    def signer(self) -> ChecksumAddress | None:
        """As in `Grant`."""
        digest = _digest(self.bank, self.binding, self.platform, self.granted_at_ms, self.key_commitment)
        return recover(digest, self.signature)

    def grants(self, binding_key: bytes) -> bool:
        """Whether this is the key that was granted."""
        return key_commitment(self.binding, binding_key) == self.key_commitment


def make_grant(
    signer: Signer, *, bank: str, binding: bytes, platform: str, granted_at_ms: int, binding_key: bytes
) -> Grant:
    """Sign a grant."""
    commitment = key_commitment(binding, binding_key)
    signature = signer.sign(_digest(bank, binding, platform, granted_at_ms, commitment))
    return Grant(bank, binding, platform, granted_at_ms, binding_key, signature)


def _digest(bank: str, binding: bytes, platform: str, granted_at_ms: int, commitment: bytes) -> bytes:
    content = keccak(
        _GRANT_TYPEHASH
        + bic_to_bytes11(bank).ljust(32, b"\0")
        + binding
        + keccak(text=platform)
        + commitment
        + granted_at_ms.to_bytes(32, "big")
    )
    return keccak(b"\x19\x01" + _DOMAIN_SEPARATOR + content)
