"""Anvil, a fast EVM node, from the npm packages of hardhat-free-scripts/npm: for benchmarks and network tests."""

from pathlib import Path

import httpx

from npm_run import NpmFailed, run_npm
from processes import Process, free_port
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.devnet.chain import DEVNET_KEYS

NPM = Path(__file__).with_name("npm")


class AnvilMissing(Exception):
    """Anvil is not installed and cannot be; the text says in one line what is missing."""


def install() -> Path:
    """The anvil binary, installed from npm if necessary. Raises: AnvilMissing."""
    if (found := _binary()) is not None:
        return found
    try:
        # Not `npm ci`: the lock file lists the packages of one platform only, and those of others work as well.
        run_npm(NPM, "install", "--no-save", packages="anvil's binaries")
    except NpmFailed as error:
        raise AnvilMissing(str(error)) from error
    found = _binary()
    if found is None:
        raise AnvilMissing("npm has no anvil for this machine")
    return found


def _binary() -> Path | None:
    return next(NPM.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"), None)


def start(folder: Path, *, block_time_s: float | None = None, history: bool = True) -> tuple[Process, str]:
    """Start anvil on a free loopback port, with its log in `folder`. Returns: the process and its URL.

    Each transaction gets a block at once, or blocks come every `block_time_s` seconds. Without `history` it keeps
    only the newest state and the transactions of the newest blocks, for a large ledger.
    """
    port = free_port()
    command = [str(install()), "--port", str(port), "--silent", "--gas-limit", "1000000000", "--hardfork", "cancun"]
    if block_time_s is not None:
        command += ["--block-time", str(block_time_s)]
    if not history:
        command += ["--prune-history", "--transaction-block-keeper", "64"]
    process = Process("anvil", command, folder / f"anvil-{port}.log")
    url = f"http://127.0.0.1:{port}"
    process.wait_until(lambda: _call(url, "eth_chainId").status_code == httpx.codes.OK)
    for key in DEVNET_KEYS:  # the local network pays with the development chain's accounts
        _call(url, "anvil_setBalance", LocalSigner(key).address, hex(10**24)).raise_for_status()
    return process, url


def mine_on_request(url: str) -> None:
    """Stop mining automatically: from now on transactions wait for `mine`."""
    _call(url, "evm_setAutomine", False).raise_for_status()


def mine(url: str) -> None:
    """Make a block of all waiting transactions."""
    _call(url, "evm_mine", timeout_s=60).raise_for_status()


def _call(url: str, method: str, *params: str | bool, timeout_s: float = 2) -> httpx.Response:
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return httpx.post(url, json=call, timeout=timeout_s)
