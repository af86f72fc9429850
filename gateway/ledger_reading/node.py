"""One of the ledger's nodes: its state, its block hashes, and validation of its answers."""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from standing.gateway.ledger_reading.rpc import Endpoint
from standing.ledger.errors import LedgerUnreachable

_MAX_HASHES = 256
_HASH_SIZE = 32
_MAX_QUANTITY = 2**63 - 1  # of blocks, of seconds, and by EIP-2294 of chain ids


class NodeState(IntEnum):
    """How far a node is trusted with reads; lower is better."""

    FIT = 0
    STALLED = 1
    FAILING = 2
    BEHIND = 3
    WRONG = 4

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(slots=True)
class LedgerNode:
    """One node and its state.

    `highest`: the highest block that it has offered for reads, `read`: that a read has used. `checked`: it has proved
    to belong to this ledger and has not failed since. `hashes`: of its newest blocks, by number and time; a read from
    this node never uses another node's hash.
    """

    endpoint: Endpoint
    state: NodeState = NodeState.FIT
    problem: str | None = None
    block_number: int | None = None
    block_time_s: int | None = None
    highest: int = 0
    read: int = 0
    checked: bool = False
    hashes: OrderedDict[tuple[int, int], bytes] = field(default_factory=OrderedDict)

    @property
    def name(self) -> str:
        """Host and port."""
        return self.endpoint.name


def learn_block(node: LedgerNode, header: Any) -> tuple[int, int]:
    """Keep the hash of a block that `node` gave. Returns: its number and time.

    Raises: LedgerUnreachable where the answer is not a header.
    """
    try:
        number, time_s = quantity(header["number"]), quantity(header["timestamp"])
        found = bytes.fromhex(header["hash"][2:])
    except (TypeError, KeyError, ValueError) as error:
        raise LedgerUnreachable("the ledger's node answers without a block") from error
    if len(found) != _HASH_SIZE:
        raise LedgerUnreachable("the ledger's node answers with an invalid hash")
    node.hashes[number, time_s] = found
    if len(node.hashes) > _MAX_HASHES:
        node.hashes.popitem(last=False)
    return number, time_s


def quantity(value: Any) -> int:
    """A number as JSON-RPC writes it. Raises: LedgerUnreachable."""
    try:
        number = int(value, 16)
    except (TypeError, ValueError) as error:
        raise LedgerUnreachable("the ledger's node answers without a number") from error
    if not 0 <= number <= _MAX_QUANTITY:  # one with a million digits could not even be printed
        raise LedgerUnreachable("the ledger's node answers with an invalid number")
    return number
