"""Settings of the trail. Times in ms."""

from pydantic import BaseModel, ConfigDict, Field

from standing.ledger.clock import DAY_MS


class TrailSettings(BaseModel):
    """The time that each hop of a change may take after the previous one before it counts as stalled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    node_timeout_ms: int = Field(3_000, ge=100, le=30_000, description="For the bank's node to answer")
    accepted_ms: int = Field(60_000, ge=1, le=30 * DAY_MS, description="From the core to the node")
    signed_ms: int = Field(10_000, ge=1, le=30 * DAY_MS)
    submitted_ms: int = Field(10_000, ge=1, le=30 * DAY_MS)
    in_block_ms: int = Field(30_000, ge=1, le=30 * DAY_MS)
    observed_ms: int = Field(15_000, ge=1, le=30 * DAY_MS)
    notified_ms: int = Field(60_000, ge=1, le=30 * DAY_MS)
