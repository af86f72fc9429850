"""Settings of the supported banks."""

from pathlib import Path
from typing import Annotated

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field

from standing.ledger.attestations.bic import parse_bic
from standing.ledger.service.settings import TimeZoneName, checked


class BankSettings(BaseModel):
    """One supported bank and its node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bic: Annotated[str, checked(parse_bic)]
    name: str = Field(min_length=1, max_length=140)
    name_zh: str | None = Field(None, min_length=1, max_length=140, description="The name in Chinese; default: `name`")
    node_url: AnyHttpUrl
    node_api_key_file: Path
    time_zone: TimeZoneName = Field(
        description="IANA name; the bank's day, and with it a daily limit, follows this zone"
    )
