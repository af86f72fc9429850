"""Checks an OpenID Connect provider's statements against the standard: its metadata, its ID tokens, a person's role.

The numbers refer to OpenID Connect Core 1.0, section 3.1.3.7 (ID Token Validation). Authlib checks the claims and
joserfc the signature. The accepted algorithms are set here, not by the provider.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from standing.gateway.access.settings import OpenIdSettings, WebAddress, check_web_address
from standing.ledger.errors import StandingError
from standing.ledger.service.api_keys import Caller

#: Signatures by a key that only the provider holds. No `none`, and no HMAC, whose key the client would share.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
#: Names of people who sign in through a provider start with this, so that none can be mistaken for an API key's.
PREFIX = "openid:"
MAX_NAME = 64 - len(PREFIX)

_LEEWAY_S = 60
#: Of the elliptic curves, those of ALGORITHMS.
_CURVES = ("P-256", "P-384", "P-521")


class OpenIdError(StandingError):
    """Sign-in failed. `sentence`: the suffix of the message that the page shows. `wanted`: the page that the next try
    should lead to; None where it is not known."""

    sentence = "refused"
    wanted: str | None = None


class AnswerRefused(OpenIdError):
    """The provider's answer is invalid, or does not belong to this browser's sign-in."""


class TokenRefused(AnswerRefused):
    """The provider rejects the code, or its ID token is invalid. Counts as a failed attempt from the address."""


class Cancelled(OpenIdError):
    """The person, or the provider, refused."""

    sentence = "cancelled"


class NoRole(OpenIdError):
    """The provider authenticated a person who has no role here."""

    sentence = "no-role"


class ProviderUnavailable(OpenIdError):
    """The provider did not answer in time. Trying again may help."""

    sentence = "unavailable"


class ProviderMisconfigured(OpenIdError):
    """Provider and settings do not match, and an operator has to act. The text states what to change."""

    sentence = "misconfigured"


def _endpoint(url: str) -> str:
    check_web_address(url.partition("?")[0])  # an endpoint may have a query
    return url


class Metadata(BaseModel):
    """The part of a discovery document that is used (OpenID Connect Discovery 1.0, section 3)."""

    model_config = ConfigDict(frozen=True)

    issuer: str
    authorization_endpoint: Annotated[str, Field(max_length=2_000), AfterValidator(_endpoint)]
    token_endpoint: WebAddress
    jwks_uri: WebAddress
    end_session_endpoint: WebAddress | None = None
    token_endpoint_auth_methods_supported: list[str] = ["client_secret_basic"]
    code_challenge_methods_supported: list[str] | None = None
    authorization_response_iss_parameter_supported: bool = False


def verified_claims(
    id_token: str,
    keys: Mapping[str, Any],
    settings: OpenIdSettings,
    *,
    nonce: str,
    access_token: str | None,
    now_ms: int,
) -> dict[str, Any]:
    """The claims of a valid ID token. `keys`: the provider's JWK set.

    Raises: JoseError (an invalid part), ValueError (not a token, or not a key set).
    """
    usable = [key for key in keys["keys"] if _is_supported(key) and key.get("use", "sig") == "sig"]
    # 6, 7, 8: the provider's signature, by one of ALGORITHMS
    token = jwt.decode(
        id_token, KeySet.import_key_set({"keys": usable}), registry=JWSRegistry(algorithms=list(ALGORITHMS))
    )
    claims = CodeIDToken(
        token.claims,
        token.header,
        options={
            "iss": {"essential": True, "value": settings.issuer},  # 2
            "aud": {"essential": True, "value": settings.client_id},  # 3; 4 and 5, of `azp`, are Authlib's
        },
        params={"nonce": nonce, "client_id": settings.client_id, "access_token": access_token},  # 11
    )
    claims.validate(now=now_ms // 1_000, leeway=_LEEWAY_S)  # 9, 10
    return dict(claims)


def _is_supported(key: Mapping[str, Any]) -> bool:
    """Whether a key can belong to one of ALGORITHMS. Others are ignored (RFC 7517, section 5); joserfc would refuse the
    whole set because of them."""
    return key.get("kty") == "RSA" or (key.get("kty") == "EC" and key.get("crv") in _CURVES)


def caller_of(claims: Mapping[str, Any], settings: OpenIdSettings) -> Caller:
    """The person of an ID token, with the role that the settings assign. Raises: NoRole."""
    name = _claim(claims, settings.name_claim)
    if not isinstance(name, str) or not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise NoRole(f"name_claim: {settings.name_claim} is not a text of 1 to {MAX_NAME} printable characters")
    stated = _claim(claims, settings.role_claim)
    values = stated if isinstance(stated, list) else [stated]
    given = {settings.roles[value] for value in values if isinstance(value, str) and value in settings.roles}
    if not given:
        raise NoRole(f"role_claim: {settings.role_claim} has no value that [console.openid.roles] names")
    return Caller(PREFIX + name, "admin" if "admin" in given else "support", None)


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its name, otherwise by a path; None if there is none."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
