"""Recomputes the tags of all of a user's bindings when their name, document or phone changes on the platform.

The platform sends the new values, which are used here and not stored. From then on attestations are compared with them:
a user who has already changed their name at the bank matches again, and any other is informed of the mismatch.
"""

import json
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import Connection, Row, select, update

from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.storage.vault import check_current
from standing.ledger.attestations.identity import (
    IdDocument,
    Identity,
    canonical_id_document,
    canonical_name,
    canonical_phone,
)
from standing.ledger.attestations.sealing import identity_tags
from standing.ledger.attestations.terms import IdentityTags
from standing.ledger.errors import InvalidValue, NotFound
from standing.ledger.service.vault import Vault


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """The changed fields in canonical form, None for unchanged ones. Personal data."""

    name: str | None
    id_document: str | None
    phone: str | None

    @classmethod
    def parse(cls, name: str | None, id_document: IdDocument | None, phone: str | None) -> "NewIdentity":
        """Parse the changed fields. Raises: InvalidValue naming the field, or if none is stated."""
        if name is None and id_document is None and phone is None:
            raise InvalidValue(
                "identity", "nothing is stated", "holder_name, the id_document fields, phone, or several"
            )
        return cls(
            canonical_name(name) if name is not None else None,
            canonical_id_document(id_document) if id_document is not None else None,
            canonical_phone(phone) if phone is not None else None,
        )

    @property
    def changed(self) -> dict[str, str]:
        """The canonical value of each changed field."""
        stated = {field.name: getattr(self, field.name) for field in fields(self)}
        return {field: value for field, value in stated.items() if value is not None}

    def __repr__(self) -> str:  # keeps personal data out of logs and tracebacks
        return f"NewIdentity({', '.join(self.changed)})"


class IdentityChange:
    """Recomputes tags."""

    def __init__(self, storage: Storage, vault: Vault) -> None:
        self._storage = storage
        self._vault = vault

    async def apply(self, user_id: str, new: NewIdentity) -> int:
        """Recompute the tags of a user's bindings in one transaction. Returns: how many bindings.

        Ended bindings are unchanged. One with a pending micro-deposit is granted with the new values. Raises:
        NotFound (the user has nothing bound), StorageUnavailable.
        """
        return await self._storage.writing(self._apply, user_id, new)

    def _apply(self, user_id: str, new: NewIdentity) -> int:
        return self._storage.write_all(lambda connection: self._change_all(connection, user_id, new))

    def _change_all(self, connection: Connection, user_id: str, new: NewIdentity) -> int:
        table, pending = schema.bindings, schema.pending_bindings
        check_current(connection, self._vault)
        bound = connection.execute(
            select(table.c.binding, table.c.key_sealed, table.c.tags, table.c.unvouched)
            .where(table.c.user_id == user_id, table.c.ended_at_ms.is_(None))
            .order_by(table.c.binding)
            .with_for_update()
        ).all()
        waiting = connection.execute(
            select(pending).where(pending.c.user_id == user_id, pending.c.binding.is_(None)).with_for_update()
        ).all()
        if not bound and not waiting:
            raise NotFound("user_id: nothing is bound for this user; allowed: one with a binding that has not ended")
        for row in bound:
            connection.execute(update(table).where(table.c.binding == row.binding).values(**self._tags(row, new)))
        for row in waiting:
            sealed = self._resealed(row.identity_sealed, new)
            this = (pending.c.bank == row.bank, pending.c.request_id == row.request_id)
            connection.execute(update(pending).where(*this).values(identity_sealed=sealed))
        return len(bound)

    def _tags(self, row: Row[*tuple[Any, ...]], new: NewIdentity) -> dict[str, Any]:
        changed = new.changed
        # A tag depends on its own field only, so unchanged fields may have any value here: their tags are kept.
        whole = Identity(**{field.name: changed.get(field.name, "") for field in fields(Identity)})
        made = identity_tags(row.binding, self._vault.unseal(row.key_sealed), whole)
        tags = replace(IdentityTags.unpack(row.tags), **{field: getattr(made, field) for field in changed})
        # The platform's new value applies, not the one in the bank's first record.
        unvouched = [field for field in (row.unvouched or "").split(",") if field and field not in changed]
        return {"tags": tags.pack(), "unvouched": ",".join(unvouched) or None}

    def _resealed(self, sealed: bytes, new: NewIdentity) -> bytes:
        identity: dict[str, str] = json.loads(self._vault.unseal_text(sealed)) | new.changed
        return self._vault.seal_text(json.dumps(identity, ensure_ascii=False))
