"""Builds early warning: score cards, check-ups, and the scoring of bindings with its schedule."""

from collections.abc import Callable
from dataclasses import dataclass

from standing.gateway.accounts.service import Accounts
from standing.gateway.bindings.banks import BankDirectory
from standing.gateway.bindings.flow import BindingFlow
from standing.gateway.decisions.policy import Policy
from standing.gateway.storage.database import Storage
from standing.gateway.warning.check_up import CheckUps
from standing.gateway.warning.risk_run import RiskRunner
from standing.gateway.warning.risk_schedule import RiskSchedule
from standing.gateway.warning.scorecard import ScoreCards
from standing.gateway.warning.scoring import Scoring
from standing.gateway.warning.settings import WarningSettings
from standing.gateway.warning.warning_outcomes import Warnings
from standing.ledger.clock import Clock
from standing.ledger.service.leader import Leader
from standing.ledger.service.vault import Vault


@dataclass(frozen=True, slots=True)
class EarlyWarning:
    """The services. `schedule` runs `risks` in the background, between its `open` and `close`."""

    score_cards: ScoreCards
    check_ups: CheckUps
    risks: RiskRunner
    schedule: RiskSchedule
    scoring: Scoring
    warnings: Warnings

    def use(self, policy: Policy) -> None:
        """Apply another policy from now on."""
        self.score_cards.use(policy)
        self.risks.use(policy)


def build(
    *,
    storage: Storage,
    vault: Vault,
    banks: BankDirectory,
    accounts: Accounts,
    flow: BindingFlow,
    policy: Policy,
    clock: Clock,
    settings: WarningSettings,
    leader: Leader,
    wake: Callable[[], None],
) -> EarlyWarning:
    """Build the services. `wake` is called after events were written."""
    cards = ScoreCards(storage=storage, banks=banks, policy=policy, clock=clock)
    risks = RiskRunner(
        storage=storage, vault=vault, banks=banks, policy=policy, clock=clock, settings=settings, wake=wake
    )
    schedule = RiskSchedule(risks, storage, clock, leader, every_minutes=settings.interval_minutes)
    return EarlyWarning(
        score_cards=cards,
        check_ups=CheckUps(storage=storage, accounts=accounts, flow=flow, cards=cards, clock=clock),
        risks=risks,
        schedule=schedule,
        scoring=Scoring(storage, clock, settings, schedule.wake),
        warnings=Warnings(storage),
    )
