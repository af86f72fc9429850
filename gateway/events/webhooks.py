"""Webhooks: events sent to the platform's endpoints, signed as in Standard Webhooks (standardwebhooks.com).

Each endpoint has its own worker in each process, which makes one attempt at a time. A dead or slow endpoint delays no
other, and while it fails, only one event at a time is tried. Any 2xx accepts the event; 410 disables the endpoint; any
other answer, including a redirect, is retried later.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
import structlog
from standardwebhooks import Webhook

from standing.gateway.events.addresses import OwnResolver, PublicSockets
from standing.gateway.events.deliveries import Attempt, DeliveryQueues
from standing.gateway.events.endpoints import Endpoint, Endpoints
from standing.gateway.events.settings import WebhookSettings
from standing.gateway.events.wakeups import Wakeups
from standing.gateway.storage.database import Storage
from standing.ledger.clock import Clock, has_passed
from standing.ledger.errors import NotFound, StandingError
from standing.ledger.service.retry_after import retry_after_s

_GONE = 410
_ASKS_TO_WAIT = frozenset({429, 503})
#: After this many failures in a row the endpoint counts as down, rather than as rejecting one event.
_DOWN_AFTER = 5
_TROUBLE_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class _Result:
    """The result of an attempt. `label` is stored: never the URL, never the endpoint's answer."""

    accepted: bool
    label: str
    retry_after_ms: int = 0


class _Disabled(Exception):
    """The endpoint is disabled. Its worker ends; once enabled, it gets a new one that knows of no failures."""


@dataclass(slots=True)
class _Health:
    """The recent results of an endpoint."""

    failures: int = 0
    failed_at_ms: int = 0
    pause_ms: int = 0
    sockets: PublicSockets = field(default_factory=PublicSockets)


class Dispatcher:
    """Sends events. Belongs to one event loop, from `open` to `close`."""

    def __init__(
        self,
        *,
        storage: Storage,
        endpoints: Endpoints,
        queues: DeliveryQueues,
        wakeups: Wakeups,
        clock: Clock,
        settings: WebhookSettings,
    ) -> None:
        self._storage = storage
        self._endpoints = endpoints
        self._queues = queues
        self._wakeups = wakeups
        self._clock = clock
        self._settings = settings
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._supervisor: asyncio.Task[None] | None = None
        self._trouble: str | None = None
        self._worker_troubles: dict[str, str] = {}

    @property
    def troubles(self) -> list[str]:
        """Faults on the gateway's side that stop sending, to all or to one endpoint; empty if there are none."""
        own = [f"webhooks: {self._trouble}"] if self._trouble is not None else []
        return own + [f"webhooks to {name}: {trouble}" for name, trouble in self._worker_troubles.items()]

    async def open(self) -> None:
        """Start a worker for each endpoint, and later for each new one."""
        self._supervisor = asyncio.create_task(self._supervise(), name="webhooks")

    async def close(self) -> None:
        """End all workers. Attempts in progress are repeated at the next start."""
        tasks = list(self._workers.values()) + ([self._supervisor] if self._supervisor is not None else [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._workers.clear()

    async def _supervise(self) -> None:
        try:
            while True:
                wake = self._wakeups.next
                try:
                    active = await self._storage.reading(self._endpoints.active)
                except StandingError as error:
                    structlog.get_logger().warning("webhooks_interrupted", problem=str(error))
                    self._trouble = str(error)
                else:
                    self._match(active)
                    self._trouble = None
                await self._wakeups.wait(self._settings.poll_ms / 1000, wake)
        except Exception as error:
            # Only the type: the text of an unexpected error may contain secrets.
            self._trouble = f"ended by an unexpected {type(error).__name__}; see the log, and start the gateway again"
            structlog.get_logger().critical("webhooks_ended", error=type(error).__name__)
            raise

    def _match(self, active: set[str]) -> None:
        """Keep one worker running for each active endpoint."""
        for name, worker in list(self._workers.items()):
            if worker.done():
                del self._workers[name]
                self._worker_troubles.pop(name, None)
                error = None if worker.cancelled() else worker.exception()
                if error is not None:
                    # Only the type: the text of an unexpected error may contain secrets. The worker is started again
                    # below.
                    self._worker_troubles[name] = f"an unexpected {type(error).__name__}; see the log"
                    structlog.get_logger().error("webhook_worker_failed", endpoint=name, error=type(error).__name__)
            elif name not in active:
                worker.cancel()
        for name in active - self._workers.keys():
            self._workers[name] = asyncio.create_task(self._work(name), name=f"webhooks-{name}")

    @asynccontextmanager
    async def _session(self, health: _Health) -> AsyncIterator[aiohttp.ClientSession]:
        """The HTTP session of one endpoint, shared with no other."""
        private, resolver = self._settings.allow_private_addresses, OwnResolver()
        connector = aiohttp.TCPConnector(
            limit=1, resolver=resolver, use_dns_cache=False, socket_factory=None if private else health.sockets
        )
        try:
            async with aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout_ms / 1000),
            ) as session:
                yield session
        finally:
            await resolver.close()

    async def _work(self, name: str) -> None:
        """Send one endpoint's events in order, until it is deleted or disabled."""
        health = _Health()
        async with self._session(health) as session:
            while True:
                wake = self._wakeups.next
                try:
                    more = await self._attempt(name, session, health)
                    self._worker_troubles.pop(name, None)
                    if not more:
                        await self._wakeups.wait(self._settings.poll_ms / 1000, wake)
                except (NotFound, _Disabled):
                    return
                except StandingError as error:  # the database, or a row that the vault can no longer decrypt
                    if self._worker_troubles.get(name) != str(error):
                        structlog.get_logger().warning("webhooks_interrupted", endpoint=name, problem=str(error))
                    self._worker_troubles[name] = str(error)
                    await self._wakeups.wait(_TROUBLE_PAUSE_S)

    async def _attempt(self, name: str, session: aiohttp.ClientSession, health: _Health) -> bool:
        """Make one attempt, if one is due. Returns: whether another may be due at once. Raises: _Disabled."""
        pausing = not has_passed(self._clock.now_ms(), health.failed_at_ms, health.pause_ms)
        if pausing or not await self._storage.reading(self._queues.has_work, name):
            return False
        endpoint = await self._storage.reading(self._endpoints.find, name)
        if endpoint.disabled_at_ms is not None:
            raise _Disabled
        attempt = await self._storage.writing(self._queues.claim, name, endpoint.types)
        if attempt is None:
            return False
        result = await self._send(session, endpoint, attempt, health.sockets)
        if result.accepted:
            await self._storage.writing(self._queues.delivered, attempt, result.label, revive=health.failures > 0)
            if health.failures:
                structlog.get_logger().info("webhook_delivered_again", endpoint=name, failures=health.failures)
            health.failures = 0
            return True
        await self._fail(attempt, result, health)
        return False

    async def _fail(self, attempt: Attempt, result: _Result, health: _Health) -> None:
        name, event = attempt.endpoint, attempt.event
        health.failures += 1
        health.pause_ms = self._queues.back_off_ms(health.failures, result.retry_after_ms)
        health.failed_at_ms = self._clock.now_ms()
        abandoned = await self._storage.writing(self._queues.failed, attempt, result.label, result.retry_after_ms)
        log = structlog.get_logger()
        if abandoned:
            log.error("webhook_given_up", endpoint=name, event_id=event.id, result=result.label)
        elif health.failures == 1:
            log.warning("webhook_failed", endpoint=name, event_id=event.id, result=result.label)
        if health.failures >= _DOWN_AFTER:
            more = await self._storage.writing(self._queues.abandon_old, name, result.label)
            if more:
                log.error("webhooks_given_up", endpoint=name, events=more, result=result.label)
        if result.label == f"http_{_GONE}":
            await self._storage.writing(self._endpoints.disable, name, result.label)
            raise _Disabled

    async def _send(
        self, session: aiohttp.ClientSession, endpoint: Endpoint, attempt: Attempt, sockets: PublicSockets
    ) -> _Result:
        body = attempt.event.body()
        moment = datetime.fromtimestamp(self._clock.now_ms() // 1000, UTC)
        signatures = [Webhook(secret).sign(attempt.event.id, moment, body) for secret in endpoint.secrets]
        headers = {
            "content-type": "application/json",
            "user-agent": "standing-gateway",
            "webhook-id": attempt.event.id,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        sockets.refused = False
        try:
            async with session.post(
                endpoint.url, data=body.encode(), headers=headers, allow_redirects=False
            ) as response:
                return _judge(response.status, response.headers.get("retry-after", ""), self._clock.now_ms())
        except TimeoutError:
            return _Result(False, "timeout")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _Result(False, "address_refused" if sockets.refused else type(error).__name__[:64])


def _judge(status: int, retry_after: str, now_ms: int) -> _Result:
    accepted = 200 <= status < 300
    wait_s = retry_after_s(retry_after, now_ms) if status in _ASKS_TO_WAIT else None
    return _Result(accepted, f"http_{status}", (wait_s or 0) * 1000)
