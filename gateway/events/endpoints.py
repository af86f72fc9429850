"""Webhook endpoints: the URLs that receive a platform's events, and the secrets that sign them.

Secrets are generated here, shown once, and stored encrypted. A rotation keeps the old secret for one day more, in which
every message is signed with both (Standard Webhooks, "secret rotation").
"""

import json
import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from standing.gateway.errors import StorageUnavailable
from standing.gateway.events.addresses import check_host
from standing.gateway.events.settings import WebhookSettings
from standing.gateway.events.types import EventType
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.storage.vault import check_current
from standing.ledger.clock import DAY_MS, Clock
from standing.ledger.errors import Conflict, InvalidValue, NotFound
from standing.ledger.service.vault import Vault

OVERLAP_MS = DAY_MS
_MAX_URL = 2_000
#: Of old secrets that still sign: each adds a signature to every message.
_MAX_OLD_SECRETS = 4


class TooManyEndpoints(Conflict):
    """The maximum number of endpoints is reached."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint with the secrets that sign its messages. `types`: the event types that it receives, None for all."""

    id: str
    url: str
    secrets: tuple[str, ...]
    types: tuple[str, ...] | None
    created_at_ms: int
    disabled_at_ms: int | None
    disabled_reason: str | None

    def __repr__(self) -> str:  # a URL may hold a token
        return f"Endpoint({self.id!r})"


class Endpoints:
    """All endpoints of one platform. Every method raises StorageUnavailable."""

    def __init__(self, storage: Storage, vault: Vault, clock: Clock, settings: WebhookSettings) -> None:
        self._storage = storage
        self._vault = vault
        self._clock = clock
        self._settings = settings

    def create(self, url: str, types: Sequence[str] | None) -> Endpoint:
        """Create an endpoint for all later events. Raises: InvalidValue, TooManyEndpoints."""
        checked = self._check(url)
        wanted = _types(types)
        secret = _new_secret()
        now_ms = self._clock.now_ms()
        made = Endpoint(f"we_{secrets.token_hex(10)}", checked, (secret,), wanted, now_ms, None, None)

        def work(connection: Connection) -> None:
            check_current(connection, self._vault)
            count = connection.scalar(select(func.count()).select_from(schema.webhook_endpoints)) or 0
            if count >= self._settings.max_endpoints:
                raise TooManyEndpoints(
                    f"{count} endpoints exist already; allowed: {self._settings.max_endpoints}, delete one first"
                )
            newest = connection.scalar(select(func.max(schema.events.c.position))) or 0
            connection.execute(
                insert(schema.webhook_endpoints).values(
                    id=made.id,
                    url_sealed=self._vault.seal_text(checked),
                    secret_sealed=self._vault.seal_text(secret),
                    types=json.dumps(wanted) if wanted is not None else None,
                    created_at_ms=now_ms,
                    queued_to=newest,
                )
            )

        self._storage.write_all(work)
        structlog.get_logger().info("webhook_endpoint_created", endpoint=made.id)
        return made

    def all(self) -> list[Endpoint]:
        """Every endpoint, oldest first. One that the vault cannot decrypt is skipped and logged."""
        table = schema.webhook_endpoints
        with self._storage.read() as connection:
            rows = list(connection.execute(select(table).order_by(table.c.created_at_ms, table.c.id)))
        found = []
        for row in rows:
            try:
                found.append(self._endpoint(row))
            except StorageUnavailable as error:
                structlog.get_logger().error("webhook_endpoint_unreadable", endpoint=row.id, problem=str(error))
        return found

    def active(self) -> set[str]:
        """The ids of enabled endpoints, including any that the vault cannot decrypt."""
        table = schema.webhook_endpoints.c
        with self._storage.read() as connection:
            return set(connection.scalars(select(table.id).where(table.disabled_at_ms.is_(None))))

    def find(self, endpoint: str) -> Endpoint:
        """One endpoint. Raises: NotFound, StorageUnavailable."""
        with self._storage.read() as connection:
            return self._endpoint(_row(connection, endpoint))

    def delete(self, endpoint: str) -> None:
        """Delete an endpoint and its queue. Raises: NotFound."""

        def work(connection: Connection) -> None:
            _row(connection, endpoint)
            deliveries = schema.webhook_deliveries
            connection.execute(delete(deliveries).where(deliveries.c.endpoint == endpoint))
            connection.execute(delete(schema.webhook_endpoints).where(schema.webhook_endpoints.c.id == endpoint))

        self._storage.write_all(work)
        structlog.get_logger().info("webhook_endpoint_deleted", endpoint=endpoint)

    def rotate(self, endpoint: str) -> Endpoint:
        """Generate a new secret; the old one also signs for one more day, and so do those before it that still sign.

        A client that got no answer rotates again, while its receiver knows none but the first. Raises: NotFound.
        """
        secret = _new_secret()

        def work(connection: Connection) -> None:
            check_current(connection, self._vault)
            old = self._signing(_row(connection, endpoint))[:_MAX_OLD_SECRETS]
            _set(
                connection,
                endpoint,
                secret_sealed=self._vault.seal_text(secret),
                old_secret_sealed=self._vault.seal_text(" ".join(old)),
                old_secret_until_ms=self._clock.now_ms() + OVERLAP_MS,
            )

        self._storage.write_all(work)
        return self.find(endpoint)

    def enable(self, endpoint: str) -> Endpoint:
        """Re-enable an endpoint, and deliver the events since it was disabled. Raises: NotFound."""
        now_ms = self._clock.now_ms()
        self._storage.write_all(lambda connection: _enable(connection, endpoint, now_ms))
        return self.find(endpoint)

    def disable(self, endpoint: str, reason: str) -> None:
        """Stop sending to an endpoint until it is enabled again. Missed events are kept as long as the log."""
        with self._storage.write() as connection:
            _set(connection, endpoint, disabled_at_ms=self._clock.now_ms(), disabled_reason=reason)
        structlog.get_logger().warning("webhook_endpoint_disabled", endpoint=endpoint, reason=reason)

    def _check(self, url: str) -> str:
        allowed = "http or https" if self._settings.allow_http else "https"
        try:
            parts = urlsplit(url)
            host, _port = parts.hostname, parts.port
        except ValueError as error:
            raise InvalidValue("url", "not a URL", f"{allowed}, a host and a path") from error
        if len(url) > _MAX_URL or not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
            raise InvalidValue("url", "too long, or not plain ASCII", f"up to {_MAX_URL} printable characters")
        if parts.scheme not in ({"http", "https"} if self._settings.allow_http else {"https"}) or not host:
            raise InvalidValue("url", "another scheme, or no host", f"{allowed}, a host and a path")
        if parts.username is not None or parts.fragment:
            raise InvalidValue(
                "url", "with a user or a fragment", "a URL without them: the signature shows who sent a message"
            )
        if not self._settings.allow_private_addresses:
            check_host(host)
        return url

    def _signing(self, row: Row[Any]) -> list[str]:
        """The secrets that sign now, the newest first."""
        signing = [self._vault.unseal_text(row.secret_sealed)]
        if row.old_secret_sealed is not None and row.old_secret_until_ms > self._clock.now_ms():
            signing += self._vault.unseal_text(row.old_secret_sealed).split(" ")
        return signing

    def _endpoint(self, row: Row[Any]) -> Endpoint:
        return Endpoint(
            id=row.id,
            url=self._vault.unseal_text(row.url_sealed),
            secrets=tuple(self._signing(row)),
            types=tuple(json.loads(row.types)) if row.types is not None else None,
            created_at_ms=row.created_at_ms,
            disabled_at_ms=row.disabled_at_ms,
            disabled_reason=row.disabled_reason,
        )


def _new_secret() -> str:
    # Standard Webhooks: 24 to 64 bytes from a secure source, base64, with this prefix.
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


def _types(types: Sequence[str] | None) -> tuple[str, ...] | None:
    if types is None:
        return None
    known = [kind.value for kind in EventType]
    for kind in types:
        if kind not in known:
            raise InvalidValue("types", "not an event type", ", ".join(known))
    if not types:
        raise InvalidValue("types", "empty", "at least one event type, or null for all")
    return tuple(dict.fromkeys(types))


def _row(connection: Connection, endpoint: str) -> Row[Any]:
    table = schema.webhook_endpoints
    row = connection.execute(select(table).where(table.c.id == endpoint)).one_or_none()
    if row is None:
        raise NotFound("endpoint: not here; allowed: one that GET /v1/webhook-endpoints lists")
    return row


def _set(connection: Connection, endpoint: str, **values: Any) -> None:
    table = schema.webhook_endpoints
    connection.execute(update(table).where(table.c.id == endpoint).values(**values))


def _enable(connection: Connection, endpoint: str, now_ms: int) -> None:
    _row(connection, endpoint)
    _set(connection, endpoint, disabled_at_ms=None, disabled_reason=None)
    deliveries = schema.webhook_deliveries
    connection.execute(
        update(deliveries)
        .where(deliveries.c.endpoint == endpoint, deliveries.c.state == "pending")
        # There were no attempts meanwhile, so the delivery period starts again.
        .values(next_attempt_at_ms=now_ms, queued_at_ms=now_ms, attempts=0)
    )
