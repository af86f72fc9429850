"""Pieces of evidence for the tests of verification, honest and not, and a bank that publishes late."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from standing.gateway.evidence.signing import TYPE, load_evidence_key
from standing.gateway.evidence.verification.case import Evidence, VerifierInputs, parse_evidence
from standing.gateway.evidence.verification.lines import Verdict
from standing.gateway.evidence.verification.run import Report, verify
from standing.ledger.attestations.grant import Grant
from standing.ledger.attestations.publication import Attestation, Publication
from standing.ledger.attestations.sealing import seal
from standing.ledger.attestations.terms import Status
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.connection import parse_address
from standing.ledger.chain.sender import Sender, publication_gas
from tests.gateway.fake_bank import FakeBank
from tests.gateway.gateway_rig import Person, Rig

#: The checks that apply to evidence without a grant and a policy.
ALL_CHECKS = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13]


@dataclass(frozen=True)
class EvidenceSample:
    """One decision's evidence and a verifier's other inputs."""

    rig: Rig
    person: Person
    answer: dict[str, Any]
    means: VerifierInputs

    @property
    def evidence(self) -> Evidence:
        return parse_evidence(json.dumps(self.answer).encode())

    @property
    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = json.loads(
            jwt.PyJWS().decode_complete(self.answer["evidence"], options={"verify_signature": False})["payload"]
        )
        return claims

    def verify(self, client: LedgerClient | None = None, **means: Any) -> Report:
        return verify(self.evidence, replace(self.means, **means), client or self.rig.ledger)

    def resigned(self, key: Ed25519PrivateKey | None = None, typ: str = TYPE, **changed: Any) -> "EvidenceSample":
        """What a dishonest gateway would sign instead: some claims changed (dots lead into objects)."""
        claims = self.claims
        for path, value in changed.items():
            *outer, last = path.split("__")
            place = claims
            for part in outer:
                place = place[part]
            place[last] = value
        signing_key = key or load_evidence_key(self.rig.settings.evidence_key_file)
        jws = jwt.PyJWS().encode(json.dumps(claims).encode(), signing_key, "EdDSA", headers={"typ": typ})
        return replace(self, answer={"evidence": jws})


def evidence_sample(rig: Rig, person: Person, *, catching_up: bool = True, **transaction: Any) -> EvidenceSample:
    """Decide on a transaction; with `catching_up`, at a time that the chain's clock has reached."""
    if catching_up:
        catch_up(rig)
    answer = person.decide(**transaction)
    means = VerifierInputs(
        gateway_key=rig.nobody("GET", "/v1/evidence-key").json(),
        contract=parse_address(rig.contract, "contract"),
        binding_key=person.bank.key(bytes.fromhex(person.binding[2:])),
    )
    return EvidenceSample(rig, person, answer, means)


def catch_up(rig: Rig) -> None:
    """Blocks made faster than one a second run ahead of the fixed clock; advance the clock to them."""
    ahead_ms = rig.ledger.head().time_s * 1000 - rig.clock.now_ms()
    rig.clock.advance(max(0, ahead_ms) + 1_000)


def grant_of(person: Person) -> Grant:
    """The grant that the person's bank gave."""
    answers = [answer.grant for _, answer in person.bank.asked.values() if answer.grant is not None]
    return next(grant.grant() for grant in answers if grant.binding == person.binding)


def publish_late(bank: FakeBank, person: Person, effective_at_ms: int, status: Status) -> None:
    """Let a bank publish a change that took effect at a time other than now."""
    binding = bytes.fromhex(person.binding[2:])
    number, key = bank.number + 1, bank.key(binding)
    terms = replace(bank.accounts[person.number].terms(binding, key, effective_at_ms), status=status)
    sealed = seal(terms, key=key, bank=bank.bic, binding=binding, publication=number)
    publication = Publication(
        bank.client.domain,
        bank.bic,
        number,
        bank.head,
        bank.clock.now_ms(),
        (Attestation(binding, *sealed),),
    )
    sender = Sender(bank.client, bank.sender_key)
    data = bank.client.publish_calldata(publication, bank.signer.sign(publication.digest))
    prepared = sender.prepare(data, gas=publication_gas(1))
    sender.transmit(prepared)
    sender.wait(prepared, timeout_s=30)
    bank.number, bank.head = number, publication.digest


def failing(report: Report) -> list[int]:
    """The numbers of the checks that fail."""
    return [line.number for line in report.lines if line.verdict is Verdict.FAILS]


def unknown(report: Report) -> list[int]:
    """The numbers of the checks that could not be made."""
    return [line.number for line in report.lines if line.verdict is Verdict.UNKNOWN]


def write(folder: Path, name: str, document: Any) -> Path:
    file = folder / name
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return file
