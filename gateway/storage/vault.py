"""Opening the vault that encrypts personal data and keys at rest."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select, update

from standing.gateway.errors import StorageUnavailable
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.errors import InvalidValue
from standing.ledger.service.vault import Vault, VaultError

_PURPOSE = "gateway"


_LOOKUP = "lookup"
#: The purpose of a row that remembers a replaced secret, before its name.
_REPLACED = "replaced"
_RETRY_AFTER_S = 30


class GatewayVault(Vault):
    """A vault of a running gateway, which may lack a secret by now."""

    def unseal(self, stored: bytes) -> bytes:
        """As `Vault.unseal`. Raises: StorageUnavailable, as another gateway, or this one after a restart, can."""
        try:
            return super().unseal(stored)
        except VaultError as error:
            raise StorageUnavailable(str(error), _RETRY_AFTER_S) from error


def open_vault(storage: Storage, secrets: Sequence[bytes]) -> GatewayVault:
    """The gateway's vault. Raises: VaultError where a secret is missing, InvalidValue where one that was replaced is
    the first, StorageUnavailable."""
    vault = Vault(secrets, _PURPOSE)
    table = schema.vault_keys

    def lookup_key(connection: Connection) -> bytes:
        if _is_replaced(connection, vault):
            raise InvalidValue("vault secret", "the first one was replaced by `rekey`", "the newest one first")
        sealed = connection.scalar(select(table.c.key_sealed).where(table.c.purpose == _LOOKUP))
        if sealed is not None:
            return vault.unseal(sealed)
        # The first start, or the first with this table: nothing is stored before these secrets have been checked.
        some_key = connection.scalar(select(schema.bindings.c.key_sealed).limit(1))
        if some_key is not None:
            vault.unseal(some_key)
        connection.execute(insert(table).values(purpose=_LOOKUP, key_sealed=vault.seal(vault.lookup_key)))
        return vault.lookup_key

    return GatewayVault(secrets, _PURPOSE, storage.write_all(lookup_key))


def replace_secret(connection: Connection, vault: Vault) -> None:
    """Begin to use the newest secret of `vault`, and remember the one that it replaces: with that one as its first, no
    gateway stores anything any more. Changes nothing where the newest is in use already. Raises: VaultError."""
    table = schema.vault_keys
    sealed = connection.scalar(select(table.c.key_sealed).where(table.c.purpose == _LOOKUP))
    if sealed is None or vault.is_newest(sealed):
        return
    renewed = vault.seal(vault.unseal(sealed))
    connection.execute(update(table).where(table.c.purpose == _LOOKUP).values(key_sealed=renewed))
    # The column takes no null.
    connection.execute(insert(table).values(purpose=_REPLACED + vault.sealed_under(sealed), key_sealed=renewed))


def check_current(connection: Connection, vault: Vault) -> None:
    """Check that no `rekey` has begun that replaces the secret under which this process encrypts. Every transaction
    that stores what `vault` has encrypted calls it: with the retired secret, the value would be lost.

    The transaction must exclude other writers, so that a value is either there before `rekey` reads its column, or
    refused. Raises: StorageUnavailable.
    """
    if _is_replaced(connection, vault):
        raise StorageUnavailable(
            "the vault secret was replaced, and this gateway still encrypts under the old one: restart it with the new "
            "one in front",
            _RETRY_AFTER_S,
        )


def _is_replaced(connection: Connection, vault: Vault) -> bool:
    table = schema.vault_keys
    query = select(table.c.purpose).where(table.c.purpose == _REPLACED + vault.names[0])
    return connection.scalar(query) is not None
