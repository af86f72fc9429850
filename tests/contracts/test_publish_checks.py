"""The ordered checks of `publish`: each just valid and just invalid, and which error is reported if two apply."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations

import pytest
from eth_abi.abi import encode

from standing.ledger.attestations.publication import Attestation, LocalSigner, Publication
from standing.ledger.chain.codec import encode_publish
from tests.contracts.abi import Event, Refusal
from tests.contracts.chain import Outcome
from tests.contracts.ledger import MAX_ATTESTATIONS, ZERO_HASH, Issuer, StatusLedger, attestation, binding, signer
from tests.contracts.model import digest_of, parse_message

UNKNOWN = Issuer("CHASUS33", signer("a bank that was never admitted"), None)  # type: ignore[arg-type]  # no admin


@dataclass(slots=True)
class Attempt:
    """A publication in the making. The ledger holds number 1 with one record, about binding 0.

    `dirty` is the place of an attestation that is signed and sent with a bit below its 26 bytes of `tagAndHead`.
    """

    ledger: StatusLedger
    issuer: Issuer
    number: int
    watermark_ms: int
    attestations: list[Attestation]
    key: LocalSigner
    stored_ms: int
    dirty: int | None = field(default=None, init=False)
    digest: bytes = field(default=b"", init=False)
    latest_ms: int = field(default=0, init=False)

    def submit(self) -> Outcome:
        self.latest_ms = self.ledger.latest_ms
        publication = Publication(
            domain=self.ledger.domain,
            bank=self.issuer.bic,
            number=self.number,
            previous=self.ledger.bank(self.issuer.bank).head,
            watermark_ms=self.watermark_ms,
            attestations=tuple(self.attestations),
        )
        if self.dirty is not None:
            return self._submit_dirty(publication, self.dirty)
        self.digest = publication.digest
        return self.ledger.publish(publication, self.key.sign(publication.digest))

    def _submit_dirty(self, publication: Publication, at: int) -> Outcome:
        words = [item.words for item in publication.attestations]
        words[at] = words[at][:63] + b"\x01" + words[at][64:]

        def calldata(signature: bytes) -> bytes:
            return encode_publish(self.issuer.bank, self.number, self.watermark_ms, words, signature)

        self.digest = digest_of(self.ledger.domain, parse_message(calldata(b"")), publication.previous)
        signed = calldata(self.key.sign(self.digest))
        return self.ledger.chain.transact(self.ledger.submitter, self.ledger.address, signed)


@pytest.fixture
def attempt(ledger: StatusLedger, bank: Issuer) -> Attempt:
    """A valid attempt at number 2: a heartbeat that moves nothing."""
    stored_ms = ledger.latest_ms
    assert bank.publish(ledger, attestation(0), watermark_ms=stored_ms).ok
    ledger.chain.next_time_s += 3600
    return Attempt(ledger, bank, 2, stored_ms, [], bank.signer, stored_ms)


Change = Callable[[Attempt], None]


def _fill(count: int) -> Change:
    def change(attempt: Attempt) -> None:
        attempt.attestations += [attestation(1000 + n) for n in range(count)]

    return change


def _reinstated(attempt: Attempt) -> None:
    _suspended(attempt)
    ledger, issuer = attempt.ledger, attempt.issuer
    assert ledger.transact(ledger.registrar, "reinstate", issuer.bank, issuer.signer.address, issuer.admin.address).ok


def _suspended(attempt: Attempt) -> None:
    assert attempt.ledger.transact(attempt.ledger.guardian, "suspend", attempt.issuer.bank).ok


def _unknown_bank(attempt: Attempt) -> None:
    attempt.issuer = UNKNOWN
    attempt.key = UNKNOWN.signer


def _set_number(number: int) -> Change:
    def change(attempt: Attempt) -> None:
        attempt.number = number

    return change


def _watermark_after_last(by_ms: int) -> Change:
    def change(attempt: Attempt) -> None:
        attempt.watermark_ms = attempt.stored_ms + by_ms

    return change


def _watermark_after_latest(by_ms: int) -> Change:
    def change(attempt: Attempt) -> None:
        attempt.watermark_ms = attempt.ledger.latest_ms + by_ms

    return change


def _other_key(attempt: Attempt) -> None:
    attempt.key = signer("nobody in particular")


def _repeat(attempt: Attempt) -> None:
    attempt.attestations.append(attestation(0))


def _dirt(attempt: Attempt) -> None:
    """After one attestation without fault, one that has bits in its padding."""
    attempt.attestations.append(attestation(1))
    attempt.dirty = len(attempt.attestations)
    attempt.attestations.append(attestation(0, version=2))


JUST_VALID: dict[str, list[Change]] = {
    "1 an admitted bank": [],
    "2 a reinstated bank": [_reinstated],
    "3 the largest batch": [_fill(MAX_ATTESTATIONS)],
    "4 the next number": [_set_number(2)],
    "5 the same watermark again": [_watermark_after_last(0)],
    "5 a watermark at the allowance": [_watermark_after_latest(0)],
    "no check: what the record says already": [_repeat],
}


@pytest.mark.parametrize("changes", JUST_VALID.values(), ids=JUST_VALID.keys())
def test_just_valid_is_accepted(attempt: Attempt, changes: list[Change]) -> None:
    for change in changes:
        change(attempt)
    outcome = attempt.submit()
    assert outcome.ok, attempt.ledger.abi.refusal(outcome.output)
    state = attempt.ledger.bank(attempt.issuer.bank)
    assert (state.publication, state.watermark_ms, state.head) == (2, attempt.watermark_ms, attempt.digest)
    expected = {
        "bank": attempt.issuer.bank,
        "number": 2,
        "watermarkMs": attempt.watermark_ms,
        "digest": attempt.digest,
        "bindings": tuple(item.binding for item in attempt.attestations),
    }
    assert outcome.events(attempt.ledger.abi) == [Event("Published", expected)]
    # To the byte: a decoder ignores trailing data, a hash of the log does not.
    ((_, data),) = outcome.logs
    logged = [expected["watermarkMs"], expected["digest"], expected["bindings"]]
    assert data == encode(["uint48", "bytes32", "bytes32[]"], logged)


@dataclass(frozen=True, slots=True)
class Fault:
    """A minimal fault, the check that finds it, and the expected refusal of the submitted attempt."""

    name: str
    check: int
    spoil: Change
    refusal: Callable[[Attempt], Refusal]


FAULTS = [
    Fault("unknown bank", 1, _unknown_bank, lambda a: Refusal("BankNotAdmitted", (a.issuer.bank,))),
    Fault("suspended bank", 2, _suspended, lambda a: Refusal("BankIsSuspended", (a.issuer.bank,))),
    Fault(
        "one attestation too many",
        3,
        _fill(MAX_ATTESTATIONS + 1),
        lambda a: Refusal("TooManyAttestations", (len(a.attestations), MAX_ATTESTATIONS)),
    ),
    Fault("replay", 4, _set_number(1), lambda a: Refusal("UnexpectedNumber", (1, 2))),
    Fault("gap", 4, _set_number(3), lambda a: Refusal("UnexpectedNumber", (3, 2))),
    Fault(
        "watermark set back",
        5,
        _watermark_after_last(-1),
        lambda a: Refusal("WatermarkBackwards", (a.stored_ms - 1, a.stored_ms)),
    ),
    Fault(
        "watermark fast-forward",
        5,
        _watermark_after_latest(1),
        lambda a: Refusal("WatermarkAhead", (a.latest_ms + 1, a.latest_ms)),
    ),
    Fault(
        "another signer",
        6,
        _other_key,
        lambda a: Refusal("WrongSignature", (a.digest, a.issuer.signer.address.lower())),
    ),
]
# Malformed calldata rather than a check, but found only when the attestations are written, after all checks.
DIRT = Fault("dirt in an attestation", 7, _dirt, lambda a: Refusal(""))


def _assert_refused(attempt: Attempt, fault: Fault) -> None:
    """Submit, and check that the refusal is the fault's and the state is unchanged."""
    bank = attempt.issuer.bank
    before = attempt.ledger.bank(bank), attempt.ledger.record(bank, binding(0)), attempt.ledger.record(bank, binding(1))
    refusal = attempt.ledger.refusal(attempt.submit())
    assert refusal == fault.refusal(attempt)
    after = attempt.ledger.bank(bank), attempt.ledger.record(bank, binding(0)), attempt.ledger.record(bank, binding(1))
    assert after == before


@pytest.mark.parametrize("fault", [*FAULTS, DIRT], ids=lambda fault: f"{fault.check} {fault.name}")
def test_just_invalid_is_refused_and_changes_nothing(attempt: Attempt, fault: Fault) -> None:
    fault.spoil(attempt)
    _assert_refused(attempt, fault)


# An unknown bank has nothing to suspend or to be replayed, so check 1 is not paired with check 2.
PAIRS = [
    (first, second)
    for first, second in combinations([*FAULTS, DIRT], 2)
    if first.check < second.check and (first.check, second.check) != (1, 2)
]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda fault: f"{fault.check} {fault.name}")
def test_of_two_faults_the_earlier_check_answers(attempt: Attempt, first: Fault, second: Fault) -> None:
    first.spoil(attempt)
    second.spoil(attempt)
    _assert_refused(attempt, first)


def test_an_unknown_bank_cannot_be_suspended_first(ledger: StatusLedger) -> None:
    outcome = ledger.transact(ledger.guardian, "suspend", UNKNOWN.bank)
    assert ledger.refusal(outcome) == Refusal("BankNotAdmitted", (UNKNOWN.bank,))


def test_one_bad_attestation_takes_the_whole_publication_with_it(attempt: Attempt) -> None:
    """Whether it is the first, has others about it, or is the last; valid attestations beside it do not count."""
    for at in range(3):
        attempt.attestations = [attestation(number, version=2) for number in range(3)]
        attempt.dirty = at
        _assert_refused(attempt, DIRT)
    attempt.dirty = None
    assert attempt.submit().ok


def test_an_earlier_publication_cannot_bring_its_record_back(attempt: Attempt) -> None:
    """A replaced record cannot come back: its publication has an earlier number, which is not accepted again."""
    ledger, issuer = attempt.ledger, attempt.issuer
    attempt.attestations = [attestation(0, version=2)]
    assert attempt.submit().ok
    replaced = ledger.record(issuer.bank, binding(0))
    assert replaced[:3] == (2, attestation(0, version=2).tag_and_head, attestation(0, version=2).tail)
    # The first publication again, then its content signed again on top of the head, under each number so far.
    for number, previous in ((1, ZERO_HASH), (1, attempt.digest), (2, attempt.digest)):
        again = issuer.publish(ledger, attestation(0), number=number, previous=previous)
        assert ledger.refusal(again) == Refusal("UnexpectedNumber", (number, 3))
    assert ledger.record(issuer.bank, binding(0)) == replaced


def test_earlier_content_may_be_published_again_under_a_later_number(attempt: Attempt) -> None:
    attempt.attestations = [attestation(0)]
    assert attempt.submit().ok
    item = attestation(0)
    assert attempt.ledger.record(attempt.issuer.bank, binding(0))[:3] == (2, item.tag_and_head, item.tail)


def test_a_binding_twice_in_one_batch_keeps_the_last(attempt: Attempt) -> None:
    last = attestation(0, version=3)
    attempt.attestations = [attestation(0, version=2), last]
    outcome = attempt.submit()
    assert outcome.ok
    record = attempt.ledger.record(attempt.issuer.bank, binding(0))
    assert record[:3] == (2, last.tag_and_head, last.tail)
    (event,) = outcome.events(attempt.ledger.abi)
    assert event.arguments["bindings"] == (binding(0), binding(0))


def test_records_may_be_written_without_moving_the_watermark(attempt: Attempt) -> None:
    """More changes of one moment than a publication holds go out in several; the last moves the watermark."""
    attempt.attestations = [attestation(7)]
    assert attempt.submit().ok
    record = attempt.ledger.record(attempt.issuer.bank, binding(7))
    assert (record.publication, record.watermark_ms) == (2, attempt.stored_ms)


def test_numbers_end_with_their_48_bits(ledger: StatusLedger) -> None:
    """A history at the highest number cannot continue; it does not start over at zero."""
    issuer = Issuer("CHASUS33", signer("an old bank"), ledger.chain.accounts[4])
    assert issuer.admit(ledger, number=2**48 - 1, head=b"\x11" * 32).ok
    outcome = ledger.transact(ledger.submitter, "publish", issuer.bank, 0, 0, [], b"")
    assert ledger.refusal(outcome) == Refusal("Panic", (0x11,))


def test_check_numbers_run_from_1_to_6() -> None:
    assert sorted({fault.check for fault in FAULTS}) == [1, 2, 3, 4, 5, 6]
