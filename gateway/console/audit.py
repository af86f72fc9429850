"""The audit page: acts of support and administration, with reasons. For admin keys."""

import re
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from standing.gateway.access.audit import DONE, MAX_LISTED, AuditEntry
from standing.gateway.console.visits import AdminDep, GatewayDep
from standing.ledger.service.console.words import Words
from standing.ledger.service.problem_language import chinese

router = APIRouter()

#: Between the words of an error's class, by which the audit names it.
_BEFORE_CAPITAL = re.compile("(?<!^)(?=[A-Z])")

Before = Annotated[int | None, Query(ge=1, le=2**63 - 1)]


@router.get("/audit")
async def audit_page(visited: AdminDep, gateway: GatewayDep, before: Before = None) -> Response:
    """Entries, newest first; `before`: only those older than a position."""
    entries = await gateway.audit.listed(before=before)
    older = entries[-1].position if len(entries) == MAX_LISTED else None
    return visited.page("audit.html", entries=entries, older=older, outcome=_outcome)


def _outcome(words: Words, entry: AuditEntry) -> str:
    """How an act ended, in words; an error by its title."""
    if entry.outcome is None:
        return words("audit-unknown")
    if entry.outcome == DONE:
        return words("audit-done")
    if entry.outcome == RequestValidationError.__name__:
        return words("audit-refused", why=words("audit-malformed"))
    word = _BEFORE_CAPITAL.sub("-", entry.outcome).lower()
    title = chinese().titles.get(word) if words.language == "zh" else None
    return words("audit-refused", why=words.named("error", word, title or entry.outcome))
