"""The first page: search for a user, a transaction, a binding, or an account by its last four digits; and the staff
queue."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path, Query
from sqlalchemy import Row
from starlette.responses import RedirectResponse, Response

from standing.gateway.access.localized import Localized
from standing.gateway.accounts.health import NOT_SERVED, UNBOUND
from standing.gateway.accounts.service import AccountView
from standing.gateway.bindings.outcomes import PendingBinding
from standing.gateway.bindings.schemas import USER_PATTERN
from standing.gateway.bindings.service import StoredBinding
from standing.gateway.composition import Gateway
from standing.gateway.console.lookups import MIN_PARTIAL, Beginnings, Listed, Lookups, cursor_of
from standing.gateway.console.visits import GatewayDep
from standing.gateway.decisions.holds import StoredHold
from standing.gateway.decisions.search import CURSOR_PATTERN
from standing.ledger.attestations.numbers import canonical_number, visible
from standing.ledger.clock import MINUTE_MS
from standing.ledger.errors import InvalidValue, NotFound
from standing.ledger.service.console.pages import HOME, PATH, segment
from standing.ledger.service.console.visits import Visit, VisitDep
from standing.ledger.service.vault import VaultError

router = APIRouter()

_BINDING = re.compile(r"0x[0-9a-fA-F]{64}")
#: The last four digits of an account, also behind a mask: 621661********0000, DE8937*…, •••• 0000, …0000,
#: XXXX-XXXX-XXXX-0000. A single X is a letter of an account number.
_LAST_FOUR = re.compile(r"(?:([0-9A-Z-]*?)(?:(?:[*•●∗#×]|XX)[*•●∗#×X-]*|\.{2,}))?([0-9]{4})", re.IGNORECASE)
#: Dashes that messengers and word processors write in place of a hyphen.
_DASHES = re.compile("[\u2010-\u2015\u2212]")
#: What is pasted around an id: quotes, brackets, a spreadsheet's `="…"`, the end of a sentence, 交易号：, 尾号.
_AROUND = re.compile("^[^A-Za-z0-9]+|[^A-Za-z0-9]+$")
_BINDING_PASTED = re.compile(r"(?:0[xX])?([0-9a-fA-F]{64})")


class Done(StrEnum):
    """What staff have just done in a form, as the address of the page after it says."""

    RESYNC_QUEUED = "resync-queued"
    RESYNC_ON_ITS_WAY = "resync-on-its-way"
    ENDED = "ended"
    HOLD_LIFTED = "hold-lifted"
    REPLAYED = "replayed"
    REVIEWED = "reviewed"


@dataclass(slots=True)
class Found:
    """The result of a search. `user`: the platform knows this user id, with or without accounts. `holds`: the user's
    that are in force. `refusals`: by banks, of the user's attempts to bind, within the bounds' time. `failures`: of
    these attempts, for whatever reason. `beginnings`: ids that begin with what was typed, where it is no whole one."""

    user: str | None = None
    accounts: list[AccountView] = field(default_factory=list)
    ended: list[StoredBinding] = field(default_factory=list)
    holds: list[StoredHold] = field(default_factory=list)
    refusals: int = 0
    failures: list[Row[Any]] = field(default_factory=list)
    beginnings: Beginnings | None = None
    pending: list[PendingBinding] = field(default_factory=list)
    by_digits: Listed[StoredBinding] = field(default_factory=lambda: Listed([], 0))
    transaction: str | None = None
    binding: str | None = None

    @property
    def only(self) -> str | None:
        """The page of the result, if it is a single item with its own page."""
        if self.user is not None or self.by_digits.count > 1:
            return None
        pages = [f"accounts/0x{each.binding.hex()}" for each in self.by_digits.rows]
        pages += [f"decisions/{segment(self.transaction)}"] if self.transaction is not None else []
        pages += [f"accounts/{self.binding}"] if self.binding is not None else []
        return f"{PATH}/{pages[0]}" if len(pages) == 1 else None

    @property
    def nothing(self) -> bool:
        ids = (self.user, self.transaction, self.binding, self.beginnings)
        return not self.by_digits.count and all(each is None for each in ids)


@router.get("/")
async def find_page(
    visited: VisitDep, gateway: GatewayDep, done: Annotated[str, Query(max_length=40)] = ""
) -> Response:
    """The search box and the queue: open holds, and reviews that wait for staff. `done`: any but a lift is ignored."""
    return await _page(visited, gateway, lifted=done == Done.HOLD_LIFTED)


@router.post("/find")
async def find(gateway: GatewayDep, wanted: Annotated[str, Form(alias="q", max_length=200)] = "") -> Response:
    """Search. Changes nothing and tells nothing, so it needs no session: its results do, and after the sign-in of
    somebody whose session had ended they are shown."""
    cells = wanted.replace("\t", " ")  # of a row of a spreadsheet
    return _results_of(gateway, visible(cells).strip())  # digits of a Chinese keyboard are wide


def _results_of(gateway: Gateway, typed: str) -> Response:
    """To the results, which have an address of their own, so that Back, a reload and the other language lead to them;
    the search text may be personal data, and is sealed in it."""
    return RedirectResponse(_address_of(gateway, typed) if typed else HOME, status_code=303)


def _address_of(gateway: Gateway, typed: str) -> str:
    return f"{PATH}/found/{gateway.searches.seal_text(typed).decode().rstrip('=')}"


@router.get("/found/{sealed}")
async def found_page(
    visited: VisitDep, gateway: GatewayDep, sealed: Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,1500}$")]
) -> Response:
    """The results of a search."""
    try:
        typed = gateway.searches.unseal_text((sealed + "=" * (-len(sealed) % 4)).encode())
    except VaultError as error:
        raise NotFound(
            "this link leads to a search at another gateway, or is too old; search again on the first page"
        ) from error
    found = await _search(gateway, typed)
    for plain in _plain_forms(typed):
        if found.nothing and plain != typed:
            found = await _search(gateway, plain)
        if found.nothing and (named := await _of_whole_number(gateway, plain)):
            if len(named) > 1:
                return _results_of(gateway, named[0].number_masked)  # the number itself is not kept
            found.by_digits = Listed(named, 1)
        if found.nothing:
            found = await _of_part(gateway, plain)
    if found.only is not None:
        return RedirectResponse(found.only, status_code=303)
    return await _page(visited, gateway, typed=typed, found=found)


@router.get("/reviews")
async def reviews_page(
    visited: VisitDep,
    gateway: GatewayDep,
    cursor: Annotated[str, Query(alias="after", pattern=CURSOR_PATTERN, max_length=80)],
) -> Response:
    """Further open reviews, oldest first. `after`: the page begins behind this decision."""
    reviews, later = await Lookups(gateway.storage).open_reviews_after(cursor, gateway.clock.now_ms())
    return visited.page("reviews.html", reviews=reviews, later=later)


def bank_name(gateway: Gateway, bic: str) -> Localized:
    """The name of a stored binding's bank; its BIC if it is no longer in the settings."""
    bank = gateway.banks.get(bic)
    return bank.name if bank is not None else Localized.same(bic)


async def _page(visited: Visit, gateway: Gateway, **values: Any) -> Response:
    lookups, now_ms = Lookups(gateway.storage), gateway.clock.now_ms()
    queue: dict[str, Any] = {
        "holds": await lookups.open_holds(now_ms),
        "reviews": await lookups.open_reviews(now_ms),
        "cursor_of": cursor_of,
        "bank_name": partial(bank_name, gateway),
        "results_of": partial(_address_of, gateway),
        "bounds": gateway.binding_flow.bounds,
    }
    return visited.page("find.html", **({"typed": "", "found": None, "lifted": False} | queue | values))


def _plain_forms(typed: str) -> list[str]:
    """An id without what surrounds it in a message or a spreadsheet: first the whole text as one id, then its only word
    with a digit; of several words, none is guessed. Only for a text that is found nowhere as it is: an id may itself
    begin or end with a dot, a dash, a colon or an underscore."""
    words = [word for word in typed.split() if any(digit in word for digit in "0123456789")]
    return list(dict.fromkeys(_without_clutter(each) for each in (typed, *(words if len(words) == 1 else ()))))


def _without_clutter(typed: str) -> str:
    plain = _AROUND.sub("", _DASHES.sub("-", typed).replace(" ", ""))
    binding = _BINDING_PASTED.fullmatch(plain)
    return f"0x{binding[1]}" if binding else plain


async def _search(gateway: Gateway, typed: str) -> Found:
    found, lookups = Found(), Lookups(gateway.storage)
    if _BINDING.fullmatch(typed):
        try:
            found.binding = "0x" + (await gateway.bindings.find(bytes.fromhex(typed[2:]))).binding.hex()
        except NotFound:
            found.binding = None
        return found
    if (digits := _LAST_FOUR.fullmatch(typed.replace(" ", ""))) is not None:
        found.by_digits = await lookups.ending_in(digits[2], begins=(digits[1] or "").replace("-", "").upper())
    if re.fullmatch(USER_PATTERN, typed):
        if await lookups.is_decided(typed):
            found.transaction = typed
        await _find_user(gateway, typed, found)
    return found


async def _of_whole_number(gateway: Gateway, plain: str) -> list[StoredBinding]:
    """The bindings of the account whose number somebody has pasted in whole, at whichever bank."""
    try:
        number = canonical_number(plain, "account")
    except InvalidValue:
        return []
    hashes = [gateway.binding_flow.account(bank, number) for bank in gateway.banks]
    return await Lookups(gateway.storage).of_accounts(hashes)


async def _of_part(gateway: Gateway, plain: str) -> Found:
    """What an id leads to whose capitals differ, or the ids that begin with a text."""
    found = Found()
    if re.fullmatch(USER_PATTERN, plain) is None:
        return found
    begins = await Lookups(gateway.storage).beginning_with(plain)
    users, transactions = (
        [each for each in ids if each.lower() == plain.lower()] for ids in (begins.users, begins.transactions)
    )
    if len(users) + len(transactions) == 1:
        found.transaction = next(iter(transactions), None)
        for user in users:
            await _find_user(gateway, user, found)
    elif len(plain) >= MIN_PARTIAL and (begins.users or begins.transactions):
        found.beginnings = begins
    return found


async def _find_user(gateway: Gateway, user_id: str, found: Found) -> None:
    try:
        stored = await gateway.bindings.of_user(user_id)
    except NotFound:
        return
    found.ended = [each for each in stored if each.ended_at_ms is not None]
    found.pending = await gateway.binding_flow.pending_of(user_id)
    now_ms = gateway.clock.now_ms()
    held = await gateway.holds.listed(user_id=user_id)
    found.holds = [hold for hold in held if hold.lifted_at_ms is None and hold.ends_at_ms > now_ms]
    since_ms = now_ms - gateway.binding_flow.bounds.within_minutes * MINUTE_MS
    found.refusals = await Lookups(gateway.storage).refusals_since(user_id, since_ms)
    found.failures = await Lookups(gateway.storage).failures_of(user_id)
    if not (stored or found.pending or held or found.refusals or found.failures):
        return
    found.user = user_id
    found.accounts = await gateway.accounts.of_user(user_id)


async def view_of(gateway: Gateway, stored: StoredBinding) -> AccountView:
    """The current health of an account by the decision table; ended if the platform ended the binding.

    The account of a binding that the platform ended can be bound again only if its bank is still served.
    Raises: Overloaded, StorageUnavailable.
    """
    if stored.ended_at_ms is None:
        for view in await gateway.accounts.of_user(stored.user_id, only=stored.binding):
            return view
    bank = gateway.banks.get(stored.bank)
    return AccountView(stored, bank, UNBOUND if bank is not None else NOT_SERVED, None)
