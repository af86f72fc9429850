"""The records of a publication: two storage slots for each binding, read back completely, and no other bank's."""

from eth_utils import keccak, to_canonical_address

from standing.ledger.attestations.publication import Attestation
from standing.ledger.chain.codec import Record, decode_read, encode_query, encode_read
from tests.contracts.abi import ledger_artifact
from tests.contracts.chain import Outcome
from tests.contracts.ledger import NO_RECORD, Issuer, RecordState, StatusLedger, attestation, binding

# `_banks` and `_records` come after the storage of AccessControl (one slot) and EIP712 (two).
BANKS_SLOT = 3
RECORDS_SLOT = 4


def _mapping_slot(key: bytes, slot: bytes) -> bytes:
    return keccak(key.ljust(32, b"\0") + slot)


def _storage(ledger: StatusLedger, slot: int) -> int:
    return int.from_bytes(ledger.chain.w3.eth.get_storage_at(ledger.address, slot), "big")


def _publish(ledger: StatusLedger, issuer: Issuer, *numbers: int, version: int = 1) -> int:
    """Publish about these bindings. Returns: the watermark."""
    now = ledger.latest_ms
    assert issuer.publish(ledger, *(attestation(number, version) for number in numbers), watermark_ms=now).ok
    return now


def _record_base(bank: bytes, number: int) -> int:
    """The first of the two slots of a record."""
    return int.from_bytes(_mapping_slot(binding(number), _mapping_slot(bank, RECORDS_SLOT.to_bytes(32, "big"))), "big")


def _expected(number: int, publication: int, watermark_ms: int, version: int = 1) -> RecordState:
    item = attestation(number, version)
    return RecordState(publication, item.tag_and_head, item.tail, watermark_ms, False)


def test_a_record_is_two_storage_slots_as_drawn(ledger: StatusLedger, bank: Issuer) -> None:
    _publish(ledger, bank, 1)
    item = attestation(1)
    base = _record_base(bank.bank, 1)
    assert _storage(ledger, base) == 1 << 208 | int.from_bytes(item.tag_and_head)
    assert _storage(ledger, base + 1) == int.from_bytes(item.tail)
    assert _storage(ledger, base + 2) == 0


def test_full_width_fields_do_not_run_into_each_other(ledger: StatusLedger, bank: Issuer) -> None:
    """Number, watermark, and each part of the seal with all bits set, beside parts with none."""
    contents = [(b"\xff" * 26, bytes(32)), (bytes(26), b"\xff" * 32), (b"\xff" * 26, b"\xff" * 32)]
    ledger.chain.next_time_s = (2**48 - 1 - 10_000) // 1000 - len(contents)  # year 10889
    history = Issuer("CHASUS33", bank.signer, bank.admin)
    assert history.admit(ledger, number=2**48 - 1 - len(contents), head=b"\x11" * 32).ok
    base = _record_base(history.bank, 1)
    for number, (tag_and_head, tail) in enumerate(contents, start=2**48 - len(contents)):
        now = ledger.latest_ms
        assert history.publish(ledger, Attestation(binding(1), tag_and_head, tail), watermark_ms=now).ok
        assert _storage(ledger, base) == number << 208 | int.from_bytes(tag_and_head)
        assert _storage(ledger, base + 1) == int.from_bytes(tail)
        assert ledger.record(history.bank, binding(1)) == RecordState(number, tag_and_head, tail, now, False)
    assert number == 2**48 - 1


def test_a_record_has_the_number_of_the_publication_that_wrote_it_last(ledger: StatusLedger, bank: Issuer) -> None:
    """Also if a later publication repeats an earlier attestation."""
    _publish(ledger, bank, 1, 2)
    _publish(ledger, bank, 2, 3)
    now = _publish(ledger, bank, 3)
    assert ledger.read([(bank.bank, binding(n)) for n in (1, 2, 3)]).records == [
        _expected(1, 1, now),
        _expected(2, 2, now),
        _expected(3, 3, now),
    ]


def test_a_bank_is_three_storage_slots(ledger: StatusLedger, bank: Issuer) -> None:
    now = _publish(ledger, bank, 1)
    assert ledger.transact(ledger.guardian, "suspend", bank.bank).ok
    base = int.from_bytes(_mapping_slot(bank.bank, BANKS_SLOT.to_bytes(32, "big")), "big")
    signer = int.from_bytes(to_canonical_address(bank.signer.address))
    admin = int.from_bytes(to_canonical_address(bank.admin.address))
    assert _storage(ledger, base) == signer | 1 << 160 | now << 208
    assert _storage(ledger, base + 1) == admin | 1 << 160
    assert _storage(ledger, base + 2) == int.from_bytes(ledger.bank(bank.bank).head)


def test_read_answers_each_query_in_order_and_zeros_for_the_unknown(
    ledger: StatusLedger, bank: Issuer, other_bank: Issuer
) -> None:
    first = _publish(ledger, bank, 1, 2)
    second = _publish(ledger, other_bank, 3)
    queries = [
        (other_bank.bank, binding(3)),
        (bank.bank, binding(2)),
        (b"NOBANKXX\0\0\0", binding(1)),
        (bank.bank, binding(3)),
        (bank.bank, binding(1)),
        (bank.bank, binding(1)),
    ]
    answer = ledger.read(queries)
    assert answer.records == [
        _expected(3, 1, second),
        _expected(2, 1, first),
        NO_RECORD,
        NO_RECORD._replace(watermark_ms=first),
        _expected(1, 1, first),
        _expected(1, 1, first),
    ]
    assert (answer.block_number, answer.block_time_s) == ledger.chain.last_block


def test_read_of_nothing_answers_the_block_alone(ledger: StatusLedger) -> None:
    assert ledger.read([]) == (*ledger.chain.last_block, [])


def test_read_returns_the_banks_present_watermark_and_suspension(ledger: StatusLedger, bank: Issuer) -> None:
    _publish(ledger, bank, 1)
    later = ledger.latest_ms
    assert bank.publish(ledger, watermark_ms=later).ok
    assert ledger.record(bank.bank, binding(1)) == _expected(1, 1, later)
    assert ledger.transact(ledger.guardian, "suspend", bank.bank).ok
    assert ledger.record(bank.bank, binding(1)) == _expected(1, 1, later)._replace(suspended=True)


def test_one_bank_cannot_touch_anothers_records(ledger: StatusLedger, bank: Issuer, other_bank: Issuer) -> None:
    """Not even with the very same binding ids."""
    now = _publish(ledger, bank, 1, 2)
    before = ledger.bank(bank.bank)
    other = _publish(ledger, other_bank, 1, 2, version=2)
    assert ledger.bank(bank.bank) == before
    assert ledger.record(bank.bank, binding(1)) == _expected(1, 1, now)
    assert ledger.record(other_bank.bank, binding(1)) == _expected(1, 1, other, version=2)


def test_a_heartbeat_moves_the_watermark_and_no_record(ledger: StatusLedger, bank: Issuer) -> None:
    _publish(ledger, bank, 1)
    later = ledger.latest_ms
    outcome = bank.publish(ledger, watermark_ms=later)
    (event,) = outcome.events(ledger.abi)
    assert event.arguments["bindings"] == ()
    assert ledger.bank(bank.bank).watermark_ms == later
    assert ledger.record(bank.bank, binding(1)) == _expected(1, 1, later)


def test_an_8_character_bic_and_its_branch_are_different_banks(ledger: StatusLedger, bank: Issuer) -> None:
    branch = Issuer("BKCHCNBJ45A", bank.signer, bank.admin)
    assert branch.admit(ledger).ok
    _publish(ledger, branch, 1)
    assert ledger.record(bank.bank, binding(1)) == NO_RECORD
    assert ledger.bank(bank.bank).publication == 0


def test_fixed_width_codec_reads_what_the_contract_answers(ledger: StatusLedger, bank: Issuer) -> None:
    now = _publish(ledger, bank, 1, 2)
    assert ledger.transact(ledger.guardian, "suspend", bank.bank).ok
    queries = [(bank.bank, binding(n)) for n in (1, 2, 3)]
    outcome: Outcome = ledger.chain.call(ledger.address, encode_read([encode_query(*query) for query in queries]))
    reading = decode_read(outcome.output, len(queries))
    assert (reading.block_number, reading.block_time_s) == ledger.chain.last_block
    expected = [attestation(n) for n in (1, 2)]
    assert reading.records == (
        *(Record(1, item.tag_and_head, item.tail, now, True) for item in expected),
        Record(0, bytes(26), bytes(32), now, True),
    )


def test_constants_are_as_documented(ledger: StatusLedger) -> None:
    assert ledger.ask("MAX_ATTESTATIONS") == 500
    assert ledger.ask("AHEAD_ALLOWANCE_MS") == 10_000
    assert ledger.ask("REGISTRAR_ROLE") == keccak(text="REGISTRAR_ROLE")
    assert ledger.ask("GUARDIAN_ROLE") == keccak(text="GUARDIAN_ROLE")


def test_the_ledger_has_no_way_to_be_upgraded_or_destroyed(ledger: StatusLedger) -> None:
    """Neither delegatecall nor selfdestruct is in its code: what runs is what was deployed."""
    code = bytes(ledger.chain.w3.eth.get_code(ledger.address))
    operations, at = set(), 0
    end = len(code) - int.from_bytes(code[-2:], "big") - 2  # the compiler's metadata follows the code
    while at < end:
        operation = code[at]
        operations.add(operation)
        at += 1 + max(0, operation - 0x5F) if operation <= 0x7F else 1  # skip what PUSH1 to PUSH32 carry
    assert not operations & {0xF2, 0xF4, 0xFF}, "callcode, delegatecall or selfdestruct"


def test_abi_has_no_function_that_the_interface_lacks() -> None:
    interface = {
        "publish", "read", "getBank", "admit", "suspend", "reinstate", "rotateSigner",
        "MAX_ATTESTATIONS", "AHEAD_ALLOWANCE_MS", "REGISTRAR_ROLE", "GUARDIAN_ROLE",
    }  # fmt: skip
    inherited = {
        "DEFAULT_ADMIN_ROLE", "getRoleAdmin", "grantRole", "hasRole", "renounceRole", "revokeRole",
        "supportsInterface", "eip712Domain",
    }  # fmt: skip
    entries = ledger_artifact()["abi"]
    assert {entry["name"] for entry in entries if entry["type"] == "function"} == interface | inherited
