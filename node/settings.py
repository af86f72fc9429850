"""The node's settings: `STANDING_NODE_…` in the environment, or a TOML file. Secrets stay in files of their own."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import SettingsConfigDict

from ledger.bic import parse_bic
from ledger.errors import InvalidValue
from ledger.service.auth import ApiKey
from ledger.service.settings import ServiceSettings

ROLES = ("core", "platform", "operator")


def _bic(text: str) -> str:
    try:
        return parse_bic(text, "bic")
    except InvalidValue as error:
        raise ValueError(str(error)) from error


class PublisherSettings(BaseModel):
    """How the publisher works; see `node.publisher.PublisherOptions`."""

    model_config = ConfigDict(extra="forbid")

    heartbeat_ms: int = Field(1_000, ge=50, le=3_600_000)
    poll_ms: int = Field(50, ge=5, le=10_000)
    resend_after_ms: int = Field(15_000, ge=1_000, le=3_600_000)
    max_attestations: int = Field(300, ge=1, le=500)
    max_in_flight: int = Field(4, ge=1, le=64)


class NodeSettings(ServiceSettings):
    """Everything a node must be told. Nothing here has a default that would be unsafe in production."""

    model_config = SettingsConfigDict(env_prefix="STANDING_NODE_", env_nested_delimiter="__", extra="forbid")

    bic: Annotated[str, AfterValidator(_bic)]
    database_url: str
    listen_host: str = "127.0.0.1"
    listen_port: int = Field(8100, ge=0, le=65535)
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")

    ledger_url: str
    ledger_contract: str
    chain_id: int | None = Field(None, ge=1, description="Refuse to start on any other chain")
    ledger_timeout_ms: int = Field(5_000, ge=100, le=60_000)

    bank_secret_file: Path = Field(
        description="32 random bytes or more, in hexadecimal: every binding key comes from it"
    )
    vault_secret_file: Path = Field(description="Likewise: encrypts personal data in the database")
    signer_keystore: Path = Field(description="Encrypted keystore of the key that signs publications")
    signer_password_file: Path
    sender_keystore: Path = Field(description="Encrypted keystore of the key that pays for transactions")
    sender_password_file: Path

    api_keys: list[ApiKey] = Field(min_length=1)
    max_body_bytes: int = Field(4 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    max_waiting: int = Field(100_000, ge=1, description="How many attestations may wait for the ledger")
    publisher: PublisherSettings = PublisherSettings()

    #: For fault tests: die by SIGKILL at this point (`node.faults.FAULT_POINTS`). Never set it in production.
    fault_point: str | None = None

    @model_validator(mode="after")
    def _check_keys(self) -> "NodeSettings":
        for key in self.api_keys:
            if key.role not in ROLES:
                raise ValueError(f"api_keys: {key.name} has the role {key.role}; allowed: {', '.join(ROLES)}")
            if (key.role == "platform") != (key.platform is not None):
                raise ValueError(f"api_keys: {key.name}: a platform's key, and only that, names its platform")
        if self.signer_keystore == self.sender_keystore:
            raise ValueError("sender_keystore: the sending key must not be the signing key")
        return self


EXAMPLE = """\
# A bank node's settings. Each can also come from the environment: STANDING_NODE_BIC, STANDING_NODE_API_KEYS (JSON) …
bic = "BKCHCNBJ"
database_url = "sqlite:////var/lib/standing/node.sqlite3"
listen_host = "127.0.0.1"            # put TLS in front of it
listen_port = 8100

ledger_url = "http://127.0.0.1:8545" # your own node of the ledger's network
ledger_contract = "0x0000000000000000000000000000000000000000"
# chain_id = 1337                    # refuse to start on any other chain

bank_secret_file = "/etc/standing/bank-secret"        # standing-node secret new FILE
vault_secret_file = "/etc/standing/vault-secret"      # standing-node secret new FILE
signer_keystore = "/etc/standing/signer.json"         # standing-node keystore new FILE --password-file FILE
signer_password_file = "/etc/standing/signer-password"
sender_keystore = "/etc/standing/sender.json"
sender_password_file = "/etc/standing/sender-password"

max_waiting = 100000                 # attestations that may wait for the ledger before the feed answers 503

[publisher]
heartbeat_ms = 1000                  # how often the watermark moves while nothing changes
max_attestations = 300               # in one publication

# standing-node api-key new --name core-2026 --role core
[[api_keys]]
name = "core-2026"
role = "core"                        # core (feed), platform (bindings), operator (status)
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"

[[api_keys]]
name = "jinqiao-2026"
role = "platform"
platform = "jinqiao-pay"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
"""
