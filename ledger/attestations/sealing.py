"""Sealing: terms become a ciphertext and a tag that only the platform of the binding can open.

Keys, all 32 bytes, by HKDF-SHA256:

    binding key   = HKDF(bank secret, salt = binding id, info = "standing/binding/v1" ‖ platform id)
    identity key  = HKDF(binding key, salt = binding id, info = "standing/identity/v1")

Cipher: AES-256-GCM-SIV (RFC 8452). Nonce: the publication's number in 6 bytes big-endian, then six zero bytes.
Associated data: bank (11) ‖ binding (32) ‖ publication (6). On the ledger, the tag (16) and the first 10 bytes of the
ciphertext are stored together (`tag_and_head`), the other 32 after them (`tail`). The node puts at most one
record of a binding into a publication (`outbox.in_order`), so no nonce repeats. The contract would accept two; GCM-SIV
would then show only whether they are equal.

The cipher does not commit to its key, so the bank signs a commitment to it in the grant (`ledger.attestations.grant`).
"""

import hmac
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.identity import Identity
from standing.ledger.attestations.terms import NOT_STATED, TAG_SIZE, TERMS_SIZE, IdentityTags, Terms
from standing.ledger.errors import InvalidValue, TermsUnreadable

KEY_SIZE = 32
BINDING_SIZE = 32
#: No binding has this id: a query for it returns only what the ledger holds about the bank.
NO_BINDING = bytes(BINDING_SIZE)
SEAL_TAG_SIZE = 16
#: How much of the ciphertext is beside the tag in the first storage slot.
HEAD_SIZE = 10

_INSTEAD_OF_ZERO = (1).to_bytes(TAG_SIZE, "big")
_U48_MAX = 2**48 - 1


def _hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=salt, info=info).derive(secret)


def derive_binding_key(bank_secret: bytes, binding: bytes, platform: str) -> bytes:
    """The key that seals one binding's terms for one platform.

    Raises: InvalidValue where the bank secret is shorter than 32 bytes or the binding id is not 32 bytes.
    """
    if len(bank_secret) < KEY_SIZE:
        raise InvalidValue("bank secret", "too short", f"at least {KEY_SIZE} random bytes")
    if len(binding) != BINDING_SIZE:
        raise InvalidValue("binding", "wrong length", f"{BINDING_SIZE} bytes")
    return _hkdf(bank_secret, binding, b"standing/binding/v1" + platform.encode())


def key_commitment(binding: bytes, binding_key: bytes) -> bytes:
    """The value that the bank signs to commit to a binding key: SHA-256 over a label, the binding and the key."""
    return sha256(b"standing/commitment/v1" + binding + binding_key).digest()


def identity_tags(binding: bytes, binding_key: bytes, identity: Identity) -> IdentityTags:
    """The tags of the three identity fields, keyed for this binding.

    A tag is the first 3 bytes of HMAC-SHA256(identity key, field name ‖ 0x1f ‖ canonical value): enough to see that a
    field changed (an unnoticed change has a chance of one in 2^24). Whoever has the key can test guesses against it. A
    field that is empty is not stated, and its tag is zero; a stated field whose tag happens to be zero gets the tag 1.
    """
    identity_key = _hkdf(binding_key, binding, b"standing/identity/v1")

    def tag(field: str, value: str) -> bytes:
        if not value:
            return NOT_STATED
        digest = hmac.digest(identity_key, field.encode() + b"\x1f" + value.encode(), "sha256")[:TAG_SIZE]
        return digest if digest != NOT_STATED else _INSTEAD_OF_ZERO

    return IdentityTags(
        name=tag("name", identity.name),
        id_document=tag("id_document", identity.id_document),
        phone=tag("phone", identity.phone),
    )


def _nonce_and_context(bank: str, binding: bytes, publication: int) -> tuple[bytes, bytes]:
    if not 0 <= publication <= _U48_MAX:
        raise InvalidValue("publication", "out of range", "0 to 2^48-1")
    number = publication.to_bytes(6, "big")
    return number + bytes(6), bic_to_bytes11(bank) + binding + number


def seal(terms: Terms, *, key: bytes, bank: str, binding: bytes, publication: int) -> tuple[bytes, bytes]:
    """Seal `terms` for one binding in one publication. Returns: (tag and head, 26 bytes; tail, 32 bytes)."""
    nonce, context = _nonce_and_context(bank, binding, publication)
    sealed = AESGCMSIV(key).encrypt(nonce, terms.pack(), context)  # ciphertext ‖ tag
    return sealed[TERMS_SIZE:] + sealed[:HEAD_SIZE], sealed[HEAD_SIZE:TERMS_SIZE]


def unseal(tag_and_head: bytes, tail: bytes, *, key: bytes, bank: str, binding: bytes, publication: int) -> Terms:
    """Open sealed terms.

    Raises: TermsUnreadable where the key, any part of the context, or any bit of the ciphertext differs.
    """
    nonce, context = _nonce_and_context(bank, binding, publication)
    sealed = tag_and_head[SEAL_TAG_SIZE:] + tail + tag_and_head[:SEAL_TAG_SIZE]
    try:
        plain = AESGCMSIV(key).decrypt(nonce, sealed, context)
    except (InvalidTag, ValueError) as error:
        raise TermsUnreadable("the sealed terms cannot be decrypted with this binding's key") from error
    return Terms.unpack(plain)
