"""The node's OpenAPI against the node: the roles of every route, no 5xx, and only documented answers, whatever a caller
sends."""

import re
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from openapi_spec_validator import validate

from tests.node.node_tools import Staffed
from tests.openapi_fuzz import ask_everything
from tests.world import ACCOUNT, World, world

#: Enough to try each parameter and field at its boundaries, and few enough to keep the suite fast.
_EXAMPLES = 12

MAY: dict[tuple[str, str], set[str | None]] = {
    ("POST", "/v1/feed"): {"core"},
    ("GET", "/v1/feed/{as_of_ms}"): {"core", "operator"},
    ("POST", "/v1/bindings"): {"platform"},
    ("DELETE", "/v1/bindings/{binding}"): {"platform"},
    ("POST", "/v1/bindings/{binding}/regrant"): {"platform"},
    ("POST", "/v1/bindings/{binding}/certificate"): {"platform"},
    ("POST", "/v1/bindings/{binding}/resync"): {"platform", "operator"},
    ("GET", "/v1/bindings/{binding}/trail"): {"platform", "operator"},
    ("POST", "/v1/micro-deposits/{deposit}/confirm"): {"platform"},
    ("POST", "/v1/platforms/{platform}/off-board"): {"operator"},
    ("GET", "/v1/platforms/{platform}/off-board"): {"operator"},
    ("GET", "/v1/status"): {"core", "operator"},
    ("POST", "/v1/settings:reload"): {"operator"},
    ("GET", "/healthz"): {"core", "platform", "operator", None},
    ("GET", "/readyz"): {"core", "platform", "operator", None},
    ("GET", "/metrics"): {"core", "platform", "operator", None},
}


@pytest.fixture(scope="module")
def staffed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staffed]:
    """A running node, for tests that change nothing of it."""
    with world(tmp_path_factory.mktemp("api")) as made, ExitStack() as stack:
        yield Staffed(made, stack)


@pytest.mark.long
def test_any_request_gets_a_documented_answer_and_no_server_error(a_world: World) -> None:
    bank = a_world.start_bank()
    bank.feed(ACCOUNT)
    assert bank.bind().json()["outcome"] == "granted"
    tried = ask_everything(bank.url, (bank.core_key, bank.platform_key, "sk_wrong"), examples=_EXAMPLES)
    assert {"POST /v1/feed", "POST /v1/bindings", "GET /readyz", "GET /metrics"} <= tried


@pytest.mark.long
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 200_000, id="nested without end"),
        pytest.param(b'{"as_of_ms": ' + b"9" * 5_000 + b"}", id="a number without end"),
        pytest.param(b'{"as_of_ms": "\xff"}', id="not UTF-8"),
    ],
)
def test_an_unparsable_body_is_refused_as_documented_and_the_node_keeps_running(a_world: World, body: bytes) -> None:
    bank = a_world.start_bank()
    documented = httpx.get(bank.url + "/openapi.json").json()["paths"]["/v1/feed"]["post"]["responses"]
    headers = {"Content-Type": "application/json"}
    unknown = httpx.post(bank.url + "/v1/feed", content=body, headers=headers, timeout=30)
    assert unknown.status_code == 401  # nothing is parsed
    headers["Authorization"] = f"Bearer {bank.core_key}"
    answer = httpx.post(bank.url + "/v1/feed", content=body, headers=headers, timeout=30)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:standing:problem:malformed-request"
    assert "urn:standing:problem:malformed-request" in str(documented["422"])
    assert httpx.get(bank.url + "/healthz").status_code == 200


def test_every_route_is_open_to_its_roles_and_to_no_other(staffed: Staffed) -> None:
    url = staffed.bank.url
    documented = httpx.get(url + "/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, methods in documented.items() for method in methods} == MAY.keys()
    keys = {"core": staffed.bank.core_key, "platform": staffed.bank.platform_key, "operator": staffed.operator_key}
    with httpx.Client(base_url=url) as client:
        for (method, template), roles in MAY.items():
            path = re.sub("{(binding|deposit)}", "0x" + "11" * 32, template)
            path = path.replace("{platform}", "no-platform").replace("{as_of_ms}", "1")
            for role, key in (keys | {None: None}).items():
                headers = {} if key is None else {"Authorization": f"Bearer {key}"}
                status = client.request(method, path, headers=headers).status_code
                if role in roles:
                    assert status in {200, 202, 404, 422, 503}, (method, path, role)
                else:
                    assert status == (401 if role is None else 403), (method, path, role)


def test_the_nodes_openapi_is_valid_and_its_names_are_unique(staffed: Staffed) -> None:
    document = httpx.get(staffed.bank.url + "/openapi.json").json()
    validate(document)
    assert [name for name in document["components"]["schemas"] if not re.fullmatch("[A-Z][A-Za-z]+", name)] == []
    operations = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert len(set(operations)) == len(operations)
    assert [name for name in operations if "v1" in name] == []


def test_a_slash_too_many_does_not_send_a_body_and_a_key_to_the_host_that_the_request_names(staffed: Staffed) -> None:
    url = staffed.bank.url
    for path in ("/v1/feed/", "/v1/bindings/", "/healthz/"):
        answer = httpx.post(url + path, headers={"Host": "elsewhere.example"})
        assert (answer.status_code, "location" in answer.headers) == (404, False)
    console = httpx.get(url + "/console", headers={"Host": "upstream"})
    assert (console.status_code, console.headers["location"]) == (307, "/console/")
