"""`standing-gateway serve --workers`: one port and one database, with the same command as in production."""

import os
import signal
import sys
from collections import Counter
from pathlib import Path

import httpx
import pytest
import tomli_w

from localnet import LocalNet
from processes import BIN, Process
from standing.ledger.service.api_keys import new_key
from tests.world import PLATFORM, wait_until

_CONNECTIONS = 24


def _children(process: Process) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def _each_keeps_to_a_core(gateway: Process) -> None:
    """All threads of a worker run on one core, but the one that waits for the supervisor's end."""
    allowed = sorted(os.sched_getaffinity(0))
    expected = sorted([allowed[number % len(allowed)]] for number in range(3))
    wait_until(lambda: sorted(sorted(os.sched_getaffinity(pid)) for pid in _children(gateway)) == expected)
    for pid in _children(gateway):
        threads = [os.sched_getaffinity(int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()]
        assert threads.count(os.sched_getaffinity(pid)) >= len(threads) - 1


def _statuses(net: LocalNet, key: str) -> Counter[int]:
    """The answers to a key over many new connections, which the system spreads over the workers."""
    headers = {"Authorization": f"Bearer {key}"}
    return Counter(
        httpx.get(net.gateway_url + "/v1/decisions", headers=headers, timeout=30).status_code
        for _ in range(_CONNECTIONS)
    )


def _reload_by_http_reaches_all(net: LocalNet, config: Path) -> None:
    key, hashed = new_key()
    settings = net.gateway_settings
    new = settings | {"api_keys": [*settings["api_keys"], {"name": "newer", "role": "platform", "sha256": hashed}]}
    config.write_text(tomli_w.dumps(new | {"listen_port": -1}))
    _reload(net, 422)  # invalid settings reach no worker
    assert _statuses(net, key) == {401: _CONNECTIONS}
    config.write_text(tomli_w.dumps(new))
    _reload(net, 200)
    wait_until(lambda: _statuses(net, key) == {200: _CONNECTIONS})


def _reload(net: LocalNet, status: int) -> None:
    headers = {"Authorization": f"Bearer {net.admin_key}", "Standing-Reason": "a new key"}
    answer = httpx.post(net.gateway_url + "/v1/settings:reload", headers=headers, timeout=30)
    assert answer.status_code == status, answer.text


def _figures_are_of_all(net: LocalNet) -> None:
    """Counters never decrease between scrapes, whichever worker answers, and include all workers."""
    for _ in range(_CONNECTIONS):
        httpx.get(net.gateway_url + "/readyz", timeout=30)
    name = "standing_gateway_ledger_call_queries_count "
    counted = []
    for _ in range(_CONNECTIONS):
        lines = httpx.get(net.gateway_url + "/metrics", timeout=30).text.splitlines()
        counted.append(next(float(line.removeprefix(name)) for line in lines if line.startswith(name)))
    assert counted == sorted(counted)
    assert counted[0] >= _CONNECTIONS


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="looks for worker processes in /proc")
def test_workers_share_a_port_reload_their_settings_together_and_stop_together(tmp_path: Path) -> None:
    net = LocalNet(tmp_path, PLATFORM)
    try:
        net.start_ledger()
        net.add_bank("YUNXCNB0", "Yunxi")
        net.add_gateway()
        config = tmp_path / "gateway" / "gateway.toml"
        config.write_text(tomli_w.dumps(net.gateway_settings))
        command = [str(BIN / "standing-gateway"), "serve", "--config", str(config), "--workers", "3", "--pin"]
        gateway = Process("gateway", command, tmp_path / "gateway.log")
        try:
            gateway.wait_for(net.gateway_url + "/healthz")
            wait_until(lambda: len(_children(gateway)) == 3)
            _each_keeps_to_a_core(gateway)
            assert _statuses(net, net.gateway_key) == {200: _CONNECTIONS}
            key, hashed = new_key()
            assert _statuses(net, key) == {401: _CONNECTIONS}
            keys = [*net.gateway_settings["api_keys"], {"name": "new", "role": "platform", "sha256": hashed}]
            config.write_text(tomli_w.dumps(net.gateway_settings | {"api_keys": keys}))
            gateway._child.send_signal(signal.SIGHUP)
            wait_until(lambda: _statuses(net, key) == {200: _CONNECTIONS})
            _reload_by_http_reaches_all(net, config)
            _figures_are_of_all(net)
            gateway._child.terminate()
            assert gateway.wait_for_end(30) == 0
        finally:
            gateway.stop()
    finally:
        net.stop()
