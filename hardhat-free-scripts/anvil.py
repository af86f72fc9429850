"""Anvil, a fast EVM node, from the npm packages of hardhat-free-scripts/npm: for benchmarks and network tests."""

import shutil
import subprocess
from pathlib import Path

import httpx
from processes import Process, free_port

NPM = Path(__file__).with_name("npm")
#: The first of the keys that anvil funds; it derives them from its published mnemonic. Worth nothing elsewhere.
ANVIL_KEYS = (
    bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    bytes.fromhex("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
)


class AnvilMissing(Exception):
    """Anvil is not installed and cannot be; the text says in one line what is missing."""


def install() -> Path:
    """The anvil binary, installed from npm where it is not there yet. Raises: AnvilMissing."""
    if (found := _binary()) is not None:
        return found
    if shutil.which("npm") is None:
        raise AnvilMissing("npm is missing: anvil comes from npm (install Node.js)")
    ended = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=NPM,
        capture_output=True,
        text=True,
        check=False,
    )
    found = _binary()
    if found is None:
        raise AnvilMissing(f"npm has no anvil for this machine: {ended.stderr.strip()[-200:]}")
    return found


def _binary() -> Path | None:
    return next(NPM.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"), None)


def start(folder: Path, *, block_time_s: float | None = None) -> tuple[Process, str]:
    """Start anvil on a free loopback port, log in `folder`. Returns: the process and its URL.

    Blocks come at once with each transaction, or every `block_time_s` seconds.
    """
    port = free_port()
    command = [str(install()), "--port", str(port), "--silent", "--gas-limit", "1000000000", "--hardfork", "cancun"]
    if block_time_s is not None:
        command += ["--block-time", str(block_time_s)]
    process = Process("anvil", command, folder / f"anvil-{port}.log")
    url = f"http://127.0.0.1:{port}"
    process.wait_until(lambda: _answers(url))
    return process, url


def _answers(url: str) -> bool:
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}
    return httpx.post(url, json=call, timeout=2).status_code == httpx.codes.OK
