"""A small OpenID Connect provider over real HTTP: discovery, keys, codes with PKCE, tokens with real signatures.

It is as strict as the standard requires (client, redirect address, single-use code, verifier), so a gateway that signs
in complies with it. Each attack changes one thing: claims (`twisted`) or the `header` of the next tokens, their
signer, or the discovery document.
"""

import base64
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from joserfc.jws import JWSRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from standing.ledger.service.serve import served

CLIENT_ID = "standing console"  # a space: HTTP Basic carries it form-encoded (RFC 6749, 2.3.1)
CLIENT_SECRET = "s3cret/with:every=thing&+ %"


@cache
def _primes(number: int) -> dict[str, Any]:
    """An RSA key for every provider of the process: finding its primes takes longer than a test."""
    return dict(RSAKey.generate_key(2048, private=True).as_dict(private=True))


def _rsa_key(number: int, **parameters: str) -> RSAKey:
    return RSAKey.import_key(_primes(number) | parameters)


class Provider:
    """One provider with one client and one person, who is signed in there already."""

    def __init__(self) -> None:
        self.issuer = ""
        self.redirect_uri = ""
        self.person: dict[str, Any] = {"sub": "u-1001", "preferred_username": "li.na", "groups": ["payments-support"]}
        self.now_s: Callable[[], int] = lambda: int(time.time())
        #: Deviations from an honest provider, applied to the next tokens.
        self.twisted: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.discovery: dict[str, Any] = {}
        self.error: str | None = None
        self.down = False
        self.tokens_asked = 0
        self.signing: Any = None
        self._codes: dict[str, dict[str, str]] = {}
        self._key_number = 0
        self.rotate()

    def rotate(self) -> None:
        """Sign with a new key from now on, and publish only that key."""
        self._key_number = 1 - self._key_number
        self._key = _rsa_key(self._key_number, kid=secrets.token_hex(4), use="sig")

    @property
    def public_key(self) -> dict[str, Any]:
        return dict(self._key.as_dict(private=False))

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/keys", self._keys),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
                Route("/end", self._end),
                Route("/favicon.ico", self._no_icon),
            ]
        )

    async def _discovery(self, _request: Request) -> Response:
        if self.down:
            return Response(status_code=503)
        document: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/end",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return JSONResponse(document | self.discovery)

    async def _keys(self, _request: Request) -> Response:
        encryption = _rsa_key(2, kid="enc", use="enc").as_dict(private=False)
        unsupported = [
            {"kty": "EC", "crv": "BP-256", "use": "sig", "kid": "brainpool", "x": "AAAA", "y": "AAAA"},
            {"kty": "OKP", "crv": "Ed25519ph", "use": "sig", "kid": "edwards", "x": "AAAA"},
        ]
        return JSONResponse({"keys": [*unsupported, encryption, self.public_key]})

    async def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if asked.get("client_id") != CLIENT_ID or asked.get("redirect_uri") != self.redirect_uri:
            return HTMLResponse("unknown client or address", status_code=400)
        if asked.get("response_type") != "code" or "openid" not in asked.get("scope", "").split():
            return self._back(asked, error="invalid_scope")
        if asked.get("code_challenge_method") != "S256" or not asked.get("nonce"):
            return self._back(asked, error="invalid_request")
        if self.error is not None:
            return self._back(asked, error=self.error)
        code = secrets.token_urlsafe(24)
        self._codes[code] = asked
        return self._back(asked, code=code)

    def _back(self, asked: dict[str, str], **answer: str) -> Response:
        answer |= {"state": asked["state"]}
        if self.discovery.get("authorization_response_iss_parameter_supported", True):
            answer["iss"] = self.issuer
        return RedirectResponse(f"{self.redirect_uri}?{urlencode(answer)}", status_code=302)

    async def _token(self, request: Request) -> Response:
        self.tokens_asked += 1
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if not self._is_the_client(request, form):
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        asked = self._codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=")
        if asked is None or challenge.decode() != asked["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        if form.get("redirect_uri") != asked["redirect_uri"] or form.get("grant_type") != "authorization_code":
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        access_token = secrets.token_urlsafe(24)
        answer = {"access_token": access_token, "token_type": "Bearer", "expires_in": 60}
        return JSONResponse(answer | {"id_token": self._id_token(asked["nonce"], access_token)})

    def _is_the_client(self, request: Request, form: dict[str, str]) -> bool:
        if self.discovery.get("token_endpoint_auth_methods_supported") == ["client_secret_post"]:
            return (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
        kind, _, credentials = request.headers.get("Authorization", "").partition(" ")
        name, _, secret = base64.b64decode(credentials).decode().partition(":")
        return kind == "Basic" and (unquote(name), unquote(secret)) == (CLIENT_ID, CLIENT_SECRET)

    def _id_token(self, nonce: str, access_token: str) -> str:
        half = sha256(access_token.encode()).digest()[:16]
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": self.now_s(),
            "exp": self.now_s() + 300,
            "nonce": nonce,
            "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
            **self.person,
            **self.twisted,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": "RS256", "kid": self._key.kid} | self.header
        header = {name: value for name, value in header.items() if value is not None}
        registry = JWSRegistry(algorithms=[header["alg"]])
        return jwt.encode(header, claims, self.signing or self._key, registry=registry)

    async def _no_icon(self, _request: Request) -> Response:
        return Response(status_code=204)

    async def _end(self, request: Request) -> Response:
        return HTMLResponse(f"signed out {request.query_params.get('client_id', '')}")


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider that is served on loopback."""
    made = Provider()
    with served(made.app()) as url:
        made.issuer = url
        yield made


#: Twists of the provider's ID token, each of which must keep everybody out.
FORGED: dict[str, Callable[[Provider], dict[str, Any]]] = {
    "another nonce": lambda _: {"twisted": {"nonce": "another"}},
    "no nonce": lambda _: {"twisted": {"nonce": None}},
    "for another client": lambda _: {"twisted": {"aud": "another"}},
    "for two clients, issued to the other": lambda _: {"twisted": {"aud": [CLIENT_ID, "other"], "azp": "other"}},
    "no audience": lambda _: {"twisted": {"aud": None}},
    "of another issuer": lambda _: {"twisted": {"iss": "https://elsewhere.example"}},
    "no issuer": lambda _: {"twisted": {"iss": None}},
    "expired": lambda made: {"twisted": {"exp": made.now_s() - 61}},
    "no end": lambda _: {"twisted": {"exp": None}},
    "issued in the future": lambda made: {"twisted": {"iat": made.now_s() + 3_600}},
    "not valid yet": lambda made: {"twisted": {"nbf": made.now_s() + 3_600}},
    "for another access token": lambda _: {"twisted": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}},
    "alg none": lambda _: {"header": {"alg": "none"}},
    "alg HS256 with a key that everybody has": lambda made: {
        "header": {"alg": "HS256"},
        "signing": OctKey.import_key(str(made.public_key["n"])),
    },
    "signed by a stranger": lambda made: {
        "signing": RSAKey.generate_key(2048, {"kid": made.public_key["kid"]}, private=True)
    },
    "signed by an unknown key": lambda _: {"header": {"kid": "unknown"}},
}
