"""Stored bindings: look up, read live, end. `gateway.bindings.flow` makes them.

The constant parts of a binding that every decision needs are kept in memory. Its end, its floor and the tags of its
user are read only from the database, within the deciding transaction. The bank's attestation is read only from the
ledger, at that moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Row, Select, bindparam, select, update

from standing.gateway.access.admission import Admission
from standing.gateway.bindings.banks import Bank, BankDirectory, NodeClient
from standing.gateway.bindings.bound import Bound, StoredBound, adopt, bound_of
from standing.gateway.bindings.users import check_known
from standing.gateway.errors import BankNotServed, GrantNotTrusted, StorageUnavailable
from standing.gateway.ledger_reading.reader import Reader, Seen
from standing.gateway.storage import schema
from standing.gateway.storage.bulk import Lookup
from standing.gateway.storage.database import Storage
from standing.gateway.storage.group_commit import GroupCommit
from standing.gateway.storage.vault import check_current
from standing.ledger.attestations.bic import parse_bic
from standing.ledger.attestations.binding_protocol import GrantDocument
from standing.ledger.attestations.grant import Grant
from standing.ledger.attestations.terms import IdentityTags, Terms
from standing.ledger.clock import Clock
from standing.ledger.errors import InvalidValue, NotFound, StandingError
from standing.ledger.service.vault import Vault

#: The most bindings of one user in a list.
MAX_LISTED = 500

#: Decisions, batches and requests that look up bindings have their own bounds; this is the last one.
_MAX_LOADS = 10_000

_T = TypeVar("_T")

_TABLE = schema.bindings.c
# Built once: a decision on a binding that is not cached runs it.
_STORED = Lookup(
    select(*(_TABLE[name] for name in StoredBound._fields)).where(
        _TABLE.binding.in_(bindparam("bindings", expanding=True))
    )
)


@dataclass(frozen=True, slots=True)
class StoredBinding:
    """A binding as this gateway stores it, without the state of its account.

    `usable_since_ms`: when the follower first saw an attestation of it; until then nothing can be approved.
    """

    binding: bytes
    bank: str
    user_id: str
    number_masked: str
    number_type: str
    created_at_ms: int
    ended_at_ms: int | None
    bank_notified_at_ms: int | None
    floor: int
    usable_since_ms: int | None


@dataclass(frozen=True, slots=True)
class LiveBinding:
    """A binding with its present record on the ledger. Without `terms`: no record, or one that cannot be decrypted."""

    stored: StoredBinding
    seen: Seen
    terms: Terms | None
    expected_tags: IdentityTags
    read_at_ms: int


class Bindings:
    """The stored bindings of one platform."""

    def __init__(
        self,
        *,
        storage: Storage,
        vault: Vault,
        banks: BankDirectory,
        nodes: NodeClient,
        reader: Reader,
        clock: Clock,
        max_waiting: int,
        max_cached: int,
    ) -> None:
        self._storage = storage
        self._vault = vault
        self._banks = banks
        self._nodes = nodes
        self._reader = reader
        self._clock = clock
        self._max_cached = max_cached
        self._admission = Admission(max_waiting, "requests about bindings")
        self._cache: dict[bytes, Bound] = {}
        # Bindings that are requested at the same moment and are not cached yet share one query.
        self._loads = GroupCommit(self._load_all, storage.looker, max_waiting=_MAX_LOADS)

    async def of_user(self, user_id: str) -> list[StoredBinding]:
        """The bindings of a user, newest first, at most MAX_LISTED.

        Raises: NotFound (no such user), Overloaded, StorageUnavailable.
        """

        def listed() -> list[StoredBinding]:
            table = schema.bindings
            query = stored_bindings().where(table.c.user_id == user_id)
            newest_first = query.order_by(table.c.created_at_ms.desc(), table.c.binding).limit(MAX_LISTED)
            with self._storage.read() as connection:
                check_known(connection, user_id)
                return [stored_binding(row) for row in connection.execute(newest_first)]

        with self._admission:
            return await self._storage.reading(listed)

    async def row(self, binding: bytes) -> Row[Any]:
        """The row of a binding. Raises: NotFound, StorageUnavailable."""
        return await self._storage.reading(self._row, binding)

    async def find(self, binding: bytes) -> StoredBinding:
        """The stored form of a binding. Raises: NotFound, StorageUnavailable."""
        return await self._storage.reading(self._find, binding)

    async def live(self, binding: bytes) -> LiveBinding:
        """A binding, and its present record on the ledger.

        Raises: NotFound, BankNotServed, LedgerUnreachable, Overloaded, StorageUnavailable.
        """
        with self._admission:
            bound = await self.bound(binding)
            # The floor is read first: if it rose after the read of the record, the record would look rolled back.
            row = await self.row(binding)
            seen = await self._reader.read(bound.bank_bytes, binding, floor=row.floor)
        terms = bound.open(seen.record)
        tags = row.tags if terms is None or not row.unvouched else adopt(row.tags, row.unvouched, terms.tags)
        return LiveBinding(stored_binding(row), seen, terms, IdentityTags.unpack(tags), self._clock.now_ms())

    async def end(self, binding: bytes) -> None:
        """End a binding permanently: first here, then at its bank. Safe to repeat; repeat it if the bank could not be
        notified.

        Raises: NotFound, BankNotServed, BankNodeUnreachable, BankNodeRefused, StorageUnavailable, Overloaded.
        """
        with self._admission:
            await self._end(binding)

    async def _end(self, binding: bytes) -> None:
        stored = await self._storage.writing(self._end_here, binding)
        if stored.bank_notified_at_ms is not None:
            return
        bank = self._banks.of_binding(stored.bank)
        known = await self._nodes.unbind(bank, binding)
        if not known:
            # The bank granted the binding once: it may have restored an older backup. Nothing is left to end.
            structlog.get_logger().warning("unbound_unknown_at_bank", binding="0x" + binding.hex(), bank=bank.bic)
        await self._storage.writing(self._set_once, binding, "bank_notified_at_ms")
        structlog.get_logger().info("unbound", binding="0x" + binding.hex(), bank=bank.bic)

    def _end_here(self, binding: bytes) -> StoredBinding:
        self._set_once(binding, "ended_at_ms")
        return self._find(binding)

    def _set_once(self, binding: bytes, column: str) -> None:
        table = schema.bindings
        with self._storage.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.binding == binding, table.c[column].is_(None))
                .values({column: self._clock.now_ms()})
            )

    async def bound(self, binding: bytes) -> Bound:
        """A binding ready to use. Its tags are those of the first look-up and may be outdated.

        Raises: NotFound, BankNotServed, Overloaded, StorageUnavailable.
        """
        found = self._cache.get(binding)
        if found is None:
            found = await self._loads.submit(binding)
            if len(self._cache) >= self._max_cached:
                del self._cache[next(iter(self._cache))]  # evict the oldest entry
            self._cache[binding] = found
        return found

    def check_keys(self) -> None:
        """Check that the vault opens the first and the last stored key. Raises: StorageUnavailable if it does not."""
        table = schema.bindings.c
        with self._storage.read() as connection:
            for order in (table.created_at_ms.asc(), table.created_at_ms.desc()):
                sealed = connection.scalar(select(table.key_sealed).order_by(order).limit(1))
                if sealed is not None:
                    self._vault.unseal(sealed)

    def check_vault(self, connection: Connection) -> None:
        """As `storage.vault.check_current`, with this gateway's vault. Raises: StorageUnavailable."""
        check_current(connection, self._vault)

    def _load_all(self, bindings: Sequence[bytes]) -> list[Bound | StandingError]:
        with self._storage.read() as connection:
            rows = {row[0]: StoredBound(*row) for row in _STORED.rows(connection, bindings=list(bindings))}
        return [self._load(rows.get(binding)) for binding in bindings]

    def _load(self, row: StoredBound | None) -> Bound | StandingError:
        try:
            found = _found(row)
            return bound_of(found, self._banks.of_binding(found.bank), self._vault)
        except (NotFound, BankNotServed, StorageUnavailable) as error:
            return error

    def _find(self, binding: bytes) -> StoredBinding:
        return stored_binding(self._row(binding))

    def _row(self, binding: bytes) -> Row[Any]:
        table = schema.bindings
        with self._storage.read() as connection:
            return _found(connection.execute(stored_bindings().where(table.c.binding == binding)).one_or_none())


def _found(row: _T | None) -> _T:
    if row is None:
        raise NotFound("binding: not one of this platform's; allowed: one that POST /v1/bindings granted")
    return row


def mask(number: str) -> str:
    """A masked canonical number: at most the first 6 and the last 4 digits are shown, fewer of a short number
    (ISO/IEC 7812 and PCI DSS 3.4 allow first 6 and last 4 of a card number)."""
    if len(number) >= 15:
        return number[:6] + "*" * (len(number) - 10) + number[-4:]
    if len(number) >= 9:
        return "*" * (len(number) - 4) + number[-4:]
    return "*" * len(number)


def trusted(document: GrantDocument, bank: Bank, platform: str, signer: str) -> Grant:
    """The grant, if it answers the request and the bank's signer on the ledger signed it. Raises: GrantNotTrusted."""
    grant = document.grant()
    try:
        named = parse_bic(grant.bank)
    except InvalidValue as error:
        raise GrantNotTrusted(f"the grant of {bank.bic}'s node names no bank") from error
    if named != bank.bic:
        raise GrantNotTrusted(f"the grant of {bank.bic}'s node names another bank")
    if grant.platform != platform:
        raise GrantNotTrusted(f"the grant of {bank.bic}'s node is for another platform than {platform}")
    if grant.signer != signer:
        raise GrantNotTrusted(f"the grant is not signed by the signer that the ledger holds for {bank.bic}")
    return grant


def stored_bindings() -> Select[Any]:
    """A query for bindings; its rows are for `stored_binding`."""
    states = schema.binding_states.c
    joined = schema.bindings.outerjoin(schema.binding_states, states.binding == schema.bindings.c.binding)
    return select(schema.bindings, states.usable_since_ms).select_from(joined)


def stored_binding(row: Row[Any]) -> StoredBinding:
    """A stored binding, from a row of `stored_bindings`."""
    return StoredBinding(
        binding=row.binding,
        bank=row.bank,
        user_id=row.user_id,
        number_masked=row.number_masked,
        number_type=row.number_type,
        created_at_ms=row.created_at_ms,
        ended_at_ms=row.ended_at_ms,
        bank_notified_at_ms=row.bank_notified_at_ms,
        floor=row.floor,
        usable_since_ms=row.usable_since_ms,
    )
