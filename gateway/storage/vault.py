"""Opening the vault that encrypts personal data and keys at rest."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from standing.gateway.errors import StorageUnavailable
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.service.vault import Vault, VaultError

_PURPOSE = "gateway"


_LOOKUP = "lookup"
_RETRY_AFTER_S = 30


def open_vault(storage: Storage, secrets: Sequence[bytes]) -> Vault:
    """The gateway's vault. Raises: VaultError where a secret is missing, StorageUnavailable."""
    vault = Vault(secrets, _PURPOSE)
    table = schema.vault_keys

    def lookup_key(connection: Connection) -> bytes:
        sealed = connection.scalar(select(table.c.key_sealed).where(table.c.purpose == _LOOKUP))
        if sealed is not None:
            return vault.unseal(sealed)
        # The first start, or the first with this table: nothing is stored before these secrets have been checked.
        some_key = connection.scalar(select(schema.bindings.c.key_sealed).limit(1))
        if some_key is not None:
            vault.unseal(some_key)
        connection.execute(insert(table).values(purpose=_LOOKUP, key_sealed=vault.seal(vault.lookup_key)))
        return vault.lookup_key

    return Vault(secrets, _PURPOSE, storage.write_all(lookup_key))


def check_current(connection: Connection, vault: Vault) -> None:
    """Check that no `rekey` has begun under a secret that this process does not know. Every transaction that stores
    what `vault` has encrypted calls it: with the retired secret, the value would be lost.

    The transaction must exclude other writers, so that a value is either there before `rekey` reads its column, or
    refused. Raises: StorageUnavailable.
    """
    table = schema.vault_keys
    sealed = connection.scalar(select(table.c.key_sealed).where(table.c.purpose == _LOOKUP))
    if sealed is None:
        return
    try:
        vault.unseal(sealed)
    except VaultError as error:
        raise StorageUnavailable(
            "the vault secret was replaced, and this gateway still has the old one only: restart it with the new one",
            _RETRY_AFTER_S,
        ) from error
