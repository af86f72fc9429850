"""The routes for who runs the node: is it up, is it fit for work, how is it doing, and its figures."""

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Request, Response, status
from pydantic import BaseModel

from standing.ledger.service.api_keys import Caller, MissingKey, WrongRole, require
from standing.ledger.service.problems import responses
from standing.node.operations.metrics import CONTENT_TYPE, exposition
from standing.node.operations.status import NodeStatus, look, why_not_ready
from standing.node.storage.database import DatabaseUnavailable

if TYPE_CHECKING:
    from standing.node.app import Node

router = APIRouter(tags=["operation"])


def _node(request: Request) -> "Node":
    node: Node = request.app.state.node
    return node


@router.get(
    "/v1/status",
    summary="How the node is doing",
    responses=responses(MissingKey, WrongRole, DatabaseUnavailable),
)
def get_status(request: Request, _caller: Annotated[Caller, Depends(require("core", "operator"))]) -> NodeStatus:
    """Watermark, publication, what waits, and why nothing moves if nothing does."""
    return look(_node(request))


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
def readyz(request: Request, response: Response) -> Health:
    """Not ready while the node stands by, the publisher cannot publish, or a worker has ended; the reason is said."""
    trouble = why_not_ready(_node(request))
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
def metrics(request: Request) -> Response:
    """Counters of this process, and gauges of its store. Nothing in them names an account, a binding or a platform."""
    return Response(exposition(_node(request).meters.registry), media_type=CONTENT_TYPE)
