"""The gateway's settings: `STANDING_GATEWAY_…` in the environment, or a TOML file. Secrets stay in their own files."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AnyHttpUrl, BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import SettingsConfigDict
from sqlalchemy.exc import ArgumentError

from gateway.policy import Policy
from ledger.bic import parse_bic
from ledger.client import parse_address
from ledger.errors import InvalidValue
from ledger.protocol import PLATFORM_PATTERN
from ledger.service.auth import ApiKey
from ledger.service.database import is_memory_sqlite
from ledger.service.settings import ServiceSettings

ROLES = ("platform", "support", "admin")

_T = TypeVar("_T")


def _checked(check: Callable[[str], _T]) -> AfterValidator:
    """Lets pydantic report what one of our own parsers refuses."""

    def parse(text: str) -> _T:
        try:
            return check(text)
        except InvalidValue as error:
            raise ValueError(str(error)) from error

    return AfterValidator(parse)


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError("not a time zone; allowed: an IANA name, such as Asia/Shanghai") from error
    return name


def _database_url(url: str) -> str:
    try:
        in_memory = is_memory_sqlite(url)
    except ArgumentError as error:
        raise ValueError("not a database URL; allowed: such as sqlite:////var/lib/standing/gateway.sqlite3") from error
    if in_memory:
        raise ValueError("would be gone with the process; allowed: a file, or PostgreSQL")
    return url


class BankSettings(BaseModel):
    """One bank whose accounts may be bound, and where its node is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bic: Annotated[str, _checked(parse_bic)]
    name: str = Field(min_length=1, max_length=140)
    node_url: AnyHttpUrl
    node_api_key_file: Path
    time_zone: Annotated[str, AfterValidator(_time_zone)] = Field(
        description="IANA name: where the bank's day, and with it a daily limit, begins and ends"
    )


class GatewaySettings(ServiceSettings):
    """Everything a gateway must be told. Nothing here has a default that would be unsafe in production."""

    model_config = SettingsConfigDict(env_prefix="STANDING_GATEWAY_", env_nested_delimiter="__", extra="forbid")

    platform: str = Field(pattern=PLATFORM_PATTERN, description="This platform's id, as the banks know it")
    database_url: Annotated[str, AfterValidator(_database_url)] = Field(repr=False)
    listen_host: str = "127.0.0.1"
    listen_port: int = Field(8200, ge=0, le=65535)
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")

    ledger_url: AnyHttpUrl = Field(repr=False)
    ledger_contract: Annotated[str, _checked(lambda text: parse_address(text, "ledger_contract"))]
    chain_id: int | None = Field(None, ge=1, description="Refuse to start on any other chain")
    ledger_read_timeout_ms: int = Field(800, ge=10, le=30_000, description="From a request's arrival to its answer")
    ledger_calls_in_flight: int = Field(2, ge=1, le=16)

    vault_secret_files: list[Path] = Field(
        min_length=1, max_length=8, description="32 bytes or more each, in hexadecimal; newest first"
    )
    evidence_key_file: Path = Field(description="Ed25519 private key, PEM (PKCS #8)")

    api_keys: list[ApiKey] = Field(min_length=1)
    max_body_bytes: int = Field(64 * 1024, ge=1024, le=4 * 1024 * 1024)
    max_waiting_reads: int = Field(2_000, ge=1, le=100_000)
    max_waiting_decisions: int = Field(2_000, ge=1, le=100_000)
    max_waiting_bindings: int = Field(500, ge=1, le=100_000)
    max_cached_bindings: int = Field(200_000, ge=1, le=10_000_000)
    bank_node_timeout_ms: int = Field(5_000, ge=100, le=60_000)

    banks: list[BankSettings] = Field(min_length=1, max_length=1_000)
    policy: Policy = Policy()

    @model_validator(mode="after")
    def _check_lists(self) -> "GatewaySettings":
        for key in self.api_keys:
            if key.role not in ROLES:
                raise ValueError(f"api_keys: {key.name} has the role {key.role}; allowed: {', '.join(ROLES)}")
        seen: set[str] = set()
        for bank in self.banks:
            if bank.bic in seen:
                raise ValueError(f"banks: {bank.bic} is listed twice")
            seen.add(bank.bic)
        return self


EXAMPLE = """\
# A gateway's settings. Each can also come from the environment: STANDING_GATEWAY_PLATFORM, STANDING_GATEWAY_BANKS
# (JSON), STANDING_GATEWAY_POLICY__WHEN_SILENT … The environment goes before this file.
platform = "jinqiao-pay"             # this platform's id, as the banks know it
database_url = "sqlite:////var/lib/standing/gateway.sqlite3"
listen_host = "127.0.0.1"            # put TLS in front of it
listen_port = 8200
log_level = "info"                   # debug, info, warning, error

ledger_url = "http://127.0.0.1:8545" # your own node of the ledger's network
ledger_contract = "0x0000000000000000000000000000000000000000"
# chain_id = 1337                    # refuse to start on any other chain
ledger_read_timeout_ms = 800         # no answer in this time: review, with ledger_unreachable
ledger_calls_in_flight = 2           # requests that wait meanwhile share the next call

vault_secret_files = ["/etc/standing/gateway-secret"]      # standing-gateway secret new FILE; newest first
evidence_key_file = "/etc/standing/evidence-key.pem"       # standing-gateway evidence-key new FILE

max_body_bytes = 65536
max_waiting_reads = 2000             # past these bounds the gateway answers 503 with Retry-After
max_waiting_decisions = 2000
max_waiting_bindings = 500
max_cached_bindings = 200000         # binding keys kept ready in memory
bank_node_timeout_ms = 5000

# standing-gateway api-key new --name checkout-2026 --role platform
[[api_keys]]
name = "checkout-2026"
role = "platform"                    # platform (bind, decide), support (look up), admin (both)
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"

[[banks]]
bic = "BKCHCNBJ"
name = "Bank of China"
node_url = "http://127.0.0.1:8100"
node_api_key_file = "/etc/standing/node-key-BKCHCNBJ"      # the key that the bank gave this platform
time_zone = "Asia/Shanghai"          # where the bank's day begins and ends

[policy]
when_silent = "review"               # a bank that has not spoken lately enough: review or decline
ahead_allowance_ms = 15000           # how far a bank's clock may be ahead of ours

[policy.identity]                    # the bank's word on the holder has changed since binding: decline or review
name = "decline"
id_document = "decline"
phone = "review"

# How old a bank's word may be, by amount (minor units, this amount included). The last band is for any amount.
[[policy.freshness]]
up_to_minor = 1000000
max_staleness_ms = 300000

[[policy.freshness]]
up_to_minor = "any"
max_staleness_ms = 60000
"""
