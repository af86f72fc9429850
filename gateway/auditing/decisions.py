"""Audits a gateway's decisions: verifies each, repeats it from its evidence, and adds up usage.

Usage is computed from the export alone, not from the usage that evidence claims. The final amounts of an account's
approvals are added up in order, and each approval is decided again with the sum so far. If the repeated decision does
not approve, the account was overspent. Amounts that were reserved and later released are not counted, so an honest
gateway never causes a finding. If evidence claims more usage than all decisions of that day in the export ever
reserved, a decision is missing from the export.

Decisions are processed in the order of the blocks that they rest on, several blocks at a time, so that the ledger is
queried once per block and not once per decision. The export is held in memory: about eight kilobytes per decision.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from standing.gateway.auditing.export import Exported
from standing.gateway.auditing.findings import Audit, Kind
from standing.gateway.auditing.ledger import Progress, Walked, quiet
from standing.gateway.auditing.reading import BlockReads
from standing.gateway.decisions.question import Kind as Transacted
from standing.gateway.decisions.rules import Decision, Outcome
from standing.gateway.evidence.claims import EvidenceClaims, RecordClaims
from standing.gateway.evidence.verification.case import VerifierInputs, parse_evidence
from standing.gateway.evidence.verification.causes import Who
from standing.gateway.evidence.verification.lines import Verdict
from standing.gateway.evidence.verification.proof import read_claims
from standing.gateway.evidence.verification.redo import redo
from standing.gateway.evidence.verification.run import Report, verify_by
from standing.ledger.attestations.bic import parse_bic
from standing.ledger.attestations.money import currency_number
from standing.ledger.errors import InvalidValue

#: How many blocks are read ahead of the decisions that rest on them.
_BLOCKS_AHEAD = 64
#: How far the clocks of one platform's gateways may differ when the order of decisions is compared.
_CLOCKS_APART_MS = 60_000


@dataclass(frozen=True, slots=True)
class _Decided:
    claims: EvidenceClaims
    line: Exported

    @property
    def where(self) -> str:
        return f"transaction {self.line.decision.get('transaction_id', self.claims.transaction_sha256)}"

    @property
    def settled_at_ms(self) -> int:
        """When the amount was reserved: at the decision, or when its review was approved."""
        review = self.line.decision.get("review")
        closed_at_ms = review.get("closed_at_ms") if isinstance(review, dict) else None
        return closed_at_ms if isinstance(closed_at_ms, int) else self.claims.decided_at_ms


def audit_decisions(
    lines: Iterable[Exported],
    means: VerifierInputs,
    walked: Walked,
    audit: Audit,
    progress: Progress = quiet,
) -> None:
    """Verify every decision against a walked ledger, and add up usage. `means`: the gateway's key and the contract;
    binding keys come with the lines. `progress` counts decisions. Raises: LedgerUnreachable."""
    decided = list(_readable(lines, audit))
    decided.sort(key=lambda each: -1 if each.claims.block_number is None else each.claims.block_number)
    reads, seen, done = BlockReads(walked), set[str](), 0
    for group in _by_blocks(decided):
        reads.load(each.claims for each in group)
        for each in group:
            if each.claims.transaction_sha256 in seen:
                audit.found(Kind.TWICE, each.claims.platform, each.where, "decided a second time")
            seen.add(each.claims.transaction_sha256)
            own = VerifierInputs(means.gateway_key, means.contract, each.line.binding_key)
            _record_findings(verify_by(parse_evidence(_document(each.line)), own, reads), each, audit)
        done += len(group)
        progress(done, len(decided))
    # By the currency's number: codes that share one, as ANG and XCG do, share the bank's limits.
    accounts: dict[tuple[str, int, Transacted], list[_Decided]] = defaultdict(list)
    for each in decided:
        if each.claims.outcome is Outcome.APPROVE or each.line.reserved_minor:
            accounts[each.line.account, currency_number(each.claims.currency), each.claims.kind].append(each)
    for transactions in accounts.values():
        _add_up(transactions, audit)
        _find_missing(transactions, audit)


def _readable(lines: Iterable[Exported], audit: Audit) -> Iterator[_Decided]:
    for line in lines:
        audit.count("decisions")
        try:
            claims = read_claims(str(line.decision["evidence"]))
            parse_bic(claims.bank)
            currency_number(claims.currency)
            yield _Decided(claims, line)
        except InvalidValue as error:
            audit.found(Kind.EVIDENCE, "gateway", "a decision", str(error))


def _by_blocks(decided: list[_Decided]) -> Iterator[list[_Decided]]:
    """The decisions in groups of `_BLOCKS_AHEAD` blocks."""
    group: list[_Decided] = []
    for blocks, (_, of_one) in enumerate(groupby(decided, key=lambda each: each.claims.block_number), 1):
        group += of_one
        if blocks % _BLOCKS_AHEAD == 0:
            yield group
            group = []
    if group:
        yield group


def _record_findings(report: Report, each: _Decided, audit: Audit) -> None:
    claims, where = each.claims, each.where
    for check in report.lines:
        if check.verdict is Verdict.FAILS:
            audit.found(Kind.EVIDENCE, claims.platform, where, f"{check.check}: {check.text}")
        elif check.verdict is Verdict.UNKNOWN:
            audit.count(f"not checked: {check.check}")
    if report.cause is not None and report.cause.who is Who.BANK_BROKE_ITS_WATERMARK:
        audit.found(Kind.WATERMARK, claims.bank, where, report.cause.text)


def _add_up(transactions: list[_Decided], audit: Audit) -> None:
    """Repeat the approvals of one account in one direction in order, each with the preceding sums of its day, month and
    year. Approvals by review count, but are not repeated: what the review read is not signed."""
    used_minor: dict[str, int] = defaultdict(int)  # by day (2026-01-31), month (2026-01) and year (2026)
    for each in sorted(transactions, key=lambda each: (each.settled_at_ms, each.claims.used_day_minor)):
        claims, key = each.claims, each.line.binding_key
        counts_minor = each.line.counts_minor
        day = each.line.reserved_day or claims.day
        if key is None or claims.record is None:
            audit.count("not added up: no key to open the limits with")
            continue
        month, year = day[:7], day[:4]
        # The final amount: a partial capture uses only that much of the limit.
        recomputed = claims.model_copy(
            update={
                "used_day_minor": used_minor[day],
                "used_month_minor": used_minor[month],
                "used_year_minor": used_minor[year],
                "amount_minor": counts_minor,
            }
        )
        if counts_minor > claims.amount_minor:
            text = f"took {counts_minor} {claims.currency} of the {claims.amount_minor} that were approved"
            audit.found(Kind.OVERSPENT, claims.platform, each.where, text)
        repeatable = claims.outcome is Outcome.APPROVE and counts_minor > 0
        repeated = _repeat(recomputed, key, claims.record) if repeatable else None
        if repeated is not None and repeated.outcome is not Outcome.APPROVE:
            audit.found(
                Kind.OVERSPENT,
                claims.platform,
                each.where,
                f"{counts_minor} {claims.currency} on {day}, after {used_minor[day]} that day, {used_minor[month]} "
                f"that month and {used_minor[year]} that year: {repeated.reason}",
            )
        for period in (day, month, year):
            used_minor[period] += counts_minor
    audit.count("account days added up", sum(1 for period in used_minor if len(period) == len("2026-01-31")))


def _repeat(claims: EvidenceClaims, key: bytes, record: RecordClaims) -> Decision | None:
    """Decide again from the claims; None where they are unusable, which the verification has already reported."""
    try:
        return redo(claims, key, record.record())
    except InvalidValue:
        return None


def _find_missing(transactions: list[_Decided], audit: Audit) -> None:
    """Compare the usage of a day that evidence claims with everything reserved on that day so far. Claimed usage cannot
    be higher, because reservations only ever release amounts."""
    by_day: dict[str, list[_Decided]] = defaultdict(list)
    for each in transactions:
        by_day[each.line.reserved_day or each.claims.day].append(each)
    for day, of_day in by_day.items():
        of_day.sort(key=lambda each: each.settled_at_ms)
        reserved_so_far_minor, next_index = 0, 0
        for each in of_day:
            while (
                next_index < len(of_day) and of_day[next_index].settled_at_ms <= each.settled_at_ms + _CLOCKS_APART_MS
            ):
                reserved_so_far_minor += of_day[next_index].line.reserved_minor
                next_index += 1
            others_minor = reserved_so_far_minor - each.line.reserved_minor
            if each.claims.day == day and each.claims.used_day_minor > others_minor:
                audit.found(
                    Kind.MISSING,
                    each.claims.platform,
                    each.where,
                    f"claims that {each.claims.used_day_minor} {each.claims.currency} was used of {day}, and all other "
                    f"decisions of the export reserved {others_minor}",
                )


def _document(line: Exported) -> bytes:
    """The decision as answered, without its reservation, which changes later and is not part of the evidence."""
    return json.dumps({name: value for name, value in line.decision.items() if name != "reservation"}).encode()
