"""The routes of users' accounts: the list with how each is, and the amount of a micro-deposit."""

from fastapi import APIRouter, Request, Response, status

from standing.gateway.access.audit import AuditedRoute
from standing.gateway.access.dependencies import STORAGE, Acting, AnyRole, gateway_of
from standing.gateway.decisions.routes import BINDING, bind_answer
from standing.gateway.decisions.schemas import BindAnswer
from standing.gateway.support import schemas as d
from standing.ledger.errors import NotFound, Overloaded
from standing.ledger.service.api_keys import MissingKey, WrongRole
from standing.ledger.service.problems import MALFORMED, responses

router = APIRouter(route_class=AuditedRoute)


@router.get(
    "/v1/users/{user_id}/accounts",
    tags=["bindings"],
    summary="My bound accounts, and how each is now",
    responses=responses(MissingKey, WrongRole, MALFORMED, Overloaded, STORAGE),
)
async def get_accounts(user_id: d.UserPath, request: Request, _caller: AnyRole) -> d.AccountList:
    """Reads the ledger for this request. With the ledger out of reach the list is there, and each account `unknown`.

    How an account is, is what a decision would say now to the smallest payment and the smallest withdrawal.
    """
    gateway = gateway_of(request)
    views = await gateway.accounts.of_user(user_id)
    pending = await gateway.binding_flow.pending_of(user_id)
    return d.AccountList(
        accounts=[d.AccountDocument.of(view) for view in views],
        pending=[d.PendingDocument.of(each) for each in pending],
    )


@router.post(
    "/v1/bindings:confirm",
    tags=["bindings"],
    summary="Name the amount of a micro-deposit",
    status_code=status.HTTP_201_CREATED,
    responses=responses(*BINDING, NotFound)
    | {
        status.HTTP_201_CREATED: {"description": "Granted: the binding is made"},
        status.HTTP_200_OK: {
            "model": BindAnswer,
            "description": "Refused, such as for another amount, with how many tries are left; or granted before",
        },
    },
)
async def confirm_binding(body: d.ConfirmBody, request: Request, response: Response, _caller: Acting) -> BindAnswer:
    """The user saw a small amount come in and names it: the bank grants the binding, or says that it was another."""
    flow = gateway_of(request).binding_flow
    outcome = await flow.confirm(body.bank, body.user_id, body.request_id, body.amount_minor)
    return bind_answer(outcome, response)
