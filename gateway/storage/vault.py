"""Opening the vault that encrypts personal data and keys at rest."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.service.vault import Vault

_PURPOSE = "gateway"


_LOOKUP = "lookup"


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
