"""Builds everything that follows the ledger: follower, event log, webhooks and streams."""

import asyncio
import threading
from dataclasses import dataclass

from standing.gateway.bindings.banks import BankDirectory
from standing.gateway.decisions.policy import Policy
from standing.gateway.events.deliveries import DeliveryQueues
from standing.gateway.events.endpoints import Endpoints
from standing.gateway.events.log import EventLog
from standing.gateway.events.settings import StreamSettings, WebhookSettings
from standing.gateway.events.streams import Streams
from standing.gateway.events.wakeups import Wakeups
from standing.gateway.events.webhooks import Dispatcher
from standing.gateway.following.follower import AtHead, Follower
from standing.gateway.following.observing import Observer
from standing.gateway.following.settings import FollowerSettings
from standing.gateway.ledger_reading.nodes import BlockRule
from standing.gateway.storage.database import Storage
from standing.ledger.chain.client import LedgerClient
from standing.ledger.clock import Clock
from standing.ledger.service.leader import Leader
from standing.ledger.service.vault import Vault

_STOP_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Following:
    """The services. Call `open` and `close` in one event loop; the follower has its own thread."""

    follower: Follower
    log: EventLog
    endpoints: Endpoints
    queues: DeliveryQueues
    dispatcher: Dispatcher
    streams: Streams
    wakeups: Wakeups
    thread: threading.Thread | None

    async def open(self) -> None:
        """Start following and sending."""
        self.wakeups.open()
        await self.dispatcher.open()
        if self.thread is not None:
            self.thread.start()

    @property
    def troubles(self) -> list[str]:
        """Why following or sending makes no progress; empty while all is well."""
        follower = self.follower.status.trouble
        return ([f"follower: {follower}"] if follower is not None else []) + self.dispatcher.troubles

    async def close(self) -> None:
        """Stop. The database must still be open."""
        self.follower.stop()
        if self.thread is not None:
            # The writing thread that it uses is still running, and its calls to the ledger have timeouts.
            await asyncio.to_thread(self.thread.join, _STOP_TIMEOUT_S)
        await self.dispatcher.close()
        self.wakeups.close()


def build(
    *,
    storage: Storage,
    vault: Vault,
    ledger: LedgerClient,
    banks: BankDirectory,
    policy: Policy,
    clock: Clock,
    rule: BlockRule,
    leader: Leader,
    follower_settings: FollowerSettings,
    webhook_settings: WebhookSettings,
    stream_settings: StreamSettings,
    at_head: AtHead | None = None,
) -> Following:
    """Build the services. Nothing runs before `Following.open`."""
    wakeups = Wakeups()
    log = EventLog(storage)
    endpoints = Endpoints(storage, vault, clock, webhook_settings)
    queues = DeliveryQueues(storage, clock, webhook_settings)
    follower = Follower(
        storage=storage,
        ledger=ledger,
        observer=Observer(storage, vault, ledger),
        banks=[bank.bic for bank in banks],
        policy=policy,
        clock=clock,
        settings=follower_settings,
        rule=rule,
        on_events=wakeups.wake,
        leader=leader,
        at_head=at_head,
    )
    thread = threading.Thread(target=follower.run, name="follower", daemon=True) if follower_settings.enabled else None
    return Following(
        follower=follower,
        log=log,
        endpoints=endpoints,
        queues=queues,
        dispatcher=Dispatcher(
            storage=storage, endpoints=endpoints, queues=queues, wakeups=wakeups, clock=clock, settings=webhook_settings
        ),
        streams=Streams(storage, log, wakeups, stream_settings),
        wakeups=wakeups,
        thread=thread,
    )
