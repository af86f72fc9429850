"""Checks 9 to 12: the grant, the terms, the policy, and the decision made again."""

from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.rules import Outcome, Reason
from standing.gateway.decisions.usage import day_of
from standing.gateway.evidence.claims import EvidenceClaims
from standing.gateway.evidence.verification.case import VerifierInputs
from standing.gateway.evidence.verification.lines import Lines
from standing.gateway.evidence.verification.redo import opened, redo, zone_of
from standing.ledger.attestations.grant import Grant, KeylessGrant
from standing.ledger.attestations.money import currency_number
from standing.ledger.chain.history import History
from standing.ledger.chain.proofs import Proved
from standing.ledger.errors import InvalidValue, LedgerUnreachable

#: Reasons that a decision reaches before it opens the terms.
_BEFORE_TERMS = frozenset(
    {Reason.LEDGER_UNREACHABLE, Reason.BANK_SUSPENDED, Reason.NO_ATTESTATION, Reason.LEDGER_ROLLED_BACK}
)


def check_grant(
    lines: Lines,
    claims: EvidenceClaims,
    means: VerifierInputs,
    grant: Grant | KeylessGrant,
    history: History | None,
    proved: Proved | None,
) -> None:
    """9: the bank signed that this binding has this key. Offline, `proved` names its signer in that block."""
    if (grant.bank, grant.binding, grant.platform) != (claims.bank, claims.binding_id, claims.platform):
        lines.fails(9, "the grant is for another bank, binding or platform")
    elif means.binding_key is not None and not grant.grants(means.binding_key):
        lines.fails(9, "the bank granted a key other than the one given")
    elif history is None and proved is not None and proved.bank_signer == grant.signer:
        lines.holds(
            9, f"{grant.signer}, the signer of {claims.bank} in the proved state, granted this key to this binding"
        )
    elif history is None:
        signer = f"signed by {grant.signer}" + (
            f"; the bank's signer in that block is {proved.bank_signer}" if proved else ""
        )
        lines.unknown(9, f"{signer}; only the ledger's history shows whether that was ever the bank's signer")
    else:
        try:
            signers = {named.address for named in history.signers(history.latest())}
        except LedgerUnreachable as error:
            lines.unknown(9, f"the bank's signers cannot be read: {error}")
            return
        if grant.signer in signers:
            lines.holds(9, f"{grant.signer}, a signer of {claims.bank}, granted this key to this binding")
        else:
            lines.fails(9, "the grant is not signed by any signer that the ledger named for the bank")


def check_terms(lines: Lines, claims: EvidenceClaims, means: VerifierInputs) -> None:
    """10: the record opens with the binding key, or does not, as the decision states."""
    if claims.record is None or claims.record.publication == 0:
        return
    if means.key is None:
        if claims.reason not in _BEFORE_TERMS:
            lines.unknown(10, "sealed: opening them takes the binding key (--binding-key, or a grant that has it)")
        return
    terms = opened(claims, means.key, claims.record.record())
    unreadable = claims.reason is Reason.ATTESTATION_UNREADABLE
    if terms is not None and unreadable:
        lines.fails(10, "the record can be decrypted with this key; the decision states that it cannot")
    elif terms is not None:
        allowed = [name for name, is_allowed in _permissions(terms.debit_allowed, terms.credit_allowed) if is_allowed]
        lines.holds(10, f"decrypted with this key: {terms.status.word}, allowed: {' and '.join(allowed) or 'nothing'}")
    elif not unreadable:
        lines.fails(10, "the record cannot be decrypted with this key: either the key or the record is wrong")
    elif means.grant is None:
        lines.unknown(
            10, "cannot be decrypted, as the decision states; only a grant shows whether this is the right key"
        )
    else:
        lines.holds(10, "cannot be decrypted with the key that the bank granted, as the decision states")


def check_policy(lines: Lines, claims: EvidenceClaims, policy: Policy) -> None:
    """11: the policy has the version named, and agrees with the claims."""
    stated = claims.policy
    if policy.version != stated.version:
        lines.fails(11, f"the policy given is {policy.version}, the evidence names {stated.version}")
        return
    actual = (
        policy.max_staleness_ms(claims.amount_minor, currency_number(claims.currency)),
        policy.ahead_allowance_ms,
        policy.when_silent,
        policy.identity,
    )
    same = actual == (stated.max_staleness_ms, stated.ahead_allowance_ms, stated.when_silent, stated.identity)
    same = same and (claims.held_by is None or claims.held_by in {rule.name for rule in policy.risk})
    lines.add(11, same, f"the evidence {'agrees' if same else 'does not agree'} with {stated.version}")


def check_decision(lines: Lines, claims: EvidenceClaims, means: VerifierInputs) -> None:
    """12: the pure decision, made again, gives the same result."""
    try:
        day = day_of(claims.decided_at_ms, zone_of(claims)).isoformat()
        again = redo(claims, means.key, claims.record.record() if claims.record is not None else None)
    except InvalidValue as error:
        lines.fails(12, f"no decision can be made from these claims: {error}")
        return
    if means.key is None and claims.reason not in _BEFORE_TERMS:
        if again.reason is not Reason.ATTESTATION_UNREADABLE:  # the decision does not reach the terms
            lines.fails(
                12,
                f"repeating it gives {_reason_text(again.reason)}; {_stated_reason(claims)}",
            )
        else:
            lines.unknown(12, "cannot be made again without the terms")
        return
    if claims.day != day:
        lines.fails(12, f"the day at the bank was {day}, the evidence counts the usage of {claims.day}")
        return
    held = claims.reason is Reason.RISK_HOLD
    if held != (claims.held_by is not None):
        lines.fails(12, "a hold without a rule, or a rule without a hold")
        return
    expected_reason = None if held else claims.reason
    rest = (claims.publication, claims.watermark_ms, claims.staleness_ms)
    if again.reason is not expected_reason:
        lines.fails(12, f"repeating it gives {_reason_text(again.reason)}; {_stated_reason(claims)}")
    elif claims.outcome is not (outcome := Outcome.REVIEW if held else again.outcome):
        lines.fails(12, f"the outcome would be {outcome}; the evidence states {claims.outcome}")
    elif (again.publication, again.watermark_ms, again.staleness_ms) != rest:
        lines.fails(12, "repeating it gives a publication, watermark or staleness that differs from the evidence")
    elif held:
        lines.holds(12, f"nothing in the attestation prevents it; held by the platform's rule {claims.held_by}")
    else:
        reason = f", {claims.reason}" if claims.reason is not None else ""
        own = f"the gateway's own statement: used today {claims.used_day_minor}, floor {claims.floor}"
        lines.holds(12, f"repeating it gives the same result: {claims.outcome}{reason} ({own})")


def _permissions(debit: bool, credit: bool) -> tuple[tuple[str, bool], ...]:
    return ("debit", debit), ("credit", credit)


def _stated_reason(claims: EvidenceClaims) -> str:
    return f"the evidence states {_reason_text(claims.reason)}"


def _reason_text(reason: Reason | None) -> str:
    return reason.value if reason is not None else "no reason"
