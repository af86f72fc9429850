"""The hand-written encoding of `read` and `publish`, checked against eth_abi and the contract's own ABI."""

from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from standing.ledger.attestations.publication import Attestation
from standing.ledger.chain.codec import decode_read, encode_publish, encode_query, encode_read
from standing.ledger.chain.contract import artifact
from standing.ledger.errors import InvalidValue, LedgerMismatch

_U48 = st.integers(0, 2**48 - 1)
_QUERIES = st.lists(st.tuples(st.binary(min_size=11, max_size=11), st.binary(min_size=32, max_size=32)), max_size=20)
_RECORDS = st.lists(
    st.tuples(_U48, st.binary(min_size=26, max_size=26), st.binary(min_size=32, max_size=32), _U48, st.booleans()),
    max_size=20,
)
_ATTESTATIONS = st.lists(
    st.tuples(
        st.binary(min_size=32, max_size=32),
        st.binary(min_size=26, max_size=26),
        st.binary(min_size=32, max_size=32),
    ),
    max_size=20,
)
_PUBLISH_TYPES = ["bytes11", "uint48", "uint48", "(bytes32,bytes26,bytes32)[]", "bytes"]
_RECORD_TYPE = "(uint48,bytes26,bytes32,uint48,bool)[]"


def _entry(name: str) -> dict[str, Any]:
    entry: dict[str, Any] = next(item for item in artifact()["abi"] if item.get("name") == name)
    return entry


def test_the_hand_written_types_match_the_contracts_abi() -> None:
    (queries,), answers = _entry("read")["inputs"], _entry("read")["outputs"]
    assert [part["type"] for part in queries["components"]] == ["bytes11", "bytes32"]
    assert [answer["type"] for answer in answers] == ["uint256", "uint256", "tuple[]"]
    kinds = ",".join(part["type"] for part in answers[2]["components"])
    assert f"({kinds})[]" == _RECORD_TYPE
    published = _entry("publish")["inputs"]
    words = ",".join(part["type"] for part in published[3]["components"])
    assert [f"({words})[]" if part["type"] == "tuple[]" else part["type"] for part in published] == _PUBLISH_TYPES


@given(_QUERIES)
def test_calls_are_encoded_as_eth_abi_encodes_them(queries: list[tuple[bytes, bytes]]) -> None:
    expected = keccak(text="read((bytes11,bytes32)[])")[:4] + encode(["(bytes11,bytes32)[]"], [queries])
    assert encode_read([encode_query(*query) for query in queries]) == expected


@pytest.mark.parametrize(("bank", "binding"), [(11, 31), (11, 33), (10, 32), (12, 31), (11, 0)])
def test_a_query_of_the_wrong_size_is_refused_before_it_can_spoil_the_call(bank: int, binding: int) -> None:
    with pytest.raises(InvalidValue, match=f"{bank} and {binding} bytes"):
        encode_query(bytes(bank), bytes(binding))


@pytest.mark.long
@given(st.integers(0, 2**63 - 1), st.integers(0, 2**40), _RECORDS)
def test_answers_are_decoded_as_eth_abi_decodes_them(number: int, time_s: int, records: list[tuple[Any, ...]]) -> None:
    answer = encode(["uint256", "uint256", _RECORD_TYPE], [number, time_s, records])
    reading = decode_read(answer, len(records))
    assert (reading.block_number, reading.block_time_s) == (number, time_s)
    found = [(one.publication, one.tag_and_head, one.tail, one.watermark_ms, one.suspended) for one in reading.records]
    assert tuple(found) == decode(["uint256", "uint256", _RECORD_TYPE], answer)[2]


@given(st.binary(min_size=11, max_size=11), _U48, _U48, _ATTESTATIONS, st.binary(max_size=100))
def test_publications_are_encoded_as_eth_abi_encodes_them(
    bank: bytes, number: int, watermark_ms: int, attestations: list[tuple[bytes, bytes, bytes]], signature: bytes
) -> None:
    selector = keccak(text=f"publish({','.join(_PUBLISH_TYPES)})")[:4]
    expected = selector + encode(_PUBLISH_TYPES, [bank, number, watermark_ms, attestations, signature])
    words = [Attestation(*each).words for each in attestations]
    assert encode_publish(bank, number, watermark_ms, words, signature) == expected


def _words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", bytes(32), bytes(4 * 32), bytes(4 * 32 + 160)),
        *(_words(1, 1, 0x80, 1) + bytes(160), _words(1, 1, 0x60, 2) + bytes(160)),
    ],
)
def test_an_answer_that_is_not_the_contracts_is_refused(answer: bytes) -> None:
    with pytest.raises(LedgerMismatch):
        decode_read(answer, 1)


@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("value", [2**48, 2**63, 2**64 - 1])
def test_an_answer_with_a_number_that_the_contract_cannot_hold_is_refused(place: int, value: int) -> None:
    words: list[Any] = [1, bytes(26), bytes(32), 3, False]
    words[place] = value
    wide = _RECORD_TYPE.replace("uint48", "uint256")
    answer = encode(["uint256", "uint256", wide], [1, 1, [(1, bytes(26), bytes(32), 3, False), tuple(words)]])
    with pytest.raises(LedgerMismatch):
        decode_read(answer, 2)


def test_an_answer_with_a_block_number_that_no_database_holds_is_refused() -> None:
    records = [(0, bytes(26), bytes(32), 0, False)]
    assert decode_read(encode(["uint256", "uint256", _RECORD_TYPE], [2**63 - 1, 1, records]), 1).block_number
    with pytest.raises(LedgerMismatch):
        decode_read(encode(["uint256", "uint256", _RECORD_TYPE], [2**63, 1, records]), 1)


def test_an_answer_with_too_few_records_is_refused() -> None:
    answer = encode(["uint256", "uint256", _RECORD_TYPE], [1, 1, [(0, bytes(26), bytes(32), 0, False)]])
    with pytest.raises(LedgerMismatch):
        decode_read(answer, 2)
