"""A mempool for the development chain, which has none: it holds transactions back as a real node does.

One for each sender and nonce; another replaces it only for a tenth more. With `no_gaps`, a nonce above the next one
is refused, as networks over CometBFT do.
"""

from dataclasses import dataclass
from typing import Any

import rlp
from eth_account import Account
from eth_utils import keccak


@dataclass(frozen=True)
class Held:
    """A transaction in the mempool."""

    call: dict[str, Any]
    hash: str
    sender: str
    nonce: int
    gas_price_wei: int
    data: bytes


def parse(call: dict[str, Any]) -> Held:
    """The transaction of an `eth_sendRawTransaction` call."""
    raw = bytes.fromhex(call["params"][0].removeprefix("0x"))
    nonce, gas_price, _gas, _to, _value, data, *_signature = rlp.decode(raw)
    return Held(
        call=call,
        hash="0x" + keccak(raw).hex(),
        sender=Account.recover_transaction(raw),
        nonce=int.from_bytes(nonce),
        gas_price_wei=int.from_bytes(gas_price),
        data=data,
    )


class Mempool:
    """The transactions held. `taken` lists all ever accepted, for tests. Nothing cheaper than `least_wei` is
    accepted."""

    def __init__(self) -> None:
        self.no_gaps = False
        self.least_wei = 0
        self.taken: list[Held] = []
        self._held: dict[tuple[str, int], Held] = {}

    def take(self, call: dict[str, Any], mined: int) -> dict[str, Any]:
        """Hold a transaction of an account with `mined` ones in blocks. Returns: the JSON-RPC answer."""
        new = parse(call)
        key = (new.sender, new.nonce)
        old = self._held.get(key)
        expected = mined + sum(1 for sender, _nonce in self._held if sender == new.sender)
        if old is not None and old.hash == new.hash:
            return _refusal(call, "already known")
        if new.nonce < mined:
            return _refusal(call, f"nonce too low: next nonce {mined}, tx nonce {new.nonce}")
        if self.no_gaps and old is None and new.nonce > expected:
            return _refusal(call, f"invalid nonce; got {new.nonce}, expected {expected}: invalid sequence")
        if new.gas_price_wei < self.least_wei:
            return _refusal(call, "transaction underpriced: gas price below configured minimum")
        if old is not None and new.gas_price_wei * 10 < old.gas_price_wei * 11:
            return _refusal(call, "replacement transaction underpriced")
        self._held[key] = new
        self.taken.append(new)
        return {"jsonrpc": "2.0", "id": call["id"], "result": new.hash}

    def held_of(self, account: str) -> int:
        """How many transactions of an account are held."""
        return sum(1 for sender, _nonce in self._held if sender == account)

    def drain(self) -> list[dict[str, Any]]:
        """Remove and return all held transactions, in the order in which they can be mined."""
        calls = [held.call for held in sorted(self._held.values(), key=lambda held: held.nonce)]
        self._held.clear()
        return calls

    def forget(self, nonce: int) -> None:
        """Drop the transactions of one nonce, of any sender."""
        self._held = {key: held for key, held in self._held.items() if held.nonce != nonce}


def _refusal(call: dict[str, Any], message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32000, "message": message}}
