"""`eth_getLogs` of the development chain, straight from py-evm's receipts.

eth-tester's own version finds each transaction of each block again and recovers its sender, some 30 ms a block. A
follower or an auditor that searches a few hundred blocks would wait for half a minute.
"""

from typing import Any

from eth_tester import EthereumTester

_MAX_BLOCKS_KEPT = 100_000


class LogIndex:
    """The logs of the chain's blocks, each block indexed once. Not thread-safe."""

    def __init__(self, tester: EthereumTester) -> None:
        self._tester = tester
        self._of_block: dict[bytes, list[dict[str, Any]]] = {}

    def find(self, log_filter: dict[str, Any]) -> list[dict[str, Any]]:
        """The logs that a filter asks for, as JSON-RPC writes them.

        Raises: ValueError where the filter is malformed (a block that is not there counts as the newest).
        """
        chain = self._tester.backend.chain
        head = chain.get_canonical_head().block_number
        if "blockHash" in log_filter:  # EIP-234: one block, named by its hash
            if log_filter.keys() & {"fromBlock", "toBlock"}:
                raise ValueError("blockHash and a range of blocks: one of the two")
            low = high = int(self._tester.get_block_by_hash(log_filter["blockHash"])["number"])
        else:
            low = _block(log_filter.get("fromBlock", "latest"), head)
            high = min(_block(log_filter.get("toBlock", "latest"), head), head)
        addresses = log_filter.get("address")
        wanted = None if addresses is None else {text.lower() for text in _listed(addresses)}
        topics = [
            None if one is None else {text.lower() for text in _listed(one)} for one in log_filter.get("topics", [])
        ]
        found = []
        for number in range(low, high + 1):
            header = chain.get_canonical_block_header_by_number(number)
            if header.bloom:
                found += [log for log in self._logs(header) if _matches(log, wanted, topics)]
        return found

    def _logs(self, header: Any) -> list[dict[str, Any]]:
        known = self._of_block.get(header.hash)
        if known is None:
            chain = self._tester.backend.chain
            block = chain.get_canonical_block_by_number(header.block_number)
            known = []
            for index, (transaction, receipt) in enumerate(
                zip(block.transactions, block.get_receipts(chain.chaindb), strict=True)
            ):
                for log in receipt.logs:
                    known.append(
                        {
                            "address": "0x" + log.address.hex(),
                            "topics": [f"0x{topic:064x}" for topic in log.topics],
                            "data": "0x" + log.data.hex(),
                            "blockNumber": hex(header.block_number),
                            "blockHash": "0x" + header.hash.hex(),
                            "transactionHash": "0x" + transaction.hash.hex(),
                            "transactionIndex": hex(index),
                            "logIndex": hex(len(known)),
                            "removed": False,
                        }
                    )
            if len(self._of_block) >= _MAX_BLOCKS_KEPT:
                self._of_block.clear()
            self._of_block[header.hash] = known
        return known


def _block(stated: Any, head: int) -> int:
    """A block number of a filter. Raises: ValueError."""
    if stated == "earliest":
        return 0
    if stated in {"latest", "pending", "safe", "finalized"}:
        return head
    if isinstance(stated, str) and stated.startswith("0x"):
        return int(stated, 16)
    raise ValueError("not a block number or tag")


def _listed(value: Any) -> list[str]:
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in found):
        raise ValueError("neither a string nor a list of strings")
    return found


def _matches(log: dict[str, Any], addresses: set[str] | None, topics: list[set[str] | None]) -> bool:
    if addresses is not None and log["address"] not in addresses:
        return False
    given = log["topics"]
    return len(topics) <= len(given) and all(
        allowed is None or topic in allowed for topic, allowed in zip(given, topics, strict=False)
    )
