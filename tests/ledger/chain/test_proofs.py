"""The storage slots of a record, compared with the contract's own answers, without a node that gives proofs; and
odd headers and proofs, which prove nothing."""

import secrets
from pathlib import Path
from typing import Any

import pytest
import rlp
from eth_utils import keccak, to_canonical_address
from trie.hexary import HexaryTrie

from standing.ledger.chain import governance
from standing.ledger.chain.proofs import _HEADER_FIELDS, Header, ProofWrong, Proved, parse_header, prove, storage_slots
from standing.ledger.clock import MAX_CALENDAR_MS
from tests.gateway.gateway_rig import BICS, GUARDIAN, rig

_CONTRACT = "0x" + "11" * 20
_BINDING = b"\x01" * 32
_HEADER: dict[str, Any] = {name: "0x1" if kind == "number" else "0x" + "11" * 32 for name, kind in _HEADER_FIELDS}


@pytest.mark.long
def test_proved_storage_slots_hold_what_the_contract_reads(tmp_path: Path) -> None:
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
            proved, stored = Proved.of_words(words), made.ledger.bank(bank)
            assert proved.record == made.ledger.read([(bank, asked)]).records[0], bank
            assert (proved.bank_publication, proved.bank_head) == (stored.publication, stored.head)
        record = made.ledger.read([(BICS[1], binding)]).records[0]
        # Each value is distinct, so a wrong slot would show.
        assert record.suspended
        assert 0 < record.publication < made.ledger.bank(BICS[1]).publication
        assert record.tag_and_head != bytes(26)
        assert record.tail != bytes(32)


@pytest.mark.parametrize("odd", [None, 1, "", "0x", "0xzz", "-0x1", "0x" + "ff" * 40, []])
@pytest.mark.parametrize("field", ["number", "timestamp", "stateRoot", "gasUsed"])
def test_a_header_with_an_altered_field_is_refused_or_has_another_hash(field: str, odd: Any) -> None:
    try:
        assert parse_header(_HEADER | {field: odd}).hash != parse_header(_HEADER).hash
    except ProofWrong as refused:
        assert field in str(refused)  # noqa: PT017 - either is right


@pytest.mark.parametrize(("field", "most"), [("number", 2**63 - 1), ("timestamp", MAX_CALENDAR_MS // 1000)])
def test_a_header_beyond_what_a_database_or_the_calendar_holds_is_refused(field: str, most: int) -> None:
    parse_header(_HEADER | {field: hex(most)})
    with pytest.raises(ProofWrong, match=f"{field} is out of range"):
        parse_header(_HEADER | {field: hex(most + 1)})


ODD_NODES: dict[str, Any] = {
    "a value": b"\x01" * 33,
    "nothing": [],
    "an empty path": [b"", b"x"],
    "a path that is a list": [[], b"x"],
    "neither leaf nor branch": [b"x"] * 3,
    "a branch of nodes within nodes": [[b"", b"x"]] * 17,
}


def _account_of(storage_root: bytes) -> tuple[bytes, list[bytes]]:
    """The root of a state with the contract's account alone, and the account's proof."""
    name, trie = keccak(to_canonical_address(_CONTRACT)), HexaryTrie({})
    trie[name] = rlp.encode([b"\x01", b"\x02", storage_root, b"\x03" * 32])
    nodes = trie.get_proof(name)  # type: ignore[no-untyped-call]
    return trie.root_hash, [rlp.encode(node) for node in nodes]


@pytest.mark.parametrize("odd", ODD_NODES.values(), ids=ODD_NODES.keys())
@pytest.mark.parametrize("where", ["account", "storage"])
def test_an_odd_node_at_the_root_of_a_trie_proves_nothing(where: str, odd: Any) -> None:
    raw = rlp.encode(odd)
    root, account_proof = _account_of(keccak(raw)) if where == "storage" else (keccak(raw), [raw])
    stated = {
        "accountProof": ["0x" + node.hex() for node in account_proof],
        "storageProof": [
            {"key": "0x" + slot.hex(), "proof": ["0x" + raw.hex()]} for slot in storage_slots(BICS[0], _BINDING)
        ],
    }
    with pytest.raises(ProofWrong):
        prove(stated, Header(1, 1, b"", root), contract=_CONTRACT, bank=BICS[0], binding=_BINDING)


@pytest.mark.parametrize(("left", "problem"), [(4, "leaves out storage slot"), (5, "not a list of nodes")])
def test_a_proof_that_leaves_a_slot_out_or_is_longer_than_any_path_proves_nothing(left: int, problem: str) -> None:
    storage = HexaryTrie({})
    storage[b"\x01"] = b"\x01"
    root, account_proof = _account_of(storage.root_hash)
    path = ["0x" + storage.db[storage.root_hash].hex()]
    entries = [{"key": "0x" + slot.hex(), "proof": path} for slot in storage_slots(BICS[0], _BINDING)[:left]]
    if left == 5:
        entries[-1]["proof"] = path * 65
    stated = {"accountProof": ["0x" + node.hex() for node in account_proof], "storageProof": entries}
    with pytest.raises(ProofWrong, match=problem):
        prove(stated, Header(1, 1, b"", root), contract=_CONTRACT, bank=BICS[0], binding=_BINDING)


@pytest.mark.parametrize(
    "odd", [rlp.encode(b"\x01" * 33), rlp.encode([b"\x01"]), b"\xff"], ids=["long", "list", "no RLP"]
)
def test_a_proved_value_that_no_storage_slot_can_hold_proves_nothing(odd: bytes) -> None:
    """A state of its own is easily made up, as in evidence whose block nobody has looked up."""
    slots, storage = storage_slots(BICS[0], _BINDING), HexaryTrie({})
    storage[keccak(slots[-1])] = odd
    paths = {slot: storage.get_proof(keccak(slot)) for slot in slots}  # type: ignore[no-untyped-call]
    root, account_proof = _account_of(storage.root_hash)
    stated = {
        "accountProof": ["0x" + node.hex() for node in account_proof],
        "storageProof": [
            {"key": "0x" + slot.hex(), "proof": ["0x" + rlp.encode(node).hex() for node in path]}
            for slot, path in paths.items()
        ],
    }
    with pytest.raises(ProofWrong, match="not of storage"):
        prove(stated, Header(1, 1, b"", root), contract=_CONTRACT, bank=BICS[0], binding=_BINDING)
