"""Shared by the auditor's tests: audits of a ledger and of a gateway's export, and false claims signed by a gateway."""

import json
from dataclasses import replace
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from standing.gateway.auditing.decisions import audit_decisions
from standing.gateway.auditing.export import Exported, exported
from standing.gateway.auditing.findings import Audit
from standing.gateway.auditing.ledger import audit_ledger
from standing.gateway.evidence.signing import TYPE, load_evidence_key
from standing.gateway.evidence.verification.case import VerifierInputs
from standing.gateway.settings import read_vault_secrets
from standing.gateway.storage.vault import open_vault
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.connection import parse_address
from tests.gateway.gateway_rig import Rig
from tests.timeouts import patient_ledger


def audited(url: str, contract: str) -> Audit:
    """An audit of a ledger alone."""
    audit = Audit()
    audit_ledger(patient_ledger(url, parse_address(contract, "contract")), audit)
    return audit


def export_of(it: Rig) -> list[Exported]:
    """What the rig's gateway hands over, with keys."""
    storage = it.app.state.gateway.storage
    return list(exported(storage, open_vault(storage, read_vault_secrets(it.settings)), it.clock.now_ms()))


def by_transaction(it: Rig) -> dict[str, Exported]:
    """The same, keyed by transaction id."""
    return {line.decision["transaction_id"]: line for line in export_of(it)}


def audited_decisions(it: Rig, lines: list[Exported], client: LedgerClient | None = None) -> Audit:
    """An audit of a gateway's decisions, without findings in the ledger's own history."""
    audit = Audit()
    means = VerifierInputs(it.nobody("GET", "/v1/evidence-key").json(), parse_address(it.contract, "contract"))
    audit_decisions(lines, means, audit_ledger(client or it.ledger, Audit()), audit)
    return audit


def claims_of(line: Exported) -> dict[str, Any]:
    """The claims in the evidence."""
    jws = line.decision["evidence"]
    claims: dict[str, Any] = json.loads(
        jwt.PyJWS().decode_complete(jws, options={"verify_signature": False})["payload"]
    )
    return claims


def resigned(it: Rig, line: Exported, key: Ed25519PrivateKey | None = None, **changed: Any) -> Exported:
    """A decision whose gateway (or the holder of `key`) signed other claims and states them in the answer too."""
    key = key or load_evidence_key(it.settings.evidence_key_file)
    lie = jwt.PyJWS().encode(json.dumps(claims_of(line) | changed).encode(), key, "EdDSA", headers={"typ": TYPE})
    repeated = {name: changed[name] for name in changed if name in line.decision}
    return replace(line, decision=dict(line.decision) | repeated | {"evidence": lie})


def taking(line: Exported, **reservation: Any) -> Exported:
    """A decision whose reservation ended differently."""
    return replace(line, decision=dict(line.decision) | {"reservation": line.decision["reservation"] | reservation})
