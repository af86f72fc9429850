"""Settings of webhooks and streams. Times in ms."""

from pydantic import BaseModel, ConfigDict, Field

from standing.ledger.clock import DAY_MS


class WebhookSettings(BaseModel):
    """How events are sent to the platform's endpoints."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_endpoints: int = Field(16, ge=1, le=256)
    max_pending: int = Field(1_000, ge=1, le=100_000, description="An endpoint's queue; later events wait in the log")
    timeout_ms: int = Field(15_000, ge=100, le=60_000, description="For one attempt, including the DNS lookup")
    retry_initial_ms: int = Field(5_000, ge=10, le=600_000)
    retry_max_ms: int = Field(3_600_000, ge=10, le=DAY_MS)
    give_up_after_ms: int = Field(3 * DAY_MS, ge=1_000, le=30 * DAY_MS)
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
    max_age_ms: int = Field(3_600_000, ge=100, le=DAY_MS, description="After this a client must reconnect with its key")
