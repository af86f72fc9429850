"""Raw calldata that no encoder makes: bits where padding belongs, lengths that lie, truncation."""

from collections.abc import Callable

import pytest
from eth_utils import keccak

from standing.ledger.attestations.publication import Publication
from tests.contracts.abi import Refusal
from tests.contracts.ledger import NO_RECORD, Issuer, StatusLedger, attestation, binding

# Words of `publish`'s calldata after the selector: bank, number, watermarkMs, offset of the batch, offset of the
# signature; then the batch: count, and for each attestation binding, tagAndHead, tail.
BANK, NUMBER, WATERMARK, BATCH_OFFSET, SIGNATURE_OFFSET, COUNT, BINDING, TAG_AND_HEAD, TAIL = range(9)


def _word_at(index: int) -> slice:
    return slice(4 + 32 * index, 36 + 32 * index)


ATTESTATION = slice(_word_at(BINDING).start, _word_at(TAIL).stop)


def _publication(ledger: StatusLedger, issuer: Issuer) -> Publication:
    return issuer.next(ledger, attestation(1), watermark_ms=ledger.latest_ms)


def _calldata(ledger: StatusLedger, issuer: Issuer) -> bytearray:
    publication = _publication(ledger, issuer)
    return bytearray(ledger.publish_calldata(publication, issuer.signer.sign(publication.digest)))


def _send(ledger: StatusLedger, data: bytes | bytearray) -> Refusal:
    return ledger.refusal(ledger.chain.transact(ledger.submitter, ledger.address, bytes(data)))


# In each word, the padding bit nearest to the value and the one farthest from it.
DIRTY_BITS = {
    "bank, nearest": (BANK, 167),
    "bank, farthest": (BANK, 0),
    "number, nearest": (NUMBER, 48),
    "number, farthest": (NUMBER, 255),
    "watermark, nearest": (WATERMARK, 48),
    "watermark, farthest": (WATERMARK, 255),
}


@pytest.mark.parametrize(("word", "bit"), DIRTY_BITS.values(), ids=DIRTY_BITS.keys())
def test_dirty_padding_of_an_argument_is_malformed(ledger: StatusLedger, bank: Issuer, word: int, bit: int) -> None:
    data = _calldata(ledger, bank)
    value = int.from_bytes(data[_word_at(word)])
    assert value >> bit & 1 == 0
    data[_word_at(word)] = (value | 1 << bit).to_bytes(32, "big")
    assert _send(ledger, data) == Refusal("")


# The 48 bits below the 26 bytes of `tagAndHead` are the only padding that an attestation has.
DIRTY_BELOW_26_BYTES = {"nearest": 1 << 47, "one within": 1 << 23, "farthest": 1, "all": 2**48 - 1}


def _dirty(words: bytes, dirt: int) -> bytes:
    """The three words of an attestation, with bits where the padding of `tagAndHead` belongs."""
    tag_and_head = int.from_bytes(words[32:64])
    assert tag_and_head % 2**48 == 0
    return words[:32] + (tag_and_head | dirt).to_bytes(32, "big") + words[64:]


@pytest.mark.parametrize("dirt", DIRTY_BELOW_26_BYTES.values(), ids=DIRTY_BELOW_26_BYTES.keys())
def test_dirty_padding_of_an_attestation_breaks_the_signature(ledger: StatusLedger, bank: Issuer, dirt: int) -> None:
    """A submitter cannot add bits to what the bank signed."""
    data = _calldata(ledger, bank)
    data[ATTESTATION] = _dirty(bytes(data[ATTESTATION]), dirt)
    assert _send(ledger, data).name == "WrongSignature"


@pytest.mark.parametrize("dirt", DIRTY_BELOW_26_BYTES.values(), ids=DIRTY_BELOW_26_BYTES.keys())
def test_dirty_padding_signed_by_the_bank_itself_is_refused(ledger: StatusLedger, bank: Issuer, dirt: int) -> None:
    """A digest over words that no typed data has would break the hash chain for everyone who recomputes it."""
    publication = _publication(ledger, bank)
    words = _dirty(publication.attestations[0].words, dirt)
    data = bytearray(ledger.publish_calldata(publication, bank.signer.sign(_digest_over_raw_words(publication, words))))
    data[ATTESTATION] = words
    assert _send(ledger, data) == Refusal("")
    assert ledger.bank(bank.bank).publication == 0
    assert ledger.record(bank.bank, binding(1)) == NO_RECORD


@pytest.mark.parametrize(("word", "bit"), [(TAG_AND_HEAD, 48), (TAIL, 0)], ids=["tag and head", "tail"])
def test_the_lowest_bit_of_a_field_is_no_padding(ledger: StatusLedger, bank: Issuer, word: int, bit: int) -> None:
    """Just above the padding of `tagAndHead`, and at the very end of `tail`, everything counts and is kept."""
    publication = _publication(ledger, bank)
    words = bytearray(publication.attestations[0].words)
    field = slice(32 * (word - BINDING), 32 * (word - BINDING) + 32)
    words[field] = (int.from_bytes(words[field]) ^ 1 << bit).to_bytes(32, "big")
    digest = _digest_over_raw_words(publication, bytes(words))
    data = bytearray(ledger.publish_calldata(publication, bank.signer.sign(digest)))
    data[ATTESTATION] = words
    assert ledger.chain.transact(ledger.submitter, ledger.address, bytes(data)).ok
    assert ledger.record(bank.bank, binding(1))[:3] == (1, bytes(words[32:58]), bytes(words[64:]))


def _digest_over_raw_words(publication: Publication, words: bytes) -> bytes:
    """EIP-712 by hand over one attestation's three words, unchanged, including padding."""
    attestation_type = "Attestation(bytes32 binding,bytes26 tagAndHead,bytes32 tail)"
    publication_type = (
        "Publication(bytes11 bank,uint48 number,bytes32 previous,uint48 watermarkMs,Attestation[] attestations)"
    )
    content = keccak(
        keccak(text=publication_type + attestation_type)
        + publication.bank.encode().ljust(32, b"\0")
        + publication.number.to_bytes(32, "big")
        + publication.previous
        + publication.watermark_ms.to_bytes(32, "big")
        + keccak(keccak(keccak(text=attestation_type) + words))
    )
    return keccak(b"\x19\x01" + publication.domain.separator + content)


def test_raw_digest_of_clean_words_is_the_publications(ledger: StatusLedger, bank: Issuer) -> None:
    publication = _publication(ledger, bank)
    assert _digest_over_raw_words(publication, publication.attestations[0].words) == publication.digest


def _set_word(index: int, value: int) -> Callable[[bytearray], bytes]:
    def change(data: bytearray) -> bytes:
        data[_word_at(index)] = value.to_bytes(32, "big")
        return bytes(data)

    return change


MALFORMED: dict[str, Callable[[bytearray], bytes]] = {
    "no arguments": lambda data: bytes(data[:4]),
    "arguments cut off": lambda data: bytes(data[: 4 + 5 * 32 - 1]),
    "batch cut off": lambda data: bytes(data[: _word_at(TAIL).start]),
    "signature cut off": lambda data: bytes(data[: 4 + 10 * 32 + 64]),
    "count of more than there is": _set_word(COUNT, 2**32),
    "count that overflows": _set_word(COUNT, 2**256 - 1),
    "count whose size overflows": _set_word(COUNT, 2**256 // 96 + 1),
    "batch outside of the calldata": _set_word(BATCH_OFFSET, 2**20),
    "batch offset that overflows": _set_word(BATCH_OFFSET, 2**256 - 32),
    "signature outside of the calldata": _set_word(SIGNATURE_OFFSET, 2**20),
    "signature offset that overflows": _set_word(SIGNATURE_OFFSET, 2**256 - 32),
    "unknown function": lambda data: b"\xde\xad\xbe\xef" + bytes(data[4:]),
    "nothing": lambda data: b"",
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_calldata_is_refused(
    ledger: StatusLedger, bank: Issuer, change: Callable[[bytearray], bytes]
) -> None:
    assert _send(ledger, change(_calldata(ledger, bank))) == Refusal("")
    assert ledger.bank(bank.bank).publication == 0


def test_calldata_after_the_arguments_changes_nothing(ledger: StatusLedger, bank: Issuer) -> None:
    data = bytes(_calldata(ledger, bank)) + b"\xff" * 100
    assert ledger.chain.transact(ledger.submitter, ledger.address, data).ok
    assert ledger.bank(bank.bank).publication == 1


def test_bits_behind_the_signature_change_nothing(ledger: StatusLedger, bank: Issuer) -> None:
    """The 31 bytes that fill its last word: the compiler checks no padding of `bytes`."""
    data = bytes(_calldata(ledger, bank))[:-31] + b"\xff" * 31
    assert ledger.chain.transact(ledger.submitter, ledger.address, data).ok
    assert ledger.bank(bank.bank).publication == 1


def test_batch_shorter_than_signed_is_refused(ledger: StatusLedger, bank: Issuer) -> None:
    """The count says zero while the attestation is still there in the calldata."""
    assert _send(ledger, _set_word(COUNT, 0)(_calldata(ledger, bank))).name == "WrongSignature"


@pytest.mark.parametrize("function", ["publish", "suspend", "nothing at all"])
def test_the_ledger_takes_no_money(ledger: StatusLedger, bank: Issuer, function: str) -> None:
    calls = {
        "publish": (ledger.submitter, bytes(_calldata(ledger, bank))),
        "suspend": (ledger.guardian, ledger.abi.call("suspend", bank.bank)),
        "nothing at all": (ledger.submitter, b""),
    }
    account, data = calls[function]
    outcome = ledger.chain.transact(account, ledger.address, data, value_wei=1)
    assert ledger.refusal(outcome) == Refusal("")
