"""A bank's history as a signed hash chain: recomputed from the ledger's own blocks alone, and continued elsewhere."""

from dataclasses import dataclass

import pytest
from eth_abi.abi import decode
from hexbytes import HexBytes

from standing.ledger.attestations.bic import bytes11_to_bic
from standing.ledger.attestations.publication import Attestation, Publication, recover
from tests.contracts.abi import Refusal
from tests.contracts.ledger import ZERO_HASH, Issuer, StatusLedger, attestation, binding, signer

PUBLISH = ["bytes11", "uint48", "uint48", "(bytes32,bytes26,bytes32)[]", "bytes"]


@dataclass(frozen=True, slots=True)
class Found:
    """One publication as an auditor finds it: from a `Published` event and the input of its transaction."""

    publication: Publication
    signer: str | None
    logged_digest: bytes
    logged_bindings: tuple[bytes, ...]


def _audit(ledger: StatusLedger, bank: bytes) -> list[Found]:
    """Recompute a bank's history from JSON-RPC answers about logs and transactions only."""
    w3 = ledger.chain.w3
    contract = w3.eth.contract(address=ledger.address, abi=_ABI)
    admitted = contract.events.BankAdmitted.get_logs(from_block=0, argument_filters={"bank": bank})
    previous = bytes(admitted[0]["args"]["head"])
    found = []
    for log in contract.events.Published.get_logs(from_block=0, argument_filters={"bank": bank}):
        data = bytes(HexBytes(w3.eth.get_transaction(log["transactionHash"])["input"]))
        name, number, watermark_ms, items, signature = decode(PUBLISH, data[4:])
        publication = Publication(
            domain=ledger.domain,
            bank=bytes11_to_bic(name),
            number=number,
            previous=previous,
            watermark_ms=watermark_ms,
            attestations=tuple(Attestation(*item) for item in items),
        )
        previous = publication.digest
        found.append(
            Found(
                publication,
                recover(publication.digest, signature),
                bytes(log["args"]["digest"]),
                tuple(bytes(each) for each in log["args"]["bindings"]),
            )
        )
    return found


_ABI = [
    {
        "type": "event",
        "name": "BankAdmitted",
        "anonymous": False,
        "inputs": [
            {"name": "bank", "type": "bytes11", "indexed": True},
            {"name": "signer", "type": "address", "indexed": False},
            {"name": "admin", "type": "address", "indexed": False},
            {"name": "number", "type": "uint48", "indexed": False},
            {"name": "head", "type": "bytes32", "indexed": False},
        ],
    },
    {
        "type": "event",
        "name": "Published",
        "anonymous": False,
        "inputs": [
            {"name": "bank", "type": "bytes11", "indexed": True},
            {"name": "number", "type": "uint48", "indexed": True},
            {"name": "watermarkMs", "type": "uint48", "indexed": False},
            {"name": "digest", "type": "bytes32", "indexed": False},
            {"name": "bindings", "type": "bytes32[]", "indexed": False},
        ],
    },
]


def test_hash_chain_recomputes_from_the_ledgers_own_history_alone(
    ledger: StatusLedger, bank: Issuer, other_bank: Issuer
) -> None:
    sizes = [3, 0, 1, 7, 0]
    signers = []
    for round_number, size in enumerate(sizes):
        now = ledger.latest_ms
        items = [attestation(n % 4, version=round_number) for n in range(size)]
        assert bank.publish(ledger, *items, watermark_ms=now).ok
        assert other_bank.publish(ledger, watermark_ms=now).ok
        signers.append(bank.signer.address)
        if round_number == 2:
            bank.signer = signer("second key")
            assert ledger.transact(bank.admin, "rotateSigner", bank.bank, bank.signer.address).ok

    history = _audit(ledger, bank.bank)
    assert [found.publication.number for found in history] == [1, 2, 3, 4, 5]
    assert [found.signer for found in history] == signers
    assert [len(found.publication.attestations) for found in history] == sizes
    for found in history:
        assert found.logged_digest == found.publication.digest
        assert found.logged_bindings == tuple(item.binding for item in found.publication.attestations)
    assert ledger.bank(bank.bank).head == history[-1].publication.digest


def test_records_replay_from_the_history_alone(ledger: StatusLedger, bank: Issuer) -> None:
    """The history's last attestation of each binding is the record that `read` returns."""
    for round_number in range(4):
        now = ledger.latest_ms
        items = [attestation(n, version=round_number) for n in range(round_number, 4)]
        assert bank.publish(ledger, *items, watermark_ms=now).ok
    last = {}
    for found in _audit(ledger, bank.bank):
        for item in found.publication.attestations:
            last[item.binding] = (found.publication.number, item.tag_and_head, item.tail)
    assert set(last) == {binding(n) for n in range(4)}
    for name, expected in last.items():
        assert ledger.record(bank.bank, name)[:3] == expected


def test_a_history_goes_on_in_a_new_deployment(ledger: StatusLedger, bank: Issuer) -> None:
    now = ledger.latest_ms
    assert bank.publish(ledger, attestation(1), watermark_ms=now).ok
    assert bank.publish(ledger, watermark_ms=now).ok
    left = ledger.bank(bank.bank)

    successor = StatusLedger.deploy(ledger.chain)
    assert bank.admit(successor, number=left.publication, head=left.head).ok
    now = successor.latest_ms
    third = bank.next(successor, attestation(1), watermark_ms=now)
    assert (third.number, third.previous) == (3, left.head)
    assert successor.publish(third, bank.signer.sign(third.digest)).ok
    (found,) = _audit(successor, bank.bank)
    assert (found.publication.number, found.publication.previous, found.signer) == (3, left.head, bank.signer.address)
    assert successor.bank(bank.bank).head == third.digest


@pytest.mark.parametrize("number", [1, 2, 4])
def test_in_a_new_deployment_old_numbers_are_replays_and_later_ones_gaps(
    ledger: StatusLedger, bank: Issuer, number: int
) -> None:
    successor = StatusLedger.deploy(ledger.chain)
    assert bank.admit(successor, number=2, head=b"\x33" * 32).ok
    refusal = successor.refusal(bank.publish(successor, number=number))
    assert refusal == Refusal("UnexpectedNumber", (number, 3))


def test_in_a_new_deployment_another_history_does_not_fit(ledger: StatusLedger, bank: Issuer) -> None:
    successor = StatusLedger.deploy(ledger.chain)
    assert bank.admit(successor, number=2, head=b"\x33" * 32).ok
    assert successor.refusal(bank.publish(successor, previous=b"\x34" * 32)).name == "WrongSignature"


def test_head_of_a_bank_without_publications_is_zero(ledger: StatusLedger, bank: Issuer) -> None:
    assert ledger.bank(bank.bank).head == ZERO_HASH
    assert _audit(ledger, bank.bank) == []
