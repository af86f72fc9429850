"""The route of the audit."""

from typing import Annotated

from fastapi import APIRouter, Depends

from standing.gateway.access import schemas as d
from standing.gateway.access.audit import Audit
from standing.gateway.access.dependencies import LOOKING_UP, STORAGE, Admin
from standing.ledger.service.injection import provided
from standing.ledger.service.json_bodies import StrictJsonRoute
from standing.ledger.service.problems import responses

router = APIRouter(route_class=StrictJsonRoute, tags=["support"])

AuditDep = Annotated[Audit, Depends(provided(Audit))]


@router.get("/v1/audit", summary="The audit: who did what, and why", responses=responses(*LOOKING_UP, STORAGE))
async def get_audit(audit: AuditDep, _caller: Admin, before: d.Before = None, subject: d.Subject = None) -> d.AuditList:
    """Acts of support and administration, newest first, at most 200 per page."""
    entries = await audit.listed(before=before, subject=subject)
    return d.AuditList(entries=[d.AuditDocument.of(entry) for entry in entries])
