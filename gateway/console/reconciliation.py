"""The reconciliation page: bindings that no longer work, and differences between ledger and gateway."""

import json
from functools import partial

from fastapi import APIRouter
from starlette.responses import Response

from standing.gateway.console.find import bank_name
from standing.gateway.console.visits import GatewayDep
from standing.gateway.following.reconcile import last_run
from standing.ledger.service.console.visits import VisitDep

router = APIRouter()

#: The most lines per list on the page; the report may have more.
_SHOWN = 200


@router.get("/reconciliation")
async def reconciliation_page(visited: VisitDep, gateway: GatewayDep) -> Response:
    """The report of the last run, or a note that there was none."""
    stored = await gateway.storage.reading(last_run, gateway.storage)
    run = json.loads(stored) if stored else None
    return visited.page("reconciliation.html", run=run, shown=_SHOWN, bank_name=partial(bank_name, gateway))
