"""The node's settings: `STANDING_NODE_…` in the environment, or a TOML file. Secrets stay in files of their own."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from standing.ledger.attestations.bic import parse_bic
from standing.ledger.chain.connection import parse_address
from standing.ledger.chain.failover import check_url
from standing.ledger.service.api_keys import ApiKey
from standing.ledger.service.console.settings import SessionSettings
from standing.ledger.service.database import DatabaseUrl
from standing.ledger.service.settings import ServiceSettings, checked
from standing.node.bindings.settings import MicroDepositSettings, VelocitySettings
from standing.node.feed.settings import DropFolderSettings, SqlViewSettings
from standing.node.publishing.settings import Pkcs11Settings, PublisherSettings

ROLES = ("core", "platform", "operator")
#: Roles whose holders are people.
PEOPLE = ("operator",)


#: The address of a ledger node.
LedgerUrl = Annotated[str, checked(check_url)]
#: The same, or empty for none.
LedgerUrlOrNone = Annotated[str, checked(lambda text: check_url(text) if text else text)]


class NodeSettings(ServiceSettings):
    """A node's settings. No default is unsafe in production."""

    model_config = SettingsConfigDict(env_prefix="STANDING_NODE_", env_nested_delimiter="__", extra="forbid")

    bic: Annotated[str, checked(partial(parse_bic, field="bic"))]
    database_url: DatabaseUrl = Field(repr=False)
    listen_host: str = Field("127.0.0.1", min_length=1)
    listen_port: int = Field(8100, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    ledger_url: LedgerUrlOrNone = Field("", description="JSON-RPC URL of a ledger node; use ledger_urls for several")
    ledger_urls: list[LedgerUrl] = Field([], max_length=8, description="Several nodes: the first that answers is used")
    ledger_contract: Annotated[str, checked(partial(parse_address, field="ledger_contract"))]
    chain_id: int | None = Field(None, ge=1, description="Refuse to start on any other chain")
    ledger_timeout_ms: int = Field(5_000, ge=100, le=60_000)
    max_gas_price_wei: int = Field(10**12, ge=0, le=10**18, description="The highest price to offer per unit of gas")

    bank_secret_file: Path = Field(
        description="32 random bytes or more, in hexadecimal: every binding key is derived from it"
    )
    newer_bank_secret_files: list[Path] = Field(
        [], max_length=15, description="Versions 2, 3 … of the bank secret, in order; new bindings use the last one"
    )
    vault_secret_file: Path = Field(
        description="32 random bytes or more, in hexadecimal: encrypts personal data in the database"
    )
    older_vault_secret_files: list[Path] = Field([], max_length=15, description="Earlier vault secrets, newest first")
    signer_keystore: Path | None = Field(None, description="Encrypted keystore of the key that signs publications")
    signer_password_file: Path | None = None
    signer_pkcs11: Pkcs11Settings | None = Field(None, description="Instead of a keystore: a hardware token")
    sender_keystore: Path = Field(description="Encrypted keystore of the key that pays for transactions")
    sender_password_file: Path

    api_keys: list[ApiKey] = Field(min_length=1)
    max_body_bytes: int = Field(
        4 * 1024 * 1024, ge=1024, le=64 * 1024 * 1024, description="Of a feed entry; of other requests 64 KiB at most"
    )
    max_waiting: int = Field(100_000, ge=1, description="How many attestations may wait for the ledger")
    publisher: PublisherSettings = PublisherSettings()
    velocity: VelocitySettings = VelocitySettings()
    micro_deposit: MicroDepositSettings = MicroDepositSettings()
    sql_view: SqlViewSettings | None = None
    drop_folder: DropFolderSettings | None = None
    console: SessionSettings = SessionSettings()

    #: For fault tests: die by SIGKILL at this point (`node.fault_points.FAULT_POINTS`). Never set it in production.
    fault_point: str | None = None

    @model_validator(mode="after")
    def _check_keys(self) -> "NodeSettings":
        for key in self.api_keys:
            if key.role not in ROLES:
                raise ValueError(f"api_keys: {key.name} has the role {key.role}; allowed: {', '.join(ROLES)}")
            if (key.role == "platform") != (key.platform is not None):
                raise ValueError(f"api_keys: {key.name}: a platform's key, and only that, names its platform")
        if bool(self.ledger_url) == bool(self.ledger_urls):
            raise ValueError("ledger_url, ledger_urls: exactly one of the two")
        if (self.signer_pkcs11 is None) != (self.signer_keystore is not None and self.signer_password_file is not None):
            raise ValueError("signer_keystore with signer_password_file, or signer_pkcs11: exactly one of the two")
        if self.signer_keystore == self.sender_keystore:
            raise ValueError("sender_keystore: the sending key must not be the signing key")
        if self.sql_view is not None and self.drop_folder is not None and self.drop_folder.role == "source":
            raise ValueError("drop_folder.role: the view is the source already; allowed: reconcile")
        return self

    @property
    def feed_source(self) -> str | None:
        """The node's own source; None where the core calls the node."""
        if self.sql_view is not None:
            return "sql_view"
        return "drop_folder" if self.drop_folder is not None and self.drop_folder.role == "source" else None

    @property
    def all_ledger_urls(self) -> list[str]:
        """The ledger's nodes, in the order in which they are tried."""
        return self.ledger_urls or [self.ledger_url]


EXAMPLE = """\
# A bank node's settings. Each can also come from the environment: STANDING_NODE_BIC, STANDING_NODE_API_KEYS (JSON) …
bic = "BKCHCNBJ"
database_url = "sqlite:////var/lib/standing/node.sqlite3"
listen_host = "127.0.0.1"            # put a TLS proxy in front
listen_port = 8100
log_level = "info"                   # debug, info, warning, error

ledger_url = "http://127.0.0.1:8545" # your own node of the ledger's network
# ledger_urls = ["…", "…"]           # instead of ledger_url: several nodes; the first that answers is used
ledger_contract = "0x0000000000000000000000000000000000000000"
# chain_id = 1337                    # refuse to start on any other chain
ledger_timeout_ms = 5000             # per call to a ledger node
max_gas_price_wei = 1000000000000    # the highest price to offer per unit of gas

bank_secret_file = "/etc/standing/bank-secret"        # standing-node secret new FILE
# newer_bank_secret_files = ["/etc/standing/bank-secret-2"]   # versions 2, 3 …; new bindings use the last one
vault_secret_file = "/etc/standing/vault-secret"      # standing-node secret new FILE
# older_vault_secret_files = ["/etc/standing/vault-secret-1"] # earlier secrets, newest first
signer_keystore = "/etc/standing/signer.json"         # standing-node keystore new FILE --password-file FILE
signer_password_file = "/etc/standing/signer-password"
# or, instead of these two, a hardware token:
# signer_pkcs11 = { module = "/usr/lib/…/libsofthsm2.so", token_label = "standing", key_label = "…", pin_file = "…" }
sender_keystore = "/etc/standing/sender.json"
sender_password_file = "/etc/standing/sender-password"

max_body_bytes = 4194304             # of a feed entry; of other requests 65536 at most
max_waiting = 100000                 # attestations that may wait for the ledger before the feed answers 503

[publisher]
# batch_wait_ms = 0                  # how long a change may wait to be batched; 0: it is published immediately
# max_in_flight = 4                  # publications in flight at the same time
heartbeat_ms = 1000                  # how often the watermark is published while nothing changes
max_attestations = 300               # per publication
herd_size = 8                        # bindings published together, which hides the one that changed; 1: not hidden
# poll_ms = 50                       # how often to look for receipts
# resend_after_ms = 15000            # how long a transaction may be missing before it is sent again

# The core calls POST /v1/feed, unless the node reads from it with one of these two; see docs/FEED.md.
# [sql_view]
# url = "postgresql+psycopg://standing@core/bank"   # use a database user that can only read the view
# view = "standing_accounts"
# poll_ms = 1000                     # how often to look for changes
# page_size = 1000                   # rows in memory and in one part of an entry
# settle_ms = 2000                   # the longest time from a change's effective_at_ms until it is visible
# late_window_ms = 600000            # how far back to look for changes that became visible later than that
# as_of_query = "SELECT …"           # the core's time in milliseconds, where it is not the database's own clock
# timeout_ms = 30000                 # for connecting to the database
# profile = "/etc/standing/core-profile.toml"   # for a view in the core's own format; see standing-node feed learn
# max_bad_share = 0.05               # of a pass, before it is refused; invalid rows make their accounts unstated
#
# [drop_folder]
# path = "/var/spool/standing"
# role = "source"                    # or "reconcile": full files in addition to another source, as a safety net
# poll_ms = 1000                     # how often to look for files
# page_size = 1000                   # lines in memory and in one part of an entry
# require_checksum = false           # true: a file is loaded only with its FILE.sha256 beside it
# max_bytes = 4294967296             # of one file
# profile = "/etc/standing/core-profile.toml"   # for files in the core's own format; see standing-node feed learn
# max_bad_share = 0.05               # of a file, before all of it is refused

[velocity]                           # an attempt at a known account costs 1, at an unknown one 20
platform_capacity = 20000
platform_refill_per_hour = 20000
caller_capacity = 60                 # for each user of a platform
caller_refill_per_hour = 30
require_on_behalf_of = false         # true: refuse a request that does not name the platform's user

[micro_deposit]
policy = "never"                     # or "phone_differs", "always": see docs/BINDING.md
# close_names = true                 # decide a close name by a deposit; by default it is refused
# payout_folder = "/var/spool/standing-payouts"  # where payment orders are written for the bank to execute
tries = 3                            # to name the amount
lifetime_days = 7                    # to name it in
max_a_week = 3                       # deposits to one account

[console]                            # pages for operators, at /console
enabled = true
time_zone = "UTC"
idle_minutes = 15                    # a session ends after this long without a page request
session_hours = 10                   # a session ends after this long in any case
max_sessions = 1000
max_failures = 10                    # failed attempts from one address before it is locked out
lockout_minutes = 15

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
