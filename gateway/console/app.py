"""Assembles the gateway's console."""

from zoneinfo import ZoneInfo

from fastapi import FastAPI

from standing.gateway.access.dependencies import PROBLEMS
from standing.gateway.composition import Gateway
from standing.gateway.console import (
    account,
    audit,
    banks,
    decision,
    find,
    openid,
    reconciliation,
    scorecard,
    today,
    webhooks,
)
from standing.ledger.service.console.app import create
from standing.ledger.service.console.pages import Console

_ROUTERS = (
    openid.router,
    find.router,
    account.router,
    decision.router,
    banks.router,
    scorecard.router,
    today.router,
    reconciliation.router,
    webhooks.router,
    audit.router,
)


def create_console(services: dict[type, object]) -> FastAPI:
    """The console on top of a gateway's services (`ledger.service.injection`), to be mounted at PATH."""
    gateway = services[Gateway]
    assert isinstance(gateway, Gateway)
    settings = gateway.settings.console
    console = Console(
        "standing.gateway.console",
        f"standing_console_{gateway.sessions.mark}",
        ZoneInfo(settings.time_zone),
        gateway.sessions,
        by_key=settings.key_sign_in,
        provider=settings.openid.label if settings.openid is not None else None,
        sign_out_url=gateway.openid.sign_out_url if gateway.openid is not None else None,
    )
    return create(console, services, _ROUTERS, PROBLEMS)
