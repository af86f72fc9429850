"""Settings of early warnings."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

#: The default probability, in thousandths, from which a binding is reported as at risk.
WARN_PER_MILLE = 300


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

    @property
    def interval_minutes(self) -> int | None:
        """How often bindings are scored; None for never."""
        return None if self.every_minutes == "never" else self.every_minutes
