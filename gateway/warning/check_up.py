"""A check-up of a user's bindings: which ones may fail at their next use, why, and what the user can do.

Signs come from plain rules over what this gateway already stores, without names, numbers or amounts; a sign is a reason
to look. Each binding also shows the probability from the last run, once a model has learned enough. No decision reads
either.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from standing.gateway.access.localized import Localized
from standing.gateway.accounts.health import Condition, Health
from standing.gateway.accounts.service import Accounts, AccountView
from standing.gateway.bindings.flow import BindingFlow
from standing.gateway.bindings.outcomes import PendingBinding
from standing.gateway.bindings.users import check_known
from standing.gateway.decisions.messages import of_account
from standing.gateway.events.types import EventType
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.warning import risk_store
from standing.gateway.warning.risk_store import RiskFigures
from standing.gateway.warning.risk_words import sign_of
from standing.gateway.warning.scorecard import ScoreCards
from standing.gateway.warning.signs import Risk, Sign
from standing.gateway.warning.verdict import Pace, Verdict
from standing.ledger.clock import DAY_MS, Clock

_FLICKER_MS = 7 * DAY_MS
_FLICKERS = 3
_LIMIT_MS = 7 * DAY_MS
_LIMIT_HITS = 2
_IDENTITY_MS = 30 * DAY_MS
_LAPSE_MS = 2 * DAY_MS
#: The most signs reported for one binding, strongest first.
MAX_SIGNS = 3

_STATUS = (EventType.CHANGED, EventType.CLEARED, EventType.FROZEN, EventType.LOST, EventType.UNSTATED)
_LIMITS = ("over_transaction_limit", "over_daily_limit", "over_monthly_limit", "over_yearly_limit")


@dataclass(frozen=True, slots=True)
class Seen:
    """The gateway's recent records of a binding: counts and times only."""

    status_changes: int = 0
    limit_hits: int = 0
    identity_changed: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """One bound account with its signs, strongest first; none where nothing was found. `risk`: the last score."""

    view: AccountView
    signs: tuple[Sign, ...]
    risk: Risk | None = None


@dataclass(frozen=True, slots=True)
class CheckUp:
    """A user's accounts, and the micro-deposits that lapse soon. `opted_out_at_ms`: when the user opted out of
    predictions; None if they did not."""

    accounts: list[Checked]
    lapsing: list[PendingBinding]
    opted_out_at_ms: int | None = None


def signs_of(now: Condition, seen: Seen, pace: Verdict | None) -> tuple[Sign, ...]:
    """The signs of one binding, strongest first, at most `MAX_SIGNS`. Pure."""
    found = []
    if now.health is not Health.GOOD:
        what = of_account(now.reason) if now.reason is not None else _NOT_USABLE
        found.append(Sign("not_usable_now", what, _LOOK))
    if seen.identity_changed:
        found.append(Sign("identity_changed", _IDENTITY, _IDENTITY_TO_DO))
    if seen.limit_hits >= _LIMIT_HITS:
        found.append(Sign("meets_limits", _MEETS_LIMITS, _LIMITS_TO_DO))
    if seen.status_changes >= _FLICKERS:
        found.append(Sign("status_flickers", _FLICKERING, _LOOK))
    if pace is not None and pace.word is not Pace.STEADY:
        found.append(Sign(f"bank_{pace.word.value}", pace.why, _OTHER_BANK))
    return tuple(found[:MAX_SIGNS])


class CheckUps:
    """Makes check-ups."""

    def __init__(
        self, *, storage: Storage, accounts: Accounts, flow: BindingFlow, cards: ScoreCards, clock: Clock
    ) -> None:
        self._storage = storage
        self._accounts = accounts
        self._flow = flow
        self._cards = cards
        self._clock = clock

    async def of_user(self, user_id: str) -> CheckUp:
        """Check up a user's bindings, with a fresh read of the ledger.

        Raises: NotFound (no such user), Overloaded, StorageUnavailable.
        """
        views = await self._accounts.of_user(user_id)
        paces = await self._cards.verdicts()
        now_ms = self._clock.now_ms()
        bindings = [view.stored.binding for view in views]
        seen = await self._storage.reading(self._seen, bindings, now_ms)
        risks, opted_out_at_ms = await self._storage.reading(self._risks, bindings, user_id)
        pending = await self._flow.pending_of(user_id)
        return CheckUp(
            [
                Checked(
                    view,
                    signs_of(view.condition, seen[view.stored.binding], paces.get(view.stored.bank)),
                    risks.get(view.stored.binding),
                )
                for view in views
            ],
            [each for each in pending if each.expires_at_ms - now_ms <= _LAPSE_MS],
            opted_out_at_ms,
        )

    async def figures(self, warn_per_mille: int) -> RiskFigures:
        """Totals over all bindings, for metrics. Raises: StorageUnavailable."""

        def read() -> RiskFigures:
            with self._storage.read() as connection:
                return risk_store.figures(connection, warn_per_mille)

        return await self._storage.reading(read)

    async def set_opted_out(self, user_id: str, opted_out: bool) -> int | None:
        """Opt a user out of predictions, or in again. Opting out deletes the scores of their bindings.

        Returns: when the user opted out; None if they are opted in.
        Raises: NotFound (no such user), StorageUnavailable.
        """

        def work(connection: Connection) -> int | None:
            check_known(connection, user_id)
            return risk_store.set_opted_out(connection, user_id, opted_out, self._clock.now_ms())

        return await self._storage.writing(self._storage.write_all, work)

    def _risks(self, bindings: Sequence[bytes], user_id: str) -> tuple[dict[bytes, Risk], int | None]:
        with self._storage.read() as connection:
            stored = risk_store.risks_of(connection, bindings)
            opted_out_at_ms = risk_store.opted_out_at_ms(connection, user_id)
        risks = {
            binding: Risk(risk.per_mille, tuple(sign_of(name) for name in risk.factors), risk.scored_at_ms)
            for binding, risk in stored.items()
            if risk.per_mille is not None or risk.factors
        }
        return risks, opted_out_at_ms

    def _seen(self, bindings: Sequence[bytes], now_ms: int) -> Mapping[bytes, Seen]:
        with self._storage.read() as connection:
            return {binding: seen_of(connection, binding, now_ms) for binding in bindings}


def seen_of(connection: Connection, binding: bytes, now_ms: int) -> Seen:
    """Summarize the gateway's recent records of a binding."""
    events, decided = schema.events.c, schema.decisions.c

    def count(types: Sequence[EventType], since_ms: int) -> int:
        query = select(func.count()).where(
            events.binding == binding,
            events.type.in_([kind.value for kind in types]),
            events.observed_at_ms > since_ms,
        )
        return int(connection.scalar(query) or 0)

    hits = connection.scalar(
        select(func.count()).where(
            decided.binding == binding, decided.reason.in_(_LIMITS), decided.decided_at_ms > now_ms - _LIMIT_MS
        )
    )
    return Seen(
        status_changes=count(_STATUS, now_ms - _FLICKER_MS),
        limit_hits=int(hits or 0),
        identity_changed=count((EventType.IDENTITY_CHANGED,), now_ms - _IDENTITY_MS) > 0,
    )


_NOT_USABLE = Localized("This account cannot be used here.", "该账户目前无法在本平台使用。")
_LOOK = Localized(
    "Ask the bank about the account, or choose another account for payments that cannot wait.",
    "请向银行核实账户状态；如付款较急，请改用其他账户。",
)
_IDENTITY = Localized(
    "The name, ID document or phone number at the bank has changed within the last month.",
    "最近一个月内，银行登记的姓名、证件或手机号有变更。",
)
_IDENTITY_TO_DO = Localized(
    "Check that your details here match those at the bank, and update them if not.",
    "请核对您在本平台的信息与银行登记是否一致，如不一致请更新。",
)
_MEETS_LIMITS = Localized(
    "Payments reached one of the bank's limits several times within the last week.",
    "最近一周内，交易多次触及银行规定的限额。",
)
_LIMITS_TO_DO = Localized(
    "Ask the bank to raise the limit, pay smaller amounts, or use another account.",
    "请向银行申请提高限额、降低金额，或使用其他账户。",
)
_FLICKERING = Localized(
    "The account's state at the bank has changed several times within the last week.",
    "最近一周内，该账户的状态多次变更。",
)
_OTHER_BANK = Localized(
    "Bind an account at another bank as well, so that you can pay while this bank is not reporting.",
    "建议同时绑定其他银行的账户，以便在该银行未更新信息时仍可付款。",
)
