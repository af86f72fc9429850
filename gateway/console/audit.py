"""The audit page: acts of support and administration, with reasons. For admin keys."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from standing.gateway.access.audit import MAX_LISTED
from standing.gateway.console.visits import AdminDep, GatewayDep

router = APIRouter()

Before = Annotated[int | None, Query(ge=1, le=2**63 - 1)]


@router.get("/audit")
async def audit_page(visited: AdminDep, gateway: GatewayDep, before: Before = None) -> Response:
    """Entries, newest first; `before`: only those older than a position."""
    entries = await gateway.audit.listed(before=before)
    older = entries[-1].position if len(entries) == MAX_LISTED else None
    return visited.page("audit.html", entries=entries, older=older)
