"""Sends transactions: nonce, gas, fees and receipts of one account.

The account only pays; what it sends was signed elsewhere.

The sending key is not the signing key of publications: whoever steals it can spend its gas money and nothing else.
"""

from dataclasses import dataclass
from typing import Literal

from eth_account import Account
from eth_typing import ChecksumAddress
from eth_utils import to_checksum_address
from hexbytes import HexBytes
from tenacity import RetryError as GaveUp
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_exponential
from web3.exceptions import Web3RPCError
from web3.types import Nonce, TxParams, TxReceipt, Wei

from ledger.client import LedgerClient, ledger_errors
from ledger.errors import LedgerUnreachable

#: What a publication may use at most: a fixed part, and for each attestation two fresh storage slots and its calldata.
#: `tests/contracts` hold the real figures against it. Given instead of asked for, because `eth_estimateGas` plays the
#: transaction on the last block's time, which on an idle chain is too old for a fresh watermark.
GAS_FIXED = 120_000
GAS_PER_ATTESTATION = 52_000


def publication_gas(attestations: int) -> int:
    """The gas limit of a publication with this many attestations."""
    return GAS_FIXED + GAS_PER_ATTESTATION * attestations


@dataclass(frozen=True, slots=True)
class Prepared:
    """A signed transaction. Its hash is known before it is sent, so that it can be stored first."""

    raw: bytes
    hash: bytes
    nonce: int


class Sender:
    """Signs and sends transactions of one account to one ledger. Not thread-safe: it owns the account's nonce."""

    def __init__(self, client: LedgerClient, private_key: bytes) -> None:
        self._client = client
        self._account = Account.from_key(private_key)

    @property
    def address(self) -> ChecksumAddress:
        return to_checksum_address(self._account.address)

    def next_nonce(self, block: Literal["latest", "pending"] = "pending") -> int:
        """The nonce after the account's transactions in blocks, or ("pending") after all that the node knows of.

        Raises: LedgerUnreachable.
        """
        with ledger_errors():
            return int(self._client.w3.eth.get_transaction_count(self.address, block))

    def prepare(self, data: bytes, *, gas: int, nonce: int | None = None) -> Prepared:
        """Sign a call of the contract with `data`; `nonce` is the account's next one where none is given.

        Raises: LedgerUnreachable.
        """
        given = self.next_nonce() if nonce is None else nonce
        with ledger_errors():
            transaction: TxParams = {
                "chainId": self._client.domain.chain_id,
                "to": self._client.address,
                "data": HexBytes(data),
                "gas": gas,
                "gasPrice": self._client.w3.eth.gas_price,
                "nonce": Nonce(given),
                "value": Wei(0),
            }
            signed = self._account.sign_transaction(transaction)
        return Prepared(bytes(signed.raw_transaction), bytes(signed.hash), given)

    def transmit(self, prepared: Prepared) -> None:
        """Send a prepared transaction; one that the node knows already is a normal ending.

        Raises: LedgerUnreachable, LedgerRejected.
        """
        with ledger_errors():
            try:
                self._client.w3.eth.send_raw_transaction(HexBytes(prepared.raw))
            except Web3RPCError as error:
                if not _is_known(error):
                    raise

    def wait(self, sent: Prepared, *, timeout_s: float) -> TxReceipt:
        """The receipt of a transaction, once it is in a block.

        Raises: LedgerUnreachable where that takes too long; LedgerRejected where the contract refused.
        """
        poll = Retrying(
            retry=retry_if_result(lambda receipt: receipt is None),
            wait=wait_exponential(multiplier=0.02, max=0.5),
            stop=stop_after_delay(timeout_s),
        )
        try:
            receipt = poll(self._client.receipt, sent.hash)
        except GaveUp as error:
            raise LedgerUnreachable(f"transaction 0x{sent.hash.hex()} is in no block after {timeout_s:g} s") from error
        assert receipt is not None  # the retry's own condition
        if receipt["status"] != 1:
            raise self._client.why_failed(receipt)
        return receipt


def _is_known(error: Web3RPCError) -> bool:
    """Whether a node refuses a transaction only because it has it already. Nodes agree on no error code for this."""
    text = str(error).lower()
    return "already known" in text or "known transaction" in text or "already in mempool" in text
