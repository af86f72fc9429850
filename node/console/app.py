"""Assembles the node's console."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from standing.ledger.service.console.app import create
from standing.ledger.service.console.pages import Console
from standing.node.composition import Node
from standing.node.console import routes


def create_console(services: Mapping[type, object]) -> FastAPI:
    """The console on top of a node's services (`ledger.service.injection`), to be mounted at PATH."""
    node = services[Node]
    assert isinstance(node, Node)
    zone = ZoneInfo(node.settings.console.time_zone)
    # One name per bank: browsers share cookies between the ports of a host.
    cookies = f"standing_node_{node.settings.bic.lower()}"
    console = Console("standing.node.console", cookies, zone, node.sessions)
    return create(console, services, (routes.router,), {})
