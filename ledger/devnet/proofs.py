"""`eth_getProof` of the development chain (EIP-1186), from py-evm's own tries, for every block since the first.

eth-tester does not offer it. py-evm keeps the nodes of all states, so an old block can be proved as well as the newest.
"""

from typing import Any

import rlp
from eth.constants import BLANK_ROOT_HASH, EMPTY_SHA3
from eth.rlp.accounts import Account
from eth_tester import EthereumTester
from eth_utils import keccak, to_canonical_address, to_checksum_address
from trie.hexary import HexaryTrie

_MAX_SLOTS = 1000
_NEWEST = {"latest", "pending", "safe", "finalized"}


def get_proof(tester: EthereumTester, params: list[Any]) -> dict[str, Any]:
    """Answer `eth_getProof` with an address, storage slots, and a block by its number or tag.

    Raises: ValueError, TypeError, IndexError where the parameters are none.
    """
    address, slots, block = to_canonical_address(params[0]), params[1], params[2]
    if not isinstance(slots, list) or len(slots) > _MAX_SLOTS:
        raise ValueError(f"storage slots: a list of at most {_MAX_SLOTS}")
    chain = tester.backend.chain
    header = chain.get_canonical_block_header_by_number(_number(block, chain.get_canonical_head().block_number))
    nodes = chain.chaindb.db
    accounts = HexaryTrie(nodes, header.state_root)
    key = keccak(address)
    encoded = accounts.get(key)
    account = rlp.decode(encoded, sedes=Account) if encoded else None
    root = account.storage_root if account is not None else BLANK_ROOT_HASH
    storage = HexaryTrie(nodes, root)
    return {
        "address": to_checksum_address(address),
        "accountProof": _path(accounts, key),
        "balance": hex(account.balance if account is not None else 0),
        "codeHash": "0x" + (account.code_hash if account is not None else EMPTY_SHA3).hex(),
        "nonce": hex(account.nonce if account is not None else 0),
        "storageHash": "0x" + root.hex(),
        "storageProof": [_proved(storage, slot) for slot in slots],
    }


def _proved(storage: HexaryTrie, slot: Any) -> dict[str, Any]:
    key = keccak(int(slot, 16).to_bytes(32))
    stored = storage.get(key)
    value = int.from_bytes(rlp.decode(stored)) if stored else 0
    return {"key": slot, "value": hex(value), "proof": _path(storage, key)}


def _path(trie: HexaryTrie, key: bytes) -> list[str]:
    """The nodes from the root to a key, or to where it would be; without those embedded in their parent."""
    if trie.root_hash == BLANK_ROOT_HASH:
        return []
    encoded = [rlp.encode(node) for node in trie.get_proof(key)]  # type: ignore[no-untyped-call]
    return ["0x" + node.hex() for index, node in enumerate(encoded) if index == 0 or len(node) >= 32]


def _number(block: Any, newest: int) -> int:
    if block in _NEWEST:
        return newest
    if block == "earliest":
        return 0
    number = int(block, 16)
    if not 0 <= number <= newest:
        raise ValueError(f"no block {number}; the newest is {newest}")
    return number
