"""Settings of the follower. Times in ms."""

from pydantic import BaseModel, ConfigDict, Field


class FollowerSettings(BaseModel):
    """How the ledger is followed. `ledger_block` states up to which block, as for decisions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    poll_ms: int = Field(500, ge=5, le=60_000, description="How often to look for a new block")
    max_blocks: int = Field(500, ge=1, le=10_000, description="The most blocks per query; fewer if a node refuses")
    remembered_blocks: int = Field(256, ge=2, le=10_000, description="How many block hashes are kept to detect a reorg")
    keep_days: int = Field(30, ge=4, le=3_650, description="How long events and the hops of changes are kept")
