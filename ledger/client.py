"""The typed client of the ledger: what the contract says, in Standing's own words. One of the few modules on web3."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import requests
from eth_typing import ChecksumAddress, HexStr
from eth_utils import is_address, to_checksum_address
from hexbytes import HexBytes
from web3 import HTTPProvider, Web3
from web3.exceptions import (
    BadFunctionCallOutput,
    BadResponseFormat,
    ContractLogicError,
    TransactionNotFound,
    Web3Exception,
    Web3RPCError,
)
from web3.types import BlockIdentifier, TxReceipt

from ledger.bic import bic_to_bytes11, bytes11_to_bic
from ledger.codec import Reading, decode_read, encode_read
from ledger.contract import artifact, decode_rejection
from ledger.errors import InvalidValue, LedgerError, LedgerMismatch, LedgerRejected, LedgerUnreachable
from ledger.publication import Domain, Publication

ZERO_ADDRESS = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class BankState:
    """What the ledger holds about a bank; `signer` is the zero address where it was never admitted."""

    signer: ChecksumAddress
    publication: int
    watermark_ms: int
    admin: ChecksumAddress
    suspended: bool
    head: bytes

    @property
    def admitted(self) -> bool:
        return self.signer != ZERO_ADDRESS


@dataclass(frozen=True, slots=True)
class Published:
    """One `Published` event: a publication in a block."""

    bank: str
    number: int
    watermark_ms: int
    digest: bytes
    bindings: tuple[bytes, ...]
    block_number: int
    block_hash: bytes
    transaction_hash: bytes


def parse_address(text: str, field: str) -> ChecksumAddress:
    """A 20-byte address with its checksum. Raises: InvalidValue."""
    if not is_address(text):
        raise InvalidValue(field, "not an address", "0x and 40 hexadecimal digits")
    return to_checksum_address(text)


def connect(url: str, *, timeout_s: float = 5.0) -> Web3:
    """A web3 connection over one keep-alive HTTP session, without web3's own retries: who calls decides on those."""
    provider = HTTPProvider(url, request_kwargs={"timeout": timeout_s}, exception_retry_configuration=None)
    return Web3(provider)


@contextmanager
def ledger_errors() -> Iterator[None]:
    """Turns what web3 and requests raise into `ledger.errors`."""
    try:
        yield
    except ContractLogicError as error:
        raise decode_rejection(_revert_data(error.data)) from error
    except requests.RequestException as error:
        raise LedgerUnreachable(f"the ledger does not answer ({type(error).__name__})") from error
    except Web3RPCError as error:
        rpc_error = (error.rpc_response or {}).get("error", {})
        data = rpc_error.get("data") if isinstance(rpc_error, dict) else None
        if isinstance(data, str) and data.startswith("0x") and len(data) >= 10:
            raise decode_rejection(_revert_data(data)) from error
        raise LedgerUnreachable(f"the ledger's node answers with an error: {_shorten(error)}") from error
    except (BadResponseFormat, ValueError) as error:
        raise LedgerUnreachable(f"the ledger's answer makes no sense: {_shorten(error)}") from error
    except BadFunctionCallOutput as error:
        raise LedgerMismatch("there is no StatusLedger contract at this address") from error
    except Web3Exception as error:
        raise LedgerUnreachable(f"the ledger's node fails: {_shorten(error)}") from error


def _shorten(error: Exception) -> str:
    return str(error)[:200]


def _revert_data(data: Any) -> bytes:
    return bytes(HexBytes(data)) if isinstance(data, str | bytes) and data not in {"", "0x"} else b""


class LedgerClient:
    """Reads and follows one `StatusLedger` contract over JSON-RPC. Thread-safe.

    Every method raises LedgerUnreachable where no usable answer comes in time.
    """

    def __init__(self, url: str, contract: str, *, timeout_s: float = 5.0) -> None:
        self.address = parse_address(contract, "ledger contract")
        self.w3 = connect(url, timeout_s=timeout_s)
        self._contract = self.w3.eth.contract(address=self.address, abi=artifact()["abi"])

    def check(self, chain_id: int | None = None) -> None:
        """That the chain is the right one (where `chain_id` is given) and the contract is there.

        Raises: LedgerMismatch.
        """
        if chain_id is not None and self.domain.chain_id != chain_id:
            raise LedgerMismatch(f"the ledger's chain id is {self.domain.chain_id}, expected {chain_id}")
        with ledger_errors():
            code = self.w3.eth.get_code(self.address)
        if not code:
            raise LedgerMismatch(f"there is no contract at {self.address} on chain {self.domain.chain_id}")

    @cached_property
    def domain(self) -> Domain:
        """The EIP-712 domain of this contract; asks the node for its chain id once."""
        with ledger_errors():
            return Domain(self.w3.eth.chain_id, self.address)

    @cached_property
    def max_attestations(self) -> int:
        """The contract's bound on a publication's batch."""
        with ledger_errors():
            return int(self._contract.functions.MAX_ATTESTATIONS().call())

    def block_number(self) -> int:
        """The number of the latest block."""
        with ledger_errors():
            return int(self.w3.eth.block_number)

    def bank(self, bic: str, block: BlockIdentifier = "latest") -> BankState:
        """What the ledger holds about a bank."""
        with ledger_errors():
            signer, publication, watermark_ms, admin, suspended, head = self._contract.functions.getBank(
                bic_to_bytes11(bic)
            ).call(block_identifier=block)
        return BankState(signer, publication, watermark_ms, admin, suspended, head)

    def read(self, queries: Sequence[tuple[str, bytes]], block: BlockIdentifier = "latest") -> Reading:
        """The records of (BIC, binding) pairs, all from the state of one block."""
        data = encode_read([(bic_to_bytes11(bic), binding) for bic, binding in queries])
        with ledger_errors():
            answer = self.w3.eth.call({"to": self.address, "data": HexStr("0x" + data.hex())}, block)
        return decode_read(bytes(answer), len(queries))

    def published(self, from_block: int, to_block: int, bank: str | None = None) -> list[Published]:
        """The `Published` events of a range of blocks (both ends included), in the order of the chain."""
        filters = {} if bank is None else {"bank": bic_to_bytes11(bank)}
        with ledger_errors():
            logs = self._contract.events.Published.get_logs(
                from_block=from_block, to_block=to_block, argument_filters=filters
            )
        return [
            Published(
                bank=bytes11_to_bic(log["args"]["bank"]),
                number=log["args"]["number"],
                watermark_ms=log["args"]["watermarkMs"],
                digest=bytes(log["args"]["digest"]),
                bindings=tuple(bytes(binding) for binding in log["args"]["bindings"]),
                block_number=log["blockNumber"],
                block_hash=bytes(log["blockHash"]),
                transaction_hash=bytes(log["transactionHash"]),
            )
            for log in logs
        ]

    def publish_calldata(self, publication: Publication, signature: bytes) -> bytes:
        """The calldata that submits a publication."""
        arguments = (
            bic_to_bytes11(publication.bank),
            publication.number,
            publication.watermark_ms,
            [attestation.as_tuple() for attestation in publication.attestations],
            signature,
        )
        return bytes(HexBytes(self._contract.encode_abi("publish", args=list(arguments))))

    def receipt(self, transaction_hash: bytes) -> TxReceipt | None:
        """The receipt of a transaction; None while it is in no block."""
        with ledger_errors():
            try:
                return self.w3.eth.get_transaction_receipt(HexBytes(transaction_hash))
            except TransactionNotFound:
                return None
            except Web3RPCError as error:
                # Some nodes answer so for a while after a start, before old receipts can be found.
                if "indexing" in str(error):
                    return None
                raise

    def why_failed(self, receipt: TxReceipt) -> LedgerError:
        """The error behind a failed transaction, found by playing it again on the state before its block."""
        with ledger_errors():
            transaction = self.w3.eth.get_transaction(receipt["transactionHash"])
        try:
            with ledger_errors():
                self.w3.eth.call(
                    {"from": transaction["from"], "to": transaction["to"], "data": transaction["input"]},
                    receipt["blockNumber"] - 1,
                )
        except LedgerError as error:
            return error
        return LedgerRejected("out of gas, or overtaken by another transaction of its block")
