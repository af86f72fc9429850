"""Settings of the console: the ways to sign in.

They are here and not in `gateway.console`, which is above the settings: the settings must not import what reads them.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from standing.ledger.service.console.settings import SessionSettings


def is_loopback(host: str | None) -> bool:
    """Whether a host name is this machine itself."""
    try:
        return host == "localhost" or ip_address(host or "").is_loopback
    except ValueError:
        return False


def check_web_address(url: str) -> str:
    """Check an address that secrets may be sent to, and return it unchanged. Raises: ValueError."""
    parts = urlsplit(url)
    if not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))) or not parts.hostname:
        raise ValueError("not a safe web address; allowed: https://…, or http:// on this machine itself")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("contains a user, a query or a fragment; allowed: https://host/path")
    return url


def _origin(url: str) -> str:
    if urlsplit(url).path.strip("/"):
        raise ValueError("contains a path; allowed: the address above /console, such as https://host")
    return url.rstrip("/")


WebAddress = Annotated[str, Field(max_length=500), AfterValidator(check_web_address)]
_ClaimValue = Annotated[str, Field(min_length=1, max_length=200)]


class OpenIdSettings(BaseModel):
    """Sign-in through an OpenID Connect provider (authorization code with PKCE)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: WebAddress = Field(description="Exactly as in the provider's discovery document")
    client_id: str = Field(min_length=1, max_length=200)
    client_secret_file: Path
    public_url: Annotated[WebAddress, AfterValidator(_origin)] = Field(
        description="The gateway's address as browsers see it; the provider sends them back to …/console/sign-in/openid"
    )
    label: str = Field("OpenID Connect", min_length=1, max_length=60, description="The provider's name on the button")
    scopes: list[Annotated[str, Field(pattern="^[!#-\\[\\]-~]{1,100}$")]] = Field(["profile"], max_length=16)
    name_claim: str = Field("sub", min_length=1, max_length=200, description="Names the person in the audit")
    role_claim: str = Field(min_length=1, max_length=200, description="A name, or a path such as realm_access.roles")
    roles: dict[_ClaimValue, Literal["support", "admin"]] = Field(
        min_length=1, max_length=100, description="The role that each value of the claim grants; admin takes precedence"
    )
    timeout_ms: int = Field(5_000, ge=100, le=60_000)


class ConsoleSettings(SessionSettings):
    """The console at `/console`. An account's times are shown in its bank's time zone, all others in `time_zone`."""

    key_sign_in: bool = Field(True, description="Whether a support or admin API key can open a session")
    openid: OpenIdSettings | None = None

    @model_validator(mode="after")
    def _check_sign_in_possible(self) -> "ConsoleSettings":
        if self.enabled and not self.key_sign_in and self.openid is None:
            raise ValueError(
                "key_sign_in: with false nobody can sign in; allowed: true, or false with the table [console.openid]"
            )
        return self
