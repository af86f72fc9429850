"""An operator's commands, as separate processes: recovery of a lost store, as docs/OPERATIONS.md describes.

Each command is also killed right after each durable step and then repeated.
"""

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w

from localnet import LocalBank, LocalNet
from processes import BIN
from standing.ledger.clock import SystemClock
from standing.ledger.service.private_files import write_private
from tests.databases import new_database
from tests.timeouts import patient_ledger
from tests.world import ACCOUNT, CLAIM_FIELDS, PLATFORM, wait_until

_TIMEOUT_S = 60

#: A dozen processes in sequence: run with the fault tests, not with every run.
pytestmark = pytest.mark.long


class Operator:
    """One bank on a local network, and the operator of its node."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.net = LocalNet(folder, PLATFORM)
        self.net.start_ledger()
        publisher = {"heartbeat_ms": 100, "poll_ms": 5}
        url = new_database(folder, "node")
        self.bank: LocalBank = self.net.add_bank("YUNXCNB0", "Yunxi", publisher=publisher, database_url=url)
        self.client = patient_ledger(self.net.ledger_url, self.net.contract)

    def command(self, *arguments: str, fault_point: str | None = None) -> subprocess.CompletedProcess[str]:
        config = self.bank.folder / "node.toml"
        config.write_text(tomli_w.dumps(self.bank.settings))
        environment = {**os.environ, "COLUMNS": "160"}
        if fault_point is not None:
            environment["STANDING_NODE_FAULT_POINT"] = fault_point
        return subprocess.run(
            [str(BIN / "standing-node"), *arguments, "--config", str(config)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )

    def killed_and_again(self, point: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        assert self.command(*arguments, fault_point=point).returncode == -signal.SIGKILL
        return self.command(*arguments)

    def feed(self, *changes: dict[str, Any]) -> dict[str, Any]:
        at = SystemClock().now_ms()
        entry = {"as_of_ms": at, "changes": [{"effective_at_ms": at, **change} for change in changes]}
        self.post("/v1/feed", self.bank.core_key, entry)
        return entry

    def post(self, path: str, key: str, body: dict[str, Any]) -> Any:
        answer = httpx.post(self.bank.url + path, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def level(self, as_of_ms: int) -> None:
        """Wait until the ledger's watermark has reached a time."""
        wait_until(lambda: self.client.bank(self.bank.bic).watermark_ms >= as_of_ms)


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    made = Operator(tmp_path)
    yield made
    made.net.stop()


def test_a_lost_store_is_rebuilt_by_commands_alone_even_if_each_is_killed(operator: Operator) -> None:
    bank, net = operator.bank, operator.net
    write_private(newer := operator.folder / "bank-secret-2", secrets.token_hex(32))
    bank.settings["newer_bank_secret_files"] = [str(newer)]
    running = net.start_bank(bank)
    operator.feed(dict(ACCOUNT))
    claim = {"request_id": "request-1", **{name: ACCOUNT[name] for name in CLAIM_FIELDS}}
    assert operator.post("/v1/bindings", bank.platform_key, claim)["outcome"] == "granted"
    operator.level(operator.feed()["as_of_ms"])
    screen = operator.command("status")
    assert screen.returncode == 0, screen.stdout + screen.stderr
    assert "ready" in screen.stdout
    assert "0 under version 1; 1 under version 2" in screen.stdout
    exported = operator.command("export", str(operator.folder / "export"))
    assert exported.returncode == 0, exported.stderr
    while_running = operator.command("recover")
    assert while_running.returncode == 1
    assert "a node is running on this store" in while_running.stderr
    lost = operator.feed({"number": ACCOUNT["number"], "status": "frozen"})
    operator.level(lost["as_of_ms"])
    running.stop()

    bank.settings["database_url"] = new_database(operator.folder, "fresh")
    imported = operator.killed_and_again("imported", "import", str(operator.folder / "export"))
    assert "not empty" in imported.stderr, "the first attempt imported everything"
    looked = operator.command("recover")
    assert looked.returncode == 0, looked.stderr
    assert "nothing has been changed" in looked.stdout
    assert "run the same command with --confirm" in looked.stdout
    again = operator.killed_and_again("recovered", "recover", "--confirm")
    assert "The core must feed again" in again.stdout, again.stdout + again.stderr

    net.start_bank(bank)
    trouble = wait_until(lambda: httpx.get(bank.url + "/readyz").json()["reason"])
    assert "recover --fed-again" in trouble
    screen = operator.command("status")
    assert screen.returncode == 1
    assert "the core must feed again" in screen.stdout
    too_early = operator.command("recover", "--fed-again")
    assert too_early.returncode == 1
    assert "it must feed" in too_early.stderr
    before = operator.client.bank(bank.bic).publication
    operator.post("/v1/feed", bank.core_key, lost)
    assert operator.killed_and_again("fed_again", "recover", "--fed-again").returncode == 1, (
        "the first attempt completed it"
    )
    operator.level(operator.feed()["as_of_ms"])
    written = [
        event.bindings
        for event in operator.client.published(0, operator.client.block_number())
        if event.number > before and event.bindings
    ]
    assert [len(bindings) for bindings in written] == [1]
    wait_until(lambda: httpx.get(bank.url + "/readyz").status_code == 200)
