"""Sends transactions: nonce, fee and receipts of one account.

The account only pays; the payload was signed elsewhere. The sending key is not the signing key of publications: a thief
of it can spend its funds for gas and nothing else.

The caller owns the order. It stores each transaction's nonce and fee and passes them back to send it again. Payload and
nonce of a transaction never change, only its fee, so at most one of all transactions signed for a nonce can count. Fees
are legacy gas prices: permissioned networks have no fee market, and every EVM accepts them.
"""

from dataclasses import dataclass
from typing import Literal

import rlp
from eth_typing import ChecksumAddress
from eth_utils import keccak, to_canonical_address
from hexbytes import HexBytes
from tenacity import RetryError as GaveUp
from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_exponential
from web3 import Web3
from web3.exceptions import Web3RPCError
from web3.types import TxReceipt

from standing.ledger.attestations.publication import LocalSigner, Signer
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.connection import ledger_errors, quantity
from standing.ledger.errors import LedgerError, LedgerUnreachable

#: The gas limit of a publication: a fixed part, and for each attestation two fresh storage slots and its calldata.
#: `tests/contracts` compare them with the real figures. They are constants because `eth_estimateGas` plays the
#: transaction at the last block's time, which on an idle chain is too old for a fresh watermark.
GAS_FIXED = 120_000
GAS_PER_ATTESTATION = 52_000

#: The most gas that one transaction may have by EIP-7825 (2^24). On a network without that rule, this bound costs
#: little.
MAX_TRANSACTION_GAS = 2**24

#: 1,000 gwei. High enough for any network known, low enough that a broken node cannot empty the account at once.
DEFAULT_MAX_GAS_PRICE_WEI = 10**12

# Common nodes accept a replacement that offers 10 % more; an eighth more is 12.5 %.
_BUMP_DIVISOR = 8

# Nodes' messages, in lower case. They share no error codes.
_KNOWN = (
    "already known",
    "known transaction",
    "already in mempool",
    "already exists in cache",
    "already imported",
    "alreadyknown",
    "existing tx with same hash",  # Erigon
)
_NONCE_USED = ("nonce too low", "nonce is too low", "nonce too small", "old nonce", "oldnonce")
_NONCE_AHEAD = (
    "nonce too high",
    "nonce is too high",
    "nonce gap",
    "noncegap",
    "nonce too distant",
    "nonce is too distant",
    "nonce too far",
    "noncetoofar",
    "transaction with a lower nonce exists",  # Besu: the one before is invalid by now
)
_WRONG_NONCE = (
    "invalid nonce",
    "invalid transaction nonce",
    "invalid sequence",
    "account sequence mismatch",
    "incorrect account sequence",
)
_NO_FUNDS = (
    "insufficient funds",
    "insufficientfunds",
    "insufficient balance",
    "cannot afford",
    "upfront cost exceeds",
    "exceeds account balance",
    "doesn't have enough funds",
    "sender balance < tx cost",
)
_UNDERPRICED = (
    "replacement transaction underpriced",
    "replacement gas price",
    "underpriced replacement",
    "could not replace existing tx",  # Erigon
    "replacementnotallowed",  # Nethermind before its wording became geth's
    "ownnoncealreadyused",
)


class NonceUsed(LedgerError):
    """A transaction with this nonce is in a block already."""


class NonceAhead(LedgerError):
    """The node does not have the transaction before this one: earlier ones must be sent again first."""


class Underpriced(LedgerError):
    """The node has another transaction with this nonce, and this one offers too little to replace it."""


class FeeTooHigh(LedgerError):
    """The network asks for a higher gas price than the settings allow."""


class NotInBlock(LedgerUnreachable):
    """A transaction that was sent, `waited_s` seconds ago, is in no block yet."""

    def __init__(self, sent: "Prepared", waited_s: float) -> None:
        super().__init__(
            f"transaction 0x{sent.hash.hex()} is in no block after {waited_s:g} s; it may still enter one: look at the "
            "ledger before you send it again"
        )


class InsufficientFunds(LedgerError):
    """The sending account cannot pay for the gas. The text names its address and what to do."""


def insufficient_funds(w3: Web3, account: ChecksumAddress, gas: int, error: Web3RPCError) -> InsufficientFunds | None:
    """The error for a node's refusal of a transaction of `gas` that `account` cannot pay for; None for another
    refusal."""
    if not _says(str(error).lower(), _NO_FUNDS):
        return None
    with ledger_errors():
        balance = quantity(w3.eth.get_balance(account), "balance")
        price = quantity(w3.eth.gas_price, "gas price")
    return InsufficientFunds(
        f"the account {account} cannot pay for {gas} gas and what it has on its way: it holds {balance} wei, and the "
        f"ledger asks {price} wei per unit of gas; fund this address on the ledger"
    )


def publication_gas(attestations: int) -> int:
    """The gas limit of a publication with this many attestations."""
    return GAS_FIXED + GAS_PER_ATTESTATION * attestations


def attestations_within(gas: int) -> int:
    """How many attestations fit into a publication with a gas limit of `gas`; negative where not even an empty one
    fits."""
    return (gas - GAS_FIXED) // GAS_PER_ATTESTATION


@dataclass(frozen=True, slots=True)
class Prepared:
    """A signed transaction. Its hash is known before it is sent, so that it can be stored first."""

    raw: bytes
    hash: bytes
    nonce: int
    gas_price_wei: int
    gas: int


class Sender:
    """Signs and sends transactions of one account to one ledger. `key`: a private key, or what signs in its place."""

    def __init__(
        self, client: LedgerClient, key: bytes | Signer, *, max_gas_price_wei: int = DEFAULT_MAX_GAS_PRICE_WEI
    ) -> None:
        self._client = client
        self._signer = LocalSigner(key) if isinstance(key, bytes) else key
        self._max_gas_price_wei = max_gas_price_wei

    @property
    def address(self) -> ChecksumAddress:
        return self._signer.address

    def balance_wei(self) -> int:
        """The balance of the account, in wei. Raises: LedgerUnreachable."""
        with ledger_errors():
            return quantity(self._client.w3.eth.get_balance(self.address), "balance")

    def gas_ceiling(self) -> int:
        """The most gas that a transaction can have on this ledger: what a block holds, and MAX_TRANSACTION_GAS.

        Raises: LedgerUnreachable.
        """
        limit = self._client.block_gas_limit()
        return MAX_TRANSACTION_GAS if limit is None else min(limit, MAX_TRANSACTION_GAS)

    def next_nonce(self, block: Literal["latest", "pending"] = "pending") -> int:
        """The nonce after the account's transactions in blocks, or ("pending") after all that the node knows of.

        Raises: LedgerUnreachable.
        """
        with ledger_errors():
            return quantity(self._client.w3.eth.get_transaction_count(self.address, block), "nonce")

    def gas_price_wei(self) -> int:
        """The network's price of a unit of gas now; 0 where it is free. Raises: FeeTooHigh, LedgerUnreachable."""
        with ledger_errors():
            asked = quantity(self._client.w3.eth.gas_price, "gas price")
        if asked > self._max_gas_price_wei:
            raise FeeTooHigh(
                f"the ledger asks {asked} wei per unit of gas; allowed: at most {self._max_gas_price_wei} "
                "(max_gas_price_wei)"
            )
        return asked

    def replacement_gas_price_wei(self, paid_wei: int, *, bump: bool) -> int:
        """The gas price for sending a transaction again: the price offered before, or the network's present price if
        that is higher. `bump`, for a stuck transaction: at least an eighth more than was offered. It is never raised
        above the maximum, nor where gas is free. Raises: LedgerUnreachable.
        """
        with ledger_errors():
            asked = quantity(self._client.w3.eth.gas_price, "gas price")
        more = paid_wei + -(-paid_wei // _BUMP_DIVISOR) if bump else paid_wei
        return max(paid_wei, min(max(asked, more), self._max_gas_price_wei))

    def prepare(self, data: bytes, *, gas: int, nonce: int | None = None, gas_price_wei: int | None = None) -> Prepared:
        """Sign a call of the contract with `data`.

        `nonce` defaults to the account's next one, `gas_price_wei` to what the network asks. Raises: LedgerUnreachable,
        FeeTooHigh.
        """
        nonce = self.next_nonce() if nonce is None else nonce
        gas_price_wei = self.gas_price_wei() if gas_price_wei is None else gas_price_wei
        chain_id = self._client.domain.chain_id
        fields = [nonce, gas_price_wei, gas, to_canonical_address(self._client.address), 0, data]
        # EIP-155: the chain id is signed and encoded beside the recovery bit, so the transaction is valid on no other
        # chain.
        signature = self._signer.sign(keccak(rlp.encode([*fields, chain_id, 0, 0])))
        v = signature[64] - 27 + 35 + 2 * chain_id
        raw = rlp.encode([*fields, v, int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])])
        return Prepared(bytes(raw), keccak(raw), nonce, gas_price_wei, gas)

    def transmit(self, prepared: Prepared) -> None:
        """Send a prepared transaction. One that the node knows already is not an error.

        Raises: LedgerUnreachable, LedgerRejected, NonceUsed, NonceAhead, Underpriced, InsufficientFunds.
        """
        with ledger_errors():
            try:
                self._client.w3.eth.send_raw_transaction(HexBytes(prepared.raw))
            except Web3RPCError as error:
                text = str(error).lower()
                # "unknown transaction type" contains the words, and says the opposite.
                if _says(text.replace("unknown transaction", ""), _KNOWN):
                    return
                self._judge(text, prepared, error)
                poor = insufficient_funds(self._client.w3, self.address, prepared.gas, error)
                if poor is not None:
                    raise poor from error
                # Perhaps only this node takes none, for example because its pool is full: the next attempt asks
                # another.
                self._client.failover.doubt()
                raise

    def _judge(self, text: str, prepared: Prepared, error: Web3RPCError) -> None:
        """Raise the error for a node's refusal of a nonce; return where the refusal is about something else."""
        shown = f"the ledger's node refuses nonce {prepared.nonce}: {text[:200]}"
        if _says(text, _UNDERPRICED):
            raise Underpriced(shown) from error
        if _says(text, _NONCE_USED):
            raise NonceUsed(shown) from error
        if _says(text, _NONCE_AHEAD):
            raise NonceAhead(shown) from error
        if _says(text, _WRONG_NONCE):
            # Some networks have one message for all three cases, so the account's own counts distinguish them. Such
            # networks never replace a transaction, whatever fee is offered.
            if prepared.nonce < self.next_nonce("latest"):
                raise NonceUsed(shown) from error
            is_held = prepared.nonce < self.next_nonce("pending")
            raise (Underpriced if is_held else NonceAhead)(shown) from error

    def wait(self, *sent: Prepared, timeout_s: float) -> TxReceipt:
        """The receipt of a transaction, once one of its attempts `sent` is in a block; nodes may be away meanwhile.

        Raises: NotInBlock where that takes too long; LedgerRejected where the contract refused.
        """
        poll = Retrying(
            retry=retry_if_result(lambda receipt: receipt is None) | retry_if_exception_type(LedgerUnreachable),
            wait=wait_exponential(multiplier=0.02, max=0.5),
            stop=stop_after_delay(timeout_s),
        )
        try:
            receipt = poll(self._first_receipt, sent)
        except GaveUp as error:
            raise NotInBlock(sent[-1], timeout_s) from error
        assert receipt is not None  # guaranteed by the retry's condition
        if receipt["status"] != 1:
            raise self._client.why_failed(receipt)
        return receipt

    def _first_receipt(self, attempts: tuple[Prepared, ...]) -> TxReceipt | None:
        """The receipt of whichever attempt is in a block; None while none is."""
        receipts = (self._client.receipt(attempt.hash) for attempt in reversed(attempts))
        return next((receipt for receipt in receipts if receipt is not None), None)


def _says(text: str, signs: tuple[str, ...]) -> bool:
    return any(sign in text for sign in signs)
