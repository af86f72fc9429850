"""Settings of the follower, events, webhooks, streams, the trail and warnings. Times in ms."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_DAY_MS = 24 * 3600 * 1000
#: The default probability, in thousandths, from which a binding is reported as at risk.
WARN_PER_MILLE = 300


class FollowerSettings(BaseModel):
    """How the ledger is followed. `ledger_block` states up to which block, as for decisions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    poll_ms: int = Field(500, ge=5, le=60_000, description="How often to look for a new block")
    max_blocks: int = Field(500, ge=1, le=10_000, description="The most blocks per query; fewer if a node refuses")
    remembered_blocks: int = Field(256, ge=2, le=10_000, description="How many block hashes are kept to detect a reorg")
    keep_days: int = Field(30, ge=4, le=3_650, description="How long events and the hops of changes are kept")


class WebhookSettings(BaseModel):
    """How events are sent to the platform's endpoints."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_endpoints: int = Field(16, ge=1, le=256)
    max_pending: int = Field(1_000, ge=1, le=100_000, description="An endpoint's queue; later events wait in the log")
    timeout_ms: int = Field(15_000, ge=100, le=60_000, description="For one attempt, including the DNS lookup")
    retry_initial_ms: int = Field(5_000, ge=10, le=600_000)
    retry_max_ms: int = Field(3_600_000, ge=10, le=_DAY_MS)
    give_up_after_ms: int = Field(3 * _DAY_MS, ge=1_000, le=30 * _DAY_MS)
    poll_ms: int = Field(1_000, ge=5, le=60_000, description="How often a queue is checked if nothing wakes it")
    allow_http: bool = Field(False, description="Without TLS, anyone on the path can read the events")
    allow_private_addresses: bool = Field(
        False, description="Private, loopback and link-local addresses are inside this network: off unless needed"
    )


class StreamSettings(BaseModel):
    """Server-sent events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_clients: int = Field(64, ge=1, le=10_000)
    heartbeat_ms: int = Field(15_000, ge=50, le=120_000, description="Interval of keep-alives on an idle stream")
    send_timeout_ms: int = Field(
        10_000, ge=100, le=120_000, description="A client that reads nothing for this long is disconnected"
    )
    max_age_ms: int = Field(
        3_600_000, ge=100, le=_DAY_MS, description="After this a client must reconnect with its key"
    )


class TrailSettings(BaseModel):
    """The time that each hop of a change may take after the previous one before it counts as stalled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    node_timeout_ms: int = Field(3_000, ge=100, le=30_000, description="For the bank's node to answer")
    accepted_ms: int = Field(60_000, ge=1, le=30 * _DAY_MS, description="From the core to the node")
    signed_ms: int = Field(10_000, ge=1, le=30 * _DAY_MS)
    submitted_ms: int = Field(10_000, ge=1, le=30 * _DAY_MS)
    in_block_ms: int = Field(30_000, ge=1, le=30 * _DAY_MS)
    observed_ms: int = Field(15_000, ge=1, le=30 * _DAY_MS)
    notified_ms: int = Field(60_000, ge=1, le=30 * _DAY_MS)


class WarningSettings(BaseModel):
    """When bindings are scored, and the probability from which one is reported as at risk."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every_minutes: Annotated[int, Field(ge=1, le=43_200)] | Literal["never"] = Field(
        1_440, description="Counted from the start of the last run, by any process"
    )
    warn_per_mille: int = Field(
        WARN_PER_MILLE, ge=10, le=1_000, description="The probability from which a binding is reported as at risk"
    )
    batch: int = Field(50, ge=1, le=1_000, description="Bindings scored at once")
    busy_percent: int = Field(
        5, ge=1, le=100, description="Share of a run's time spent working; the rest is left to traffic"
    )
