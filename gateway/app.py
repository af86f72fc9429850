"""The gateway's ASGI app: services, routes, limits on requests and problem documents."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.types import Receive, Scope, Send

from standing.gateway.access import routes as access_routes
from standing.gateway.access.dependencies import PROBLEMS
from standing.gateway.accounts import routes as account_routes
from standing.gateway.bindings import routes as binding_routes
from standing.gateway.composition import Gateway, build
from standing.gateway.console.app import create_console
from standing.gateway.decisions import routes as decision_routes
from standing.gateway.decisions.hot_path import HotPath
from standing.gateway.events import routes as event_routes
from standing.gateway.evidence import routes as evidence_routes
from standing.gateway.operations import openapi
from standing.gateway.operations import routes as operation_routes
from standing.gateway.operations.reload import make_reloader
from standing.gateway.operations.service import GatewayStatus
from standing.gateway.settings import GatewaySettings
from standing.gateway.support import routes as support_routes
from standing.gateway.warning import routes as warning_routes
from standing.ledger.clock import Clock
from standing.ledger.service import openapi as service_openapi
from standing.ledger.service import problems
from standing.ledger.service.api_keys import Keyring
from standing.ledger.service.console.app import mount
from standing.ledger.service.injection import provide
from standing.ledger.service.reloading import Reloader
from standing.ledger.service.request_limits import BodyLimit, LoadShedding

_ROUTERS = (
    binding_routes.router,
    decision_routes.router,
    evidence_routes.router,
    account_routes.router,
    support_routes.router,
    access_routes.router,
    event_routes.router,
    warning_routes.router,
    warning_routes.acting_router,
    operation_routes.router,
    operation_routes.acting_router,
)


def create_app(
    settings: GatewaySettings, clock: Clock | None = None, read_again: Callable[[], GatewaySettings] | None = None
) -> FastAPI:
    """The ASGI app of a gateway, ready to serve. Raises as `composition.build`, before anything is served.

    `read_again` loads the settings again; without it they stay, and only the files that they name are read again.
    """
    gateway = build(settings, clock)
    keyring = Keyring(settings.api_keys)
    reloader = make_reloader(gateway, keyring, read_again or (lambda: settings))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await gateway.open()
        yield
        await gateway.close()

    app = FastAPIOffline(  # the pages /docs and /redoc load nothing from elsewhere
        title="Standing gateway",
        version="0.1.0",
        description="A payment platform's gateway: binds bank accounts, and decides on each payment and withdrawal by "
        "the bank's attestation of the account, read from the ledger at that moment.",
        lifespan=lifespan,
        redirect_slashes=False,  # a redirect would name the Host header, and send the body and the key there
        generate_unique_id_function=service_openapi.operation_id,
        openapi_tags=[
            binding_routes.TAG,
            decision_routes.TAG,
            *operation_routes.TAGS,
            support_routes.TAG,
            event_routes.TAG,
        ],
    )
    app.state.keyring = keyring
    app.state.reloader = reloader
    app.state.gateway = gateway
    _provide(app, gateway, reloader)
    app.add_middleware(
        BodyLimit,
        max_bytes=settings.max_body_bytes,
        larger={decision_routes.BATCH_PATH: settings.max_batch_body_bytes},
    )
    problems.install(app, PROBLEMS)  # after all middleware, so that it is outside them
    for router in _ROUTERS:
        app.include_router(router)
    service_openapi.install(app)
    openapi.install(app)
    if settings.console.enabled:
        mount(app, create_console(app.state.services))
    app.state.load = app.middleware_stack = _in_front(app, gateway, keyring)
    return app


def _in_front(app: FastAPI, gateway: Gateway, keyring: Keyring) -> LoadShedding:
    """The framework's middleware behind the hot path, and load shedding in front of both: an ordinary request for a
    decision passes through nothing else. The result is an ASGI app of its own, cheaper to serve than `app`, which looks
    for telemetry first."""
    settings = gateway.settings
    framework = app.build_middleware_stack()

    async def behind(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = app  # as the framework does it
        await framework(scope, receive, send)

    hot = HotPath(
        behind,
        keyring,
        gateway.decisions,
        PROBLEMS,
        max_body_bytes=settings.max_body_bytes,
        max_batch_body_bytes=settings.max_batch_body_bytes,
    )
    return LoadShedding(
        problems.UnexpectedErrors(hot),
        path=decision_routes.DECISIONS_PATH,
        limit=settings.max_decision_requests,
        on_refusal=gateway.meters.refused.inc,
    )


def _provide(app: FastAPI, gateway: Gateway, reloader: Reloader[GatewaySettings]) -> None:
    """Make the services available to the routes."""
    following = gateway.following
    provide(
        app,
        gateway,
        reloader,
        GatewayStatus(gateway, reloader),
        gateway.storage,
        gateway.reader,
        gateway.bindings,
        gateway.binding_flow,
        gateway.identity_change,
        gateway.accounts,
        gateway.audit,
        gateway.sessions,
        gateway.decisions,
        gateway.search,
        gateway.reviews,
        gateway.holds,
        gateway.proofs,
        gateway.evidence,
        gateway.trails,
        gateway.warning.score_cards,
        gateway.warning.check_ups,
        gateway.warning.scoring,
        gateway.warning.warnings,
        following.log,
        following.endpoints,
        following.queues,
        following.streams,
        following.wakeups,
    )
