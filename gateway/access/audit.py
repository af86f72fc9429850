"""The audit of acts by support and administration: who, what and why; stored before the act.

A row is written before the act, and its outcome is added afterwards. An act without an outcome may or may not have
taken effect, for example because of a crash in between. The reason is free text and may name people, so it is
encrypted at rest; the rest of a row holds nothing personal.
"""

import json
import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from pydantic import WithJsonSchema
from sqlalchemy import Row, insert, select, update

from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.storage.vault import check_current
from standing.ledger.clock import Clock
from standing.ledger.errors import InvalidValue
from standing.ledger.service.api_keys import Caller, require
from standing.ledger.service.injection import provided
from standing.ledger.service.json_bodies import StrictJsonRoute
from standing.ledger.service.vault import Vault

MAX_REASON = 300
MAX_LISTED = 200

#: The outcome of an act that took effect. Any other outcome is the kind of error that ended it.
DONE = "done"

_MAX_OUTCOME = 64
#: Body fields that name the subject of a request, under an id of the platform.
_NAMING = ("transaction_id", "user_id")
_PLATFORMS_OWN_ID = "[A-Za-z0-9._:-]{1,64}"
#: The header in which a staff key states its reason; errors call it a header, since it is not a field of the body.
_REASON_NAME = "Standing-Reason"
_REASON_HEADER = f"header {_REASON_NAME}"
#: Unicode's categories: every kind of space, and what shows as nothing; controls, and what ends a line.
_SHOWN_AS, _REFUSED = {"Zs": " ", "Cf": ""}, {"Cc", "Cs", "Zl", "Zp"}
_REASON_ALLOWED = f"why this is done, 3 to {MAX_REASON} characters of UTF-8"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act. `outcome` is None if the act's end is unknown."""

    position: int
    at_ms: int
    caller: str
    role: str
    action: str
    subject: str
    reason: str
    outcome: str | None
    finished_at_ms: int | None


class Audit:
    """Writes and lists the entries."""

    def __init__(self, storage: Storage, vault: Vault, clock: Clock) -> None:
        self._storage = storage
        self._vault = vault
        self._clock = clock

    @asynccontextmanager
    async def act(self, caller: Caller, action: str, subject: str, reason: str) -> AsyncIterator[None]:
        """Wrap an act: its entry is stored before it begins. Raises: StorageUnavailable, and any error of the act."""
        position = await self.begin(caller, action, subject, reason)
        try:
            yield
        except BaseException as error:
            await self.finish(position, type(error).__name__)
            raise
        await self.finish(position, DONE)

    async def begin(self, caller: Caller, action: str, subject: str, reason: str) -> int:
        """Store the entry of an act that is about to begin. Returns: its position."""
        values = {
            "at_ms": self._clock.now_ms(),
            "caller": caller.name,
            "role": caller.role,
            "action": action,
            "subject": subject,
            "reason_sealed": self._vault.seal_text(reason),
        }
        return await self._storage.writing(self._insert, values)

    async def finish(self, position: int, outcome: str) -> None:
        """Add the outcome of an act."""
        await self._storage.writing(self._finish, position, outcome[:_MAX_OUTCOME])

    def _insert(self, values: dict[str, Any]) -> int:
        with self._storage.write() as connection:
            check_current(connection, self._vault)
            query = insert(schema.audit).values(**values).returning(schema.audit.c.position)
            return int(connection.execute(query).scalar_one())

    def _finish(self, position: int, outcome: str) -> None:
        table = schema.audit
        with self._storage.write() as connection:
            connection.execute(
                update(table)
                .where(table.c.position == position)
                .values(outcome=outcome, finished_at_ms=self._clock.now_ms())
            )

    async def listed(self, *, before: int | None = None, subject: str | None = None) -> list[AuditEntry]:
        """Entries, newest first, at most MAX_LISTED; optionally only those before a position, or those on one
        subject."""

        def read() -> list[AuditEntry]:
            table = schema.audit
            query = select(table).order_by(table.c.position.desc()).limit(MAX_LISTED)
            if before is not None:
                query = query.where(table.c.position < before)
            if subject is not None:
                query = query.where(table.c.subject == subject)
            with self._storage.read() as connection:
                return [self._entry(row) for row in connection.execute(query)]

        return await self._storage.reading(read)

    def _entry(self, row: Row[Any]) -> AuditEntry:
        return AuditEntry(
            position=row.position,
            at_ms=row.at_ms,
            caller=row.caller,
            role=row.role,
            action=row.action,
            subject=row.subject,
            reason=self._vault.unseal_text(row.reason_sealed),
            outcome=row.outcome,
            finished_at_ms=row.finished_at_ms,
        )


def check_reason(reason: str, field: str = "reason") -> str:
    """A stated reason as it is kept: with plain spaces, and without characters that show as nothing, which pasted text
    and Chinese keyboards have. Raises: InvalidValue."""
    shown = "".join(_SHOWN_AS.get(unicodedata.category(each), each) for each in reason).strip()
    if not 3 <= len(shown) <= MAX_REASON or any(unicodedata.category(each) in _REFUSED for each in shown):
        raise InvalidValue(field, "missing, too short or too long", _REASON_ALLOWED)
    return shown


Reason = Annotated[
    Annotated[str, WithJsonSchema({"type": "string", "minLength": 3, "maxLength": MAX_REASON})] | None,
    Header(
        alias=_REASON_NAME,
        description="Why this is done, 3 to 300 characters, UTF-8. Required of support and admin keys, and kept",
    ),
]


def acting(*roles: str) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """A FastAPI dependency for routes that change something: like `require`, but acts of support or admin are
    audited.

    A staff key must state its reason in the header `Standing-Reason`. A platform's own key acts for its users
    routinely and is not audited here. The route must be an `AuditedRoute`. Raises: InvalidValue, StorageUnavailable.
    """
    check = require(*roles)

    async def begin(
        request: Request,
        caller: Annotated[Caller, Depends(check)],
        audit: Annotated[Audit, Depends(provided(Audit))],
        standing_reason: Reason = None,
    ) -> Caller:
        if caller.role == "platform":
            return caller
        try:
            # Headers are bytes, which the framework decodes as Latin-1.
            stated = (standing_reason or "").encode("latin-1").decode()
        except UnicodeDecodeError as error:
            raise InvalidValue(_REASON_HEADER, "not UTF-8", _REASON_ALLOWED) from error
        reason = check_reason(stated, _REASON_HEADER)
        subject = "/".join(str(value) for value in request.path_params.values())
        subject = subject or await _named_in_body(request) or request.url.path
        action = request.scope["route"].name
        request.state.audited = audit, await audit.begin(caller, action, subject[:140], reason)
        return caller

    return begin


async def _named_in_body(request: Request) -> str | None:
    """The platform's id of the transaction or user in the body; these ids are not personal data."""
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError):
        return None
    found = next((body[name] for name in _NAMING if name in body), None) if isinstance(body, dict) else None
    return found if isinstance(found, str) and re.fullmatch(_PLATFORMS_OWN_ID, found) else None


class AuditedRoute(StrictJsonRoute):
    """A route that records the outcome of an audited act."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def audited(request: Request) -> Response:
            try:
                response = await handle(request)
            except BaseException as error:
                await _finish(request, type(error).__name__)
                raise
            await _finish(request, DONE)
            return response

        return audited


async def _finish(request: Request, outcome: str) -> None:
    audited: tuple[Audit, int] | None = getattr(request.state, "audited", None)
    if audited is not None:
        audit, position = audited
        await audit.finish(position, outcome)
