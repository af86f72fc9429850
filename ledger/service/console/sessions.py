"""Sessions of a console: who is signed in, until when, and which addresses are locked out after failed attempts.

A session is a random token in a cookie; only its SHA-256 is stored. It ends after some time without a page request,
after a fixed time in any case, at sign-out, when its API key leaves the settings or gets another role there, and when
its identity provider leaves them. Sessions and failed attempts are in the database, so that they hold for every process
of the service.
"""

import hmac
import secrets
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from standing.ledger.clock import MINUTE_MS, Clock
from standing.ledger.errors import Overloaded, Unavailable
from standing.ledger.service.api_keys import ApiKey, Caller
from standing.ledger.service.console.settings import SessionSettings
from standing.ledger.service.console.tables import SessionTables

#: A session is extended at most this often, so that not every page view causes a write.
_TOUCH_MS = 60_000

_T = TypeVar("_T")


class Store(Protocol):
    """A service's database. `reading` and `writing` run functions that use `read` and `write` outside the event
    loop."""

    def read(self) -> AbstractContextManager[Connection]: ...
    def write(self) -> AbstractContextManager[Connection]: ...
    async def reading(self, work: Callable[[], _T], /) -> _T: ...
    async def writing(self, work: Callable[[], _T], /) -> _T: ...


class LockedOut(Unavailable):
    """Too many failed attempts from this address. The lock-out ends by itself."""


@dataclass(frozen=True, slots=True)
class Session:
    """An open session. `csrf`: the token that every form of this session carries. `now_ms`: when it was found."""

    caller: Caller
    csrf: str
    ends_at_ms: int
    now_ms: int
    #: The identity provider that vouched for the person; None where a key opened it.
    issuer: str | None = None


def csrf_of(token: str) -> str:
    """The CSRF token that belongs to a session token. The session token cannot be derived from it."""
    return hmac.digest(token.encode(), b"standing/console/csrf", "sha256").hex()


class Sessions:
    """Opens, finds and ends sessions."""

    def __init__(
        self,
        store: Store,
        tables: SessionTables,
        clock: Clock,
        settings: SessionSettings,
        *,
        people: Iterable[str],
        secret: bytes,
        issuer: str | None = None,
    ) -> None:
        """No key opens a session before `accept`. `people`: the roles held by people, not by systems. `secret` keys
        the hashes of addresses at rest. `issuer`: the identity provider whose sessions are valid."""
        self._store = store
        self._sessions, self._failures = tables.sessions, tables.failures
        self._clock = clock
        self._settings = settings
        self._people = frozenset(people)
        self._secret = secret
        self._issuer = issuer
        self._keys: dict[str, ApiKey] = {}

    def accept(self, keys: Iterable[ApiKey]) -> None:
        """Open sessions with these keys from now on; sessions opened with other keys, or in another role, end."""
        self._keys = {key.sha256: key for key in keys}

    @property
    def mark(self) -> str:
        """A mark of this database, for the names of cookies: browsers share cookies between the ports of a host."""
        return hmac.digest(self._secret, b"console-cookies", "sha256").hex()[:8]

    @property
    def keys(self) -> list[ApiKey]:
        """The keys accepted now, of every role."""
        return list(self._keys.values())

    async def open(self, key: str, address: str) -> str | None:
        """Open a session with an API key. Returns: its token; None where the key is unknown or not a person's.

        Raises: LockedOut, Overloaded (too many sessions are open), Unavailable (the database does not work).
        """
        return await self._store.writing(lambda: self._open(sha256(key.encode()).hexdigest(), address))

    async def check_address(self, address: str) -> None:
        """Check that an address is not locked out. Raises: LockedOut after too many failed attempts, Unavailable."""

        def work() -> None:
            with self._store.write() as connection:
                self._check_not_locked_out(connection, self._hidden(address))

        await self._store.writing(work)

    async def failed(self, address: str) -> None:
        """Count a failed attempt. Raises: Unavailable."""

        def work() -> None:
            with self._store.write() as connection:
                self._count_failure(connection, self._hidden(address))

        await self._store.writing(work)

    async def open_for(self, caller: Caller, issuer: str) -> str:
        """Open a session for a person whom an identity provider vouches for. Raises: Overloaded, Unavailable."""

        def work() -> str:
            with self._store.write() as connection:
                return self._insert(connection, caller, issuer=issuer)

        return await self._store.writing(work)

    async def find(self, token: str, *, touch: bool = True) -> Session | None:
        """The open session of a token; None: not signed in. `touch`: a person requested a page, so the session is
        extended.

        Raises: Unavailable.
        """
        digest, now_ms = sha256(token.encode()).hexdigest(), self._clock.now_ms()

        def read() -> tuple[Session, int] | None:
            with self._store.read() as connection:
                query = select(self._sessions).where(self._sessions.c.token_sha256 == digest)
                row = connection.execute(query).one_or_none()
            if row is None or not self._is_open(row, now_ms):
                return None
            caller = Caller(row.caller, row.role, None)
            return Session(caller, csrf_of(token), row.ends_at_ms, now_ms, row.issuer), row.seen_at_ms

        found = await self._store.reading(read)
        if found is None:
            return None
        session, seen_at_ms = found
        if touch and now_ms - seen_at_ms >= min(_TOUCH_MS, self._idle_ms // 2):
            await self._store.writing(lambda: self._touch(digest, now_ms))
        return session

    async def open_ones(self, tokens: Collection[str]) -> set[str]:
        """Those of the given tokens whose session is open, by one query. No session is extended. Raises:
        Unavailable."""
        asked = {sha256(token.encode()).hexdigest(): token for token in tokens}
        now_ms = self._clock.now_ms()

        def read() -> set[str]:
            with self._store.read() as connection:
                query = select(self._sessions).where(self._sessions.c.token_sha256.in_(list(asked)))
                return {asked[row.token_sha256] for row in connection.execute(query) if self._is_open(row, now_ms)}

        return await self._store.reading(read)

    async def end(self, token: str) -> None:
        """Sign out. Safe to repeat. Raises: Unavailable."""
        digest = sha256(token.encode()).hexdigest()

        def work() -> None:
            with self._store.write() as connection:
                connection.execute(delete(self._sessions).where(self._sessions.c.token_sha256 == digest))

        await self._store.writing(work)

    @property
    def _idle_ms(self) -> int:
        return self._settings.idle_minutes * MINUTE_MS

    def _is_open(self, row: Row[Any], now_ms: int) -> bool:
        if now_ms >= min(row.ends_at_ms, row.seen_at_ms + self._idle_ms):
            return False
        if row.issuer is not None:
            return bool(row.issuer == self._issuer)
        key = self._keys.get(row.key_sha256)
        return key is not None and key.role == row.role

    def _touch(self, digest: str, now_ms: int) -> None:
        with self._store.write() as connection:
            connection.execute(
                update(self._sessions).where(self._sessions.c.token_sha256 == digest).values(seen_at_ms=now_ms)
            )

    def _open(self, key_sha256: str, address: str) -> str | None:
        known = next((key for digest, key in self._keys.items() if hmac.compare_digest(digest, key_sha256)), None)
        hidden = self._hidden(address)
        with self._store.write() as connection:
            self._check_not_locked_out(connection, hidden)
            if known is None or known.role not in self._people:
                self._count_failure(connection, hidden)
                return None
            return self._insert(connection, Caller(known.name, known.role, None), key_sha256=key_sha256)

    def _hidden(self, address: str) -> str:
        return hmac.digest(self._secret, b"console-address\x1f" + address.encode(), "sha256").hex()

    def _count_failure(self, connection: Connection, hidden: str) -> None:
        connection.execute(insert(self._failures).values(address=hidden, at_ms=self._clock.now_ms()))

    def _check_not_locked_out(self, connection: Connection, hidden: str) -> None:
        now_ms, lockout_ms = self._clock.now_ms(), self._settings.lockout_minutes * MINUTE_MS
        connection.execute(delete(self._failures).where(self._failures.c.at_ms <= now_ms - lockout_ms))
        failed = (
            select(self._failures.c.at_ms)
            .where(self._failures.c.address == hidden)
            .order_by(self._failures.c.at_ms.desc())
        )
        times = list(connection.scalars(failed.limit(self._settings.max_failures)))
        if len(times) >= self._settings.max_failures:
            wait_ms = times[-1] + lockout_ms - now_ms
            raise LockedOut("too many failed attempts to sign in; try again later", max(1, -(-wait_ms // 1_000)))

    def _insert(
        self, connection: Connection, caller: Caller, *, key_sha256: str | None = None, issuer: str | None = None
    ) -> str:
        now_ms, token = self._clock.now_ms(), secrets.token_urlsafe(32)
        ended = (self._sessions.c.ends_at_ms <= now_ms) | (self._sessions.c.seen_at_ms <= now_ms - self._idle_ms)
        connection.execute(delete(self._sessions).where(ended))
        count = connection.scalar(select(func.count()).select_from(self._sessions)) or 0
        if count >= self._settings.max_sessions:
            raise Overloaded(f"{count} sessions are open; try again when some have ended", 60)
        connection.execute(
            insert(self._sessions).values(
                token_sha256=sha256(token.encode()).hexdigest(),
                caller=caller.name,
                role=caller.role,
                key_sha256=key_sha256,
                issuer=issuer,
                started_at_ms=now_ms,
                seen_at_ms=now_ms,
                ends_at_ms=now_ms + self._settings.session_hours * 60 * MINUTE_MS,
            )
        )
        return token
