"""Sessions of a console on a database of their own: each ends for itself, and in time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import TypeVar

import pytest
from sqlalchemy import Connection, MetaData, StaticPool, create_engine, select

from standing.ledger.clock import ManualClock
from standing.ledger.errors import Overloaded
from standing.ledger.service.api_keys import ApiKey, Caller
from standing.ledger.service.console.sessions import LockedOut, Sessions
from standing.ledger.service.console.settings import SessionSettings
from standing.ledger.service.console.tables import session_tables

pytestmark = pytest.mark.anyio

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_IDLE_MS, _HARD_MS, _LOCKED_MS = 15 * _MINUTE_MS, 2 * _HOUR_MS, 30 * _MINUTE_MS
_SETTINGS = SessionSettings(idle_minutes=15, session_hours=2, max_sessions=3, max_failures=2, lockout_minutes=30)
_ROLES = {"support": "key-1", "admin": "key-2", "platform": "key-3"}
_KEYS = {role: ApiKey(name=role, role=role, sha256=sha256(key.encode()).hexdigest()) for role, key in _ROLES.items()}
_PERSON = Caller("openid:li", "support", None)
_T = TypeVar("_T")


class _Store:
    """A database in memory, used at once."""

    def __init__(self) -> None:
        metadata = MetaData()
        self.tables = session_tables(metadata)
        self.engine = create_engine("sqlite://", poolclass=StaticPool)
        metadata.create_all(self.engine)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self.engine.begin() as connection:
            yield connection

    read = write

    async def writing(self, work: Callable[[], _T], /) -> _T:
        return work()

    reading = writing


class _Console:
    """Sessions, their clock and their store."""

    def __init__(self) -> None:
        self.clock = ManualClock(1_800_000_000_000)
        self.store = _Store()
        self.sessions = self.of_issuer("https://id.example")

    def of_issuer(self, issuer: str | None) -> Sessions:
        """The sessions of a process whose settings name this provider."""
        made = Sessions(
            self.store,
            self.store.tables,
            self.clock,
            _SETTINGS,
            people=("support", "admin"),
            secret=b"secret",
            issuer=issuer,
        )
        made.accept(_KEYS.values())
        return made

    async def opened(self, role: str = "support") -> str:
        token = await self.sessions.open(_ROLES[role], "10.0.0.1")
        assert token is not None
        return token

    async def is_open(self, token: str, sessions: Sessions | None = None) -> bool:
        """Whether a session is open, for a page as for a stream of events; nobody requests a page."""
        asked = sessions or self.sessions
        found = await asked.find(token, touch=False)
        assert await asked.open_ones([token]) == ({token} if found is not None else set())
        return found is not None


@pytest.fixture
def it() -> Iterator[_Console]:
    console = _Console()
    yield console
    console.store.engine.dispose()


async def test_a_page_keeps_its_own_session_open_and_no_other(it: _Console) -> None:
    used, left = await it.opened(), await it.opened("admin")
    it.clock.advance(_IDLE_MS - 1)
    assert await it.sessions.find(used) is not None
    assert await it.is_open(left)
    it.clock.advance(1)
    assert await it.is_open(used)
    assert not await it.is_open(left)
    it.clock.advance(_MINUTE_MS)
    assert await it.sessions.find(used) is not None
    it.clock.advance(_IDLE_MS - 1)
    assert await it.is_open(used)
    it.clock.advance(1)
    assert not await it.is_open(used)


async def test_a_session_in_use_ends_at_its_hard_end(it: _Console) -> None:
    token = await it.opened()
    for _ in range(_HARD_MS // _IDLE_MS * 2 - 1):
        it.clock.advance(_IDLE_MS // 2)
        assert await it.sessions.find(token) is not None
    it.clock.advance(_IDLE_MS // 2 - 1)
    assert await it.is_open(token)
    it.clock.advance(1)
    assert await it.sessions.find(token) is None
    assert not await it.is_open(token)


async def test_signing_out_ends_no_other_session(it: _Console) -> None:
    mine, other = await it.opened(), await it.opened()
    await it.sessions.end(mine)
    assert (await it.is_open(mine), await it.is_open(other)) == (False, True)


async def test_a_session_ends_with_its_keys_role_and_with_its_key(it: _Console) -> None:
    token, admin = await it.opened(), await it.opened("admin")
    demoted = _KEYS["admin"].model_copy(update={"role": "support"})
    it.sessions.accept([_KEYS["support"], demoted])
    assert (await it.is_open(token), await it.is_open(admin)) == (True, False)
    it.sessions.accept([demoted])
    assert not await it.is_open(token)


async def test_a_providers_session_ends_with_the_provider_and_not_with_keys(it: _Console) -> None:
    token = await it.sessions.open_for(_PERSON, "https://id.example")
    it.sessions.accept([])
    assert await it.is_open(token)
    for issuer in ("https://other.example", None):
        assert not await it.is_open(token, it.of_issuer(issuer))


@pytest.mark.parametrize("ended_by", ["idleness", "its hard end", "sign-out"])
async def test_a_session_that_has_ended_takes_no_place(it: _Console, ended_by: str) -> None:
    tokens = [await it.opened() for _ in range(_SETTINGS.max_sessions)]
    with pytest.raises(Overloaded, match="3 sessions are open"):
        await it.opened()
    if ended_by == "sign-out":
        await it.sessions.end(tokens[0])
    elif ended_by == "idleness":
        it.clock.advance(_IDLE_MS)
    else:
        for _ in range(_HARD_MS // _IDLE_MS * 2):
            it.clock.advance(_IDLE_MS // 2)
            for token in tokens:
                await it.sessions.find(token)
    assert await it.is_open(await it.opened())


async def test_failed_tries_lock_their_own_address_out_until_the_first_of_them_lapses(it: _Console) -> None:
    for key in ("key-?", _ROLES["platform"]):  # a system's key opens no session, and counts
        assert await it.sessions.open(key, "10.0.0.9") is None
        it.clock.advance(10 * _MINUTE_MS)
    for _ in range(3):  # a try while locked out does not prolong it
        with pytest.raises(LockedOut) as locked:
            await it.sessions.open(_ROLES["support"], "10.0.0.9")
        assert locked.value.retry_after_s == 10 * 60
    with pytest.raises(LockedOut):
        await it.sessions.check_address("10.0.0.9")
    await it.sessions.check_address("10.0.0.1")
    assert await it.opened()
    it.clock.advance(_LOCKED_MS - 20 * _MINUTE_MS - 1)
    with pytest.raises(LockedOut) as locked:
        await it.sessions.check_address("10.0.0.9")
    assert locked.value.retry_after_s == 1
    it.clock.advance(1)
    await it.sessions.check_address("10.0.0.9")
    await it.sessions.failed("10.0.0.9")  # the second one within the time again
    with pytest.raises(LockedOut):
        await it.sessions.open(_ROLES["support"], "10.0.0.9")


async def test_neither_a_token_nor_a_key_nor_an_address_can_be_read_from_the_store(it: _Console) -> None:
    tokens = [await it.opened(), await it.sessions.open_for(_PERSON, "https://id.example")]
    await it.sessions.failed("10.0.0.1")
    with it.store.read() as connection:
        tables = (it.store.tables.sessions, it.store.tables.failures)
        stored = str([tuple(row) for table in tables for row in connection.execute(select(table))])
    plain_hash = sha256(b"10.0.0.1").hexdigest()
    assert not [text for text in (*tokens, *_ROLES.values(), "10.0.0.1", plain_hash) if text in stored]
