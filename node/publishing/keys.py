"""The node's keys, each in an encrypted keystore file (Web3 Secret Storage, scrypt).

Signing is behind `ledger.attestations.publication.Signer`: a key in an HSM or a KMS takes the keystore's place.
"""

import json
from pathlib import Path

from eth_account import Account

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.service.private_files import write_private
from standing.ledger.service.settings import SettingsError, read_text_secret

PKCS11_MISSING = "signer_pkcs11: install the extra: pip install 'standing[pkcs11]'"


def load_private_key(keystore: Path, password_file: Path, field: str) -> bytes:
    """Open a keystore. Raises: SettingsError where a file is missing or the password is wrong."""
    password = read_text_secret(password_file, f"{field}_password_file")
    try:
        content = json.loads(keystore.read_text())
        return bytes(Account.decrypt(content, password))
    except OSError as error:
        raise SettingsError(f"{field}_keystore: {keystore}: {error.strerror}") from error
    except NotImplementedError as error:
        raise SettingsError(
            f"{field}_keystore: {keystore} is of a kind that cannot be read; allowed: version 3, scrypt or pbkdf2"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{field}_keystore: {keystore} cannot be decrypted with this password") from error


def new_keystore(keystore: Path, password_file: Path) -> str:
    """Make a fresh key and write its keystore, readable by its owner only. Returns: the key's address.

    Raises: SettingsError where the file exists, or the password file cannot be read.
    """
    return write_keystore(keystore, password_file, bytes(Account.create().key))


def write_keystore(keystore: Path, password_file: Path, key: bytes) -> str:
    """Write the keystore of a key that exists, readable by its owner only. Returns: the key's address.

    Raises: SettingsError where the file exists, or the password file cannot be read.
    """
    password = read_text_secret(password_file, "password file")
    write_private(keystore, json.dumps(Account.encrypt(key, password, kdf="scrypt")))
    return LocalSigner(key).address


def parse_private_key(text: str) -> bytes:
    """A private key in hexadecimal, with or without 0x. Raises: SettingsError, without the text."""
    try:
        key = bytes.fromhex(text.strip().removeprefix("0x"))
        LocalSigner(key)
    except ValueError:
        # No `from`: the cause may show the key.
        raise SettingsError("private key: not one; allowed: 64 hexadecimal digits of a secp256k1 key") from None
    return key
