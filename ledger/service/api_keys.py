"""API keys with roles. Keys are random, so a plain SHA-256 is a safe way to store them: only hashes are kept.

To rotate a key, list the new one beside the old one for a while: several keys may name one caller.
"""

import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_problem.error import ForbiddenProblem, UnauthorisedProblem
from pydantic import BaseModel, ConfigDict, Field

#: The most characters of a key's name.
MAX_NAME = 64
_BEARER = HTTPBearer(auto_error=False, description="An API key: `Authorization: Bearer <key>`")


class MissingKey(UnauthorisedProblem):
    """401: a request without an API key, or with one that is not known."""

    title = "A valid API key is needed"


class WrongRole(ForbiddenProblem):
    """403: the key's role does not permit the request."""

    title = "This key's role may not do this"


class ApiKey(BaseModel):
    """One key as the settings hold it: its hash, its role, and the caller it stands for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, max_length=MAX_NAME)
    role: str
    #: For a platform's key at a bank's node: the platform's id.
    platform: str | None = None
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller behind a key."""

    name: str
    role: str
    platform: str | None


def new_key() -> tuple[str, str]:
    """A fresh key and its hash: 32 random bytes, URL-safe."""
    key = "sk_" + secrets.token_urlsafe(32)
    return key, sha256(key.encode()).hexdigest()


class Keyring:
    """All keys that a service accepts."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self.replace(keys)

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """Accept these keys from the next request on, and no others."""
        self._callers = [(key.sha256, Caller(key.name, key.role, key.platform)) for key in keys]

    def caller(self, token: str) -> Caller | None:
        """The caller that `token` belongs to; None for an unknown key."""
        given = sha256(token.encode()).hexdigest()
        found = None
        for expected, caller in self._callers:
            if hmac.compare_digest(given, expected):
                found = caller
        return found


async def key_in_force(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Callable[[], bool]:
    """A FastAPI dependency for work that outlasts its request, such as a stream. Returns a function that tells whether
    the request's key still belongs to the same caller, in the same role."""
    keyring: Keyring = request.app.state.keyring
    token = credentials.credentials if credentials is not None else ""
    began_as = keyring.caller(token)
    return lambda: began_as is not None and keyring.caller(token) == began_as


class RoleCheck:
    """A FastAPI dependency: the caller, if its key has one of `roles`.

    Answers 401 without a valid key and 403 with one of another role.
    """

    def __init__(self, roles: Iterable[str]) -> None:
        self._roles = tuple(roles)

    # A coroutine although it awaits nothing: FastAPI runs plain functions in a thread, a hop on every request.
    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
    ) -> Caller:
        keyring: Keyring = request.app.state.keyring
        caller = keyring.caller(credentials.credentials) if credentials is not None else None
        if caller is None:
            raise MissingKey(
                "No API key was given, or it is not valid. Send `Authorization: Bearer <key>`.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if caller.role not in self._roles:
            raise WrongRole(f"The key '{caller.name}' has the role {caller.role}; allowed: {', '.join(self._roles)}.")
        return caller

    async def of(self, request: Request) -> Caller:
        """The caller of a request, before its dependencies are asked. Raises: MissingKey, WrongRole."""
        return await self(request, await _BEARER(request))


def require(*roles: str) -> RoleCheck:
    """A FastAPI dependency: the caller, if its key has one of `roles`."""
    return RoleCheck(roles)
