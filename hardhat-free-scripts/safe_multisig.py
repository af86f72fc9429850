"""A Safe, the most widely used multisig contract on Ethereum, as the holder of a ledger role.

Its contracts are its makers' own builds, from npm (`hardhat-free-scripts/npm-safe`, licence LGPL-3.0). A governance
step becomes a proposal, a file: each member reads what it does, signs it on a machine of its own and passes it on;
once there are enough signatures anyone can send it. No server is needed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_typing import ChecksumAddress, HexStr
from eth_utils import keccak, to_checksum_address
from hexbytes import HexBytes
from web3.logs import DISCARD
from web3.types import TxParams, TxReceipt, Wei

from npm_run import NpmFailed, run_npm
from standing.ledger.attestations.publication import recover
from standing.ledger.chain import governance
from standing.ledger.chain.client import ZERO_ADDRESS, LedgerClient
from standing.ledger.chain.connection import connect, ledger_errors, parse_address
from standing.ledger.errors import InvalidValue, LedgerRejected

NPM = Path(__file__).with_name("npm-safe")
_BUILT = NPM / "node_modules" / "@safe-global" / "safe-contracts" / "build" / "artifacts" / "contracts"
_SINGLETON = "SafeL2.sol/SafeL2"  # like Safe, with an event for each step, which suits a private ledger
_FACTORY = "proxies/SafeProxyFactory.sol/SafeProxyFactory"
_FALLBACK = "handler/CompatibilityFallbackHandler.sol/CompatibilityFallbackHandler"
_DEPLOY_GAS, _SEND_GAS = 6_000_000, 600_000
_TIMEOUT_S = 120.0
_MAX_OWNERS = 20
_TYPES = {
    "SafeTx": [
        {"name": "to", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "data", "type": "bytes"},
        {"name": "operation", "type": "uint8"},
        {"name": "safeTxGas", "type": "uint256"},
        {"name": "baseGas", "type": "uint256"},
        {"name": "gasPrice", "type": "uint256"},
        {"name": "gasToken", "type": "address"},
        {"name": "refundReceiver", "type": "address"},
        {"name": "nonce", "type": "uint256"},
    ]
}
_CALL = 0


class SafeMissing(Exception):
    """Safe's contracts are missing and cannot be installed; the text says in one line what is missing."""


def install() -> None:
    """Install Safe's contracts, from the committed lock file. Raises: SafeMissing."""
    if _BUILT.exists():
        return
    try:
        # Its peer dependency, an old ethers, is only for its makers' scripts.
        run_npm(NPM, "ci", "--legacy-peer-deps", packages="Safe's contracts")
    except NpmFailed as error:
        raise SafeMissing(str(error)) from error
    if not _BUILT.exists():
        raise SafeMissing("npm's package of Safe's contracts does not hold them as they were built")


def _artifact(name: str) -> dict[str, Any]:
    install()
    artifact: dict[str, Any] = json.loads((_BUILT / f"{name}.json").read_text(encoding="utf-8"))
    return artifact


@dataclass(frozen=True, slots=True)
class Proposal:
    """A governance step for a Safe to execute. `nonce`: the Safe's own, so that the step is executed once and in
    turn. `signatures`: by the owners' addresses."""

    safe: ChecksumAddress
    chain_id: int
    ledger: ChecksumAddress
    nonce: int
    data: bytes
    signatures: Mapping[ChecksumAddress, bytes]

    @property
    def step(self) -> governance.Step:
        """The step, decoded from the signed data. Raises: InvalidValue."""
        return governance.parse_calldata(self.data)

    @property
    def typed(self) -> dict[str, Any]:
        """The typed data that owners sign (EIP-712): a plain call of the ledger, without value and without a gas
        refund."""
        return {
            "types": {
                "EIP712Domain": [
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                **_TYPES,
            },
            "domain": {"chainId": self.chain_id, "verifyingContract": self.safe},
            "primaryType": "SafeTx",
            "message": {
                "to": self.ledger,
                "value": 0,
                "data": self.data,
                "operation": _CALL,
                "safeTxGas": 0,
                "baseGas": 0,
                "gasPrice": 0,
                "gasToken": ZERO_ADDRESS,
                "refundReceiver": ZERO_ADDRESS,
                "nonce": self.nonce,
            },
        }

    @property
    def digest(self) -> bytes:
        """The digest that owners sign."""
        signable = encode_typed_data(full_message=self.typed)
        return keccak(b"\x19" + signable.version + signable.header + signable.body)

    def signed(self, key: bytes) -> "Proposal":
        """The proposal with one more signature."""
        account = Account.from_key(key)
        made = account.sign_typed_data(full_message=self.typed)
        return replace(self, signatures={**self.signatures, account.address: bytes(made.signature)})

    def as_text(self) -> str:
        """The proposal as stored in a file."""
        document = {
            "safe": self.safe,
            "chain_id": self.chain_id,
            "ledger": self.ledger,
            "nonce": self.nonce,
            "does": str(self.step),
            "data": "0x" + self.data.hex(),
            "signatures": {owner: "0x" + signature.hex() for owner, signature in self.signatures.items()},
        }
        return json.dumps(document, indent=1) + "\n"


def parse_proposal(text: str) -> Proposal:
    """Load a proposal from a file. Every signature must be by the owner it names, and the data must be a governance
    step; the file's own `does` must agree with the data. Raises: InvalidValue."""
    allowed = "a file that `propose` wrote"
    try:
        document = json.loads(text)
        made = Proposal(
            parse_address(document["safe"], "safe"),
            int(document["chain_id"]),
            parse_address(document["ledger"], "ledger"),
            int(document["nonce"]),
            bytes.fromhex(document["data"][2:]),
            {
                parse_address(owner, "signatures"): bytes.fromhex(signature[2:])
                for owner, signature in document["signatures"].items()
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidValue("proposal", "not readable", allowed) from error
    if document.get("does") != str(made.step):
        raise InvalidValue(
            "proposal", f"says that it does {document.get('does')!r}", f"what its data does: {made.step}"
        )
    if len(made.signatures) > _MAX_OWNERS:
        raise InvalidValue("signatures", f"{len(made.signatures)}", f"at most {_MAX_OWNERS}")
    for owner, signature in made.signatures.items():
        if recover(made.digest, signature) != owner:
            raise InvalidValue("signatures", f"not {owner}'s on this proposal", "each owner's own")
    return made


class Safe:
    """One Safe that holds a role of one ledger. Every method raises LedgerUnreachable."""

    def __init__(self, url: str, ledger: ChecksumAddress, address: ChecksumAddress) -> None:
        self._url = url
        self.ledger = LedgerClient(url, ledger)
        self.address = address
        self._contract = self.ledger.w3.eth.contract(address=address, abi=_artifact(_SINGLETON)["abi"])

    @cached_property
    def owners(self) -> frozenset[ChecksumAddress]:
        with ledger_errors():
            return frozenset(self._contract.functions.getOwners().call())

    @cached_property
    def threshold(self) -> int:
        with ledger_errors():
            return int(self._contract.functions.getThreshold().call())

    def nonce(self) -> int:
        """The number of the next step."""
        with ledger_errors():
            return int(self._contract.functions.nonce().call())

    def propose(self, step: governance.Step) -> Proposal:
        """A proposal of a step that the ledger would accept from this Safe now. Raises: LedgerRejected."""
        governance.dry_run(self.ledger, step, self.address)
        chain_id, data = self.ledger.domain.chain_id, governance.calldata(step)
        return Proposal(self.address, chain_id, self.ledger.address, self.nonce(), data, {})

    def check(self, proposal: Proposal) -> None:
        """Check that a proposal is for this Safe and ledger, and next in turn. Raises: InvalidValue."""
        named = (proposal.safe, proposal.ledger, proposal.chain_id)
        if named != (self.address, self.ledger.address, self.ledger.domain.chain_id):
            raise InvalidValue("proposal", "of another Safe, ledger or chain", f"{self.address} on this ledger")
        if proposal.nonce != (nonce := self.nonce()):
            raise InvalidValue("nonce", str(proposal.nonce), f"{nonce}: already used by this or another step")
        if strangers := set(proposal.signatures) - self.owners:
            raise InvalidValue("signatures", f"{', '.join(sorted(strangers))} are not owners", "owners of the Safe")

    def send(self, proposal: Proposal, key: bytes) -> bytes:
        """Execute the step, paid for by `key`'s account, and wait until it is in a block. Returns: the transaction's
        hash.

        Raises: InvalidValue where signatures are missing, LedgerRejected with the ledger's own error.
        """
        self.check(proposal)
        if len(proposal.signatures) < self.threshold:
            raise InvalidValue("signatures", f"{len(proposal.signatures)}", f"{self.threshold} of {len(self.owners)}")
        governance.dry_run(self.ledger, proposal.step, self.address)
        # In the order of the owners' addresses, which is how the contract rules out duplicates.
        joined = b"".join(proposal.signatures[owner] for owner in sorted(proposal.signatures, key=lambda o: int(o, 16)))
        message = proposal.typed["message"]
        arguments = [message[field["name"]] for field in _TYPES["SafeTx"][:-1]]
        data = self._contract.encode_abi("execTransaction", args=[*arguments, joined])
        return bytes(_transact(self._url, key, self.address, data, _SEND_GAS)["transactionHash"])


def deploy(url: str, key: bytes, owners: list[ChecksumAddress], threshold: int) -> ChecksumAddress:
    """Deploy Safe's contracts, and a Safe of these owners. Returns: its address. Raises: InvalidValue, LedgerRejected,
    LedgerUnreachable."""
    if not 1 <= threshold <= len(owners) <= _MAX_OWNERS or len(set(owners)) != len(owners):
        raise InvalidValue(
            "threshold", f"{threshold} of {len(owners)} owners", f"1 to all, of up to {_MAX_OWNERS}, each once"
        )
    singleton, factory, fallback = (
        _transact(url, key, None, _artifact(name)["bytecode"], _DEPLOY_GAS)["contractAddress"]
        for name in (_SINGLETON, _FACTORY, _FALLBACK)
    )
    w3 = connect(url)
    setup = w3.eth.contract(abi=_artifact(_SINGLETON)["abi"]).encode_abi(
        "setup", args=[owners, threshold, ZERO_ADDRESS, b"", fallback, ZERO_ADDRESS, 0, ZERO_ADDRESS]
    )
    makes = w3.eth.contract(address=factory, abi=_artifact(_FACTORY)["abi"])
    data = makes.encode_abi("createProxyWithNonce", args=[singleton, HexBytes(setup), 0])
    receipt = _transact(url, key, factory, data, _SEND_GAS)
    with ledger_errors():
        made = makes.events.ProxyCreation().process_receipt(receipt, errors=DISCARD)
        return to_checksum_address(made[0]["args"]["proxy"])


def _transact(url: str, key: bytes, to: ChecksumAddress | None, data: str, gas: int) -> TxReceipt:
    """Send a transaction, and wait for its receipt. Raises: LedgerRejected, LedgerUnreachable."""
    w3, account = connect(url), Account.from_key(key)
    with ledger_errors():
        transaction: TxParams = {
            "from": account.address,
            "nonce": w3.eth.get_transaction_count(account.address, "pending"),
            "chainId": w3.eth.chain_id,
            "gasPrice": w3.eth.gas_price,
            "gas": gas,
            "value": Wei(0),
            "data": HexStr(data),
        }
        if to is not None:
            transaction["to"] = to
        sent = w3.eth.send_raw_transaction(account.sign_transaction(transaction).raw_transaction)
        receipt = w3.eth.wait_for_transaction_receipt(sent, timeout=_TIMEOUT_S)
    if receipt["status"] != 1:
        raise LedgerRejected(f"transaction 0x{sent.hex().removeprefix('0x')} was refused")
    return receipt
