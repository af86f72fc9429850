"""The engine of the test network: a CometBFT node with an EVM, and the genesis of its validators.

The binary comes in the PyPI package `injective-core`, whose licence is BUSL-1.1. It is used for these tests only, is
no dependency of Standing, and lives in an environment of its own (`make .cache/network/.ready`). It was chosen
because PyPI offers it and it works like production engines: blocks are final at once, more than two thirds of the
validators are needed, and it serves the usual JSON-RPC.

Making a genesis takes about ten seconds, so each is kept under `.cache/network`, named after its inputs.
"""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from processes import free_port

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "network"
#: The chain id of the network's EVM, as used in transactions.
CHAIN_ID = 777

_COSMOS_CHAIN_ID = "injective-777"
_DENOMINATION = "inj"
_FUNDS = f"{10**27}{_DENOMINATION}"
_STAKE = f"{10**24}{_DENOMINATION}"
_MAX_BLOCK_GAS = 100_000_000
_BLOCKS_BEFORE_JAIL = 1_000_000  # a validator may be down for as long as a test needs
_COMMAND_TIMEOUT_S = 60.0
_KEYRING = ("--keyring-backend", "test")
_VOTER = "voter"  # the account of a node that becomes a validator later
_PASSPHRASE = "12345678\n"  # prompted for with any keyring; the test keyring stores keys in the clear


class EngineMissing(Exception):
    """The engine is not installed; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The inputs of a genesis. `funded`: private keys whose accounts can pay for transactions."""

    validators: int
    observers: int
    funded: tuple[str, ...]

    @property
    def nodes(self) -> int:
        return self.validators + self.observers

    @property
    def digest(self) -> str:
        """Distinguishes the genesis of one plan from others, and from those of older versions of this module."""
        stated = json.dumps([asdict(self), hashlib.sha256(Path(__file__).read_bytes()).hexdigest()])
        return hashlib.sha256(stated.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Ports:
    """A node's ports; it listens for its peers at a separate address. `rpc` is its JSON-RPC."""

    address: str
    address_for_peers: str
    rpc: int = field(default_factory=free_port)
    websocket: int = field(default_factory=free_port)
    p2p: int = field(default_factory=free_port)
    comet: int = field(default_factory=free_port)
    api: int = field(default_factory=free_port)
    grpc: int = field(default_factory=free_port)


class Engine:
    """The installed binary."""

    @cached_property
    def binary(self) -> Path:
        """Raises: EngineMissing."""
        python = CACHE / "bin" / "python"
        if not python.exists():
            raise EngineMissing("the network's engine is missing: make .cache/network/.ready")
        asked = [str(python), "-c", "import injective_core; print(injective_core.get_binary_path())"]
        found = subprocess.run(asked, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False)
        if found.returncode != 0:
            raise EngineMissing(f"the network's engine does not work: {found.stderr[-500:]}")
        return Path(found.stdout.strip())

    def environment(self, scratch: Path) -> dict[str, str]:
        """The path of the binary's shared library, and `scratch` for the temporary files that it never removes."""
        return {"LD_LIBRARY_PATH": str(self.binary.parent), "TMPDIR": str(scratch)}

    def run(self, home: Path, *arguments: str) -> str:
        """Run a command of the engine to its end. Returns: its output. Raises: RuntimeError where it fails."""
        with TemporaryDirectory() as scratch:
            done = subprocess.run(
                [str(self.binary), *arguments, "--home", str(home)],
                capture_output=True,
                text=True,
                input=_PASSPHRASE,
                timeout=_COMMAND_TIMEOUT_S,
                check=False,
                env={**os.environ, **self.environment(Path(scratch))},
            )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments[:3])}: {(done.stderr or done.stdout)[-800:]}")
        return done.stdout

    def begin_to_vote(self, home: Path, ports: Ports, key: str) -> None:
        """Make a running node a validator, with as much stake as those of the genesis, paid by a funded account.

        Returns once the transaction is in a block; the validator set changes a few blocks later. Raises:
        RuntimeError.
        """
        self.run(home, "keys", "unsafe-import-eth-key", _VOTER, key, *_KEYRING)
        stated = home / "validator.json"
        stated.write_text(
            json.dumps(
                {
                    "pubkey": json.loads(self.run(home, "comet", "show-validator")),
                    "amount": _STAKE,
                    "moniker": home.name,
                    "commission-rate": "0.1",
                    "commission-max-rate": "0.2",
                    "commission-max-change-rate": "0.01",
                    "min-self-delegation": "1",
                }
            )
        )
        self._send(home, ports, "create-validator", str(stated))

    def end_to_vote(self, home: Path, ports: Ports) -> None:
        """Remove a validator that was added by `begin_to_vote`. Raises: RuntimeError."""
        validator = self.run(home, "keys", "show", _VOTER, "--bech", "val", "--address", *_KEYRING).strip()
        self._send(home, ports, "unbond", validator, _STAKE)

    def _send(self, home: Path, ports: Ports, *what: str) -> None:
        node = ("--node", f"tcp://{ports.address}:{ports.comet}", "--chain-id", _COSMOS_CHAIN_ID)
        paid = ("--gas", "2000000", "--gas-prices", f"1000{_DENOMINATION}", "--yes", "--output", "json")
        answer = json.loads(self.run(home, "tx", "staking", *what, "--from", _VOTER, *_KEYRING, *node, *paid))
        if answer.get("code"):
            raise RuntimeError(f"{what[0]}: {answer.get('raw_log')}")

    def homes(self, plan: Plan) -> Path:
        """A folder with a home for each node, `n0`, `n1` …, ready to start; validators come first. Copy the homes,
        do not change them."""
        made = CACHE / f"genesis-{plan.digest}"
        if not made.exists():
            CACHE.mkdir(parents=True, exist_ok=True)
            # Under a temporary name until it is complete: an interrupted or concurrent run leaves no half-made folder.
            workshop = CACHE / f"{made.name}.{secrets.token_hex(4)}"
            try:
                self._make(workshop, plan)
                if not made.exists():
                    workshop.rename(made)
            finally:
                shutil.rmtree(workshop, ignore_errors=True)
        return made

    def _make(self, folder: Path, plan: Plan) -> None:
        homes = [folder / f"n{index}" for index in range(plan.nodes)]
        for index, home in enumerate(homes):
            self.run(home, "init", f"n{index}", "--chain-id", _COSMOS_CHAIN_ID, "--default-denom", _DENOMINATION)
            _loosen(home / "config" / "config.toml")
        first, genesis = homes[0], homes[0] / "config" / "genesis.json"
        _patch(genesis)
        accounts = {f"sender{index}": key for index, key in enumerate(plan.funded)}
        validators = {f"validator{index}": secrets.token_hex(32) for index in range(plan.validators)}
        for name, key in (accounts | validators).items():
            self.run(first, "keys", "unsafe-import-eth-key", name, key, *_KEYRING)
            self.run(first, "genesis", "add-genesis-account", name, _FUNDS, *_KEYRING, "--chain-id", _COSMOS_CHAIN_ID)
        signed = first / "config" / "gentx"
        signed.mkdir()
        for index, name in enumerate(validators):
            home = homes[index]
            if index:
                self.run(home, "keys", "unsafe-import-eth-key", name, validators[name], *_KEYRING)
                shutil.copy(genesis, home / "config" / "genesis.json")
            output = str(signed / f"{name}.json")
            to = ("--chain-id", _COSMOS_CHAIN_ID, "--output-document", output)
            self.run(home, "genesis", "gentx", name, _STAKE, *_KEYRING, *to)
        self.run(first, "genesis", "collect-gentxs")
        for home in homes[1:]:
            shutil.copy(genesis, home / "config" / "genesis.json")
        for home in homes:
            shutil.rmtree(home / "keyring-test", ignore_errors=True)
            (home / "id").write_text(self.run(home, "comet", "show-node-id").strip())


def _patch(genesis: Path) -> None:
    """Settings of the chain itself: no minting, no jailing, gas almost free."""
    stated: dict[str, Any] = json.loads(genesis.read_text())
    app = stated["app_state"]
    app["evm"]["params"]["chain_config"]["eip155_chain_id"] = str(CHAIN_ID)
    app["txfees"]["params"]["min_gas_price"] = "1.000000000000000000"
    for name in ("inflation_rate_change", "inflation_max", "inflation_min"):
        app["mint"]["params"][name] = "0.000000000000000000"
    app["mint"]["minter"]["inflation"] = "0.000000000000000000"
    app["slashing"]["params"]["signed_blocks_window"] = str(_BLOCKS_BEFORE_JAIL)
    stated["consensus"]["params"]["block"]["max_gas"] = str(_MAX_BLOCK_GAS)
    genesis.write_text(json.dumps(stated))


def _loosen(config: Path) -> None:
    """Let all nodes share one address, and connect only to the peers they are given."""
    text = config.read_text()
    for name, was, becomes in (
        ("addr_book_strict", "true", "false"),
        ("allow_duplicate_ip", "false", "true"),
        ("pex", "true", "false"),
    ):
        line = f"\n{name} = {was}\n"
        if text.count(line) != 1:
            raise RuntimeError(f"the engine's config.toml has no line {line.strip()!r}")
        text = text.replace(line, f"\n{name} = {becomes}\n")
    config.write_text(text)


def start_command(engine: Engine, home: Path, ports: Ports, *, peers: Sequence[str], commit_ms: int) -> list[str]:
    """The command that runs a node. `peers`: `id@host:port`, which it dials; `commit_ms`: roughly the block time."""
    at = ports.address
    return [
        *(str(engine.binary), "start", "--home", str(home), "--log-level", "info", "--log-no-color"),
        *("--p2p.laddr", f"tcp://{ports.address_for_peers}:{ports.p2p}", "--p2p.persistent_peers", ",".join(peers)),
        *("--rpc.laddr", f"tcp://{at}:{ports.comet}", "--rpc.pprof_laddr", ""),
        *("--json-rpc.address", f"{at}:{ports.rpc}", "--json-rpc.ws-address", f"{at}:{ports.websocket}"),
        # The engine serves JSON-RPC only if its own API and gRPC are enabled as well.
        *("--api.address", f"tcp://{at}:{ports.api}", "--grpc.address", f"{at}:{ports.grpc}"),
        *("--minimum-gas-prices", f"1{_DENOMINATION}", "--pruning", "nothing"),
        *("--unsafe-consensus-timeout-commit", f"{commit_ms}ms"),
    ]
