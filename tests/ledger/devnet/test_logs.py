"""The development chain's logs, compared with eth-tester's own, which are correct but slow to produce."""

from typing import Any

import pytest
from eth_utils import keccak
from web3.types import RPCEndpoint

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.devnet.chain import DEVNET_KEYS, Devnet, _to_json
from standing.ledger.service.serve import served

ADMITTED = "0x" + keccak(text="BankAdmitted(bytes11,address,address,uint48,bytes32)").hex()
SUSPENDED = "0x" + keccak(text="BankSuspended(bytes11,address)").hex()


def _bank(bic: str) -> str:
    return "0x" + bic.encode().ljust(32, b"\0").hex()


@pytest.fixture(scope="module")
def chain() -> Any:
    devnet = Devnet()
    with served(devnet.app) as url:
        registrar = LocalSigner(DEVNET_KEYS[0]).address
        contract = governance.deploy(url, DEVNET_KEYS[0], governor=registrar, registrar=registrar, guardian=registrar)
        client = LedgerClient(url, contract)
        for bic in ("YUNXCNB0", "HAIYCNS0001"):
            governance.execute(client, governance.admit(bic, registrar, registrar), DEVNET_KEYS[0])
        governance.execute(client, governance.suspend("YUNXCNB0"), DEVNET_KEYS[0])
        yield devnet, contract


@pytest.mark.parametrize(
    ("changed", "count"),
    [
        ({}, 6),  # three roles granted by the constructor, then these
        ({"fromBlock": "0x2"}, 3),
        ({"fromBlock": "0x2", "toBlock": "0x2"}, 1),
        ({"fromBlock": "0x3", "toBlock": "0x2"}, 0),
        ({"topics": [ADMITTED]}, 2),
        ({"topics": [[ADMITTED, SUSPENDED]]}, 3),
        ({"topics": [None, _bank("YUNXCNB0")]}, 2),
        ({"topics": [ADMITTED, _bank("YUNXCNB0")]}, 1),
        ({"topics": [ADMITTED, _bank("YUNXCNB0"), None]}, 0),
        ({"address": "0x" + "11" * 20}, 0),
    ],
)
def test_logs_match_eth_testers_own(chain: Any, changed: dict[str, Any], count: int) -> None:
    devnet, contract = chain
    asked = {"fromBlock": "0x0", "toBlock": "0x4", "address": contract} | changed
    found = devnet.call({"id": 1, "method": "eth_getLogs", "params": [asked]})["result"]
    assert len(found) == count
    own = [_to_json(log) for log in devnet._request(RPCEndpoint("eth_getLogs"), [asked])["result"]]
    assert [_comparable(log) for log in found] == [_comparable(log) for log in own]


def _comparable(log: dict[str, Any]) -> dict[str, Any]:
    return {name: str(log[name]).lower() for name in log if name not in {"removed", "type"}}


def test_a_range_past_the_head_ends_at_the_head(chain: Any) -> None:
    devnet, contract = chain
    asked = {"fromBlock": "latest", "toBlock": hex(10**9), "address": [contract]}
    assert len(devnet.call({"id": 1, "method": "eth_getLogs", "params": [asked]})["result"]) == 1


def test_a_single_block_can_be_named_by_its_hash(chain: Any) -> None:
    devnet, contract = chain
    for number, count in ((0, 0), (2, 1)):
        block = devnet.call({"id": 1, "method": "eth_getBlockByNumber", "params": [hex(number), False]})["result"]
        asked = {"blockHash": block["hash"], "address": contract}
        assert len(devnet.call({"id": 1, "method": "eth_getLogs", "params": [asked]})["result"]) == count


@pytest.mark.parametrize(
    "asked",
    [
        {"fromBlock": 1},
        {"fromBlock": "first"},
        {"address": 5},
        {"topics": 5},
        {"blockHash": "0x" + "11" * 32},
        {"blockHash": "0x11"},
        {"blockHash": "0x" + "11" * 32, "fromBlock": "0x0"},
        "all",
        5,
    ],
)
def test_a_malformed_filter_gets_a_json_rpc_error(chain: Any, asked: Any) -> None:
    devnet, _ = chain
    assert devnet.call({"id": 1, "method": "eth_getLogs", "params": [asked]})["error"]["code"] == -32602
