"""Answers of the routes in `gateway.operations.routes`, with their OpenAPI descriptions."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from standing.gateway.access.schemas import LocalizedText
from standing.gateway.warning.schemas import VerdictDocument
from standing.ledger.service.reloading import SettingsState


class LedgerNodeDocument(BaseModel):
    """One node of the ledger, by host and port."""

    node: str = Field(examples=["10.0.0.5:8545"])
    state: Literal["fit", "stalled", "failing", "behind", "wrong"] = Field(
        description="fit and stalled (an old newest block) are read; failing and behind are left out until they "
        "recover; wrong belongs to another ledger"
    )
    problem: str | None
    block_number: int | None
    block_time_ms: int | None


class LedgerDocument(BaseModel):
    """The block that decisions read, and the nodes they read it from."""

    reads: str = Field(description="latest, finalized, or a number of blocks below the latest", examples=["latest"])
    seen_block: int
    nodes: list[LedgerNodeDocument]


class BankStatusDocument(BaseModel):
    """The staleness of a bank."""

    bic: str
    staleness_ms: int | None
    suspended: bool
    within_widest_bound: bool


class WaitingDocument(BaseModel):
    """Queue lengths of this process."""

    reads: int
    decisions: int


class ProgressDocument(BaseModel):
    """The progress of a reconciliation."""

    done: int
    total: int


class RunDocument(BaseModel):
    """A summary of a reconciliation; /v1/reconciliation has the complete report."""

    started_at_ms: int
    ended_at_ms: int
    block_number: int
    checked: int
    dead_count: int
    drift_count: int


class ReconcileDocument(BaseModel):
    """Reconciliation: whether this process runs it, and the result of the last run."""

    leads: bool
    running: ProgressDocument | None
    last: RunDocument | None
    dead_bindings: int | None


class StatusDocument(BaseModel):
    """The state of the gateway. Counts of decisions are those of all workers behind this port, since they started;
    null: unavailable.
    """

    now_ms: int
    ready: bool
    trouble: str | None
    settings: SettingsState
    policy: str = Field(description="The policy's version")
    ledger: LedgerDocument
    banks: list[BankStatusDocument] | None
    decisions: dict[str, int]
    reads_per_call: float | None = Field(description="How many reads shared a ledger call, on average")
    waiting: WaitingDocument
    worker_troubles: list[str] = Field(
        description="Why events do not get on in this process, from the ledger or to an endpoint, or why nothing is "
        "reconciled; empty: all is well. Decisions do not rest on that, so it is no `trouble`"
    )
    follows: bool = Field(description="Whether this process follows the ledger")
    followed_block: int | None
    pending_webhooks: int | None
    reconcile: ReconcileDocument


class ReportDocument(BaseModel):
    """The last reconciliation, complete."""

    started_at_ms: int
    ended_at_ms: int
    block_number: int
    block_hash: str
    block_time_ms: int
    block_is_still_there: bool = Field(description="false: the chain has since dropped the block; run it again")
    checked: int
    dead_count: int
    drift_count: int
    reasons: dict[str, dict[str, int]] = Field(description="Bindings by bank and reason; well: none")
    banks: list[dict[str, Any]]
    dead: list[dict[str, Any]] = Field(description="At most 1000, each with its reason and what the user can do")
    drift: list[dict[str, Any]] = Field(description="At most 1000")


class BankDocument(BaseModel):
    """A bank and its current state on the ledger."""

    bic: str = Field(examples=["BKCHCNBJ"])
    name: LocalizedText = Field(examples=[{"en": "Bank of China", "zh": "中国银行"}])
    time_zone: str = Field(examples=["Asia/Shanghai"])
    watermark_ms: int | None = Field(description="null: the bank has not published yet", examples=[1_767_225_599_580])
    staleness_ms: int | None = Field(examples=[420])
    suspended: bool
    within_widest_bound: bool = Field(description="Whether the bank's staleness is within the policy's widest bound")
    block_number: int = Field(examples=[1207])
    pace: VerdictDocument | None = Field(
        description="How regularly it published in the last week; null: unknown so far"
    )


class BankList(BaseModel):
    """All banks whose accounts may be bound."""

    banks: list[BankDocument]


class ProbeDocument(BaseModel):
    """Whether the process is up (`/healthz`), or ready (`/readyz`), and why not."""

    ok: bool
    reason: str | None = None
