"""The routes of support and administration: holds, changes of identity, resync, rebind, the trail.

Every route that changes something needs a reason and is audited, whatever the caller's role.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Response, status

from standing.gateway.access.audit import check_reason
from standing.gateway.access.dependencies import (
    CERTIFICATE_ODD,
    LOOKING_UP,
    NODE_DOWN,
    NODE_ODD,
    STORAGE,
    TOO_MANY,
    AnyRole,
    Staff,
)
from standing.gateway.access.routes import AuditDep
from standing.gateway.bindings.identity_change import IdentityChange
from standing.gateway.bindings.routes import BINDING, FlowDep, bind_answer
from standing.gateway.bindings.schemas import BindAnswer, BindingId, UserPath
from standing.gateway.decisions.holds import Holds
from standing.gateway.errors import AlreadyLifted, BankNotServed, BankNotUsable, NotByProof
from standing.gateway.support import schemas as d
from standing.gateway.support.proof import HoldProofs
from standing.gateway.support.trail import Trails
from standing.gateway.support.trail_schemas import BindingPath, TrailDocument
from standing.ledger.errors import Conflict, InvalidValue, LedgerMismatch, LedgerUnreachable, NotFound, Overloaded
from standing.ledger.service.injection import provided
from standing.ledger.service.json_bodies import StrictJsonRoute
from standing.ledger.service.problems import BODY_TOO_LARGE, responses

TAG = {
    "name": "support",
    "description": "Find stalled hops, lift holds, change what a user is known by, ask a bank again; all audited.",
}

router = APIRouter(route_class=StrictJsonRoute, tags=["support"])

HoldsDep = Annotated[Holds, Depends(provided(Holds))]


_ACTING = (*LOOKING_UP, BODY_TOO_LARGE, InvalidValue, NotFound, STORAGE)


@router.get("/v1/holds", summary="Holds of a binding or a user", responses=responses(*LOOKING_UP, NotFound, STORAGE))
async def get_holds(
    holds: HoldsDep, _caller: AnyRole, binding: d.BindingQuery = None, user_id: d.UserQuery = None
) -> d.HoldList:
    """Newest first, ended and lifted ones included, at most 200. Without a binding and a user, those of all."""
    only = bytes.fromhex(binding[2:]) if binding is not None else None
    return d.HoldList(holds=[d.HoldView.of(hold) for hold in await holds.listed(binding=only, user_id=user_id)])


@router.post(
    "/v1/holds/{hold_id}/lift", summary="Lift a hold before its end", responses=responses(*_ACTING, AlreadyLifted)
)
async def lift_hold(hold_id: d.HoldId, body: d.WhyBody, holds: HoldsDep, audit: AuditDep, caller: Staff) -> d.HoldView:
    """What it held is exempt from its rule until the hold would have ended; or the user can try to bind again."""
    async with audit.act(caller, "lift_hold", hold_id, check_reason(body.reason)):
        return d.HoldView.of(await holds.lift(hold_id, caller.name))


@router.post(
    "/v1/holds/{hold_id}/prove",
    summary="Lift a hold with a fresh certificate from the account's bank",
    responses=responses(
        *_ACTING,
        AlreadyLifted,
        NotByProof,
        BankNotServed,
        BankNotUsable,
        Conflict,
        LedgerUnreachable,
        LedgerMismatch,
        TOO_MANY,
        CERTIFICATE_ODD,
        NODE_ODD,
        NODE_DOWN,
    ),
)
async def prove_hold(
    hold_id: d.HoldId,
    body: d.WhyBody,
    proofs: Annotated[HoldProofs, Depends(provided(HoldProofs))],
    audit: AuditDep,
    caller: AnyRole,
) -> d.ProofAnswer:
    """The gateway asks the bank for a certificate of good standing and verifies it. Only for rules with
    `lift_by_proof`. Only the hold is lifted: the next decision reads the ledger as always."""
    async with audit.act(caller, "prove_hold", hold_id, check_reason(body.reason)):
        return d.ProofAnswer.of(await proofs.lift(hold_id))


@router.put(
    "/v1/users/{user_id}/identity",
    summary="Record that a user's name, document or phone has changed on the platform",
    responses=responses(*_ACTING),
)
async def change_identity(
    user_id: UserPath,
    body: d.IdentityBody,
    identity_change: Annotated[IdentityChange, Depends(provided(IdentityChange))],
    audit: AuditDep,
    caller: AnyRole,
) -> d.IdentityAnswer:
    """Recomputes the tags of all the user's bindings from the given fields. Omitted fields stay unchanged.

    The values are not stored. From the next decision on, attestations are compared with them.
    """
    new = body.new()
    async with audit.act(caller, "change_identity", user_id, check_reason(body.reason)):
        return d.IdentityAnswer(bindings=await identity_change.apply(user_id, new))


@router.post(
    "/v1/bindings/{binding}/resync",
    summary="Ask the bank to publish a binding's attestation again",
    responses=responses(*_ACTING, BankNotServed, Overloaded, TOO_MANY, NODE_ODD, NODE_DOWN),
)
async def resync_binding(
    binding: BindingId, body: d.WhyBody, flow: FlowDep, audit: AuditDep, caller: AnyRole
) -> d.ResyncAnswer:
    """For a lost change, or a record that cannot be decrypted. The answer does not wait for the ledger."""
    async with audit.act(caller, "resync", binding, check_reason(body.reason)):
        return d.ResyncAnswer(queued=await flow.resync(bytes.fromhex(binding[2:])))


@router.post(
    "/v1/bindings/{binding}/rebind",
    summary="Bind the same account again, replacing this binding",
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
    binding: BindingId, body: d.RebindBody, flow: FlowDep, audit: AuditDep, response: Response, caller: AnyRole
) -> BindAnswer:
    """For a user whose name, document or phone has changed at the bank, or a record that cannot be decrypted.

    The bank is asked first: if it refuses, nothing changes. The new binding continues the account's daily limit. If the
    bank becomes unreachable in between, the old binding may already have ended at the bank: repeat the request with
    the same content.
    """
    async with audit.act(caller, "rebind", binding, check_reason(body.reason)):
        outcome = await flow.rebind(bytes.fromhex(binding[2:]), body.request(), as_written=body.as_written)
        return bind_answer(outcome, response)


@router.get(
    "/v1/bindings/{binding}/trail",
    summary="The trail of a binding's changes, and which hop is stalled",
    responses=responses(*LOOKING_UP, NotFound, BankNotServed, STORAGE),
)
async def get_trail(
    binding: BindingPath, trails: Annotated[Trails, Depends(provided(Trails))], _caller: AnyRole
) -> TrailDocument:
    """Queries the ledger, the bank's node and this gateway's own records.

    If the ledger or the node does not answer, the trail states so and shows what is known without it.
    """
    return TrailDocument.of(await trails.of(bytes.fromhex(binding[2:])))
