"""Hyperledger Besu's files: genesis with the validators, who may connect and send, and each node's configuration.

From Besu's documentation of QBFT, free gas networks and local permissioning. No Besu was run with them here; tests
decode the extra data independently and check every form.
"""

import json
from typing import Any

import rlp
import tomlkit

from standing.ledger.consortium.plan import Member, Plan

#: Marks a QBFT or IBFT block: the end of "Istanbul practical byzantine fault tolerance", in ASCII.
MIX_HASH = "0x63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365"
_VANITY = bytes(32)
_ETC = "/etc/standing"
_DATA = "/var/lib/besu"
RPC_PORT = 8545
METRICS_PORT = 9545


def extra_data(addresses: list[str]) -> str:
    """The genesis block's extra data: vanity, validators in the order of their addresses, no vote, round 0, no seal."""
    validators = sorted(bytes.fromhex(address[2:]) for address in addresses)
    encoded: bytes = rlp.encode([_VANITY, validators, [], b"", []])
    return "0x" + encoded.hex()


def genesis(plan: Plan) -> dict[str, Any]:
    """The genesis file: QBFT, no money, no price for gas, and the EVM that the contract is compiled for (Cancun)."""
    return {
        "config": {
            "chainId": plan.chain_id,
            "berlinBlock": 0,
            "londonBlock": 0,
            "shanghaiTime": 0,
            "cancunTime": 0,
            "zeroBaseFee": True,
            "qbft": {
                "blockperiodseconds": plan.block_period_s,
                "epochlength": 30_000,
                # Besu's own advice: twice the block period, and no less than two seconds.
                "requesttimeoutseconds": max(2, 2 * plan.block_period_s),
            },
        },
        "nonce": "0x0",
        "timestamp": "0x0",
        "extraData": extra_data([member.address for member in plan.validators]),
        "gasLimit": hex(plan.gas_limit),
        "difficulty": "0x1",
        "mixHash": MIX_HASH,
        "coinbase": "0x" + "0" * 40,
        "alloc": {},
    }


def permissions(plan: Plan) -> str:
    """The permissions file: who may connect, and who may send transactions."""
    document = tomlkit.document()
    document.add("nodes-allowlist", tomlkit.item([member.enode for member in plan.members]).multiline(True))
    document.add("accounts-allowlist", tomlkit.item(plan.accounts).multiline(True))
    return tomlkit.dumps(document)


def static_nodes(plan: Plan, member: Member) -> str:
    """The peers of a member's node: all the others."""
    return json.dumps([other.enode for other in plan.members if other is not member], indent=2) + "\n"


def configuration(member: Member) -> str:
    """`besu.toml` of a member's node."""
    stated: dict[str, Any] = {
        "identity": member.name,
        "data-path": _DATA,
        "genesis-file": f"{_ETC}/genesis.json",
        "node-private-key-file": f"{_ETC}/node.key",
        "static-nodes-file": f"{_ETC}/static-nodes.json",
        "permissions-nodes-config-file-enabled": True,
        "permissions-nodes-config-file": f"{_ETC}/permissions.toml",
        "permissions-accounts-config-file-enabled": True,
        "permissions-accounts-config-file": f"{_ETC}/permissions.toml",
        "discovery-enabled": False,
        "p2p-host": member.host,
        "p2p-port": member.p2p_port,
        "sync-mode": "FULL",
        # Keeps old states, so that evidence of an old decision can be proved (eth_getProof).
        "data-storage-format": "FOREST",
        "min-gas-price": 0,
        "rpc-http-enabled": True,
        "rpc-http-host": "127.0.0.1",
        "rpc-http-port": RPC_PORT,
        "rpc-http-api": ["ETH", "NET", "WEB3", "TXPOOL", *(["QBFT"] if member.validator else [])],
        # No limit: auditors, evidence and recoveries search the whole ledger, which only this machine can reach.
        "rpc-max-logs-range": 0,
        "host-allowlist": ["localhost", "127.0.0.1", "besu"],
        "metrics-enabled": True,
        "metrics-host": "127.0.0.1",
        "metrics-port": METRICS_PORT,
    }
    return tomlkit.dumps(stated)
