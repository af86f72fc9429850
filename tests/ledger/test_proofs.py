"""The storage slots of a record, held against what the contract itself answers, without a node that gives proofs."""

import secrets
from pathlib import Path

from eth_utils import to_canonical_address

from ledger import governance
from ledger.proofs import Proved, storage_slots
from tests.gateway.rig import BICS, GUARDIAN, rig


def test_the_slots_that_proofs_are_about_say_what_the_contract_reads(tmp_path: Path) -> None:
    with rig(tmp_path) as made:
        binding = bytes.fromhex(made.bound(BICS[1]).binding[2:])
        made.clock.advance(1_000)
        made.heartbeat()
        governance.execute(made.ledger, governance.suspend(BICS[1]), GUARDIAN)
        state = made.chain.devnet.tester.backend.chain.get_vm().state
        contract = to_canonical_address(made.contract)
        for bank, asked in (
            (BICS[1], binding),
            (BICS[0], binding),
            (BICS[1], secrets.token_bytes(32)),
            ("NONECNB0", binding),
        ):
            words = [state.get_storage(contract, int.from_bytes(slot)) for slot in storage_slots(bank, asked)]
            said, stands = Proved.of_words(words), made.ledger.bank(bank)
            assert said.record == made.ledger.read([(bank, asked)]).records[0], bank
            assert (said.bank_publication, said.bank_head) == (stands.publication, stands.head)
        record = made.ledger.read([(BICS[1], binding)]).records[0]
        # Each word of it is one that would show if it stood at another place.
        assert record.suspended
        assert 0 < record.publication < made.ledger.bank(BICS[1]).publication
        assert 0 < record.effective_at_ms < record.watermark_ms
        assert record.tag != bytes(16)
