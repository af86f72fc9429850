"""Storage proofs: what a block's state holds about a binding, provable by the block's header alone.

A node's `eth_getProof` gives Merkle-Patricia paths from the header's state root to the five storage slots that `read`
answers from. Slots by the contract's layout (`contracts/StatusLedger.sol`; tests hold it against `read`), each from its
lowest bit up:

    _banks    mapping at slot 3: signer u160, publication u48, watermarkMs u48 | admin u160, suspended u8 | head u256
    _records  mapping of mappings at slot 4: tagAndHead u208, publication u48 | tail u256

A header proves itself by its hash (Ethereum's rule: Keccak-256 of its RLP). Some engines hash otherwise, such as QBFT,
which leaves the commit seals out, and CometBFT; their headers are not provable here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rlp
from eth_typing import ChecksumAddress
from eth_utils import keccak, to_canonical_address, to_checksum_address
from rlp.exceptions import RLPException
from trie.exceptions import BadTrieProof, InvalidNode, MissingTraversalNode, TraversedPartialPath, ValidationError
from trie.hexary import HexaryTrie

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.chain.codec import Record
from standing.ledger.chain.connection import MAX_BLOCK
from standing.ledger.clock import MAX_CALENDAR_MS
from standing.ledger.errors import StandingError

_BANKS_SLOT = 3
_RECORDS_SLOT = 4
_MAX_NODES = 64  # a path is at most 64 nibbles long
_U48 = 2**48 - 1
_U160 = 2**160 - 1
_U208 = 2**208 - 1

#: The fields of a header in the order of its RLP; those after `nonce` came with later forks, one by one. Of data of a
#: fixed size, the size in bytes.
_HEADER_FIELDS: tuple[tuple[str, str | int], ...] = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", "number"),
    ("number", "number"),
    ("gasLimit", "number"),
    ("gasUsed", "number"),
    ("timestamp", "number"),
    ("extraData", "bytes"),
    ("mixHash", 32),
    ("nonce", 8),
    ("baseFeePerGas", "number"),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", "number"),
    ("excessBlobGas", "number"),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)
_FIRST_FIELDS = 15
#: The errors of py-trie on nodes that prove nothing; IndexError for an empty path.
_NO_PROOF = (BadTrieProof, InvalidNode, MissingTraversalNode, TraversedPartialPath, ValidationError, IndexError)


class ProofWrong(StandingError):
    """A header or a storage proof is wrong, or is malformed."""


@dataclass(frozen=True, slots=True)
class Header:
    """A block's header whose hash was computed from all of its fields."""

    number: int
    time_s: int
    hash: bytes
    state_root: bytes


@dataclass(frozen=True, slots=True)
class Proved:
    """The facts that a state proves: the record as `read` answers it, the bank's signer, and number and digest of its
    last publication."""

    record: Record
    bank_signer: ChecksumAddress
    bank_publication: int
    bank_head: bytes

    @classmethod
    def of_words(cls, words: Sequence[int]) -> "Proved":
        """The values of the five slots, decoded, in the order of `storage_slots`."""
        issuer, admin, head, packed, tail = words
        return cls(
            record=Record(
                publication=packed >> 208,
                tag_and_head=(packed & _U208).to_bytes(26, "big"),
                tail=tail.to_bytes(32, "big"),
                watermark_ms=issuer >> 208,
                suspended=bool(admin >> 160 & 0xFF),
            ),
            bank_signer=to_checksum_address((issuer & _U160).to_bytes(20, "big")),
            bank_publication=issuer >> 160 & _U48,
            bank_head=head.to_bytes(32, "big"),
        )


def parse_header(block: Mapping[str, Any]) -> Header:
    """The header of a block as `eth_getBlockByNumber` answers it. Raises: ProofWrong where it is malformed."""
    fields: list[bytes] = []
    for index, (name, kind) in enumerate(_HEADER_FIELDS):
        value = block.get(name)
        if value is None:
            if index < _FIRST_FIELDS:
                raise ProofWrong(f"the header has no {name}")
            break
        fields.append(_field(value, name, kind))
    number, time_s = int.from_bytes(fields[8]), int.from_bytes(fields[11])
    if number > MAX_BLOCK:
        raise ProofWrong("the header's number is out of range")
    if time_s > MAX_CALENDAR_MS // 1000:
        raise ProofWrong("the header's timestamp is out of range")
    return Header(
        number=number,
        time_s=time_s,
        hash=keccak(rlp.encode(fields)),
        state_root=fields[3],
    )


def storage_slots(bank: str, binding: bytes) -> list[bytes]:
    """The five slots to ask `eth_getProof` for, 32 bytes each."""
    key = bic_to_bytes11(bank).ljust(32, b"\0")
    issuer = _slot_of(key, _BANKS_SLOT.to_bytes(32, "big"))
    stored = keccak(binding + _slot_of(key, _RECORDS_SLOT.to_bytes(32, "big")))
    return [_plus(issuer, 0), _plus(issuer, 1), _plus(issuer, 2), _plus(stored, 0), _plus(stored, 1)]


def prove(proof: Mapping[str, Any], header: Header, *, contract: str, bank: str, binding: bytes) -> Proved:
    """Check an `eth_getProof` answer under a header. Returns: what it proves. Raises: ProofWrong."""
    account = _at(header.state_root, to_canonical_address(contract), proof.get("accountProof"), "account")
    try:
        storage_root = rlp.decode(account)[2]
    except (RLPException, IndexError, TypeError) as error:
        raise ProofWrong("the state has no account at the contract's address") from error
    given = {_bytes32(entry.get("key")): entry.get("proof") for entry in _entries(proof.get("storageProof"))}
    words = []
    for slot in storage_slots(bank, binding):
        if slot not in given:
            raise ProofWrong(f"the proof leaves out storage slot 0x{slot.hex()}")
        value = _at(storage_root, slot, given[slot], "storage")
        words.append(int.from_bytes(_plain(value)))
    return Proved.of_words(words)


def _at(root: bytes, key: bytes, nodes: Any, what: str) -> bytes:
    """The value at a key of a trie; b"" where the proof shows that there is none. Raises: ProofWrong."""
    if not isinstance(nodes, list) or len(nodes) > _MAX_NODES:
        raise ProofWrong(f"the {what} proof is not a list of nodes")
    try:
        decoded = [rlp.decode(_bytes(node, "proof")) for node in nodes]
        return bytes(HexaryTrie.get_from_proof(root, keccak(key), decoded))  # type: ignore[no-untyped-call]
    except (*_NO_PROOF, RLPException, ValueError, TypeError) as error:
        raise ProofWrong(f"the {what} proof does not lead from the root to its value") from error


def _plain(value: bytes) -> bytes:
    if value == b"":
        return b""
    try:
        plain = rlp.decode(value)
    except RLPException as error:
        raise ProofWrong("a proved value is not of storage") from error
    if not isinstance(plain, bytes) or len(plain) > 32:
        raise ProofWrong("a proved value is not of storage")
    return plain


def _entries(storage: Any) -> list[Mapping[str, Any]]:
    if not isinstance(storage, list) or not all(isinstance(entry, dict) for entry in storage):
        raise ProofWrong("the storage proof is not a list")
    return storage


def _slot_of(key: bytes, slot: bytes) -> bytes:
    """Where a mapping at `slot` keeps the value of `key` (Solidity's layout of storage)."""
    return keccak(key + slot)


def _plus(slot: bytes, offset: int) -> bytes:
    return ((int.from_bytes(slot) + offset) % 2**256).to_bytes(32, "big")


def _bytes32(text: Any) -> bytes:
    """A storage key; nodes write it as 32 bytes, or as a number without leading zeros."""
    raw = text.removeprefix("0x") if isinstance(text, str) else ""
    try:
        return bytes.fromhex(raw.rjust(64, "0"))
    except ValueError as error:
        raise ProofWrong("a storage key is not in hexadecimal") from error


def _field(value: Any, name: str, kind: str | int) -> bytes:
    """A header's field as its RLP holds it. Some nodes write data of a fixed size as numbers, without leading zeros."""
    if kind == "number":
        return _number(value, name)
    if kind == "bytes":
        return _bytes(value, name)
    size = int(kind)
    digits = value.removeprefix("0x") if isinstance(value, str) else ""
    return _bytes("0x" + digits.rjust(2 * size, "0") if digits else value, name)


def _bytes(text: Any, field: str) -> bytes:
    if not isinstance(text, str) or not text.startswith("0x"):
        raise ProofWrong(f"{field} is not in hexadecimal")
    try:
        return bytes.fromhex(text[2:])
    except ValueError as error:
        raise ProofWrong(f"{field} is not in hexadecimal") from error


def _number(text: Any, field: str) -> bytes:
    try:
        value = int(text, 16)
        return value.to_bytes((value.bit_length() + 7) // 8, "big")
    except (ValueError, TypeError, OverflowError) as error:  # a negative one overflows
        raise ProofWrong(f"{field} is not a number in hexadecimal") from error
