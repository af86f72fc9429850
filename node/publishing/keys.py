"""The node's keys, each in an encrypted keystore file (Web3 Secret Storage, scrypt).

What signs is behind `ledger.attestations.publication.Signer`: a key in an HSM or a KMS takes the keystore's place.
"""

import json
from pathlib import Path

from eth_account import Account

from standing.ledger.attestations.publication import LocalSigner, Signer
from standing.ledger.service.settings import SettingsError, read_secret, read_text_secret, write_private
from standing.ledger.service.vault import Vault
from standing.node.settings import NodeSettings

PKCS11_MISSING = "signer_pkcs11: install the extra: pip install 'standing[pkcs11]'"


def load_private_key(keystore: Path, password_file: Path, field: str) -> bytes:
    """Open a keystore. Raises: SettingsError where a file is missing or the password is wrong."""
    password = read_text_secret(password_file, f"{field}_password_file")
    try:
        content = json.loads(keystore.read_text())
        return bytes(Account.decrypt(content, password))
    except OSError as error:
        raise SettingsError(f"{field}_keystore: {keystore}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{field}_keystore: {keystore} does not open with this password") from error


def open_vault(settings: NodeSettings) -> Vault:
    """What personal data in the node's database is kept with. Raises: SettingsError."""
    newest = read_secret(settings.vault_secret_file, "vault_secret_file")
    older = [read_secret(file, "older_vault_secret_files") for file in settings.older_vault_secret_files]
    return Vault([newest, *older], "node")


def open_signer(settings: NodeSettings) -> Signer:
    """What signs publications and grants: a key in a token, or in a keystore. Raises: SettingsError."""
    if settings.signer_pkcs11 is not None:
        try:
            # Imported only here: the library is an extra that only those with a token install.
            from standing.node.publishing.hsm import Pkcs11Signer  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise SettingsError(PKCS11_MISSING) from error
        return Pkcs11Signer(settings.signer_pkcs11)
    assert settings.signer_keystore is not None  # the settings have one or the other
    assert settings.signer_password_file is not None
    return LocalSigner(load_private_key(settings.signer_keystore, settings.signer_password_file, "signer"))


def open_sender(settings: NodeSettings) -> Signer:
    """What signs the transactions, and pays for them. Raises: SettingsError."""
    return LocalSigner(load_private_key(settings.sender_keystore, settings.sender_password_file, "sender"))


def new_keystore(keystore: Path, password_file: Path) -> str:
    """Make a fresh key and write its keystore, readable by its owner only. Returns: the key's address.

    Raises: SettingsError where the file exists, or the password file cannot be read.
    """
    password = read_text_secret(password_file, "password file")
    account = Account.create()
    write_private(keystore, json.dumps(Account.encrypt(account.key, password, kdf="scrypt")))
    return LocalSigner(account.key).address
