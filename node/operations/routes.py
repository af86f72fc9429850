"""Routes for operators: probes, status and metrics."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response, status
from pydantic import BaseModel

from standing.ledger.errors import InvalidValue
from standing.ledger.service.api_keys import Caller, MissingKey, WrongRole, require
from standing.ledger.service.command_language import in_language_of
from standing.ledger.service.injection import provided
from standing.ledger.service.json_bodies import StrictJsonRoute
from standing.ledger.service.problems import responses
from standing.ledger.service.reloading import PATH, Reloader, SettingsState
from standing.node.composition import Node
from standing.node.operations.metrics import CONTENT_TYPE, exposition
from standing.node.operations.status import NodeStatus, look, warnings, why_not_ready
from standing.node.settings import NodeSettings
from standing.node.storage.database import DatabaseUnavailable

TAG = {"name": "operation", "description": "For those who run the node."}

router = APIRouter(route_class=StrictJsonRoute, tags=["operation"])

ReloaderDep = Annotated[Reloader[NodeSettings], Depends(provided(Reloader))]
NodeDep = Annotated[Node, Depends(provided(Node))]


@router.get(
    "/v1/status",
    summary="How the node is doing",
    responses=responses(MissingKey, WrongRole, DatabaseUnavailable),
)
def get_status(
    node: NodeDep, reloader: ReloaderDep, _caller: Annotated[Caller, Depends(require("core", "operator"))]
) -> NodeStatus:
    """Watermark, publication, what is queued, and why nothing is published if nothing is."""
    return look(node, reloader.state)


@router.post(
    PATH,
    summary="Reload the settings",
    responses=responses(MissingKey, WrongRole, InvalidValue),
)
def reload_settings(reloader: ReloaderDep, _caller: Annotated[Caller, Depends(require("operator"))]) -> SettingsState:
    """As SIGHUP: the new API keys apply from now on, and no request is lost.

    `needs_restart` names other changes, which need a restart. Invalid settings are rejected as a whole. A standby node
    reloads too.
    """
    return reloader.reload()


class Health(BaseModel):
    """Whether the process is up (`/healthz`), or ready (`/readyz`), and why not.

    `warnings`: what an operator should check although the node works, such as a rejected feed file.
    """

    ok: bool
    reason: str | None = None
    warnings: list[str] = []


@router.get("/healthz", summary="The process is up")
def healthz() -> Health:
    return Health(ok=True)


@router.get(
    "/readyz",
    summary="Whether the node is ready, or why not",
    responses={status.HTTP_503_SERVICE_UNAVAILABLE: {"model": Health, "description": "Not ready"}},
)
def readyz(node: NodeDep, reloader: ReloaderDep, request: Request, response: Response) -> Health:
    """Not ready while the node is on standby, the publisher cannot publish, a worker has ended, or the node's own feed
    source has stopped; `reason` states which. It and `warnings` are in Chinese if `Accept-Language` prefers it."""
    trouble = why_not_ready(node)
    if trouble is not None:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Health(
        ok=trouble is None,
        reason=trouble and in_language_of(request.scope, trouble),
        warnings=[in_language_of(request.scope, warning) for warning in warnings(node, reloader.state)],
    )


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        status.HTTP_200_OK: {
            "content": {"text/plain": {"schema": {"type": "string"}}},
            "description": "Prometheus' text format",
        }
    },
)
def metrics(node: NodeDep) -> Response:
    """Counters of this process, and gauges of its store. Nothing in them names an account, a binding or a platform."""
    return Response(exposition(node.meters.registry), media_type=CONTENT_TYPE)
