"""Plain rules that warn of a binding at risk until a model has learned enough. Pure.

They use the model's features, so the texts are the same. On the log-odds scale a feature is one half where a use
within the horizon is as likely to fail as not.
"""

from collections.abc import Mapping

from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.rules import Reason
from standing.gateway.warning.risk_facts import NOT_OF_THE_BINDING, Facts

#: The value from which a feature alone causes a warning, strongest first.
RULES: Mapping[str, float] = {
    "blocked": 0.5,
    "over_transaction": 0.5,
    "due_over_limit": 1.0,
    "over_day": 0.5,
    "month_left": 0.5,
    "month_pace": 0.5,
    "year_pace": 0.5,
}

_LIMITS = frozenset(
    {Reason.OVER_TRANSACTION_LIMIT, Reason.OVER_DAILY_LIMIT, Reason.OVER_MONTHLY_LIMIT, Reason.OVER_YEARLY_LIMIT}
)
_IDENTITY = frozenset({Reason.NAME_CHANGED, Reason.ID_DOCUMENT_CHANGED, Reason.PHONE_CHANGED})
_OF_ATTESTATION = frozenset(Reason) - NOT_OF_THE_BINDING - _LIMITS
_STATUS = _OF_ATTESTATION - _IDENTITY

#: By feature, the reasons for which a use fails if it fails as the feature predicts.
FORETOLD: Mapping[str, frozenset[Reason]] = {
    "blocked": _OF_ATTESTATION,
    "over_transaction": frozenset({Reason.OVER_TRANSACTION_LIMIT}),
    "over_day": frozenset({Reason.OVER_DAILY_LIMIT}),
    "month_left": frozenset({Reason.OVER_MONTHLY_LIMIT}),
    "month_pace": frozenset({Reason.OVER_MONTHLY_LIMIT}),
    "year_pace": frozenset({Reason.OVER_YEARLY_LIMIT}),
    "due_over_limit": _LIMITS,
    "limits_changed": _LIMITS,
    "identity_changed": _IDENTITY,
    "status_changed": _STATUS,
    "status_flickers": _STATUS,
}


def causes(found: Mapping[str, float], facts: Facts | None = None, most: int = 3) -> tuple[str, ...]:
    """The features for which a rule warns, strongest first, bounded; empty where no rule warns.

    With `facts`, a limit of one transaction is warned of only where a payment on record was above it: amounts that are
    merely far apart would make one above any limit seem likely, which users do not consider usual.
    """
    names = [name for name, least in RULES.items() if found[name] >= least]
    if facts is not None and "over_transaction" in names and not _was_above(facts):
        names.remove("over_transaction")
    return tuple(names[:most])


def _was_above(facts: Facts) -> bool:
    most_minor = facts.caps[Kind.PAYMENT].transaction_minor
    return any(use.kind is Kind.PAYMENT and use.amount_minor > most_minor for use in facts.uses)
