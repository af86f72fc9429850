"""What the routes of `gateway.operations.routes` answer, with what OpenAPI says about it."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from standing.gateway.decisions.schemas import EvidenceKeyDocument


class LedgerNodeDocument(BaseModel):
    """One node of the ledger, by host and port."""

    node: str = Field(examples=["10.0.0.5:8545"])
    state: Literal["fit", "stalled", "failing", "behind", "wrong"] = Field(
        description="fit and stalled (an old newest block) are read; failing and behind are left out until they "
        "recover; wrong is of another ledger"
    )
    problem: str | None
    block_number: int | None
    block_time_ms: int | None


class LedgerDocument(BaseModel):
    """Which block decisions read, and the nodes they read it from."""

    reads: str = Field(description="latest, finalized, or so many blocks below the latest", examples=["latest"])
    seen_block: int
    nodes: list[LedgerNodeDocument]


class BankStatusDocument(BaseModel):
    """How lately a bank has spoken."""

    bic: str
    staleness_ms: int | None
    suspended: bool
    within_widest_bound: bool


class WaitingDocument(BaseModel):
    """Queue lengths of this process."""

    reads: int
    decisions: int


class ProgressDocument(BaseModel):
    """How far a reconciliation is."""

    done: int
    total: int


class RunDocument(BaseModel):
    """The sum of a reconciliation; the whole of it is at /v1/reconciliation."""

    started_at_ms: int
    ended_at_ms: int
    block_number: int
    checked: int
    dead_count: int
    drift_count: int


class ReconcileDocument(BaseModel):
    """Reconciliation: whether this process makes it, and what the last one found."""

    leads: bool
    running: ProgressDocument | None
    last: RunDocument | None
    dead_bindings: int | None


class StatusDocument(BaseModel):
    """One screen's worth. Counts of decisions are this process's, since it started; null: cannot be had now."""

    now_ms: int
    ready: bool
    trouble: str | None
    policy: str = Field(description="The policy's version")
    ledger: LedgerDocument
    banks: list[BankStatusDocument] | None
    decisions: dict[str, int]
    reads_per_call: float | None = Field(description="How many reads shared a call, on average")
    waiting: WaitingDocument
    worker_troubles: list[str] = Field(
        description="Why events do not get on in this process, from the ledger or to an endpoint, or why nothing is "
        "reconciled; empty: all is well. Decisions do not rest on that, so it is no `trouble`"
    )
    follows: bool = Field(description="Whether this process is the one that follows the ledger")
    followed_block: int | None
    pending_webhooks: int | None
    reconcile: ReconcileDocument


class EvidenceFile(BaseModel):
    """Evidence of one decision, as `standing-gateway verify` takes it."""

    evidence: str = Field(description="JWS, EdDSA")
    key: EvidenceKeyDocument = Field(description="For convenience; a verifier gets it from /v1/evidence-key itself")
    block: dict[str, Any] | None = Field(description="The block, as its node told it; with a proof only")
    proof: dict[str, Any] | None = Field(description="eth_getProof's answer, where it was asked for and can be had")
    no_proof_because: str | None


class ReportDocument(BaseModel):
    """The last reconciliation, whole."""

    started_at_ms: int
    ended_at_ms: int
    block_number: int
    block_hash: str
    block_time_ms: int
    block_is_still_there: bool = Field(description="false: the chain dropped the block meanwhile; run it again")
    checked: int
    dead_count: int
    drift_count: int
    reasons: dict[str, dict[str, int]] = Field(description="Bindings by bank and reason; well: none")
    banks: list[dict[str, Any]]
    dead: list[dict[str, Any]] = Field(description="At most 1000, each with its reason and the user's way out")
    drift: list[dict[str, Any]] = Field(description="At most 1000")
