"""The node's ASGI app: services, routes, limits on requests and problem documents."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from standing.ledger.service import openapi, problems
from standing.ledger.service.api_keys import Keyring
from standing.ledger.service.console.app import mount
from standing.ledger.service.injection import provide
from standing.ledger.service.request_limits import BodyLimit
from standing.node.bindings import routes as binding_routes
from standing.node.bindings.turns import Turns
from standing.node.bindings.velocity import TooManyAttempts
from standing.node.composition import Node
from standing.node.console.app import create_console
from standing.node.feed import routes as feed_routes
from standing.node.operations import routes as operation_routes
from standing.node.operations import status
from standing.node.operations.metrics import StateCollector
from standing.node.operations.reload import make_reloader
from standing.node.operations.standby import StandbyGate
from standing.node.settings import NodeSettings

#: The largest body of a request that is no feed entry: a claim, at most.
_MAX_BODY_BYTES = 64 * 1024


def create_app(node: Node, read_again: Callable[[], NodeSettings] | None = None) -> FastAPI:
    """The ASGI app of a node; while it leads, the publisher and the workers run in their threads.

    `read_again` loads the settings again; without it they stay unchanged.
    """
    keyring = Keyring(node.settings.api_keys)
    reloader = make_reloader(node, keyring, read_again or (lambda: node.settings))

    def work() -> None:
        with node.workers.running():
            node.publisher.run()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # Before the first request: otherwise the first would find a node that does not know yet whether it leads.
        await asyncio.to_thread(node.leadership.look)
        thread = threading.Thread(target=node.leadership.run, args=(work,), name="publisher", daemon=True)
        thread.start()
        yield
        node.leadership.stop()
        node.publisher.stop()
        thread.join(timeout=10)
        node.database.close()

    app = FastAPIOffline(  # the pages /docs and /redoc load nothing from elsewhere
        title="Standing bank node",
        version="0.1.0",
        description="A bank's attestations of its accounts: the core's feed, and bindings for platforms.",
        lifespan=lifespan,
        redirect_slashes=False,  # as in the gateway
        generate_unique_id_function=openapi.operation_id,
        openapi_tags=[feed_routes.TAG, binding_routes.PLATFORMS_TAG, operation_routes.TAG],
    )
    app.state.node = node
    provide(
        app,
        node,
        reloader,
        node.feed,
        node.bindings,
        node.off_boardings,
        node.resync,
        node.certificates,
        node.regranting,
        node.trail,
        node.publisher.agreement,
        Turns(),
    )
    node.meters.registry.register(StateCollector(lambda: status.measure(node, node.clock.now_ms())))
    app.state.keyring = keyring
    app.state.reloader = reloader
    app.add_middleware(StandbyGate, leadership=node.leadership)
    entry_bytes = node.settings.max_body_bytes
    app.add_middleware(BodyLimit, max_bytes=min(entry_bytes, _MAX_BODY_BYTES), larger={feed_routes.PATH: entry_bytes})
    # After all middleware, so that it is outside them.
    problems.install(app, {TooManyAttempts: (binding_routes.TOO_MANY.status, binding_routes.TOO_MANY.title)})
    app.include_router(feed_routes.router)
    app.include_router(binding_routes.router)
    app.include_router(operation_routes.router)
    openapi.install(app)
    if node.settings.console.enabled:
        mount(app, create_console(app.state.services))
    return app
