"""The bank's secrets for binding keys, by version. New versions are added; old ones stay for the bindings made under
them.

A binding's id shows the bank, and nobody else, the version it was made under: its last 8 bytes are a tag over the 24
random bytes before, keyed by that version. The version needs no column and survives the loss of the store. To anyone
without the secret all 32 bytes are random. An id whose tag is of none of the versions counts as version 1: it is
somebody else's, such as a thief's, or its version is missing.
"""

import hmac
import secrets
from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from standing.ledger.attestations.sealing import BINDING_SIZE, KEY_SIZE, derive_binding_key
from standing.ledger.errors import InvalidValue

MAX_VERSIONS = 16

_TAG_SIZE = 8  # the chance is one in 2^64 that an id of one version looks like one of another
_INFO = b"standing/binding-id/v1"


class BankSecrets:
    """All versions of a bank's secret, the oldest (version 1) first. Raises: InvalidValue."""

    def __init__(self, versions: Sequence[bytes]) -> None:
        if not 1 <= len(versions) <= MAX_VERSIONS:
            raise InvalidValue("bank secrets", f"{len(versions)} versions", f"1 to {MAX_VERSIONS}")
        if len(set(versions)) < len(versions):
            raise InvalidValue("bank secrets", "one of them twice", "a new secret for each version")
        if any(len(version) < KEY_SIZE for version in versions):
            raise InvalidValue("bank secrets", "too short", f"at least {KEY_SIZE} random bytes each")
        self._versions = tuple(versions)
        self._tag_keys = [
            HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=None, info=_INFO).derive(version) for version in versions
        ]

    def __repr__(self) -> str:  # the secrets must not reach a log by accident
        return f"BankSecrets({len(self._versions)} versions)"

    @property
    def newest(self) -> int:
        """The version for new bindings."""
        return len(self._versions)

    def new_binding_id(self) -> bytes:
        """A fresh id for a binding under the newest version."""
        nonce = secrets.token_bytes(BINDING_SIZE - _TAG_SIZE)
        return nonce + _tag(self._tag_keys[-1], nonce)

    def version_of(self, binding: bytes) -> int:
        """The version under which a binding was made."""
        nonce, tag = binding[:-_TAG_SIZE], binding[-_TAG_SIZE:]
        for version in range(self.newest, 1, -1):
            if hmac.compare_digest(_tag(self._tag_keys[version - 1], nonce), tag):
                return version
        return 1

    def made(self, binding: bytes) -> bool:
        """Whether a binding's id was made under one of these versions."""
        key = self._tag_keys[self.version_of(binding) - 1]
        return hmac.compare_digest(_tag(key, binding[:-_TAG_SIZE]), binding[-_TAG_SIZE:])

    def binding_key(self, binding: bytes, platform: str) -> bytes:
        """The key of a binding, see `ledger.attestations.sealing.derive_binding_key`. Raises: InvalidValue."""
        return derive_binding_key(self._versions[self.version_of(binding) - 1], binding, platform)


def _tag(key: bytes, nonce: bytes) -> bytes:
    return hmac.digest(key, nonce, "sha256")[:_TAG_SIZE]
