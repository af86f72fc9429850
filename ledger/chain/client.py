"""The typed client of the ledger contract, in Standing's own terms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import structlog
from eth_typing import ChecksumAddress, HexStr
from eth_utils import to_checksum_address
from hexbytes import HexBytes
from web3.exceptions import TransactionNotFound, Web3RPCError
from web3.types import BlockIdentifier, EventData, RPCEndpoint, RPCResponse, TxParams, TxReceipt

from standing.ledger.attestations.bic import bic_to_bytes11, bytes11_to_bic
from standing.ledger.attestations.publication import Attestation, Domain, Publication
from standing.ledger.chain.codec import Reading, decode_publish, decode_read, encode_publish, encode_query, encode_read
from standing.ledger.chain.connection import (
    MAX_BLOCK,
    check_logs,
    checked_block,
    connect,
    ledger_errors,
    parse_address,
    quantity,
)
from standing.ledger.chain.contract import artifact
from standing.ledger.chain.failover import Failover, NodeNotServing
from standing.ledger.clock import MAX_CALENDAR_MS
from standing.ledger.errors import (
    InvalidValue,
    LedgerError,
    LedgerMismatch,
    LedgerRejected,
    LedgerUnreachable,
    RequestTooLong,
)

#: The receipt of a transaction, as web3 types it.
Receipt = TxReceipt

_HASH_SIZE = 32

ZERO_ADDRESS = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class BankState:
    """The ledger's state of a bank; `signer` is the zero address where it was never admitted."""

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


@dataclass(frozen=True, slots=True)
class Head:
    """A block of the chain; its time in seconds since the Unix epoch."""

    number: int
    hash: bytes
    time_s: int


@dataclass(frozen=True, slots=True)
class Admission:
    """A bank's admission: number and digest of the publication that its history continues; zeros for a new bank."""

    number: int
    head: bytes
    block_number: int


def published_event(log: EventData) -> Published:
    """A `Published` log in Standing's terms. Raises: InvalidValue where the bank's name is not a BIC,
    LedgerUnreachable."""
    with ledger_errors():
        return Published(
            bank=bytes11_to_bic(log["args"]["bank"]),
            number=log["args"]["number"],
            watermark_ms=log["args"]["watermarkMs"],
            digest=bytes(log["args"]["digest"]),
            bindings=tuple(bytes(binding) for binding in log["args"]["bindings"]),
            block_number=checked_block(log["blockNumber"], "log's block number"),
            block_hash=bytes(log["blockHash"]),
            transaction_hash=bytes(log["transactionHash"]),
        )


class LedgerClient:
    """Reads and follows one `StatusLedger` contract over JSON-RPC, with fail-over where `url` names several nodes.

    Thread-safe. Every method raises LedgerUnreachable where no usable answer comes in time.
    """

    def __init__(self, url: str | Sequence[str], contract: str, *, timeout_s: float = 5.0) -> None:
        self.address = parse_address(contract, "ledger contract")
        self.w3 = connect(url, timeout_s=timeout_s)
        self._contract = self.w3.eth.contract(address=self.address, abi=artifact()["abi"])
        self._chain_id: int | None = None
        self._foreign: set[bytes] = set()

    @property
    def failover(self) -> Failover:
        """The connection to the ledger's nodes: which one is in use, and how often each failed."""
        assert isinstance(self.w3.provider, Failover)
        return self.w3.provider

    def check(self, chain_id: int | None = None) -> list[str]:
        """Check that every node is on the right chain (all on one, where `chain_id` is not given) and has the contract.

        Returns: the nodes that do not answer now; each is checked before its first use. Raises: LedgerMismatch;
        LedgerUnreachable where no node answers.
        """
        self._chain_id = chain_id
        self.failover.check = self._check_node
        silent = self.failover.check_all()
        if len(silent) == len(self.failover.failures):
            raise LedgerUnreachable(f"no ledger node answers: {', '.join(silent)}")
        return silent

    def check_again(self) -> None:
        """Check the node in use once more, after an answer that cannot come from this ledger. Raises: LedgerMismatch if
        the node now belongs to another ledger.
        """
        with ledger_errors():
            self.failover.check_again()

    def _check_node(self, name: str, ask: Callable[[RPCEndpoint, Any], RPCResponse]) -> None:
        """Check one node. Raises: LedgerMismatch, or NodeNotServing where there is no clear answer."""
        answers = [
            ask(RPCEndpoint("eth_chainId"), []),
            ask(RPCEndpoint("eth_getCode"), [self.address, "latest"]),
        ]
        if any(not isinstance(answer.get("result"), str) for answer in answers):
            raise NodeNotServing(f"{name} does not say its chain id and the contract's code")
        chain_id, code = int(answers[0]["result"], 16), answers[1]["result"]
        if self._chain_id is None:
            self._chain_id = chain_id
        if chain_id != self._chain_id:
            raise LedgerMismatch(f"the ledger's chain id is {chain_id} at {name}, expected {self._chain_id}")
        if code in {"", "0x"}:
            raise LedgerMismatch(f"there is no contract at {self.address} on chain {chain_id} at {name}")

    @cached_property
    def domain(self) -> Domain:
        """The EIP-712 domain of this contract; asks the node for its chain id once."""
        with ledger_errors():
            return Domain(quantity(self.w3.eth.chain_id, "chain id"), self.address)

    @cached_property
    def max_attestations(self) -> int:
        """The contract's bound on a publication's batch."""
        with ledger_errors():
            return int(self._contract.functions.MAX_ATTESTATIONS().call())

    @cached_property
    def ahead_allowance_ms(self) -> int:
        """How far a publication's times may be ahead of the block's."""
        with ledger_errors():
            return int(self._contract.functions.AHEAD_ALLOWANCE_MS().call())

    def block_number(self) -> int:
        """The number of the latest block."""
        with ledger_errors():
            return checked_block(self.w3.eth.block_number, "block number")

    def head(self, block: int | Literal["latest", "finalized"] = "latest") -> Head:
        """A block's number, hash and time; the latest block unless another is named."""
        found = self._plain_block(block if isinstance(block, str) else hex(block))
        if found is None:
            raise LedgerUnreachable(f"the ledger's node has no block {block}")
        try:
            head = Head(int(found["number"], 16), bytes.fromhex(found["hash"][2:]), int(found["timestamp"], 16))
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerUnreachable("the ledger node's answer is malformed: not a block") from error
        if len(head.hash) != _HASH_SIZE:
            raise LedgerUnreachable("the ledger node's answer is malformed: invalid block hash")
        if not 0 <= head.number <= MAX_BLOCK or not 0 <= head.time_s <= MAX_CALENDAR_MS // 1000:
            raise LedgerUnreachable("the ledger node's answer is malformed: invalid block number or time")
        if isinstance(block, int) and head.number != block:
            raise LedgerUnreachable("the ledger node's answer is malformed: another block than was asked for")
        return head

    def latest_allowed_ms(self) -> int:
        """The latest time that a publication sent now may state: the pending block's time plus the allowance.

        If a node has no pending block, its latest block counts. Where blocks are rare, that time is too early.
        """
        # A pending block may have no number and hash yet, so it is not a `Head`.
        found = self._plain_block("pending")
        try:
            time_ms = self.head().time_s * 1000 if found is None else int(found["timestamp"], 16) * 1000
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerUnreachable("the ledger node's answer is malformed: not a block") from error
        if not 0 <= time_ms <= MAX_CALENDAR_MS:
            raise LedgerUnreachable("the ledger node's answer is malformed: invalid block time")
        return time_ms + self.ahead_allowance_ms

    def _plain_block(self, asked: str) -> dict[str, Any] | None:
        """A block as raw JSON, or None: callers need few of its fields, and check those themselves."""
        with ledger_errors():
            answer = self.w3.provider.make_request(RPCEndpoint("eth_getBlockByNumber"), [asked, False])
        found = answer.get("result")
        return found if isinstance(found, dict) else None

    def bank(self, bic: str, block: BlockIdentifier = "latest") -> BankState:
        """The ledger's state of a bank."""
        with ledger_errors():
            signer, publication, watermark_ms, admin, suspended, head = self._contract.functions.getBank(
                bic_to_bytes11(bic)
            ).call(block_identifier=block)
        return BankState(signer, publication, watermark_ms, admin, suspended, head)

    def read(self, queries: Sequence[tuple[str, bytes]], block: BlockIdentifier = "latest") -> Reading:
        """The records of (BIC, binding) pairs, all from the state of one block.

        If one request for all is too long for a proxy in front of the ledger's node, they are read in parts.
        """
        try:
            return self._read(queries, block)
        except RequestTooLong:
            if len(queries) < 2:
                raise
        half = len(queries) // 2
        first = self.read(queries[:half], block)
        second = self.read(queries[half:], first.block_number)
        return replace(first, records=first.records + second.records)

    def _read(self, queries: Sequence[tuple[str, bytes]], block: BlockIdentifier) -> Reading:
        data = encode_read([encode_query(bic_to_bytes11(bic), binding) for bic, binding in queries])
        with ledger_errors():
            answer = self.w3.eth.call({"to": self.address, "data": HexStr("0x" + data.hex())}, block)
        return decode_read(bytes(answer), len(queries))

    def published(self, from_block: int, to_block: int, bank: str | None = None) -> list[Published]:
        """The `Published` events of a range of blocks (both ends included), in chain order.

        Events of a bank that was admitted under a name that is not a BIC are skipped: no Standing party knows it.
        """
        filters = {} if bank is None else {"bank": bic_to_bytes11(bank)}
        with ledger_errors():
            logs = self._contract.events.Published.get_logs(
                from_block=from_block, to_block=to_block, argument_filters=filters
            )
            check_logs(logs, from_block, to_block)
        found = []
        for log in logs:
            try:
                found.append(published_event(log))
            except InvalidValue:
                self._log_foreign(log["args"]["bank"])
        return found

    def _log_foreign(self, bank: bytes) -> None:
        """Log once that a bank's publications are skipped. Only the ledger's registrar can create such a bank."""
        if bank not in self._foreign:
            self._foreign.add(bank)
            structlog.get_logger().warning("foreign_bank_passed_over", bank="0x" + bank.hex())

    def publish_calldata(self, publication: Publication, signature: bytes) -> bytes:
        """The calldata that submits a publication."""
        return encode_publish(
            bic_to_bytes11(publication.bank),
            publication.number,
            publication.watermark_ms,
            [attestation.words for attestation in publication.attestations],
            signature,
        )

    def admission(self, from_block: int, to_block: int, bank: str) -> Admission | None:
        """The history that a bank was admitted with, if it was admitted in this range (both ends included)."""
        with ledger_errors():
            logs = self._contract.events.BankAdmitted.get_logs(
                from_block=from_block, to_block=to_block, argument_filters={"bank": bic_to_bytes11(bank)}
            )
            check_logs(logs, from_block, to_block)
        if not logs:
            return None
        return Admission(logs[-1]["args"]["number"], bytes(logs[-1]["args"]["head"]), logs[-1]["blockNumber"])

    def publication_of(self, event: Published, previous: bytes) -> tuple[Publication, bytes] | None:
        """The publication behind an event, from its transaction's input, with its signature.

        `previous` is the digest of the one before, which the input does not hold. None if the transaction did not call
        `publish` itself, or if its input differs from the event: then the content cannot be recovered.
        """
        with ledger_errors():
            transaction = self.w3.eth.get_transaction(HexBytes(event.transaction_hash))
            to, data = transaction.get("to"), HexBytes(transaction["input"])
        called = decode_publish(data) if to == self.address else None
        if called is None or called.number != event.number:
            return None
        publication = Publication(
            domain=self.domain,
            bank=event.bank,
            number=event.number,
            previous=previous,
            watermark_ms=called.watermark_ms,
            attestations=tuple(Attestation(*words) for words in called.attestations),
        )
        return (publication, called.signature) if publication.digest == event.digest else None

    def block_time_ms(self, block_number: int) -> int:
        """The time of a block, in milliseconds."""
        return self.head(block_number).time_s * 1000

    def block_gas_limit(self) -> int | None:
        """How much gas the latest block may hold; None where the node does not report it, as some engines do not."""
        found = self._plain_block("latest")
        try:
            limit = int(found["gasLimit"], 16) if found is not None else 0
        except (KeyError, TypeError, ValueError):
            return None
        return limit if limit > 0 else None

    def peers(self) -> int | None:
        """How many other nodes the ledger's node knows; None where it does not report it."""
        with ledger_errors():
            count = self.w3.provider.make_request(RPCEndpoint("net_peerCount"), []).get("result")
        try:
            return int(count, 16) if isinstance(count, str) else None
        except ValueError:
            return None

    def raw(self, method: str, params: list[Any]) -> dict[str, Any]:
        """The object that a JSON-RPC method answers, as the node wrote it. Raises: LedgerUnreachable."""
        with ledger_errors():
            answer = self.w3.provider.make_request(RPCEndpoint(method), params)
        if not isinstance(answer.get("result"), dict):
            raise LedgerUnreachable(f"the node gives no {method}: {str(answer.get('error'))[:200]}")
        return dict(answer["result"])

    def receipt(self, transaction_hash: bytes) -> Receipt | None:
        """The receipt of a transaction; None while it is in no block."""
        with ledger_errors():
            try:
                found = self.w3.eth.get_transaction_receipt(HexBytes(transaction_hash))
                for field in ("status", "gasUsed"):
                    quantity(found[field], f"{field} of a receipt")
                checked_block(found["blockNumber"], "a receipt's block number")
                return found
            except TransactionNotFound:
                return None
            except Web3RPCError as error:
                # Some nodes answer like this for a while after a start, until old receipts can be found.
                if "indexing" in str(error):
                    return None
                raise

    def in_flight(self, account: str) -> int:
        """How many transactions of an account the node knows that are in no block. Raises: LedgerUnreachable."""
        address, count = to_checksum_address(account), self.w3.eth.get_transaction_count
        with ledger_errors():  # in this order: a transaction that enters a block in between is not pending
            return max(0, quantity(count(address, "pending"), "nonce") - quantity(count(address, "latest"), "nonce"))

    def account_of(self, transaction_hash: bytes) -> str | None:
        """The account that sent a transaction; None where the node does not know it. Raises: LedgerUnreachable."""
        with ledger_errors():
            try:
                return to_checksum_address(self.w3.eth.get_transaction(HexBytes(transaction_hash))["from"])
            except TransactionNotFound:
                return None

    def why_failed(self, receipt: Receipt) -> LedgerError:
        """The error behind a failed transaction, found by replaying it on the state before its block.

        If it would have succeeded on that state, another transaction of its block overtook it, and it is replayed on
        the state after the block.
        """
        with ledger_errors():
            sent = self.w3.eth.get_transaction(receipt["transactionHash"])
            again: TxParams = {"from": sent["from"], "to": sent["to"], "data": sent["input"]}
        try:
            with ledger_errors():
                self.w3.eth.call(again, receipt["blockNumber"] - 1)
                self.w3.eth.call(again, receipt["blockNumber"])
        except LedgerError as error:
            return error
        return LedgerRejected("out of gas, or overtaken by another transaction of its block")
