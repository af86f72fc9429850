"""JSON bodies: who may not call a route has nothing parsed, and no body costs more to refuse than to take."""

import json
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, ConfigDict

from standing.ledger.service import json_bodies, problems
from standing.ledger.service.api_keys import ApiKey, Caller, Keyring, new_key, require

_JSON = {"Content-Type": "application/json"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    amount: int


class _Service:
    """A service with one route, for one role."""

    def __init__(self) -> None:
        app = FastAPI()
        problems.install(app, {})
        keys = {role: new_key() for role in ("core", "platform")}
        app.state.keyring = Keyring(ApiKey(name=role, role=role, sha256=digest) for role, (_, digest) in keys.items())
        router = APIRouter(route_class=json_bodies.StrictJsonRoute)

        async def nested(caller: Annotated[Caller, Depends(require("core"))]) -> Caller:
            return caller

        @router.post("/amounts")
        def post(body: _Body, _caller: Annotated[Caller, Depends(nested)]) -> int:
            return body.amount

        app.include_router(router)
        self.client = TestClient(app)
        self.keys = {role: key for role, (key, _) in keys.items()}

    def post(self, body: str, role: str | None = "core") -> tuple[int, dict[str, object]]:
        key = {} if role is None else {"Authorization": f"Bearer {self.keys[role]}"}
        answer = self.client.post("/amounts", content=body, headers=_JSON | key)
        return answer.status_code, answer.json()


@pytest.fixture
def service() -> _Service:
    return _Service()


@pytest.mark.parametrize("body", ['{"amount": 1}', "{", "[" + "{}," * 1_000 + "{}]"])
def test_the_body_of_a_caller_who_may_not_call_the_route_is_not_parsed(
    service: _Service, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four megabytes of an outsider kept a bank's node from all other requests for two seconds."""
    parsed: list[bytes] = []
    strict = json_bodies.strict_json

    def noted(read: bytes) -> object:
        parsed.append(read)
        return strict(read)

    monkeypatch.setattr(json_bodies, "strict_json", noted)
    assert service.post(body, None)[0] == 401
    assert service.post(body, "platform")[0] == 403
    assert parsed == []
    service.post(body)
    assert parsed == [body.encode()]


def test_an_object_of_more_keys_than_any_request_has_is_refused_as_malformed(service: _Service) -> None:
    """To name each unknown key of one large body took half a minute."""
    keys = {f"k{at}": 1 for at in range(999)}
    status, problem = service.post(json.dumps(keys | {"amount": 1}))
    assert status == 422
    assert isinstance(problem["errors"], list)
    assert len(problem["errors"]) == 50
    assert "only the fields that the API documents" in str(problem["detail"])
    status, problem = service.post(json.dumps(keys | {"amount": 1, "more": 1}))
    assert status == 422
    assert problem["detail"] == "body: not JSON: an object has more than 1000 keys; allowed: JSON (RFC 8259)"
