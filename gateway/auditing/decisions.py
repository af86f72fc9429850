"""Audits a gateway's decisions: each is verified and made again from its evidence, and usage is added up.

Usage comes from the export alone, not from what evidence claims was used: what approvals of one account took in the end
is added up in their order, and each approval is decided again with that sum. One that is none then was overspent. What
was reserved for a while and given back is not counted, so nothing honest is ever found.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from standing.gateway.auditing.export import Exported
from standing.gateway.auditing.findings import Audit, Kind
from standing.gateway.decisions.question import Kind as Transacted
from standing.gateway.decisions.rules import Outcome
from standing.gateway.evidence.claims import EvidenceClaims
from standing.gateway.evidence.verification.case import Means, parse_evidence
from standing.gateway.evidence.verification.causes import Who
from standing.gateway.evidence.verification.lines import Verdict
from standing.gateway.evidence.verification.proof import read_claims
from standing.gateway.evidence.verification.redo import redo
from standing.gateway.evidence.verification.run import Report, verify
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.history import History
from standing.ledger.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class _Approved:
    claims: EvidenceClaims
    line: Exported


def audit_decisions(lines: Iterable[Exported], means: Means, client: LedgerClient, audit: Audit) -> None:
    """Verify every decision, and add usage up. `means`: the gateway's key and the contract; binding keys come with the
    lines. Raises: LedgerUnreachable."""
    seen: set[str] = set()
    histories: dict[str, History] = {}
    approved: dict[tuple[str, str, Transacted], list[_Approved]] = defaultdict(list)
    for line in lines:
        audit.count("decisions")
        try:
            claims = read_claims(str(line.decision["evidence"]))
        except InvalidValue as error:
            audit.found(Kind.EVIDENCE, "gateway", "a decision", str(error))
            continue
        where = f"transaction {line.decision.get('transaction_id', claims.transaction_sha256)}"
        if claims.transaction_sha256 in seen:
            audit.found(Kind.TWICE, claims.platform, where, "decided a second time")
        seen.add(claims.transaction_sha256)
        own = Means(means.gateway_key, means.contract, line.binding_key)
        _note(verify(parse_evidence(_document(line)), own, client, histories), claims, where, audit)
        if claims.outcome is Outcome.APPROVE:
            approved[line.account, claims.currency, claims.kind].append(_Approved(claims, line))
    for transactions in approved.values():
        _add_up(transactions, audit)


def _note(report: Report, claims: EvidenceClaims, where: str, audit: Audit) -> None:
    for check in report.lines:
        if check.verdict is Verdict.FAILS:
            audit.found(Kind.EVIDENCE, claims.platform, where, f"{check.check}: {check.text}")
        elif check.verdict is Verdict.UNKNOWN:
            audit.count(f"not checked: {check.check}")
    if report.cause is not None and report.cause.who is Who.BANK_BROKE_ITS_WATERMARK:
        audit.found(Kind.WATERMARK, claims.bank, where, report.cause.text)


def _add_up(transactions: list[_Approved], audit: Audit) -> None:
    """Decide the approvals of one account in one direction again, in their order, each with the sums of those before
    in its day, month and year."""
    used_minor: dict[str, int] = defaultdict(int)  # by day (2026-01-31), month (2026-01) and year (2026)
    for each in sorted(transactions, key=lambda each: (each.claims.decided_at_ms, each.claims.used_day_minor)):
        claims, key = each.claims, each.line.binding_key
        counts_minor = each.line.counts_minor
        if key is None or claims.record is None:
            audit.count("not added up: no key to open the limits with")
            continue
        day, month, year = claims.day, claims.day[:7], claims.day[:4]
        # What this one took in the end: a capture of less than was approved needs no more of the limit than that.
        stated = claims.model_copy(
            update={
                "used_day_minor": used_minor[day],
                "used_month_minor": used_minor[month],
                "used_year_minor": used_minor[year],
                "amount_minor": counts_minor,
            }
        )
        again = redo(stated, key, claims.record.record()) if counts_minor > 0 else None
        if again is not None and again.outcome is not Outcome.APPROVE:
            audit.found(
                Kind.OVERSPENT,
                claims.platform,
                f"transaction {each.line.decision.get('transaction_id', claims.transaction_sha256)}",
                f"{counts_minor} {claims.currency} on {day}, after {used_minor[day]} that day, {used_minor[month]} "
                f"that month and {used_minor[year]} that year: {again.reason}",
            )
        for period in (day, month, year):
            used_minor[period] += counts_minor
    audit.count("account days added up", sum(1 for period in used_minor if len(period) == len("2026-01-31")))


def _document(line: Exported) -> bytes:
    """The decision as it was answered; its reservation has moved on since, and is no part of the evidence."""
    return json.dumps({name: value for name, value in line.decision.items() if name != "reservation"}).encode()
