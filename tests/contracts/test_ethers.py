"""Signatures interoperate with ethers, an implementation of EIP-712 in another language, in both directions."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from standing.ledger.attestations.publication import LocalSigner, Publication
from tests.contracts.ledger import Issuer, StatusLedger, attestation
from tests.contracts.npm_packages import FOLDER, NpmMissing, install

pytestmark = pytest.mark.npm

KEY = b"\x42" * 32
SCRIPT = Path(__file__).with_name("npm") / "typed_data.mjs"


@pytest.fixture(scope="module", autouse=True)
def packages() -> None:
    try:
        install()
    except NpmMissing as missing:
        pytest.skip(str(missing))


def _ethers(typed_data: dict[str, Any], signature: bytes | None) -> dict[str, str]:
    """ethers' results: the digest, the signer of the given signature (if any), and its own signature with KEY."""
    asked = {
        "typedData": typed_data,
        "signature": None if signature is None else "0x" + signature.hex(),
        "key": "0x" + KEY.hex(),
    }
    ended = subprocess.run(
        ["node", str(SCRIPT)], cwd=FOLDER, input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    answered: dict[str, str] = json.loads(ended.stdout)
    return answered


def _publications(ledger: StatusLedger, bank: Issuer) -> dict[str, Publication]:
    now = ledger.latest_ms
    return {
        "heartbeat": bank.next(ledger, watermark_ms=now),
        "one": bank.next(ledger, attestation(1), watermark_ms=now),
        "three": bank.next(ledger, *(attestation(n) for n in range(3)), watermark_ms=now),
    }


@pytest.mark.parametrize("size", ["heartbeat", "one", "three"])
def test_ethers_and_this_project_agree_on_digest_and_signer(ledger: StatusLedger, bank: Issuer, size: str) -> None:
    publication = _publications(ledger, bank)[size]
    ours = LocalSigner(KEY)
    theirs = _ethers(publication.typed_data(), ours.sign(publication.digest))
    assert theirs["digest"] == "0x" + publication.digest.hex()
    assert theirs["recovered"] == ours.address


@pytest.mark.parametrize("size", ["heartbeat", "one", "three"])
def test_ledger_accepts_what_ethers_signs(ledger: StatusLedger, bank: Issuer, size: str) -> None:
    publication = _publications(ledger, bank)[size]
    assert ledger.transact(bank.admin, "rotateSigner", bank.bank, LocalSigner(KEY).address).ok
    theirs = _ethers(publication.typed_data(), None)
    assert ledger.publish(publication, bytes.fromhex(theirs["signature"][2:])).ok


def test_ethers_rejects_the_signature_of_a_changed_publication(ledger: StatusLedger, bank: Issuer) -> None:
    publications = _publications(ledger, bank)
    signature = LocalSigner(KEY).sign(publications["one"].digest)
    assert _ethers(publications["three"].typed_data(), signature)["recovered"] != LocalSigner(KEY).address
