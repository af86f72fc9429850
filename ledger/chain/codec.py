"""`StatusLedger.read` and `publish` in fixed-size words, so that hundreds of records are cheap to encode and decode.

Tests compare the words with `eth_abi`. Layout of a call of `read`, after the selector: offset (0x20), count, then for
each query bank (`bytes11`, left-aligned) and binding. Layout of the answer: block number, block time in seconds, offset
(0x60), count, then five words for each record. Layout of a call of `publish`: bank, number, watermark, offset (0xa0) of
the attestations, offset of the signature; count, then three words for each attestation; length, then the signature.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils import keccak

from standing.ledger.attestations.publication import ATTESTATION_SIZE
from standing.ledger.chain.connection import MAX_BLOCK
from standing.ledger.errors import InvalidValue, LedgerMismatch

_SELECTOR = keccak(text="read((bytes11,bytes32)[])")[:4]
_PUBLISH_TYPES = ("bytes11", "uint48", "uint48", "(bytes32,bytes26,bytes32)[]", "bytes")
_PUBLISH_SELECTOR = keccak(text=f"publish({','.join(_PUBLISH_TYPES)})")[:4]
_HEAD_SIZE = 4 * 32
_BANK_SIZE = 11
_BANK_PADDING = bytes(32 - _BANK_SIZE)
_BINDING_SIZE = 32
_U48_MAX = 2**48 - 1
# Only the bytes of each word that can be set are unpacked: u48, bytes26, bytes32, u48, bool.
_RECORD = struct.Struct(">24xQ26s6x32s24xQ31x?")
_HEAD = struct.Struct(">24xQ24xQ24xQ24xQ")


class Record(NamedTuple):
    """The ledger's answer to one query; `publication` 0 means there is no record.

    `watermark_ms` and `suspended` are the bank's, at the moment of the read.
    """

    publication: int
    tag_and_head: bytes
    tail: bytes
    watermark_ms: int
    suspended: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """The records of one read, all of one state: that of block `block_number`."""

    block_number: int
    block_time_s: int
    records: tuple[Record, ...]


def encode_query(bank: bytes, binding: bytes) -> bytes:
    """The two words of one query of `read`: bank as bytes11, and binding.

    Raises: InvalidValue where one has a wrong size, which would spoil the whole call.
    """
    if len(bank) != _BANK_SIZE or len(binding) != _BINDING_SIZE:
        allowed = f"a bank of {_BANK_SIZE}, a binding of {_BINDING_SIZE}"
        raise InvalidValue("query", f"{len(bank)} and {len(binding)} bytes", allowed)
    return bank + _BANK_PADDING + binding


def encode_read(queries: Sequence[bytes]) -> bytes:
    """Calldata of `read` for queries, each as `encode_query` writes it."""
    return b"".join((_SELECTOR, (0x20).to_bytes(32, "big"), len(queries).to_bytes(32, "big"), *queries))


def encode_publish(
    bank: bytes, number: int, watermark_ms: int, attestations: Sequence[bytes], signature: bytes
) -> bytes:
    """Calldata of `publish`: bank as bytes11, and the three words of each attestation."""
    numbers = (number, watermark_ms, 0xA0, 0xC0 + len(attestations) * ATTESTATION_SIZE, len(attestations))
    return b"".join(
        (
            _PUBLISH_SELECTOR,
            bank.ljust(32, b"\0"),
            *(each.to_bytes(32, "big") for each in numbers),
            *attestations,
            len(signature).to_bytes(32, "big"),
            signature.ljust(-(-len(signature) // 32) * 32, b"\0"),
        )
    )


class PublishCall(NamedTuple):
    """The arguments of a call of `publish`, except the bank, which its event names; attestations as three fields."""

    number: int
    watermark_ms: int
    attestations: tuple[tuple[bytes, bytes, bytes], ...]
    signature: bytes


def decode_publish(data: bytes) -> PublishCall | None:
    """The call of `publish` in calldata, in any encoding that the contract accepts: anyone may submit what a bank
    signed, and the first to do so chooses the encoding. None if there is no such call."""
    if data[:4] != _PUBLISH_SELECTOR:
        return None
    try:
        # Not strict, because the contract does not check the padding behind a signature either.
        _, number, watermark_ms, attestations, signature = decode(_PUBLISH_TYPES, data[4:], strict=False)
    except (DecodingError, ValueError, OverflowError):
        return None
    return PublishCall(number, watermark_ms, attestations, signature)


def decode_read(answer: bytes, count: int) -> Reading:
    """The answer to a read of `count` queries.

    Raises: LedgerMismatch where the answer has another shape, as from an address without the contract, or numbers that
    the contract cannot hold.
    """
    if len(answer) != _HEAD_SIZE + count * _RECORD.size:
        raise LedgerMismatch(f"{len(answer)} bytes in answer to a read of {count}: is this the StatusLedger contract?")
    block_number, block_time_s, offset, given = _HEAD.unpack_from(answer)
    if offset != 0x60 or given != count:
        raise LedgerMismatch("the answer to a read is malformed: is this the StatusLedger contract?")
    if block_number > MAX_BLOCK:
        raise LedgerMismatch("the answer to a read has numbers beyond the ledger's own bounds")
    records = tuple(map(Record._make, _RECORD.iter_unpack(memoryview(answer)[_HEAD_SIZE:])))
    for publication, _, _, watermark_ms, _ in records:
        if publication > _U48_MAX or watermark_ms > _U48_MAX:
            raise LedgerMismatch("the answer to a read has numbers beyond the ledger's own bounds")
    return Reading(block_number, block_time_s, records)
