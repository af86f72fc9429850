"""Deploying the contract and governing it. Each step is dry-run before it is sent.

The roles are the contract's own (`contracts/IStatusLedger.sol`): the registrar admits and reinstates, the guardian
suspends, a bank's admin rotates its signer.
"""

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import requests
from eth_abi.exceptions import DecodingError
from eth_account import Account
from eth_typing import ChecksumAddress
from eth_utils import to_checksum_address
from hexbytes import HexBytes
from web3 import Web3
from web3.contract import Contract
from web3.exceptions import TimeExhausted, Web3Exception, Web3RPCError
from web3.types import Nonce
from web3.utils.address import get_create_address

from standing.ledger.attestations.bic import bic_to_bytes11, bytes11_to_bic
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.connection import connect, ledger_errors, quantity
from standing.ledger.chain.contract import artifact
from standing.ledger.chain.sender import NotInBlock, Prepared, Sender, insufficient_funds
from standing.ledger.errors import InvalidValue, LedgerError, LedgerRejected, LedgerUnreachable

_DEPLOY_TIMEOUT_S = 120.0
_DEPLOYMENT_GAS = 4_000_000
_GOVERNANCE_GAS = 300_000
_RESEND_AFTER_S = 15.0
_STEPS = ("admit", "suspend", "reinstate", "rotateSigner")
_U48_MAX = 2**48 - 1


class DeploymentPending(LedgerError):
    """The deploying account has transactions on their way. The text says where their contract will be."""


@dataclass(frozen=True, slots=True)
class Step:
    """One governance transaction, ready to be dry-run or sent. Its first argument is the bank."""

    function: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        bank, *others = self.arguments
        shown = ["0x" + a.hex() if isinstance(a, bytes) else str(a) for a in others]
        return f"{self.function}({', '.join([bytes11_to_bic(bank), *shown])})"


def admit(
    bic: str, signer: ChecksumAddress, admin: ChecksumAddress, *, number: int = 0, head: bytes = bytes(32)
) -> Step:
    """Admit a bank; `number` and `head` are those of the history to continue from, zero for a new bank.

    Raises: InvalidValue.
    """
    if not 0 <= number <= _U48_MAX:
        raise InvalidValue("number", "out of range", "0 to 2^48-1")
    return Step("admit", (bic_to_bytes11(bic), signer, admin, number, head))


def suspend(bic: str) -> Step:
    """Suspend a bank at once."""
    return Step("suspend", (bic_to_bytes11(bic),))


def reinstate(bic: str, signer: ChecksumAddress, admin: ChecksumAddress) -> Step:
    """End a suspension, and name the keys that count from now on."""
    return Step("reinstate", (bic_to_bytes11(bic), signer, admin))


def rotate_signer(bic: str, signer: ChecksumAddress) -> Step:
    """Replace a bank's signer. The old one loses its effect at once."""
    return Step("rotateSigner", (bic_to_bytes11(bic), signer))


@cache
def _contract() -> type[Contract]:
    """The contract, bound to no node and no address: enough to encode calls."""
    return Web3().eth.contract(abi=artifact()["abi"])


def calldata(step: Step) -> bytes:
    """The step as the data of a transaction, for example for a multisig wallet."""
    return bytes(HexBytes(_contract().encode_abi(step.function, args=list(step.arguments))))


def parse_calldata(data: bytes) -> Step:
    """The step that a transaction's data encodes. Raises: InvalidValue where it is none of the above."""
    try:
        function, arguments = _contract().decode_function_input(HexBytes(data))
    except (ValueError, Web3Exception, DecodingError) as error:
        raise InvalidValue("data", "not a call of StatusLedger", "what this module encodes") from error
    if function.fn_name not in _STEPS:
        raise InvalidValue("data", f"a call of {function.fn_name}", ", ".join(_STEPS))
    return Step(function.fn_name, tuple(arguments.values()))


def dry_run(client: LedgerClient, step: Step, caller: ChecksumAddress) -> None:
    """Whether `step` would succeed for `caller` now; changes nothing.

    Raises: LedgerRejected with the contract's error, such as a missing role.
    """
    with ledger_errors():
        client.w3.eth.call({"from": caller, "to": client.address, "data": HexBytes(calldata(step))})


def execute(
    client: LedgerClient,
    step: Step,
    private_key: bytes,
    *,
    timeout_s: float = 60.0,
    resend_after_s: float = _RESEND_AFTER_S,
) -> bytes:
    """Dry-run `step`, send it, and wait until it is in a block. Returns: the transaction's hash.

    Until then it is sent again every `resend_after_s` seconds with a higher fee, because a node may have dropped it, or
    the price of gas may have risen. Only one of the attempts can take effect.

    Raises: LedgerRejected, InsufficientFunds, LedgerUnreachable.
    """
    sender = Sender(client, private_key)
    dry_run(client, step, sender.address)
    sent = [sender.prepare(calldata(step), gas=_GOVERNANCE_GAS)]
    sender.transmit(sent[0])
    until_s = time.monotonic() + timeout_s
    while (left_s := until_s - time.monotonic()) > 0:
        with suppress(NotInBlock):
            receipt = sender.wait(*sent, timeout_s=min(left_s, resend_after_s))
            return bytes(receipt["transactionHash"])
        with suppress(LedgerError):  # an earlier attempt may still enter a block
            sent.append(_send_again(sender, step, sent[-1]))
    raise NotInBlock(sent[-1], timeout_s)


def _send_again(sender: Sender, step: Step, last: Prepared) -> Prepared:
    """Send a step again under the same nonce, for a higher fee. Raises: LedgerError."""
    price_wei = sender.replacement_gas_price_wei(last.gas_price_wei, bump=True)
    again = sender.prepare(calldata(step), gas=_GOVERNANCE_GAS, nonce=last.nonce, gas_price_wei=price_wei)
    sender.transmit(again)
    return again


def _free_nonce(w3: Web3, account: ChecksumAddress) -> Nonce:
    """The next nonce of an account. Raises: DeploymentPending if the account has transactions on their way."""
    pending = quantity(w3.eth.get_transaction_count(account, "pending"), "nonce")
    nonce = Nonce(quantity(w3.eth.get_transaction_count(account, "latest"), "nonce"))
    if pending > nonce:
        raise DeploymentPending(
            f"{pending - nonce} transactions of {account} are in no block yet; if the first is a deployment, its "
            f"contract will be at {get_create_address(account, nonce)}: wait for a block, and look there before you "
            "deploy again"
        )
    return nonce


def deploy(
    url: str,
    private_key: bytes,
    *,
    governor: ChecksumAddress,
    registrar: ChecksumAddress,
    guardian: ChecksumAddress,
    timeout_s: float = _DEPLOY_TIMEOUT_S,
) -> ChecksumAddress:
    """Deploy a new `StatusLedger` and return its address.

    Raises: LedgerRejected where deployment fails, InsufficientFunds, LedgerUnreachable; DeploymentPending where an
    earlier one may be on its way.
    """
    w3 = connect(url)
    account = Account.from_key(private_key)
    contract = w3.eth.contract(abi=artifact()["abi"], bytecode=artifact()["bytecode"])
    with ledger_errors():
        nonce = _free_nonce(w3, account.address)
        transaction = contract.constructor(governor, registrar, guardian).build_transaction(
            {
                "from": account.address,
                "nonce": nonce,
                "chainId": quantity(w3.eth.chain_id, "chain id"),
                "gasPrice": quantity(w3.eth.gas_price, "gas price"),
                "gas": _DEPLOYMENT_GAS,
            }
        )
        try:
            transaction_hash = w3.eth.send_raw_transaction(account.sign_transaction(transaction).raw_transaction)
        except Web3RPCError as error:
            poor = insufficient_funds(w3, account.address, _DEPLOYMENT_GAS, error)
            if poor is not None:
                raise poor from error
            raise
        try:
            receipt = w3.eth.wait_for_transaction_receipt(transaction_hash, timeout=timeout_s)
        except (TimeExhausted, requests.RequestException) as error:
            raise LedgerUnreachable(
                f"the deployment, transaction 0x{transaction_hash.hex()}, was sent, and no block is known to hold it; "
                f"it may still enter one, and its contract will be at {get_create_address(account.address, nonce)}: "
                "look there before you deploy again"
            ) from error
        if receipt["status"] != 1:
            raise LedgerRejected("deployment failed")
        if receipt["contractAddress"] is None:
            raise LedgerUnreachable("the node's receipt names no contract address")
        return to_checksum_address(receipt["contractAddress"])
