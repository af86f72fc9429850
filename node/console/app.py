"""The node's console, put together."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from standing.ledger.service.console.app import create
from standing.ledger.service.console.pages import PATH, Console
from standing.node.composition import Node
from standing.node.console import routes

__all__ = ["PATH", "create_console"]


def create_console(services: Mapping[type, object]) -> FastAPI:
    """The console over a node's services (`ledger.service.injection`), to be mounted at PATH."""
    node = services[Node]
    assert isinstance(node, Node)
    zone = ZoneInfo(node.settings.console.time_zone)
    # By the bank: a browser does not tell the ports of one host apart.
    cookies = f"standing_node_{node.settings.bic.lower()}"
    console = Console("standing.node.console", cookies, zone, node.sessions)
    return create(console, services, (routes.router,), {})
