"""py-evm as the development chain uses it: many blocks in one second, and headers as they truly are."""

from typing import Any

from eth.abc import BlockHeaderAPI
from eth.vm.forks.prague import PragueVM
from eth_tester import EthereumTester, PyEVMBackend


class SecondsVM(PragueVM):
    """Prague's rules, but for one: a block may have its parent's time, so that many blocks fit into one second.

    Ethereum wants each block strictly later than its parent. A chain that mines each transaction at once would have to
    run ahead of the clock by a second a block. Engines of permissioned networks with blocks of less than a second
    loosen the same rule. A block that is earlier than its parent stays forbidden.
    """

    @classmethod
    def validate_header(cls, header: BlockHeaderAPI, parent_header: BlockHeaderAPI) -> None:
        """As Prague's. Raises: eth_utils.ValidationError."""
        if parent_header is not None and header.timestamp == parent_header.timestamp:
            parent_header = parent_header.copy(timestamp=header.timestamp - 1)
        super().validate_header(header, parent_header)


def new_tester(genesis_s: int) -> EthereumTester:
    """An empty chain whose first block is of `genesis_s`, in seconds since the Unix epoch."""
    parameters = PyEVMBackend.generate_genesis_params(overrides={"timestamp": genesis_s})
    backend = PyEVMBackend(genesis_parameters=parameters, vm_configuration=((0, SecondsVM),))
    return EthereumTester(backend)


def set_block_time(tester: EthereumTester, now_s: int) -> None:
    """Give the next block the time `now_s`, or its parent's where the clock went back."""
    chain = tester.backend.chain
    chain.set_header_timestamp(max(now_s, chain.get_canonical_head().timestamp))


def true_header(tester: EthereumTester, block: dict[str, Any]) -> dict[str, Any]:
    """A block as eth-tester answers it, after correcting the two fields that differ from the header that was hashed.

    eth-tester pads the extra data to 32 bytes, and gives the bloom filter as a number. `block` is JSON already.
    """
    chain = tester.backend.chain
    number = int(block["number"], 16)
    newest = chain.get_canonical_head().block_number
    header = chain.get_canonical_block_header_by_number(number) if number <= newest else chain.header
    return block | {"extraData": "0x" + header.extra_data.hex(), "logsBloom": f"0x{header.bloom:0512x}"}
