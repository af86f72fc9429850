"""Settings of the console: who may stay signed in, for how long, and when sign-in is locked."""

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("not a time zone; allowed: an IANA name, such as Asia/Shanghai") from error
    return name


class ConsoleSettings(BaseModel):
    """The console at `/console`. Times of an account are shown in its bank's time zone, all others in `time_zone`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    idle_minutes: int = Field(15, ge=1, le=240, description="A session ends after this long without a page")
    session_hours: int = Field(10, ge=1, le=24, description="A session ends after this long, whatever is done in it")
    max_sessions: int = Field(1_000, ge=1, le=100_000, description="Of all processes on the database")
    max_failures: int = Field(10, ge=1, le=1_000, description="Failed tries of one address before it is locked out")
    lockout_minutes: int = Field(15, ge=1, le=1_440, description="How long tries count, and a lock-out lasts")
