"""Runs a verification from the first check to the last."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from pydantic import ValidationError

from standing.gateway.evidence.claims import EvidenceClaims
from standing.gateway.evidence.signing import TYPE
from standing.gateway.evidence.verification.case import Evidence, VerifierInputs, differing_fields
from standing.gateway.evidence.verification.causes import Cause, find_cause
from standing.gateway.evidence.verification.content import check_decision, check_grant, check_policy, check_terms
from standing.gateway.evidence.verification.ledger_view import DirectLedger, LedgerView
from standing.gateway.evidence.verification.lines import Line, Lines, Verdict
from standing.gateway.evidence.verification.publications import check_publications
from standing.gateway.evidence.verification.state import check_block, check_header, check_proof, check_record
from standing.ledger.attestations.publication import Domain
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.history import History
from standing.ledger.chain.proofs import Proved
from standing.ledger.errors import InvalidValue, LedgerUnreachable
from standing.ledger.service.times import iso

#: The checks by which the ledger confirms record and watermark.
_CHECKS_OF_THE_READ = frozenset({3, 4, 5, 8})


@dataclass(frozen=True, slots=True)
class Report:
    """All lines in the order of the checks, the verdict, and the cause where it was found."""

    lines: tuple[Line, ...]
    verdict: Verdict
    cause: Cause | None = None


def verify(evidence: Evidence, means: VerifierInputs, client: LedgerClient) -> Report:
    """Check evidence against a ledger. Where that does not answer, the checks are unknown."""
    return verify_by(evidence, means, DirectLedger(client))


def verify_by(evidence: Evidence, means: VerifierInputs, ledger: LedgerView) -> Report:
    """Check evidence against any view of a ledger."""
    lines = Lines()
    claims = _check_signature(lines, evidence, means)
    if claims is None:
        return Report(tuple(lines.all), lines.verdict)
    try:
        queried = ledger.domain
    except LedgerUnreachable as error:
        lines.unknown(2, f"the ledger cannot be read, so nothing else was checked: {error}")
        return Report(tuple(lines.all), lines.verdict)
    if not _check_ledger(lines, claims, queried):
        return Report(tuple(lines.all), lines.verdict)
    history = ledger.history(claims.bank)
    signed = None
    record, block_number = claims.record, claims.block_number
    if record is not None and block_number is not None:
        check_block(lines, claims, block_number, ledger)
        check_record(lines, claims, record, block_number, evidence, means, ledger)
        signed = check_publications(lines, claims, record, block_number, history)
    elif record is not None or block_number is not None:
        lines.fails(4, "a record without a block, or a block without a record")
    _check_content(lines, claims, means, history)
    if lines.failed(_CHECKS_OF_THE_READ):
        lines.unknown(13, "the evidence does not match the ledger, so nothing can be attributed to a bank")
        return Report(tuple(lines.all), lines.verdict)
    try:
        cause = find_cause(claims, means.key, signed, history)
    except LedgerUnreachable as error:
        lines.unknown(13, f"the ledger's history cannot be read: {error}")
        return Report(tuple(lines.all), lines.verdict)
    lines.holds(13, cause.text)
    return Report(tuple(lines.all), lines.verdict, cause)


def verify_offline(evidence: Evidence, means: VerifierInputs, block: Mapping[str, Any]) -> Report:
    """Check evidence with its storage proof under a header that the verifier trusts. No ledger is queried.

    Everything that only the ledger's history shows is left out: checks 5 to 8 (the contract made them when it accepted
    the publication, and the proof shows what it accepted), and the search for a late change in 13. The chain id is not
    checked either: it is only as trustworthy as the header.
    """
    lines = Lines()
    claims = _check_signature(lines, evidence, means)
    if claims is None or not _check_ledger(lines, claims, Domain(claims.chain_id, means.contract)):
        return Report(tuple(lines.all), lines.verdict)
    proved = None
    if claims.record is None:
        lines.unknown(4, "nothing was read, so there is nothing to prove")
    elif (header := check_header(lines, claims, block)) is not None:
        proved = check_proof(lines, claims, claims.record, evidence, means, header)
    _check_content(lines, claims, means, None, proved)
    cause = find_cause(claims, means.key, None, None)
    lines.holds(13, cause.text)
    return Report(tuple(lines.all), lines.verdict, cause)


def _check_content(
    lines: Lines, claims: EvidenceClaims, means: VerifierInputs, history: History | None, proved: Proved | None = None
) -> None:
    if means.grant is not None:
        check_grant(lines, claims, means, means.grant, history, proved)
    check_terms(lines, claims, means)
    if means.policy is not None:
        check_policy(lines, claims, means.policy)
    check_decision(lines, claims, means)


def _check_signature(lines: Lines, evidence: Evidence, means: VerifierInputs) -> EvidenceClaims | None:
    """1: the gateway's key signed exactly these claims, and a decision beside them agrees.

    Returns: the claims, where they are signed.
    """
    key = _key_of(evidence.jws, means.gateway_key)
    try:
        signed = jwt.PyJWS().decode_complete(evidence.jws, key, algorithms=["EdDSA"])
    except (jwt.PyJWTError, ValueError) as error:
        lines.fails(1, f"these claims are not signed by the gateway's key ({type(error).__name__})")
        return None
    if signed["header"].get("typ") != TYPE:
        lines.fails(1, f"signed by the gateway's key, but not as evidence (typ is not {TYPE})")
        return None
    try:
        claims = EvidenceClaims.model_validate_json(signed["payload"])
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        lines.fails(1, f"signed by the gateway's key, but not the claims of evidence: {place or 'no claims'}")
        return None
    differing = differing_fields(evidence.beside, claims)
    if differing:
        lines.fails(1, f"the decision given with these claims differs from them in: {', '.join(differing)}")
        return claims
    lines.holds(1, f"signed by the gateway of {claims.platform}, for a decision of {iso(claims.decided_at_ms)}")
    return claims


def _key_of(jws: str, stated: Mapping[str, Any]) -> jwt.PyJWK:
    """The key of the verifier that the evidence names, or the first one. Raises: InvalidValue."""
    try:
        keys = [jwt.PyJWK(dict(each), algorithm="EdDSA") for each in stated.get("keys", [stated])]
        first = keys[0]
    except (jwt.PyJWTError, TypeError, ValueError, IndexError) as error:
        raise InvalidValue(
            "gateway-key", "not an Ed25519 key", "a JWK, as GET /v1/evidence-key returns it, or a JWK set"
        ) from error
    try:
        kid = jwt.get_unverified_header(jws).get("kid")
    except jwt.PyJWTError:
        return first  # no JWS, as the check of its signature finds
    return next((key for key in keys if key.key_id == kid), first)


def _check_ledger(lines: Lines, claims: EvidenceClaims, queried: Domain) -> bool:
    """2: the queried ledger is the one that the claims name."""
    same = (claims.contract.lower(), claims.chain_id) == (queried.contract.lower(), queried.chain_id)
    named = f"contract {claims.contract} on chain {claims.chain_id}"
    lines.add(
        2, same, named if same else f"the evidence names {named}, not {queried.contract} on chain {queried.chain_id}"
    )
    return same
