"""A complete local network in one folder: development chain, contract, two or more bank nodes, one gateway.

Each is a process of its own on a free loopback port, started with the same commands and settings files that
production uses. All keys are made for the folder and are worthless elsewhere.
"""

import json
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from eth_account import Account

from processes import BIN, Process, free_port
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.devnet.chain import DEVNET_KEYS
from standing.ledger.service.api_keys import new_key
from standing.ledger.service.private_files import write_private

# Two hundred thousand rounds protect valuable keys; these are worthless, and every start decrypts four of them.
_KEYSTORE_ITERATIONS = 2**12

REGISTRAR, GUARDIAN, BANK_ADMIN = DEVNET_KEYS[:3]
_SENDERS = DEVNET_KEYS[3:]


@dataclass
class LocalBank:
    """A bank of the local network. `core_key` opens its feed, `platform_key` its bindings."""

    bic: str
    name: str
    folder: Path
    url: str
    core_key: str
    platform_key: str
    settings: dict[str, Any]
    process: Process | None = None
    operator_key: str = ""
    name_zh: str | None = None


@dataclass
class LocalNet:
    """Everything that runs, and where."""

    folder: Path
    platform: str
    ledger_url: str = ""
    contract: str = ""
    gateway_url: str = ""
    gateway_key: str = ""
    support_key: str = ""
    admin_key: str = ""
    gateway_settings: dict[str, Any] = field(default_factory=dict)
    banks: dict[str, LocalBank] = field(default_factory=dict)
    _processes: list[Process] = field(default_factory=list)

    def start_ledger(self) -> None:
        """Start the development chain and deploy the contract."""
        port = free_port()
        self.ledger_url = f"http://127.0.0.1:{port}"
        script = Path(__file__).with_name("devnet.py")
        devnet = self._start("devnet", [sys.executable, str(script), "--port", str(port)])
        devnet.wait_for(self.ledger_url + "/healthz")
        self.deploy()

    def deploy(self) -> None:
        """Deploy the contract on the chain at `ledger_url`."""
        address = LocalSigner(REGISTRAR).address
        self.contract = governance.deploy(
            self.ledger_url,
            REGISTRAR,
            governor=address,
            registrar=address,
            guardian=LocalSigner(GUARDIAN).address,
        )

    def add_bank(self, bic: str, name: str, *, name_zh: str | None = None, **settings: Any) -> LocalBank:
        """Make a bank's keys and settings, and admit it to the ledger; `settings` overrides or extends its own."""
        folder = self.folder / bic
        payouts = folder / "payouts"
        payouts.mkdir(parents=True)
        sender_key = _SENDERS[len(self.banks) % len(_SENDERS)]
        signer = _write_keystore(folder / "signer", secrets.token_bytes(32))
        _write_keystore(folder / "sender", sender_key)
        for name_of_secret in ("bank-secret", "vault-secret"):
            write_private(folder / name_of_secret, secrets.token_hex(32))
        step = governance.admit(bic, LocalSigner(signer).address, LocalSigner(BANK_ADMIN).address)
        governance.execute(LedgerClient(self.ledger_url, self.contract), step, REGISTRAR)
        (core_key, core_hash), (platform_key, platform_hash) = new_key(), new_key()
        operator_key, operator_hash = new_key()
        port = free_port()
        stated = {
            "bic": bic,
            "database_url": f"sqlite:///{folder}/node.sqlite3",
            "listen_port": port,
            "ledger_url": self.ledger_url,
            "ledger_contract": self.contract,
            "bank_secret_file": str(folder / "bank-secret"),
            "vault_secret_file": str(folder / "vault-secret"),
            "micro_deposit": {"policy": "phone_differs", "payout_folder": str(payouts)},
            **{f"{role}_keystore": str(folder / role) for role in ("signer", "sender")},
            **{f"{role}_password_file": str(folder / f"{role}-password") for role in ("signer", "sender")},
            "api_keys": [
                {"name": "core", "role": "core", "sha256": core_hash},
                {"name": "operator", "role": "operator", "sha256": operator_hash},
                {"name": self.platform, "role": "platform", "platform": self.platform, "sha256": platform_hash},
            ],
            **settings,
        }
        url = f"http://127.0.0.1:{port}"
        bank = LocalBank(bic, name, folder, url, core_key, platform_key, stated, None, operator_key, name_zh)
        self.banks[bic] = bank
        return bank

    @property
    def faucet(self) -> str:
        """An account with plenty of the development chain's currency, for which the chain signs."""
        return LocalSigner(DEVNET_KEYS[-1]).address

    def write_registrar(self) -> None:
        """Write the registrar's keystore `registrar` and its password beside it, for `standing-node` commands."""
        _write_keystore(self.folder / "registrar", REGISTRAR)

    def start_bank(self, bank: LocalBank, environment: Mapping[str, str] | None = None) -> Process:
        """Start a bank's node and wait until it answers."""
        config = bank.folder / "node.toml"
        config.write_text(tomli_w.dumps(bank.settings))
        command = [str(BIN / "standing-node"), "serve", "--config", str(config)]
        bank.process = self._start(f"node-{bank.bic}", command, environment)
        bank.process.wait_for(bank.url + "/healthz")
        return bank.process

    def add_gateway(self, *, time_zone: str = "Asia/Shanghai", policy: Mapping[str, Any] | None = None) -> None:
        """Make the keys and settings of the platform's gateway, for all banks so far."""
        folder = self.folder / "gateway"
        folder.mkdir()
        write_private(folder / "vault-secret", secrets.token_hex(32))
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_private(folder / "evidence-key.pem", pem.decode())
        for bank in self.banks.values():
            write_private(folder / f"node-key-{bank.bic}", bank.platform_key)
        self.gateway_key, hashed = new_key()
        self.support_key, support_hashed = new_key()
        self.admin_key, admin_hashed = new_key()
        port = free_port()
        self.gateway_url = f"http://127.0.0.1:{port}"
        self.gateway_settings = {
            "platform": self.platform,
            "database_url": f"sqlite:///{folder}/gateway.sqlite3",
            "listen_port": port,
            "ledger_url": self.ledger_url,
            "ledger_contract": self.contract,
            "vault_secret_files": [str(folder / "vault-secret")],
            "evidence_key_file": str(folder / "evidence-key.pem"),
            "api_keys": [
                {"name": "checkout", "role": "platform", "sha256": hashed},
                {"name": "support", "role": "support", "sha256": support_hashed},
                {"name": "admin", "role": "admin", "sha256": admin_hashed},
            ],
            "banks": [
                {
                    "bic": bank.bic,
                    "name": bank.name,
                    **({"name_zh": bank.name_zh} if bank.name_zh is not None else {}),
                    "node_url": bank.url,
                    "node_api_key_file": str(folder / f"node-key-{bank.bic}"),
                    "time_zone": time_zone,
                }
                for bank in self.banks.values()
            ],
            "policy": dict(policy or {}),
        }

    def start_gateway(self, *options: str) -> Process:
        """Start the platform's gateway, with `options` of `serve`, and wait until it answers."""
        gateway = self.launch_gateway("gateway", self.gateway_settings["listen_port"], options=options)
        gateway.wait_for(self.gateway_url + "/healthz")
        return gateway

    def start_standby(self, bank: LocalBank) -> tuple[Process, str]:
        """Start a second node on a bank's store. Returns: its process, and where it answers."""
        port, config = free_port(), bank.folder / "standby.toml"
        config.write_text(tomli_w.dumps({**bank.settings, "listen_port": port}))
        command = [str(BIN / "standing-node"), "serve", "--config", str(config)]
        standby, url = self._start(f"standby-{bank.bic}", command), f"http://127.0.0.1:{port}"
        standby.wait_for(url + "/healthz")
        return standby, url

    def start_again(self, ended: Process, url: str) -> Process:
        """Restart a process that has ended, and wait until it answers at `url`."""
        process = ended.again()
        self._processes.append(process)
        process.wait_for(url + "/healthz")
        return process

    def launch_gateway(
        self, name: str, port: int, environment: Mapping[str, str] | None = None, options: Sequence[str] = ()
    ) -> Process:
        """Start one of several gateways on the database, on `port` of this machine, without waiting for it."""
        config = self.folder / "gateway" / f"{name}.toml"
        config.write_text(tomli_w.dumps({**self.gateway_settings, "listen_port": port}))
        command = [str(BIN / "standing-gateway"), "serve", "--config", str(config), *options]
        return self._start(name, command, environment)

    def stop(self) -> None:
        """End every process started here, last first."""
        while self._processes:
            self._processes.pop().stop()

    def _start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Process:
        process = Process(name, command, self.folder / f"{name}.log", environment)
        self._processes.append(process)
        return process


def _write_keystore(file: Path, key: bytes) -> bytes:
    """An encrypted keystore `file` and its password beside it. Returns: the key."""
    password = secrets.token_hex(16)
    write_private(file.with_name(f"{file.name}-password"), password)
    write_private(file, json.dumps(Account.encrypt(key, password, kdf="scrypt", iterations=_KEYSTORE_ITERATIONS)))
    return key
