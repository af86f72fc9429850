"""Personal data and keys at rest: encrypted, and found by keyed hashes. Keys rotate by version, newest first."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from standing.ledger.errors import InvalidValue, StandingError

_MIN_SECRET = 32
_NAME_SIZE = 12
_MISSING = "stored data cannot be decrypted: is a vault secret missing?"


class VaultError(StandingError):
    """A stored value cannot be decrypted with any of the keys."""


class Vault:
    """Encrypts with the newest of `secrets` and decrypts with any; each has at least 32 random bytes.

    `purpose` separates what different parts of a service keep under one secret. `lookup_key` is given where it is
    stored separately, so that the oldest secret can be retired. Raises: InvalidValue.
    """

    def __init__(self, secrets: Sequence[bytes], purpose: str, lookup_key: bytes | None = None) -> None:
        if not secrets or any(len(secret) < _MIN_SECRET for secret in secrets):
            raise InvalidValue("vault secret", "missing or too short", f"at least {_MIN_SECRET} random bytes each")
        self._fernets = [Fernet(urlsafe_b64encode(_derive(secret, f"standing/vault/{purpose}"))) for secret in secrets]
        self._fernet = MultiFernet(self._fernets)
        #: A name for each secret that tells nothing of it, the newest first.
        self.names = tuple(_derive(secret, f"standing/name/{purpose}")[:_NAME_SIZE].hex() for secret in secrets)
        # The oldest secret keys the lookups, so that a newer secret does not hide what was stored before.
        self.lookup_key = lookup_key or _derive(secrets[-1], f"standing/lookup/{purpose}")

    def seal(self, plain: bytes) -> bytes:
        """Encrypt for storage."""
        return self._fernet.encrypt(plain)

    def unseal(self, stored: bytes) -> bytes:
        """Decrypt a value that `seal` encrypted. Raises: VaultError."""
        try:
            return self._fernet.decrypt(stored)
        except InvalidToken as error:
            raise VaultError(_MISSING) from error

    def is_newest(self, stored: bytes) -> bool:
        """Whether the newest secret alone can decrypt it."""
        return _opens(self._fernets[0], stored)

    def sealed_under(self, stored: bytes) -> str:
        """The name of the secret under which a value was encrypted. Raises: VaultError."""
        for name, fernet in zip(self.names, self._fernets, strict=True):
            if _opens(fernet, stored):
                return name
        raise VaultError(_MISSING)

    def seal_text(self, plain: str) -> bytes:
        return self.seal(plain.encode())

    def unseal_text(self, stored: bytes) -> str:
        """Raises: VaultError."""
        return self.unseal(stored).decode()

    def lookup(self, field: str, value: str) -> bytes:
        """A keyed hash by which `value` can be found without being readable."""
        return hmac.digest(self.lookup_key, field.encode() + b"\x1f" + value.encode(), "sha256")


def _opens(fernet: Fernet, stored: bytes) -> bool:
    try:
        fernet.decrypt(stored)
    except InvalidToken:
        return False
    return True


def _derive(secret: bytes, info: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info.encode()).derive(secret)
