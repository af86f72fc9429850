"""The route of a user's accounts with their present state."""

from typing import Annotated

from fastapi import APIRouter, Depends

from standing.gateway.access.dependencies import STORAGE, AnyRole
from standing.gateway.accounts import schemas as d
from standing.gateway.accounts.service import Accounts
from standing.gateway.bindings.flow import BindingFlow
from standing.gateway.bindings.schemas import PendingDocument, UserPath
from standing.ledger.errors import NotFound, Overloaded
from standing.ledger.service.api_keys import MissingKey, WrongRole
from standing.ledger.service.injection import provided
from standing.ledger.service.json_bodies import StrictJsonRoute
from standing.ledger.service.problems import MALFORMED, responses

router = APIRouter(route_class=StrictJsonRoute)


@router.get(
    "/v1/users/{user_id}/accounts",
    tags=["bindings"],
    summary="A user's bound accounts and the current state of each",
    responses=responses(MissingKey, WrongRole, MALFORMED, NotFound, Overloaded, STORAGE),
)
async def get_accounts(
    user_id: UserPath,
    accounts: Annotated[Accounts, Depends(provided(Accounts))],
    flow: Annotated[BindingFlow, Depends(provided(BindingFlow))],
    _caller: AnyRole,
) -> d.AccountList:
    """Reads the ledger for this request. While the ledger is unreachable, the list shows each account as `unknown`.

    An account's health is how the smallest payment and the smallest withdrawal would be decided now.
    """
    views = await accounts.of_user(user_id)
    pending = await flow.pending_of(user_id)
    return d.AccountList(
        accounts=[d.AccountDocument.of(view) for view in views],
        pending=[PendingDocument.of(each) for each in pending],
    )
