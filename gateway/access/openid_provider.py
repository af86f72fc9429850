"""An OpenID Connect provider's documents, discovery and keys, fetched when needed and cached for an hour."""

import asyncio
from typing import Any

import httpx2
from pydantic import ValidationError

from standing.gateway.access.id_token import Metadata, ProviderMisconfigured, ProviderUnavailable
from standing.gateway.access.settings import OpenIdSettings
from standing.ledger.clock import Clock

_METADATA = "/.well-known/openid-configuration"
_KEPT_MS = 60 * 60_000


class Provider:
    """Fetches what the provider publishes about itself. For one event loop."""

    def __init__(self, settings: OpenIdSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._trusted = httpx2.create_ssl_context()
        self._metadata: Metadata | None = None
        self._keys: dict[str, Any] | None = None
        self._read_at_ms = 0

    async def metadata(self) -> Metadata:
        """Its discovery document, at most an hour old. Raises: ProviderUnavailable, ProviderMisconfigured."""
        now_ms = self._clock.now_ms()
        if self._metadata is not None and 0 <= now_ms - self._read_at_ms < _KEPT_MS:
            return self._metadata
        try:
            metadata = Metadata.model_validate(await self._json(self._settings.issuer.rstrip("/") + _METADATA))
        except ValidationError as error:
            fields = sorted({str(each["loc"][0]) for each in error.errors() if each["loc"]}) or ["not an object"]
            raise ProviderMisconfigured(f"issuer: its discovery document is wrong in {', '.join(fields)}") from error
        if metadata.issuer != self._settings.issuer:
            raise ProviderMisconfigured(
                "issuer: its discovery document names another issuer; allowed: exactly the one in the settings"
            )
        methods = metadata.code_challenge_methods_supported
        if methods is not None and "S256" not in methods:
            raise ProviderMisconfigured("issuer: the provider does not support PKCE with S256")
        self._metadata, self._keys, self._read_at_ms = metadata, None, now_ms
        return metadata

    async def keys(self, *, refresh: bool = False) -> dict[str, Any]:
        """Its JWK set; `refresh`: fetched now, not from the cache."""
        metadata = await self.metadata()
        if self._keys is None or refresh:
            keys = await self._json(metadata.jwks_uri)
            if not isinstance(keys, dict) or not isinstance(keys.get("keys"), list):
                raise ProviderMisconfigured("jwks_uri: the answer is not a JWK set")
            self._keys = keys
        return self._keys

    def transport(self) -> dict[str, Any]:
        """How to call each of its endpoints."""
        return {"timeout": self._settings.timeout_ms / 1_000, "verify": self._trusted, "follow_redirects": False}

    async def _json(self, url: str) -> Any:
        try:
            async with (
                asyncio.timeout(self._settings.timeout_ms / 1_000),
                httpx2.AsyncClient(**self.transport()) as http,
            ):
                answer = await http.get(url, headers={"Accept": "application/json"})
        except (httpx2.HTTPError, TimeoutError) as error:
            raise ProviderUnavailable(f"issuer: {type(error).__name__}") from error
        if answer.status_code >= httpx2.codes.INTERNAL_SERVER_ERROR:
            raise ProviderUnavailable(f"issuer: HTTP {answer.status_code}")
        if answer.status_code != httpx2.codes.OK:
            raise ProviderMisconfigured(f"issuer: HTTP {answer.status_code} instead of a document")
        try:
            return answer.json()
        except ValueError as error:
            raise ProviderMisconfigured("issuer: the answer is not JSON; is it an OpenID Connect issuer?") from error
