"""Settings of bindings: how often they may be asked for, and micro-deposits."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from standing.ledger.clock import DAY_MS
from standing.node.bindings.micro_deposit import DepositRules, Policy
from standing.node.bindings.service import AttemptRates
from standing.node.bindings.velocity import UNKNOWN_COST, Rate


class VelocitySettings(BaseModel):
    """How often a platform, and one of its users, may ask for a binding. An attempt at a known account costs 1, at an
    unknown account 20."""

    model_config = ConfigDict(extra="forbid")

    platform_capacity: int = Field(20_000, ge=UNKNOWN_COST, le=100_000_000)
    platform_refill_per_hour: int = Field(20_000, ge=1, le=100_000_000)
    caller_capacity: int = Field(60, ge=UNKNOWN_COST, le=1_000_000)
    caller_refill_per_hour: int = Field(30, ge=1, le=1_000_000)
    require_on_behalf_of: bool = Field(False, description="Refuse requests that do not name the user")

    def rates(self) -> AttemptRates:
        """These settings as `node.bindings.service` takes them."""
        return AttemptRates(
            platform=Rate(self.platform_capacity, self.platform_refill_per_hour),
            caller=Rate(self.caller_capacity, self.caller_refill_per_hour),
            require_caller=self.require_on_behalf_of,
        )


class MicroDepositSettings(BaseModel):
    """When a small amount is paid in before a binding is granted, see `node.bindings.micro_deposit`."""

    model_config = ConfigDict(extra="forbid")

    policy: Policy = "never"
    payout_folder: Path | None = Field(None, description="Where payment orders are written for the bank to execute")
    tries: int = Field(3, ge=1, le=5)
    lifetime_days: int = Field(7, ge=1, le=30)
    max_a_week: int = Field(3, ge=1, le=20, description="Deposits to one account in seven days")
    close_names: bool = Field(False, description="Decide a close name by a micro-deposit; false: refuse it")

    @model_validator(mode="after")
    def _check(self) -> "MicroDepositSettings":
        if self.policy != "never" and self.payout_folder is None:
            raise ValueError("payout_folder: missing, and the policy asks for micro-deposits")
        if self.policy == "never" and self.close_names:
            raise ValueError("close_names: needs micro-deposits, and the policy is never")
        return self

    def rules(self) -> DepositRules:
        """These settings as `node.bindings.micro_deposit` takes them."""
        return DepositRules(self.policy, self.tries, self.lifetime_days * DAY_MS, self.max_a_week, self.close_names)
