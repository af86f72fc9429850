"""Webhook endpoints: permitted addresses, management, and storage."""

import pytest

from standing.gateway.events.addresses import PublicSockets, is_public
from standing.gateway.events.settings import WebhookSettings
from tests.gateway.events.webhook_endpoints import DAY_MS, RETRY_MS, add, failed, write_events
from tests.gateway.follower_rig import FollowRig
from tests.gateway.webhook_receiver import Receiver


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("192.0.0.192", False),
        ("192.0.0.9", False),
        ("192.88.99.1", False),
        ("::ffff:192.88.99.1", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("fec0::1", False),  # site-local, which Python takes for global
        ("64:ff9b::a00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:7f00:1::", False),
    ],
)
def test_only_addresses_of_the_open_internet_count_as_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_the_address_is_checked_when_the_connection_is_made_and_not_only_before() -> None:
    sockets = PublicSockets()
    with pytest.raises(OSError, match="not public"):
        sockets((2, 1, 6, "", ("127.0.0.1", 443)))
    assert sockets.refused


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://[::1]/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/",
    ],
)
def test_a_private_address_is_refused_when_an_endpoint_is_added(guarded: FollowRig, url: str) -> None:
    answer = guarded.admin("POST", "/v1/webhook-endpoints", json={"url": url})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "url")


@pytest.mark.parametrize(
    ("host", "result"),
    [
        ("localhost", "address_refused"),
        ("0x7f000001", "address_refused"),
        ("127.1", "InvalidUrlClientError"),
        ("2130706433", "InvalidUrlClientError"),
    ],
)
def test_a_host_name_resolving_to_a_private_address_is_never_connected_to(
    guarded: FollowRig, hook: Receiver, host: str, result: str
) -> None:
    endpoint = add(guarded, hook.url.replace("127.0.0.1", host))
    write_events(guarded)
    failed(guarded, endpoint, result)
    assert hook.received == []


@pytest.mark.long
@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example.com/",
        "http://hooks.example.com/",
        "https://user:secret@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https:///nohost",
        "https://hooks.example.com/a b",
        "https://h\u00f6oks.example.com/",
        "https://hooks.example.com:99999/",
        "https://[::1/",
        "https://" + "h" * 1_999,
    ],
)
def test_an_invalid_or_unencrypted_url_is_refused(strict: FollowRig, url: str) -> None:
    answer = strict.admin("POST", "/v1/webhook-endpoints", json={"url": url})
    assert answer.status_code == 422
    assert "secret" not in answer.text


def test_only_an_admin_manages_endpoints(rig: FollowRig, hook: Receiver) -> None:
    endpoint = add(rig, hook)
    for client in (rig.platform, rig.support):
        assert client("POST", "/v1/webhook-endpoints", json={"url": hook.url}).status_code == 403
        assert client("GET", "/v1/webhook-endpoints").status_code == 403
        assert client("GET", f"/v1/webhook-endpoints/{endpoint}").status_code == 403
        assert client("DELETE", f"/v1/webhook-endpoints/{endpoint}").status_code == 403
        for action in ("replay", "enable", "rotate-secret"):
            assert client("POST", f"/v1/webhook-endpoints/{endpoint}/{action}", json={"after": 0}).status_code == 403
    assert rig.nobody("GET", "/v1/webhook-endpoints").status_code == 401


def test_a_secret_is_shown_once_and_neither_it_nor_the_url_is_in_the_database(rig: FollowRig) -> None:
    url = "http://hooks.example.com/token-in-a-path-9f8e7d"
    made = rig.admin("POST", "/v1/webhook-endpoints", json={"url": url}).json()
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert rig.admin("GET", "/v1/webhook-endpoints").json() == {"endpoints": [made]}
    kept = b"".join(file.read_bytes() for file in rig.folder.glob("gateway.sqlite3*"))
    assert secret.removeprefix("whsec_").encode() not in kept
    assert b"token-in-a-path" not in kept


def test_a_secret_still_signs_though_it_was_rotated_more_than_once_within_the_day(rig: FollowRig) -> None:
    """A client that got no answer rotates again, and its receiver still has the first secret."""
    made = rig.admin("POST", "/v1/webhook-endpoints", json={"url": "http://hooks.example.com/"}).json()
    issued = [made["secret"]]
    for _ in range(5):
        issued.insert(0, rig.admin("POST", f"/v1/webhook-endpoints/{made['id']}/rotate-secret").json()["secret"])
        assert rig.following.endpoints.find(made["id"]).secrets == tuple(issued[:5]), "a bounded number"


def test_the_number_of_endpoints_is_bounded(strict: FollowRig) -> None:
    for _ in range(2):
        add(strict, "https://hooks.example.com/")
    answer = strict.admin("POST", "/v1/webhook-endpoints", json={"url": "https://hooks.example.com/"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:standing:problem:too-many-endpoints")


@pytest.mark.parametrize("types", [[], ["binding.unheard-of"]])
def test_unknown_event_types_are_refused(rig: FollowRig, types: list[str]) -> None:
    answer = rig.admin("POST", "/v1/webhook-endpoints", json={"url": "http://hooks.example.com/", "types": types})
    assert answer.status_code == 422


@pytest.mark.long
def test_by_default_nothing_is_sent_unencrypted_or_to_a_private_address_and_retries_last_three_days() -> None:
    defaults = WebhookSettings()
    assert (defaults.allow_http, defaults.allow_private_addresses) == (False, False)
    assert (defaults.retry_initial_ms, defaults.give_up_after_ms) == (RETRY_MS, 3 * DAY_MS)
