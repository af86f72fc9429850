"""Both services as processes, as an operator meets them: doctor, a port in use, and SIGHUP under load."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from localnet import LocalNet
from processes import BIN
from tests.world import PLATFORM, wait_until

#: They start half a dozen processes in sequence.
pytestmark = pytest.mark.long

_BANK = "YUNXCNB0"


@pytest.fixture
def net(tmp_path: Path) -> Iterator[LocalNet]:
    made = LocalNet(tmp_path, PLATFORM)
    made.start_ledger()
    made.start_bank(made.add_bank(_BANK, "Yunxi"))
    made.add_gateway()
    yield made
    made.stop()


def _run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / program), *(str(each) for each in arguments)]
    environment = {**os.environ, "COLUMNS": "300"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_doctor_reports_a_running_node_as_healthy_and_a_second_one_reports_its_port_in_use(net: LocalNet) -> None:
    config = net.banks[_BANK].folder / "node.toml"
    printed = _run("standing-node", "doctor", "-c", config).stdout
    found = [line.split()[:2] for line in printed.splitlines()]
    for what in ("secrets", "ledger", "admission", "gas", "database", "core", "platforms", "running"):
        assert ["ok", what] in found, printed
    second = _run("standing-node", "serve", "-c", config)
    assert (second.returncode, second.stderr.count("\n")) == (1, 1), second.stderr
    assert f"listen_port: {net.banks[_BANK].settings['listen_port']} on 127.0.0.1 is in use" in second.stderr


def test_a_sighup_adds_a_bank_and_no_request_is_lost(net: LocalNet) -> None:
    gateway = net.start_gateway()
    config = net.folder / "gateway" / "gateway.toml"
    key_file = net.folder / "gateway" / f"node-key-{_BANK}"
    statuses: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=net.gateway_url, headers={"Authorization": f"Bearer {net.gateway_key}"}) as client:
            while not stop.is_set():
                statuses.append(client.get("/v1/banks").status_code)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for bic in ("ZHENCNB0", "HAIXCNB0", "JIANCNB0"):
        bank = ["bank", "add", bic, "--name", bic, "--node-url", net.banks[_BANK].url, "--key-file", key_file]
        added = _run("standing-gateway", *bank, "-c", config)
        assert added.returncode == 0, added.stderr
        os.kill(gateway.pid, signal.SIGHUP)
        wait_until(lambda: bic in _banks(net))  # noqa: B023 - at once
    stop.set()
    for thread in threads:
        thread.join()
    assert len(statuses) > 10
    assert set(statuses) == {200}


def _banks(net: LocalNet) -> set[str]:
    answer = httpx.get(
        net.gateway_url + "/v1/banks", headers={"Authorization": f"Bearer {net.gateway_key}"}, timeout=20
    )
    return {bank["bic"] for bank in answer.json()["banks"]}
