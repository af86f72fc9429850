"""Settings of the sign-in by OpenID Connect, without a provider."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from standing.gateway.access.id_token import NoRole, caller_of
from standing.gateway.access.settings import OpenIdSettings
from standing.gateway.app import create_app
from standing.gateway.settings import EXAMPLE, GatewaySettings
from standing.ledger.service.settings import SettingsError


def _settings(folder: Path, **changed: Any) -> dict[str, Any]:
    """A gateway's settings, in which people sign in at a provider alone."""
    (folder / "vault").write_text("ab" * 32)
    (folder / "client").write_text("secret")
    openid = {
        "issuer": "https://id.example",
        "client_id": "c",
        "client_secret_file": folder / "client",
        "public_url": "https://gateway.example/",
        "role_claim": "groups",
        "roles": {"a": "admin", "s": "support"},
    }
    stated = tomllib.loads(EXAMPLE) | {"vault_secret_files": [folder / "vault"]}
    return stated | {"console": {"key_sign_in": False, "openid": openid | changed}}


def test_a_role_is_found_under_a_nested_path_and_as_a_single_value(tmp_path: Path) -> None:
    stated = {
        "issuer": "https://id.example",
        "client_id": "c",
        "client_secret_file": tmp_path,
        "public_url": "https://gateway.example/",
        "roles": {"a": "admin", "s": "support"},
    }
    nested = OpenIdSettings(**stated, role_claim="realm_access.roles")
    assert nested.public_url == "https://gateway.example"
    assert caller_of({"sub": "1", "realm_access": {"roles": ["s"]}}, nested).role == "support"
    with pytest.raises(NoRole):
        caller_of({"sub": "1", "realm_access": ["roles"]}, nested)
    dotted = OpenIdSettings(**stated, role_claim="https://id.example/role")
    assert caller_of({"sub": "1", "https://id.example/role": "a"}, dotted).role == "admin"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"issuer": "http://id.example"}, "console.openid.issuer"),
        ({"issuer": "https://user@id.example"}, "console.openid.issuer"),
        ({"public_url": "https://gateway.example/console"}, "console.openid.public_url"),
        ({"roles": {}}, "console.openid.roles"),
        ({"roles": {"g": "platform"}}, "console.openid.roles.g"),
        ({"scopes": ["two words"]}, "console.openid.scopes.0"),
    ],
    ids=str,
)
def test_an_invalid_setting_is_named(changed: dict[str, Any], named: str, tmp_path: Path) -> None:
    GatewaySettings(**_settings(tmp_path))
    with pytest.raises(ValidationError) as raised:
        GatewaySettings(**_settings(tmp_path, **changed))
    assert named in {".".join(map(str, each["loc"])) for each in raised.value.errors()}


def test_a_client_secret_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="client_secret_file"):
        create_app(GatewaySettings(**_settings(tmp_path, client_secret_file="/nowhere/secret")))


def test_settings_without_keys_and_without_a_provider_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nobody can sign in"):
        GatewaySettings(**_settings(tmp_path) | {"console": {"key_sign_in": False}})
