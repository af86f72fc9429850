"""Sign-in through an OpenID Connect provider: authorization code with PKCE, state and nonce, using Authlib.

The data of a sign-in in progress is in a sealed cookie of the browser that started it. A state is accepted once: it
is stored as soon as an answer arrives, so a replayed answer is refused, whatever the provider says.
"""

import hmac
import json
import secrets
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import httpx2
from authlib.common.urls import add_params_to_uri
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from sqlalchemy import Connection, delete, func, insert, select

from standing.gateway.access.id_token import (
    AnswerRefused,
    Cancelled,
    Metadata,
    OpenIdError,
    ProviderMisconfigured,
    ProviderUnavailable,
    TokenRefused,
    caller_of,
    verified_claims,
)
from standing.gateway.access.openid_provider import Provider
from standing.gateway.access.settings import OpenIdSettings
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.ledger.clock import Clock
from standing.ledger.errors import Overloaded
from standing.ledger.service.api_keys import Caller
from standing.ledger.service.vault import Vault, VaultError

#: Path under the gateway's public address to which the provider sends browsers back.
CALLBACK = "/console/sign-in/openid/callback"
SIGN_IN = "/console/sign-in"
#: A sign-in that exceeds this has to start again.
LIFETIME_MS = 10 * 60_000

_MAX_STATES = 10_000
_states = schema.console_states


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the browser, and the cookie to set. `state`: what the provider's answer will name."""

    url: str
    sealed: str
    state: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The parameters with which the provider sends the browser back (RFC 6749, 4.1.2; `issuer`: RFC 9207)."""

    state: str
    code: str = ""
    issuer: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Vouched:
    """A person whom the provider vouches for, and the page that they wanted."""

    caller: Caller
    wanted: str


class OpenId:
    """One provider. It is not contacted before the first sign-in. For one event loop."""

    def __init__(
        self, settings: OpenIdSettings, client_secret: str, storage: Storage, vault: Vault, clock: Clock
    ) -> None:
        self.settings = settings
        self._secret = client_secret
        self._storage = storage
        self._vault = vault
        self._clock = clock
        self._provider = Provider(settings, clock)

    async def begin(self, wanted: str) -> Begun:
        """Start a sign-in that leads to a page. Raises: ProviderUnavailable, ProviderMisconfigured."""
        metadata = await self._provider.metadata()
        state, nonce, verifier = (secrets.token_urlsafe(48) for _ in range(3))
        async with self._client(metadata) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint, state=state, nonce=nonce, code_verifier=verifier
            )
        begun = {"state": state, "nonce": nonce, "verifier": verifier, "wanted": wanted, "at_ms": self._clock.now_ms()}
        return Begun(str(url), self._vault.seal_text(json.dumps(begun)).decode(), state)

    async def finish(self, answer: Answer, sealed: str) -> Vouched:
        """Complete a sign-in from the provider's answer. `sealed`: the browser's cookie.

        Raises: OpenIdError (its kinds are in `id_token`), StorageUnavailable, Overloaded (too many sign-ins at
        once).
        """
        begun = self._opened(sealed)
        try:
            return await self._finish(answer, begun)
        except OpenIdError as error:
            error.wanted = begun["wanted"]
            raise

    async def _finish(self, answer: Answer, begun: dict[str, Any]) -> Vouched:
        if not hmac.compare_digest(begun["state"].encode(), answer.state.encode()):
            raise AnswerRefused("state: not that of this browser's sign-in")
        metadata = await self._provider.metadata()
        issuer_omitted = answer.issuer is None and not metadata.authorization_response_iss_parameter_supported
        if not issuer_omitted and answer.issuer != self.settings.issuer:
            raise AnswerRefused("iss: the answer is another issuer's")
        await self._storage.writing(self._storage.write_all, partial(self._use_once, begun["state"]))
        if answer.error is not None:
            raise _refusal(answer.error)
        token = await self._redeem(metadata, answer.code, begun["verifier"])
        claims = await self._claims(token, begun["nonce"])
        return Vouched(caller_of(claims, self.settings), begun["wanted"])

    async def sign_out_url(self) -> str | None:
        """The URL at which a browser also ends its session with the provider; None if the provider has none, or
        does not answer."""
        try:
            metadata = await self._provider.metadata()
        except (ProviderUnavailable, ProviderMisconfigured):
            return None  # the session here has ended in any case
        if metadata.end_session_endpoint is None:
            return None
        back = {"client_id": self.settings.client_id, "post_logout_redirect_uri": self.settings.public_url + SIGN_IN}
        return str(add_params_to_uri(metadata.end_session_endpoint, back.items()))

    def _opened(self, sealed: str) -> dict[str, Any]:
        try:
            begun: dict[str, Any] = json.loads(self._vault.unseal(sealed.encode()))
        except VaultError as error:
            raise AnswerRefused("cookie: not from a sign-in that this browser started") from error
        if not 0 <= self._clock.now_ms() - begun["at_ms"] < LIFETIME_MS:
            raise AnswerRefused(f"cookie: started more than {LIFETIME_MS // 60_000} minutes ago")
        return begun

    def _use_once(self, state: str, connection: Connection) -> None:
        digest, now_ms = sha256(state.encode()).hexdigest(), self._clock.now_ms()
        connection.execute(delete(_states).where(_states.c.at_ms <= now_ms - LIFETIME_MS))
        if connection.scalar(select(_states.c.at_ms).where(_states.c.state_sha256 == digest)) is not None:
            raise AnswerRefused("state: used before")
        if (connection.scalar(select(func.count()).select_from(_states)) or 0) >= _MAX_STATES:
            raise Overloaded(f"{_MAX_STATES} people signed in within {LIFETIME_MS // 60_000} minutes", 60)
        connection.execute(insert(_states).values(state_sha256=digest, at_ms=now_ms))

    def _client(self, metadata: Metadata) -> AsyncOAuth2Client:
        methods = metadata.token_endpoint_auth_methods_supported
        method = "client_secret_post" if "client_secret_basic" not in methods else "client_secret_basic"
        return AsyncOAuth2Client(
            self.settings.client_id,
            self._secret,
            token_endpoint_auth_method=method,
            scope=" ".join(dict.fromkeys(["openid", *self.settings.scopes])),
            redirect_uri=self.settings.public_url + CALLBACK,
            code_challenge_method="S256",
            **self._provider.transport(),
        )

    async def _redeem(self, metadata: Metadata, code: str, verifier: str) -> dict[str, Any]:
        """Exchange a code for tokens."""
        try:
            async with self._client(metadata) as client:
                token = await client.fetch_token(
                    metadata.token_endpoint, grant_type="authorization_code", code=code, code_verifier=verifier
                )
        except OAuthError as error:
            raise _refusal(str(error.error)) from error
        except httpx2.HTTPError as error:
            raise ProviderUnavailable(f"token_endpoint: {type(error).__name__}") from error
        except ValueError as error:
            raise ProviderUnavailable("token_endpoint: the answer is not JSON") from error
        return dict(token)

    async def _claims(self, token: dict[str, Any], nonce: str) -> dict[str, Any]:
        def verified(keys: dict[str, Any]) -> dict[str, Any]:
            now_ms, access_token = self._clock.now_ms(), token.get("access_token")
            return verified_claims(
                token["id_token"], keys, self.settings, nonce=nonce, access_token=access_token, now_ms=now_ms
            )

        if not isinstance(token.get("id_token"), str):
            raise TokenRefused("id_token: missing")
        try:
            try:
                return verified(await self._provider.keys())
            except (BadSignatureError, InvalidKeyIdError):  # the provider may have changed its keys
                return verified(await self._provider.keys(refresh=True))
        except JoseError as error:
            raise TokenRefused(f"id_token: {error.error} {getattr(error, 'claim', '')}".rstrip()) from error
        except (ValueError, TypeError, KeyError) as error:
            raise TokenRefused(f"id_token: unreadable ({type(error).__name__})") from error


def _refusal(error: str) -> AnswerRefused | Cancelled | ProviderMisconfigured | ProviderUnavailable:
    """Map an OAuth 2.0 error to an exception (RFC 6749, 4.1.2.1 and 5.2)."""
    known = error if error.replace("_", "").isalpha() and len(error) <= 40 else "unknown"
    if error in {"access_denied", "login_required", "interaction_required", "consent_required"}:
        return Cancelled(f"the provider says {known}")
    if error in {"server_error", "temporarily_unavailable"}:
        return ProviderUnavailable(f"the provider says {known}")
    if error == "invalid_grant":
        return TokenRefused("code: the provider rejects it")
    return ProviderMisconfigured(f"client_id, client_secret_file, public_url, scopes: the provider says {known}")
