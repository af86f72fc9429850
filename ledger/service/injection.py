"""Dependency injection for routes: a service is provided once, by its type, and any route can request it.

Routes name the type they need (`Annotated[Trail, Depends(provided(Trail))]`), so no route imports the application.
"""

from collections.abc import Callable
from typing import TypeVar

from fastapi import FastAPI, Request

Service = TypeVar("Service")


def provide(app: FastAPI, *services: object) -> None:
    """Make services available to the routes of `app`, each under its own type. A type is provided once."""
    if not hasattr(app.state, "services"):
        app.state.services = {}
    known: dict[type, object] = app.state.services
    for service in services:
        assert type(service) not in known, f"{type(service).__name__} is provided twice"
        known[type(service)] = service


def provided(kind: type[Service]) -> Callable[[Request], Service]:
    """A FastAPI dependency that returns the application's service of this type."""

    def find(request: Request) -> Service:
        service = request.app.state.services[kind]
        assert isinstance(service, kind)
        return service

    return find
