"""The development chain answers like any node, with JSON-RPC errors for whatever it cannot do."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import rlp
from eth_hash.auto import keccak

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.proofs import ProofWrong, parse_header, prove
from standing.ledger.devnet.chain import DEVNET_KEYS, Devnet
from standing.ledger.service.serve import served


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(Devnet().app) as served_at:
        yield served_at


def _ask(url: str, method: str, *params: Any) -> dict[str, Any]:
    answer = httpx.post(url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, timeout=30)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


def test_the_chain_of_the_tests_hashes_in_c() -> None:
    """The choice counts only if it is made before the first hash (`tests/__init__.py`)."""
    assert keccak.hasher.__module__ == "eth_hash.backends.pysha3"


@pytest.mark.parametrize(
    "raw",
    ["0x", "0x00", "0x01c0", "0x7fc0", "0xf8", "0xzz", "0x" + rlp.encode([b"a"] * 9).hex(), 5, None, {}],
)
def test_a_malformed_transaction_is_refused_with_a_json_rpc_error(url: str, raw: Any) -> None:
    assert _ask(url, "eth_sendRawTransaction", raw)["error"]["code"] == -32602
    assert _ask(url, "eth_blockNumber")["result"] == "0x0"


def test_an_unknown_method_gets_a_json_rpc_error(url: str) -> None:
    assert _ask(url, "eth_nope")["error"]["code"] == -32601


@pytest.mark.parametrize(
    ("body", "code"), [(b"{", -32700), (b"5", -32600), (b"{}", -32600), (b'{"method": 5}', -32600)]
)
def test_a_malformed_call_gets_a_json_rpc_error(url: str, body: bytes, code: int) -> None:
    assert httpx.post(url, content=body).json()["error"]["code"] == code


def test_a_contract_creation_has_a_null_recipient(url: str) -> None:
    address = LocalSigner(DEVNET_KEYS[0]).address
    contract = governance.deploy(url, DEVNET_KEYS[0], governor=address, registrar=address, guardian=address)
    (made,) = _ask(url, "eth_getBlockByNumber", "latest", False)["result"]["transactions"]
    receipt = _ask(url, "eth_getTransactionReceipt", made)["result"]
    assert (receipt["to"], receipt["contractAddress"]) == (None, contract)
    assert _ask(url, "eth_getTransactionByHash", made)["result"]["to"] is None


class _Clock:
    def __init__(self) -> None:
        self.now_s = 1_772_409_600

    def __call__(self) -> int:
        return self.now_s


def _deploy(devnet_url: str) -> str:
    address = LocalSigner(DEVNET_KEYS[0]).address
    return governance.deploy(devnet_url, DEVNET_KEYS[0], governor=address, registrar=address, guardian=address)


def test_blocks_never_run_ahead_of_the_clock_however_many_a_second_has() -> None:
    clock = _Clock()
    with served(Devnet(now_s=clock).app) as at:
        for seconds in (0, 0, 0, 1, 0, 3600, 0):
            clock.now_s += seconds
            _deploy(at)
            newest = _ask(at, "eth_getBlockByNumber", "latest", False)["result"]
            assert int(newest["timestamp"], 16) == clock.now_s
        clock.now_s -= 60
        _deploy(at)
        assert int(_ask(at, "eth_getBlockByNumber", "latest", False)["result"]["timestamp"], 16) == clock.now_s + 60
        assert int(_ask(at, "eth_blockNumber")["result"], 16) == 8


def test_a_header_is_returned_exactly_as_it_was_hashed(url: str) -> None:
    _deploy(url)
    for number in range(int(_ask(url, "eth_blockNumber")["result"], 16) + 1):
        block = _ask(url, "eth_getBlockByNumber", hex(number), False)["result"]
        assert "0x" + parse_header(block).hash.hex() == block["hash"]
        assert _ask(url, "eth_getBlockByHash", block["hash"], False)["result"] == block


@pytest.mark.parametrize(
    "params", [[], ["0x11"], ["0x" + "11" * 20, "0x0", "latest"], ["0x" + "11" * 20, ["zz"], "latest"]]
)
def test_a_malformed_proof_request_is_refused(url: str, params: list[Any]) -> None:
    assert _ask(url, "eth_getProof", *params)["error"]["code"] == -32602


def test_a_missing_account_is_proved_absent(url: str) -> None:
    proof = _ask(url, "eth_getProof", "0x" + "11" * 20, ["0x0"], "latest")["result"]
    assert (proof["balance"], proof["nonce"], proof["storageProof"][0]["proof"]) == ("0x0", "0x0", [])
    header = parse_header(_ask(url, "eth_getBlockByNumber", "latest", False)["result"])
    with pytest.raises(ProofWrong):
        prove(proof, header, contract="0x" + "11" * 20, bank="YUNXCNB0", binding=bytes(32))
