"""The audit page: acts of support and administration, with reasons. For admin keys."""

import re
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response

from standing.gateway.access.audit import DONE, MAX_LISTED, AuditEntry
from standing.gateway.console.visits import AdminDep, GatewayDep
from standing.ledger.service.console.pages import PATH, segment
from standing.ledger.service.console.words import Words
from standing.ledger.service.problem_language import chinese

router = APIRouter()

#: Between the words of an error's class, by which the audit names it.
_BEFORE_CAPITAL = re.compile("(?<!^)(?=[A-Z])")

#: Acts on one transaction.
_ON_TRANSACTIONS = {
    "post_decision",
    "capture",
    "void",
    "refund",
    "close_review",
    "export_evidence",
    "export_evidence_with_key",
}
_BINDING = re.compile("0x[0-9a-f]{64}")

Before = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
About = Annotated[str | None, Query(max_length=140)]


@router.get("/audit")
async def audit_page(visited: AdminDep, gateway: GatewayDep, before: Before = None, about: About = None) -> Response:
    """Entries, newest first; `before`: only those older than a position; `about`: only those on one subject."""
    entries = await gateway.audit.listed(before=before, subject=about)
    older = entries[-1].position if len(entries) == MAX_LISTED else None
    return visited.page("audit.html", entries=entries, older=older, about=about, outcome=_outcome, page_of=_page_of)


def _page_of(entry: AuditEntry) -> str | None:
    """The page of what an act was on, if it has one."""
    if _BINDING.fullmatch(entry.subject):
        return f"{PATH}/accounts/{entry.subject}"
    return f"{PATH}/decisions/{segment(entry.subject)}" if entry.action in _ON_TRANSACTIONS else None


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
