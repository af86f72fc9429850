"""The gateway's settings: `STANDING_GATEWAY_…` in the environment, or a TOML file. Secrets stay in their own files."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict

from standing.gateway.access.id_token import PREFIX
from standing.gateway.access.settings import ConsoleSettings
from standing.gateway.bindings.settings import BankSettings
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.policy_file import PolicyFileWrong, load_policy
from standing.gateway.decisions.usage import RESERVATION_LIFETIME_MS
from standing.gateway.events.settings import StreamSettings, WebhookSettings
from standing.gateway.following.settings import FollowerSettings
from standing.gateway.ledger_reading.nodes import BlockRule
from standing.gateway.support.settings import TrailSettings
from standing.gateway.warning.settings import WarningSettings
from standing.ledger.attestations.binding_protocol import PLATFORM_PATTERN
from standing.ledger.chain.connection import parse_address
from standing.ledger.chain.failover import MAX_URLS
from standing.ledger.clock import DAY_MS
from standing.ledger.service.api_keys import ApiKey
from standing.ledger.service.database import DatabaseUrl
from standing.ledger.service.settings import ServiceSettings, SettingsError, checked, read_secret, read_text_secret

ROLES = ("platform", "support", "admin")
#: Roles whose holders are people. A platform's own key is for machines.
PEOPLE = ("support", "admin")


class BlockDepth(BaseModel):
    """A number of blocks below the newest, for a chain that has no immediate finality and does not report it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    depth: int = Field(ge=1, le=10_000)


class GatewaySettings(ServiceSettings):
    """A gateway's settings. No default is unsafe in production."""

    model_config = SettingsConfigDict(env_prefix="STANDING_GATEWAY_", env_nested_delimiter="__", extra="forbid")

    platform: str = Field(pattern=PLATFORM_PATTERN, description="This platform's id, as the banks know it")
    database_url: DatabaseUrl = Field(repr=False)
    listen_host: str = Field("127.0.0.1", min_length=1)
    listen_port: int = Field(8200, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    ledger_url: AnyHttpUrl | None = Field(None, repr=False, description="The ledger node; use ledger_urls for several")
    ledger_urls: list[AnyHttpUrl] = Field(
        [], repr=False, max_length=MAX_URLS, description="Several nodes, for failover"
    )
    ledger_contract: Annotated[str, checked(lambda text: parse_address(text, "ledger_contract"))]
    chain_id: int | None = Field(None, ge=1, description="Refuse to start on any other chain")
    ledger_read_timeout_ms: int = Field(
        800, ge=10, le=30_000, description="From the arrival of a request to its answer"
    )
    ledger_calls_in_flight: int = Field(2, ge=1, le=16)
    ledger_block: Literal["latest", "finalized"] | BlockDepth = Field(
        "latest", description="What decisions read: latest, finalized, or { depth = n }: n blocks below the newest"
    )
    ledger_max_lag_blocks: int = Field(10, ge=0, le=100_000, description="A node that is further behind is not used")
    ledger_max_head_age_ms: int = Field(
        60_000, ge=1_000, le=DAY_MS, description="A node whose newest block is older is used last"
    )
    ledger_probe_ms: int = Field(1_000, ge=50, le=60_000, description="How often each ledger node is checked")

    reconcile_every_minutes: Annotated[int, Field(ge=1, le=43_200)] | Literal["never"] = Field(
        1_440, description="Counted from the start of the last run, by any process"
    )
    reconcile_batch: int = Field(200, ge=1, le=500, description="Bindings read at once")
    reconcile_pause_ms: int = Field(20, ge=0, le=60_000, description="Pause after each batch")

    vault_secret_files: list[Path] = Field(
        [], max_length=8, description="32 bytes or more each, in hexadecimal; newest first"
    )
    vault_secrets: SecretStr | None = Field(
        None, description="Instead of the files, from the environment: hexadecimal, comma-separated, newest first"
    )
    evidence_key_file: Path = Field(description="Ed25519 private key, PEM (PKCS #8)")
    older_evidence_key_files: list[Path] = Field(
        [], max_length=64, description="Public keys, PEM, of evidence that was signed before the key was replaced"
    )

    api_keys: list[ApiKey] = Field(min_length=1)
    max_body_bytes: int = Field(64 * 1024, ge=1024, le=4 * 1024 * 1024)
    max_batch_body_bytes: int = Field(256 * 1024, ge=1024, le=4 * 1024 * 1024, description="For decisions:batch")
    max_waiting_reads: int = Field(2_000, ge=1, le=100_000)
    max_decision_requests: int = Field(256, ge=1, le=100_000)
    max_waiting_decisions: int = Field(2_000, ge=1, le=100_000)
    max_waiting_bindings: int = Field(500, ge=1, le=100_000)
    max_cached_bindings: int = Field(200_000, ge=1, le=10_000_000)
    bank_node_timeout_ms: int = Field(5_000, ge=100, le=60_000)

    reservation_lifetime_ms: int = Field(
        RESERVATION_LIFETIME_MS,
        ge=1_000,
        le=30 * DAY_MS,
        description="A reservation that is not captured by then is released",
    )

    banks: list[BankSettings] = Field([], max_length=1_000)
    policy: Policy = Policy()
    policy_file: Path | None = Field(None, description="The policy in a separate file, instead of the [policy] table")
    follower: FollowerSettings = FollowerSettings()
    webhooks: WebhookSettings = WebhookSettings()
    streams: StreamSettings = StreamSettings()
    trail: TrailSettings = TrailSettings()
    console: ConsoleSettings = ConsoleSettings()
    warning: WarningSettings = WarningSettings()

    @property
    def all_ledger_urls(self) -> list[str]:
        """The ledger's nodes, in the order of preference."""
        return [str(url) for url in (*self.ledger_urls, self.ledger_url) if url is not None]

    @property
    def reconcile_interval_minutes(self) -> int | None:
        """How often the bindings are reconciled; None for never."""
        return None if self.reconcile_every_minutes == "never" else self.reconcile_every_minutes

    @property
    def console_keys(self) -> list[ApiKey]:
        """The keys that may open a session of the console."""
        return self.api_keys if self.console.key_sign_in else []

    @property
    def block_rule(self) -> BlockRule:
        """The block that decisions read."""
        stated = self.ledger_block
        return BlockRule(depth=stated.depth) if isinstance(stated, BlockDepth) else BlockRule(stated)

    @model_validator(mode="after")
    def _check_ledger(self) -> "GatewaySettings":
        if (self.ledger_url is None) != bool(self.ledger_urls):
            raise ValueError("ledger_url, ledger_urls: exactly one of the two")
        if len(self.ledger_urls) > 1 and self.chain_id is None:
            raise ValueError("chain_id: required with several ledger_urls, to detect a node of another chain")
        return self

    @model_validator(mode="after")
    def _check_one_of_two(self) -> "GatewaySettings":
        if bool(self.vault_secret_files) == (self.vault_secrets is not None):
            raise ValueError("vault_secret_files, vault_secrets: exactly one of the two")
        if self.policy_file is not None and "policy" in self.model_fields_set:
            raise ValueError("policy, policy_file: one of the two, not both")
        return self

    @model_validator(mode="after")
    def _check_lists(self) -> "GatewaySettings":
        for key in self.api_keys:
            if key.role not in ROLES:
                raise ValueError(f"api_keys: {key.name} has the role {key.role}; allowed: {', '.join(ROLES)}")
            if key.name.startswith(PREFIX):
                raise ValueError(f"api_keys: {key.name} begins with {PREFIX}, as people of the identity provider do")
        if not self.banks:
            raise ValueError("banks: none; allowed: at least one, see `standing-gateway bank add`")
        seen: set[str] = set()
        for bank in self.banks:
            if bank.bic in seen:
                raise ValueError(f"banks: {bank.bic} is listed twice")
            seen.add(bank.bic)
        return self


def read_vault_secrets(settings: GatewaySettings) -> list[bytes]:
    """The vault's secrets, newest first. Raises: SettingsError, never showing one."""
    if settings.vault_secrets is None:
        return [read_secret(file, "vault_secret_files") for file in settings.vault_secret_files]
    try:
        return [bytes.fromhex(part) for part in settings.vault_secrets.get_secret_value().split(",")]
    except ValueError as error:
        # Without its text, which would show the secret.
        raise SettingsError("vault_secrets: not hexadecimal digits, with commas between secrets") from error


def read_client_secret(settings: GatewaySettings) -> str | None:
    """The secret of the console's OpenID Connect client; None where there is none. Raises: SettingsError."""
    openid = settings.console.openid
    if openid is None or not settings.console.enabled:
        return None
    return read_text_secret(openid.client_secret_file, "console.openid.client_secret_file")


def read_policy(settings: GatewaySettings) -> Policy:
    """The policy in the settings, or in the file that they name. Raises: SettingsError naming file, line and field."""
    if settings.policy_file is None:
        return settings.policy
    try:
        return load_policy(settings.policy_file)
    except PolicyFileWrong as error:
        named = [f"policy_file: {line}" for line in error.lines]
        raise SettingsError("; ".join(named), named) from error


EXAMPLE = """\
# A gateway's settings. Each can also come from the environment: STANDING_GATEWAY_PLATFORM, STANDING_GATEWAY_BANKS
# (JSON), STANDING_GATEWAY_POLICY__WHEN_SILENT … The environment takes precedence over this file.
platform = "jinqiao-pay"             # this platform's id, as the banks know it
database_url = "sqlite:////var/lib/standing/gateway.sqlite3"
listen_host = "127.0.0.1"            # put a TLS proxy in front
listen_port = 8200
log_level = "info"                   # debug, info, warning, error

ledger_url = "http://127.0.0.1:8545" # your own node of the ledger's network
# ledger_urls = ["…", "…"]           # instead of ledger_url: several nodes, for fail-over; they need chain_id
ledger_contract = "0x0000000000000000000000000000000000000000"
# chain_id = 1337                    # refuse to start on any other chain
ledger_read_timeout_ms = 800         # no answer in this time: review, with ledger_unreachable
ledger_calls_in_flight = 2           # requests that arrive in the meantime share the next call
ledger_block = "latest"              # on a chain that can drop blocks: "finalized", or { depth = 12 }
ledger_max_lag_blocks = 10           # a node that is further behind is not used
ledger_max_head_age_ms = 60000       # a node whose newest block is older is used last
ledger_probe_ms = 1000               # how often each ledger node is checked

reconcile_every_minutes = 1440       # compare all bindings with the ledger at one block; or "never"
reconcile_batch = 200                # bindings read at once
reconcile_pause_ms = 20              # pause after each batch, so that traffic is not slowed down

vault_secret_files = ["/etc/standing/gateway-secret"]      # standing-gateway secret new FILE; newest first
# instead of the files: vault_secrets, hexadecimal, comma-separated; only from the environment
evidence_key_file = "/etc/standing/evidence-key.pem"       # standing-gateway evidence-key new FILE
older_evidence_key_files = []        # public halves (PEM) of keys that were replaced

max_body_bytes = 65536
max_batch_body_bytes = 262144        # of POST /v1/decisions:batch
max_waiting_reads = 2000             # beyond these limits the gateway answers 503 with Retry-After
max_waiting_decisions = 2000         # single and batched
max_decision_requests = 256          # concurrent POST /v1/decisions; latency is about this number divided by the rate
max_waiting_bindings = 500
max_cached_bindings = 200000         # binding keys cached in memory
bank_node_timeout_ms = 5000
reservation_lifetime_ms = 3600000    # an approved payment not captured by then is released
# policy_file = "/etc/standing/policy.toml"                # instead of the table below; standing-gateway policy check

# standing-gateway api-key new --name checkout-2026 --role platform
[[api_keys]]
name = "checkout-2026"
role = "platform"                    # platform (bind, decide), support (look up, lift, resync), admin (all, and audit)
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"

[[banks]]
bic = "BKCHCNBJ"
name = "Bank of China"
name_zh = "中国银行"        # optional
node_url = "http://127.0.0.1:8100"
node_api_key_file = "/etc/standing/node-key-BKCHCNBJ"      # the key that the bank gave this platform
time_zone = "Asia/Shanghai"          # where the bank's day begins and ends

[policy]                             # and more: docs/GATEWAY.md, "The policy file"
when_silent = "review"               # if the bank's watermark is too old: review or decline
ahead_allowance_ms = 15000           # how far a bank's clock may be ahead of the gateway's

[policy.identity]                    # if the holder's details at the bank changed since binding: decline or review
name = "decline"
id_document = "decline"
phone = "review"

# The highest staleness, by amount (minor units, this amount included). The last band is for any amount.
[[policy.freshness]]
up_to_minor = 1000000
max_staleness_ms = 300000

[[policy.freshness]]
up_to_minor = "any"
max_staleness_ms = 60000

[follower]                           # watches the ledger for events and the trail; no decision depends on it
enabled = true
poll_ms = 500
max_blocks = 500                     # per query; fewer if the node refuses
remembered_blocks = 256              # to detect a reorg
keep_days = 30                       # events, and the hops of changes

[webhooks]                           # add endpoints with POST /v1/webhook-endpoints
max_endpoints = 16
max_pending = 1000                   # an endpoint's queue; later events wait in the log
timeout_ms = 15000
retry_initial_ms = 5000              # doubles with each attempt, up to retry_max_ms
retry_max_ms = 3600000
give_up_after_ms = 259200000         # three days
poll_ms = 1000
allow_http = false                   # only for tests or inside a trusted network
allow_private_addresses = false      # private, loopback and link-local addresses

[streams]                            # server-sent events
max_clients = 64
heartbeat_ms = 15000
send_timeout_ms = 10000
max_age_ms = 3600000

[trail]                              # time after which each hop counts as stalled
node_timeout_ms = 3000               # time for the bank's node to answer
accepted_ms = 60000
signed_ms = 10000
submitted_ms = 10000
in_block_ms = 30000
observed_ms = 15000
notified_ms = 60000

[console]                            # pages for support staff, at /console
enabled = true
time_zone = "UTC"                    # all times except an account's, which are in its bank's zone
idle_minutes = 15                    # a session ends after this long without a page request
session_hours = 10                   # a session ends after this long in any case
max_sessions = 1000
max_failures = 10                    # failed attempts from one address before it is locked out
lockout_minutes = 15
key_sign_in = true                   # false: only through the provider below

# [console.openid]                   # sign-in through an OpenID Connect provider; docs/CONSOLE.md
# issuer = "https://id.example/realms/staff"               # exactly as in its discovery document
# client_id = "standing"
# client_secret_file = "/etc/standing/openid-secret"
# public_url = "https://gateway.example"                   # it sends browsers to …/console/sign-in/openid/callback
# label = "Example ID"               # the provider's name on the button
# scopes = ["profile"]               # in addition to openid
# name_claim = "sub"                 # names the person in the audit
# role_claim = "groups"              # in the ID token; or a path, such as realm_access.roles
# timeout_ms = 5000
#
# [console.openid.roles]             # values of the claim; a user without any of them cannot sign in
# "payments-support" = "support"
# "payments-admins" = "admin"

[warning]                            # bindings that may fail within a week; no decision reads it
every_minutes = 1440                 # all bindings in use are scored; or "never"
warn_per_mille = 300                 # probability from which binding.at_risk is sent
batch = 50                           # bindings scored at once
busy_percent = 5                     # share of a run's time spent working; the rest is left to traffic
"""
