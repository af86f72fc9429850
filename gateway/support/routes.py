"""The routes of support and administration: holds, changes of identity, asking a bank again, binding again, the audit.

All that change something state why, and are audited, whoever calls.
"""

from fastapi import APIRouter, Request, Response, status

from standing.gateway.access.audit import check_reason
from standing.gateway.access.dependencies import (
    LOOKING_UP,
    NODE_DOWN,
    NODE_ODD,
    STORAGE,
    TOO_MANY,
    UNPARSED,
    Admin,
    AnyRole,
    Staff,
    gateway_of,
)
from standing.gateway.decisions import holds
from standing.gateway.decisions.routes import BINDING, bind_answer
from standing.gateway.decisions.schemas import BindAnswer, BindingId
from standing.gateway.errors import AlreadyLifted, BankNotServed
from standing.gateway.support import schemas as d
from standing.ledger.errors import InvalidValue, NotFound, Overloaded
from standing.ledger.service.problems import BODY_TOO_LARGE, responses

TAGS = [
    {"name": "care", "description": "Lift holds, change what a user is known by, ask a bank again; all of it audited."},
]

router = APIRouter(tags=["care"])


_ACTING = (*LOOKING_UP, UNPARSED, BODY_TOO_LARGE, InvalidValue, NotFound, STORAGE)


@router.get("/v1/holds", summary="Holds of a binding or a user", responses=responses(*LOOKING_UP, STORAGE))
async def get_holds(
    request: Request, _caller: AnyRole, binding: d.BindingQuery = None, user_id: d.UserQuery = None
) -> d.HoldList:
    """Newest first, ended and lifted ones too, at most 200. Without a binding and a user, those of all."""
    storage = gateway_of(request).storage

    def read() -> list[holds.StoredHold]:
        only = bytes.fromhex(binding[2:]) if binding is not None else None
        with storage.read() as connection:
            return holds.listed(connection, binding=only, user_id=user_id)

    return d.HoldList(holds=[d.HoldView.of(hold) for hold in await storage.reading(read)])


@router.post(
    "/v1/holds/{hold_id}/lift", summary="Lift a hold before its end", responses=responses(*_ACTING, AlreadyLifted)
)
async def lift_hold(hold_id: d.HoldId, body: d.WhyBody, request: Request, caller: Staff) -> d.HoldView:
    """From now on what it held is exempt from the hold's rule until the hold's own end; or the user may try to bind."""
    gateway = gateway_of(request)

    def write() -> holds.StoredHold:
        with gateway.storage.write() as connection:
            return holds.lift(connection, hold_id, caller.name, gateway.clock.now_ms())

    async with gateway.audit.act(caller, "lift_hold", hold_id, check_reason(body.reason)):
        return d.HoldView.of(await gateway.storage.writing(write))


@router.put(
    "/v1/users/{user_id}/identity",
    summary="A user's name, document or phone has changed on the platform",
    responses=responses(*_ACTING),
)
async def change_identity(
    user_id: d.UserPath, body: d.IdentityBody, request: Request, caller: AnyRole
) -> d.IdentityAnswer:
    """The tags of all the user's bindings are made anew from what is stated; what is not stated stays as it was.

    What is stated is not stored. From the next decision on the bank's word is compared with it.
    """
    gateway, new = gateway_of(request), body.new()
    async with gateway.audit.act(caller, "change_identity", user_id, check_reason(body.reason)):
        return d.IdentityAnswer(bindings=await gateway.identity_change.apply(user_id, new))


@router.post(
    "/v1/bindings/{binding}/resync",
    summary="Ask the bank to publish its word on a binding again",
    responses=responses(*_ACTING, BankNotServed, Overloaded, TOO_MANY, NODE_ODD, NODE_DOWN),
)
async def resync_binding(binding: BindingId, body: d.WhyBody, request: Request, caller: AnyRole) -> d.ResyncAnswer:
    """For a word that got lost on its way, or a record that does not open. The answer does not wait for the ledger."""
    gateway = gateway_of(request)
    async with gateway.audit.act(caller, "resync", binding, check_reason(body.reason)):
        return d.ResyncAnswer(queued=await gateway.binding_flow.resync(bytes.fromhex(binding[2:])))


@router.post(
    "/v1/bindings/{binding}/rebind",
    summary="Bind the same account anew, in place of this binding",
    status_code=status.HTTP_201_CREATED,
    responses=responses(*BINDING, NotFound, BankNotServed)
    | {
        status.HTTP_201_CREATED: {"description": "Granted: the new binding is made, and the old one has ended"},
        status.HTTP_200_OK: {
            "model": BindAnswer,
            "description": "Refused, and the old binding is as it was; or first a micro-deposit; or granted before",
        },
    },
)
async def rebind(
    binding: BindingId, body: d.RebindBody, request: Request, response: Response, caller: AnyRole
) -> BindAnswer:
    """For a user whose name, document or phone is another at the bank by now, or a record that does not open.

    The bank is asked first: where it refuses, nothing changes. The new binding goes on with the account's daily limit.
    Where the bank cannot be reached in between, the old binding has ended already: ask again with the same content.
    """
    gateway = gateway_of(request)
    async with gateway.audit.act(caller, "rebind", binding, check_reason(body.reason)):
        outcome = await gateway.binding_flow.rebind(bytes.fromhex(binding[2:]), body.request())
        return bind_answer(outcome, response)


@router.get("/v1/audit", summary="Who did what, and why", responses=responses(*LOOKING_UP, STORAGE))
async def get_audit(
    request: Request, _caller: Admin, before: d.Before = None, subject: d.Subject = None
) -> d.AuditList:
    """Acts of support and administration, newest first, at most 200 at once."""
    entries = await gateway_of(request).audit.listed(before=before, subject=subject)
    return d.AuditList(entries=[d.AuditDocument.of(entry) for entry in entries])
