"""Routes for operators: probes, status and metrics."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, status
from pydantic import BaseModel

from standing.ledger.service.api_keys import Caller, MissingKey, WrongRole, require
from standing.ledger.service.injection import provided
from standing.ledger.service.json_bodies import StrictJsonRoute
from standing.ledger.service.problems import responses
from standing.node.composition import Node
from standing.node.operations.metrics import CONTENT_TYPE, exposition
from standing.node.operations.status import NodeStatus, look, why_not_ready
from standing.node.storage.database import DatabaseUnavailable

TAG = {"name": "operation", "description": "For those who run the node."}

router = APIRouter(route_class=StrictJsonRoute, tags=["operation"])

NodeDep = Annotated[Node, Depends(provided(Node))]


@router.get(
    "/v1/status",
    summary="How the node is doing",
    responses=responses(MissingKey, WrongRole, DatabaseUnavailable),
)
def get_status(node: NodeDep, _caller: Annotated[Caller, Depends(require("core", "operator"))]) -> NodeStatus:
    """Watermark, publication, what waits, and why nothing moves if nothing does."""
    return look(node)


class Health(BaseModel):
    """Whether the process is up (`/healthz`), or fit for work (`/readyz`), and why not."""

    ok: bool
    reason: str | None = None


@router.get("/healthz", summary="The process is up")
def healthz() -> Health:
    return Health(ok=True)


@router.get(
    "/readyz",
    summary="Fit for work, or why not",
    responses={status.HTTP_503_SERVICE_UNAVAILABLE: {"model": Health, "description": "Not fit for work"}},
)
def readyz(node: NodeDep, response: Response) -> Health:
    """Not ready while the node stands by, the publisher cannot publish, or a worker has ended; `reason` says which."""
    trouble = why_not_ready(node)
    if trouble is not None:
        response.status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    return Health(ok=trouble is None, reason=trouble)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
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
