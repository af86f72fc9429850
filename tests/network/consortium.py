"""Banks and a platform on the test network: each bank's node uses a validator of its own, the gateways the observer.

Everyone configures a second ledger node, as in production. Processes, keys and settings are those of the demo's
local network (`hardhat-free-scripts/localnet.py`).
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from demo_day import EXAMPLES, PLATFORM, POLICY, bank_time_zone
from localnet import LocalBank, LocalNet
from processes import BIN, Process, free_port
from standing.gateway.auditing.decisions import audit_decisions
from standing.gateway.auditing.export import Exported, parse_line
from standing.gateway.auditing.findings import Audit
from standing.gateway.auditing.ledger import audit_ledger
from standing.gateway.evidence.verification.case import VerifierInputs
from standing.ledger.chain.connection import parse_address
from tests.databases import new_database, on_postgresql
from tests.network.engine import CHAIN_ID
from tests.network.validators import NetworkNode, ValidatorNetwork, validators
from tests.timeouts import patient_ledger

#: The demo's banks. The first uses validator 0, the second validator 1; both have validator 2 as their second node.
BANKS = tuple((bank["bic"], bank["name"]) for bank in json.loads((EXAMPLES / "banks.json").read_text(encoding="utf-8")))
#: Often enough that a bank's staleness is rarely above a second.
_EXPORT_TIMEOUT_S = 600.0
_PUBLISHER = {"heartbeat_ms": 500, "poll_ms": 20}


@dataclass
class Consortium:
    """Everything that runs. `gateways` by their URLs: two on one PostgreSQL, or one on SQLite."""

    network: ValidatorNetwork
    net: LocalNet
    gateways: dict[str, Process] = field(default_factory=dict)

    def node_of(self, bank: LocalBank) -> NetworkNode:
        """The validator that a bank's node uses first."""
        return self.network.validators[list(self.net.banks).index(bank.bic)]

    def add_bank(
        self, bic: str, name: str, *, environment: Mapping[str, str] | None = None, **settings: Any
    ) -> LocalBank:
        """Admit a bank and start its node."""
        own, second = self.network.validators[len(self.net.banks)], self.network.validators[2]
        stated: dict[str, Any] = {
            "publisher": _PUBLISHER,
            "ledger_url": "",
            "ledger_urls": [own.url, second.url],
            "chain_id": CHAIN_ID,
            **settings,
        }
        if on_postgresql():
            stated["database_url"] = new_database(self.net.folder, "node")
        bank = self.net.add_bank(bic, name, **stated)
        self.net.start_bank(bank, environment)
        return bank

    def start_gateways(
        self, policy: dict[str, Any] | None = None, *, environment: Mapping[str, str] | None = None, **settings: Any
    ) -> None:
        """Start the platform's gateways: the first uses the observer first; the second, which gets `environment`,
        validator 3."""
        net, folder = self.net, self.net.folder
        net.add_gateway(time_zone=bank_time_zone(datetime.now(UTC)), policy=policy or POLICY)
        del net.gateway_settings["ledger_url"]
        net.gateway_settings |= {"chain_id": CHAIN_ID, **settings}
        if on_postgresql():
            net.gateway_settings["database_url"] = new_database(folder, "gateway")
        urls = [self.network.observer.url, self.network.validators[3].url]
        net.gateway_settings["ledger_urls"] = urls
        self.gateways[net.gateway_url] = net.start_gateway()
        if on_postgresql():  # several processes share a PostgreSQL; an SQLite database is for one
            net.gateway_settings["ledger_urls"] = urls[::-1]
            port = free_port()
            second = net.launch_gateway("gateway-2", port, environment)
            second.wait_for(f"http://127.0.0.1:{port}/healthz")
            self.gateways[f"http://127.0.0.1:{port}"] = second
            net.gateway_settings["ledger_urls"] = urls

    def export(self) -> list[Exported]:
        """The platform's export for an auditor, with keys: the output of `standing-gateway export
        --with-keys`."""
        output, config = self.net.folder / "decisions.jsonl", self.net.folder / "gateway" / "gateway.toml"
        output.unlink(missing_ok=True)
        command = [str(BIN / "standing-gateway"), "export", "-c", str(config), "-o", str(output), "--with-keys"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=_EXPORT_TIMEOUT_S)
        return [parse_line(line, number) for number, line in enumerate(output.read_text().splitlines(), 1)]

    def audited(self) -> Audit:
        """The findings of an auditor with the URL of one node and the export."""
        lines, audit = self.export(), Audit()
        self.network.wait_until_level()
        walked = audit_ledger(patient_ledger(self.network.validators[2].url, self.net.contract), audit)
        audit_decisions(lines, self.means(), walked, audit)
        return audit

    def means(self) -> VerifierInputs:
        """An auditor's means besides the export."""
        answer = httpx.get(f"{self.net.gateway_url}/v1/evidence-key", timeout=_EXPORT_TIMEOUT_S)
        return VerifierInputs(answer.json(), parse_address(self.net.contract, "contract"))


@contextmanager
def consortium(folder: Path, *, weather: bool = False) -> Iterator[Consortium]:
    """A network with the contract and no bank yet. Everything it started is ended on exit. `weather`: whether a test
    makes its links slow and lossy."""
    with validators(folder / "ledger", weather=weather) as network:
        net = LocalNet(folder, PLATFORM, ledger_url=network.validators[0].url)
        try:
            net.deploy()
            yield Consortium(network, net)
        finally:
            net.stop()
