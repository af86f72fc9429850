"""Requirements of the gateway's pages beyond a session: services, the admin role, a reason."""

from typing import Annotated

from fastapi import Depends, Form

from standing.gateway.access.audit import check_reason
from standing.gateway.composition import Gateway
from standing.ledger.errors import NotAllowed
from standing.ledger.service.console.visits import Visit, VisitDep
from standing.ledger.service.injection import provided

GatewayDep = Annotated[Gateway, Depends(provided(Gateway))]


def admin_only(visited: VisitDep) -> Visit:
    """The visit of an admin. Raises: NotAllowed."""
    if visited.caller.role != "admin":
        raise NotAllowed("the role: this page is for admin keys")
    return visited


AdminDep = Annotated[Visit, Depends(admin_only)]


def stated_reason(reason: Annotated[str, Form(max_length=1_000)] = "") -> str:
    """The stated reason for an act. Raises: InvalidValue."""
    return check_reason(reason)


ReasonDep = Annotated[str, Depends(stated_reason)]
