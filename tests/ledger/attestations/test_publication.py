"""The digest that a bank signs: identical in every EIP-712 implementation, and different for any other content."""

import dataclasses

import pytest
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_typed_data
from eth_utils import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.grant import make_grant
from standing.ledger.attestations.publication import (
    ATTESTATION_FIELDS,
    Attestation,
    Domain,
    LocalSigner,
    Publication,
    recover,
)
from standing.ledger.chain.contract import artifact
from standing.ledger.errors import InvalidValue

_U48 = st.integers(0, 2**48 - 1)
_B32 = st.binary(min_size=32, max_size=32)
_DOMAINS = st.builds(Domain, st.integers(1, 2**53), st.binary(min_size=20, max_size=20).map(to_checksum_address))
_ATTESTATIONS = st.builds(Attestation, _B32, st.binary(min_size=26, max_size=26), _B32)
PUBLICATIONS = st.builds(
    Publication,
    domain=_DOMAINS,
    bank=st.sampled_from(["YUNXCNB0", "HAIYCNS0001"]),
    number=st.integers(1, 2**48 - 1),
    previous=_B32,
    watermark_ms=_U48,
    attestations=st.lists(_ATTESTATIONS, max_size=5).map(tuple),
)
_SIGNER = LocalSigner(b"\x07" * 32)


@given(PUBLICATIONS)
def test_the_digest_equals_the_one_of_eth_accounts_typed_data_encoder(publication: Publication) -> None:
    message = encode_typed_data(full_message=publication.typed_data())
    assert publication.digest == _hash_eip191_message(message)


@given(PUBLICATIONS)
def test_a_typed_data_signature_by_eth_account_recovers_to_its_signer(publication: Publication) -> None:
    signed = Account.sign_typed_data(b"\x07" * 32, full_message=publication.typed_data())
    assert bytes(signed.signature) == _SIGNER.sign(publication.digest)
    assert recover(publication.digest, bytes(signed.signature)) == _SIGNER.address


def test_the_attestation_fields_match_the_contracts() -> None:
    publish = next(item for item in artifact()["abi"] if item.get("name") == "publish")
    components = next(item for item in publish["inputs"] if item["name"] == "attestations")["components"]
    assert tuple((part["type"], part["name"]) for part in components) == ATTESTATION_FIELDS


_ONE = Publication(
    domain=Domain(1337, to_checksum_address("0x" + "11" * 20)),
    bank="YUNXCNB0",
    number=7,
    previous=b"\x22" * 32,
    watermark_ms=1_767_225_600_000,
    attestations=(Attestation(b"\x33" * 32, b"\x44" * 26, b"\x55" * 32),),
)


def test_a_published_vector_has_the_expected_digest() -> None:
    assert _ONE.digest.hex() == "34e2bf583ea4f4401d4d8407ba849e698bed001ce9623bcfdf965842608c6cc7"


@pytest.mark.parametrize(
    "changed",
    [
        {"domain": Domain(1338, _ONE.domain.contract)},
        {"domain": Domain(1337, to_checksum_address("0x" + "12" * 20))},
        {"bank": "HAIYCNS0001"},
        {"number": 8},
        {"previous": b"\x23" * 32},
        {"watermark_ms": 1_767_225_600_001},
        {"attestations": ()},
        {"attestations": _ONE.attestations * 2},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_changing_any_field_changes_the_digest(changed: dict[str, object]) -> None:
    assert dataclasses.replace(_ONE, **changed).digest != _ONE.digest  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [b"", b"\0" * 65, b"\xff" * 65, b"\x01" * 64, b"\x01" * 66])
def test_garbage_recovers_to_no_signer(wrong: bytes) -> None:
    assert recover(_ONE.digest, wrong) != _SIGNER.address


@pytest.mark.parametrize(
    ("field", "value"), [("number", 0), ("number", 2**48), ("watermark_ms", -1), ("previous", b"\0" * 31)]
)
def test_a_publication_out_of_the_ledgers_range_cannot_be_constructed(field: str, value: object) -> None:
    with pytest.raises(InvalidValue, match=field):
        dataclasses.replace(_ONE, **{field: value})  # type: ignore[arg-type]


def test_anyone_can_verify_a_grants_signature_with_standard_tools_and_it_covers_every_part() -> None:
    key = b"\x02" * 32
    grant = make_grant(
        _SIGNER, bank="YUNXCNB0", binding=b"\x01" * 32, platform="jinqiao-pay", granted_at_ms=5, binding_key=key
    )
    fields = ("bytes11 bank", "bytes32 binding", "string platform", "bytes32 keyCommitment", "uint48 grantedAtMs")
    stated = (bic_to_bytes11("YUNXCNB0"), grant.binding, "jinqiao-pay", grant.without_key.key_commitment, 5)
    names = [field.split() for field in fields]
    message = encode_typed_data(
        domain_data={"name": "Standing Grant", "version": "1"},
        message_types={"Grant": [{"type": kind, "name": name} for kind, name in names]},
        message_data={name: value for (_, name), value in zip(names, stated, strict=True)},
    )
    assert Account.recover_message(message, signature=grant.signature) == _SIGNER.address == grant.signer
    for changed in (
        {"bank": "HAIYCNS0001"},
        {"binding": b"\x03" * 32},
        {"platform": "other"},
        {"granted_at_ms": 6},
        {"binding_key": b"\x04" * 32},
    ):
        assert dataclasses.replace(grant, **changed).signer != _SIGNER.address
    assert key.hex() not in repr(grant)
