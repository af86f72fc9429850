"""Settings of the supported banks."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, ConfigDict, Field

from standing.ledger.attestations.bic import parse_bic
from standing.ledger.errors import InvalidValue
from standing.ledger.service.settings import TimeZoneName

_T = TypeVar("_T")


def checked(check: Callable[[str], _T]) -> AfterValidator:
    """A pydantic validator from one of our own parsers."""

    def parse(text: str) -> _T:
        try:
            return check(text)
        except InvalidValue as error:
            raise ValueError(str(error)) from error

    return AfterValidator(parse)


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
