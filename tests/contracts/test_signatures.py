"""Check 6 under attack: valid signers, signed content and form of signatures; keys (ECDSA) and contracts (ERC-1271)."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from eth_account import Account as EthAccount
from eth_account.messages import encode_typed_data
from eth_typing import ChecksumAddress
from eth_utils import to_canonical_address, to_checksum_address
from hexbytes import HexBytes

from standing.ledger.attestations.publication import Domain, LocalSigner, Publication
from tests.contracts.abi import ROOT, Abi, Refusal, load_artifact
from tests.contracts.ledger import ZERO_ADDRESS, Issuer, StatusLedger, attestation, binding, signer

CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FIXTURES = ROOT / "tests" / "contracts" / "solidity" / "artifacts"


def _assert_wrong_signature(ledger: StatusLedger, issuer: Issuer, publication: Publication, signature: bytes) -> None:
    """The ledger refuses, and reports the digest and the expected signer; nothing has changed."""
    before = ledger.bank(issuer.bank)
    expected = replace(publication, domain=ledger.domain, previous=before.head).digest
    refusal = ledger.refusal(ledger.publish(publication, signature))
    assert refusal == Refusal("WrongSignature", (expected, before.signer))
    assert ledger.bank(issuer.bank) == before
    assert all(ledger.record(issuer.bank, item.binding).publication == 0 for item in publication.attestations)


def _first(ledger: StatusLedger, issuer: Issuer) -> Publication:
    return issuer.next(ledger, attestation(1), watermark_ms=ledger.latest_ms)


def test_typed_data_signature_of_eth_account_is_accepted(ledger: StatusLedger, bank: Issuer) -> None:
    """The digest that this project computes by hand is the one of an independent EIP-712 implementation."""
    publication = _first(ledger, bank)
    key = EthAccount.from_key(b"\x42" * 32)
    assert ledger.transact(bank.admin, "rotateSigner", bank.bank, key.address).ok
    signed = key.sign_typed_data(full_message=publication.typed_data())
    assert bytes(signed.message_hash) == publication.digest
    recovered = EthAccount.recover_message(
        encode_typed_data(full_message=publication.typed_data()), signature=signed.signature
    )
    assert recovered == key.address
    assert ledger.publish(publication, bytes(signed.signature)).ok


def test_domain_is_the_one_that_the_contract_announces(ledger: StatusLedger) -> None:
    """ERC-5267: fields 0x0f (name, version, chain id, contract), no salt, no extensions."""
    outcome = ledger.chain.call(ledger.address, ledger.abi.call("eip712Domain"))
    assert ledger.abi.answer("eip712Domain", outcome.output) == (
        b"\x0f",
        "Standing StatusLedger",
        "1",
        ledger.chain.chain_id,
        ledger.address.lower(),
        bytes(32),
        (),
    )


def test_anyone_may_submit_what_the_bank_signed(ledger: StatusLedger, bank: Issuer) -> None:
    publication = _first(ledger, bank)
    data = ledger.publish_calldata(publication, bank.signer.sign(publication.digest))
    assert ledger.chain.transact(ledger.chain.accounts[9], ledger.address, data).ok


@pytest.mark.parametrize("role", ["governor", "registrar", "guardian", "admin"])
def test_no_role_can_sign_for_a_bank(ledger: StatusLedger, bank: Issuer, role: str) -> None:
    account = bank.admin if role == "admin" else getattr(ledger, role)
    publication = _first(ledger, bank)
    signature = LocalSigner(account.key.to_bytes()).sign(publication.digest)
    data = ledger.publish_calldata(publication, signature)
    outcome = ledger.chain.transact(account, ledger.address, data)
    assert ledger.refusal(outcome).name == "WrongSignature"


Forgery = Callable[[bytes], bytes]


def _v(value: int) -> Forgery:
    return lambda signature: signature[:64] + bytes([value])


def _high_s(signature: bytes) -> bytes:
    """The same signature's malleable twin: s mirrored at the curve's order, v flipped."""
    s = CURVE_ORDER - int.from_bytes(signature[32:64])
    return signature[:32] + s.to_bytes(32, "big") + bytes([55 - signature[64]])


FORGERIES: dict[str, Forgery] = {
    "empty": lambda signature: b"",
    "truncated by a byte": lambda signature: signature[:64],
    "longer by a byte": lambda signature: signature + b"\0",
    "compact form of ERC-2098": lambda signature: (
        signature[:32] + (int.from_bytes(signature[32:64]) | (signature[64] - 27) << 255).to_bytes(32, "big")
    ),
    "malleable twin with high s": _high_s,
    "v 0 or 1": lambda signature: signature[:64] + bytes([signature[64] - 27]),
    "v flipped": lambda signature: signature[:64] + bytes([55 - signature[64]]),
    "v 26": _v(26),
    "v 29": _v(29),
    "v 255": _v(255),
    "all zero": lambda signature: bytes(65),
    "r zero": lambda signature: bytes(32) + signature[32:],
    "s zero": lambda signature: signature[:32] + bytes(32) + signature[64:],
    "r of the curve's order": lambda signature: CURVE_ORDER.to_bytes(32, "big") + signature[32:],
    "r and s exchanged": lambda signature: signature[32:64] + signature[:32] + signature[64:],
    "twice": lambda signature: signature * 2,
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_forged_form_of_a_signature_is_refused(ledger: StatusLedger, bank: Issuer, forge: Forgery) -> None:
    publication = _first(ledger, bank)
    genuine = bank.signer.sign(publication.digest)
    _assert_wrong_signature(ledger, bank, publication, forge(genuine))
    assert ledger.publish(publication, genuine).ok


@pytest.mark.parametrize("position", range(0, 65 * 8, 13))
def test_flipped_bit_in_the_signature_is_refused(ledger: StatusLedger, bank: Issuer, position: int) -> None:
    publication = _first(ledger, bank)
    flipped = bytearray(bank.signer.sign(publication.digest))
    flipped[position // 8] ^= 1 << position % 8
    _assert_wrong_signature(ledger, bank, publication, bytes(flipped))


def test_failed_recovery_is_not_the_signature_of_the_zero_address(ledger: StatusLedger) -> None:
    """`ecrecover` answers zero where there is no key. No bank can have the zero address as its signer."""
    bank = b"BANKFRPP\0\0\0"
    refused = ledger.transact(ledger.registrar, "admit", bank, ZERO_ADDRESS, ledger.registrar.address, 0, bytes(32))
    assert ledger.refusal(refused) == Refusal("ZeroNotAllowed")
    outcome = ledger.transact(ledger.submitter, "publish", bank, 1, 0, [], bytes(65))
    assert ledger.refusal(outcome) == Refusal("BankNotAdmitted", (bank,))


def _changed(publication: Publication, field: str) -> Publication:
    """The publication that is sent instead of the one that was signed."""
    (item,) = publication.attestations
    other = bytes(32 * [0x5A])
    changes = {
        "watermark_ms": {"watermark_ms": publication.watermark_ms - 1},
        "no attestations": {"attestations": ()},
        "one more attestation": {"attestations": (item, attestation(9))},
        "an attestation twice": {"attestations": (item, item)},
        "binding": {"attestations": (replace(item, binding=other),)},
        "tag": {"attestations": (replace(item, tag_and_head=other[:16] + item.tag_and_head[16:]),)},
        "head": {"attestations": (replace(item, tag_and_head=item.tag_and_head[:16] + other[:10]),)},
        "tail": {"attestations": (replace(item, tail=other),)},
    }
    return replace(publication, **changes[field])  # type: ignore[arg-type]  # each entry fits its field


@pytest.mark.parametrize(
    "field",
    [
        "watermark_ms",
        "no attestations",
        "one more attestation",
        "an attestation twice",
        "binding",
        "tag",
        "head",
        "tail",
    ],
)
def test_changed_content_under_a_genuine_signature_is_refused(ledger: StatusLedger, bank: Issuer, field: str) -> None:
    publication = _first(ledger, bank)
    signature = bank.signer.sign(publication.digest)
    _assert_wrong_signature(ledger, bank, _changed(publication, field), signature)


def test_reordered_attestations_are_refused(ledger: StatusLedger, bank: Issuer) -> None:
    now = ledger.latest_ms
    publication = bank.next(ledger, attestation(1), attestation(2), watermark_ms=now)
    signature = bank.signer.sign(publication.digest)
    reordered = replace(publication, attestations=publication.attestations[::-1])
    _assert_wrong_signature(ledger, bank, reordered, signature)


def test_a_publication_is_not_valid_for_another_bank(ledger: StatusLedger, bank: Issuer, other_bank: Issuer) -> None:
    """Also where both banks sign with the same key."""
    assert ledger.transact(other_bank.admin, "rotateSigner", other_bank.bank, bank.signer.address).ok
    publication = _first(ledger, bank)
    signature = bank.signer.sign(publication.digest)
    _assert_wrong_signature(ledger, other_bank, replace(publication, bank=other_bank.bic), signature)


def test_replay_from_another_chain_is_refused(ledger: StatusLedger, bank: Issuer) -> None:
    elsewhere = Domain(ledger.chain.chain_id + 1, ledger.address)
    publication = replace(_first(ledger, bank), domain=elsewhere)
    _assert_wrong_signature(ledger, bank, publication, bank.signer.sign(publication.digest))


def test_replay_from_another_deployment_is_refused(ledger: StatusLedger, bank: Issuer) -> None:
    """The same bank, number, previous and content, accepted by one ledger, do not count on another."""
    elsewhere = StatusLedger.deploy(ledger.chain)
    assert bank.admit(elsewhere).ok
    publication = _first(elsewhere, bank)
    signature = bank.signer.sign(publication.digest)
    assert elsewhere.publish(publication, signature).ok
    _assert_wrong_signature(ledger, bank, publication, signature)


def test_publication_on_top_of_another_history_is_refused(ledger: StatusLedger, bank: Issuer) -> None:
    publication = replace(_first(ledger, bank), previous=b"\x01" * 32)
    _assert_wrong_signature(ledger, bank, publication, bank.signer.sign(publication.digest))


def test_rotation_cuts_the_old_key_off_at_once(ledger: StatusLedger, bank: Issuer) -> None:
    """Also for what the old key signed before; the same digest under the new key is accepted."""
    publication = _first(ledger, bank)
    signed_before = bank.signer.sign(publication.digest)
    new = signer("rotated")
    assert ledger.transact(bank.admin, "rotateSigner", bank.bank, new.address).ok
    _assert_wrong_signature(ledger, bank, publication, signed_before)
    assert ledger.publish(publication, new.sign(publication.digest)).ok


# --- contracts that sign (ERC-1271)


def _deploy_fixture(ledger: StatusLedger, name: str, *arguments: object) -> ChecksumAddress:
    artifact = load_artifact(FIXTURES / f"{name}.json")
    code = bytes(HexBytes(artifact["bytecode"])) + Abi(artifact["abi"]).constructor(*arguments)
    return ledger.chain.deploy(ledger.submitter, code)


def _in_order(*owners: LocalSigner) -> list[LocalSigner]:
    return sorted(owners, key=lambda owner: to_canonical_address(owner.address))


@pytest.fixture
def owners() -> list[LocalSigner]:
    return _in_order(signer("owner 1"), signer("owner 2"), signer("owner 3"))


@pytest.fixture
def multisig(ledger: StatusLedger, bank: Issuer, owners: list[LocalSigner]) -> ChecksumAddress:
    """A 2-of-3 wallet, made the bank's signer."""
    wallet = _deploy_fixture(ledger, "MultisigWallet", [owner.address for owner in owners])
    assert ledger.transact(bank.admin, "rotateSigner", bank.bank, wallet).ok
    return wallet


@pytest.mark.usefixtures("multisig")
@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
def test_any_two_of_three_owners_sign_for_the_bank(
    ledger: StatusLedger, bank: Issuer, owners: list[LocalSigner], pair: tuple[int, int]
) -> None:
    publication = _first(ledger, bank)
    outcome = ledger.publish(publication, b"".join(owners[n].sign(publication.digest) for n in pair))
    assert outcome.ok
    assert ledger.record(bank.bank, binding(1)).publication == 1


@pytest.mark.usefixtures("multisig")
def test_fewer_or_other_owners_do_not_sign_for_the_bank(
    ledger: StatusLedger, bank: Issuer, owners: list[LocalSigner]
) -> None:
    publication = _first(ledger, bank)
    one, two, _ = (owner.sign(publication.digest) for owner in owners)
    stranger = _in_order(owners[0], signer("a stranger"))
    replayed = owners[1].sign(replace(publication, watermark_ms=publication.watermark_ms - 1).digest)
    former = bank.signer.sign(publication.digest)
    attacks = {
        "one owner": one,
        "one owner twice": one + one,
        "wrong order": two + one,
        "an owner and a stranger": b"".join(owner.sign(publication.digest) for owner in stranger),
        "an owner's signature of something else": one + replayed,
        "truncated": (one + two)[:-1],
        "nothing": b"",
        "the former key": former,
    }
    for signature in attacks.values():
        _assert_wrong_signature(ledger, bank, publication, signature)


WAYS = ["WrongMagic", "True", "ShortMagic", "Silence", "Revert", "RevertWithMagic"]


@pytest.mark.parametrize("way", range(len(WAYS)), ids=WAYS)
def test_any_answer_of_a_contract_signer_but_the_magic_value_is_refused(
    ledger: StatusLedger, bank: Issuer, way: int
) -> None:
    wallet = _deploy_fixture(ledger, "HostileWallet", way)
    assert ledger.transact(bank.admin, "rotateSigner", bank.bank, wallet).ok
    _assert_wrong_signature(ledger, bank, _first(ledger, bank), b"whatever")


def test_contract_signer_cannot_reenter(ledger: StatusLedger, bank: Issuer, other_bank: Issuer) -> None:
    """While it is asked, the signer sends another bank's valid publication: in a staticcall nothing can be written."""
    wallet = _deploy_fixture(ledger, "HostileWallet", len(WAYS))
    inner = _first(ledger, other_bank)
    data = ledger.publish_calldata(inner, other_bank.signer.sign(inner.digest))
    hostile = Abi(load_artifact(FIXTURES / "HostileWallet.json")["abi"])
    assert ledger.chain.transact(ledger.submitter, wallet, hostile.call("arm", ledger.address, data)).ok
    probe = ledger.chain.transact(ledger.submitter, wallet, hostile.call("isValidSignature", bytes(32), b""))
    assert probe.ok, "outside of a staticcall the armed call goes through"
    assert ledger.bank(other_bank.bank).publication == 1

    again = other_bank.next(ledger)
    data = ledger.publish_calldata(again, other_bank.signer.sign(again.digest))
    assert ledger.chain.transact(ledger.submitter, wallet, hostile.call("arm", ledger.address, data)).ok
    assert ledger.transact(bank.admin, "rotateSigner", bank.bank, wallet).ok
    publication = replace(_first(ledger, bank), attestations=())
    _assert_wrong_signature(ledger, bank, publication, b"")
    assert ledger.bank(other_bank.bank).publication == 1


def test_signer_address_is_kept_as_given(ledger: StatusLedger, bank: Issuer) -> None:
    assert to_checksum_address(ledger.bank(bank.bank).signer) == bank.signer.address
