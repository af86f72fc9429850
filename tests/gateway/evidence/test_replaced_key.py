"""The evidence key is replaced: earlier evidence stays what it was, and its key is known."""

from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from standing.gateway.app import create_app
from standing.gateway.evidence.signing import load_evidence_key, new_evidence_key, read_evidence_keys
from standing.gateway.evidence.verification.lines import Verdict
from standing.ledger.errors import InvalidValue
from standing.ledger.service.serve import served
from standing.ledger.service.settings import SettingsError
from tests.gateway.evidence_samples import EvidenceSample


@pytest.mark.parametrize("kept", [True, False])
def test_evidence_is_handed_out_with_the_key_that_signed_it_or_with_none(
    approved: EvidenceSample, tmp_path: Path, kept: bool
) -> None:
    """It came with the new key, under which it looks forged."""
    rig, transaction = approved.rig, approved.answer["transaction_id"]
    new_evidence_key(tmp_path / "second.pem")
    public = load_evidence_key(rig.settings.evidence_key_file).public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "first.pub.pem").write_bytes(pem)
    changed: dict[str, Any] = {
        "evidence_key_file": tmp_path / "second.pem",
        "older_evidence_key_files": [tmp_path / "first.pub.pem"] if kept else [],
    }
    with served(create_app(rig.settings.model_copy(update=changed), rig.clock)) as url:
        client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {rig.keys['support']}"})
        with client:
            present = client.get("/v1/evidence-key").json()
            found = client.get(f"/v1/decisions/{transaction}/evidence").json()
    assert present["kid"] != jwt.get_unverified_header(found["evidence"])["kid"]
    assert found["key"] == (approved.means.gateway_key if kept else None)


def test_a_verifier_gives_all_keys_and_each_evidence_is_verified_with_its_own(
    approved: EvidenceSample, tmp_path: Path
) -> None:
    """After a replacement, an audit of all decisions called those before it forged, or those after it."""
    new_evidence_key(tmp_path / "second.pem")
    second = load_evidence_key(tmp_path / "second.pem")
    other = jwt.algorithms.OKPAlgorithm.to_jwk(second.public_key(), as_dict=True) | {"kid": "second"}
    first = dict(approved.means.gateway_key)
    for keys, expected in (([other, first], Verdict.HOLDS), ([first, other], Verdict.HOLDS), ([other], Verdict.FAILS)):
        assert approved.verify(gateway_key={"keys": keys}).lines[0].verdict is expected
    wrongs: list[dict[str, Any]] = [{"keys": []}, {"keys": 5}, {"keys": ["x"]}, {"keys": None}, {}]
    for wrong in wrongs:
        with pytest.raises(InvalidValue, match="a JWK, as GET /v1/evidence-key returns it, or a JWK set"):
            approved.verify(gateway_key=wrong)


def test_an_older_key_that_is_no_public_key_is_named(approved: EvidenceSample, tmp_path: Path) -> None:
    signing = approved.rig.settings.evidence_key_file
    for path, problem in ((signing, "is not a public key in PEM"), (tmp_path / "none", "No such file")):
        with pytest.raises(SettingsError, match=f"older_evidence_key_files: .*{problem}"):
            read_evidence_keys(signing, [path])
