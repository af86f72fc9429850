"""Settings of a console: session lifetimes, and when sign-in is locked."""

from pydantic import BaseModel, ConfigDict, Field

from standing.ledger.service.settings import TimeZoneName


class SessionSettings(BaseModel):
    """A console at `/console`, and its sessions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    time_zone: TimeZoneName = "UTC"
    idle_minutes: int = Field(15, ge=1, le=240, description="A session ends after this long without a page request")
    session_hours: int = Field(10, ge=1, le=24, description="A session ends after this long in any case")
    max_sessions: int = Field(1_000, ge=1, le=100_000, description="Across all processes on the database")
    max_failures: int = Field(
        10, ge=1, le=1_000, description="Failed attempts from one address before it is locked out"
    )
    lockout_minutes: int = Field(
        15, ge=1, le=1_440, description="How long attempts count, and how long a lock-out lasts"
    )
