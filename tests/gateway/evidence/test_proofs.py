"""Evidence with a storage proof, verified offline; proofs by the development chain and by a real node."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

import anvil
from standing.gateway.cli import app
from standing.gateway.evidence.verification.case import parse_evidence
from standing.gateway.evidence.verification.lines import Verdict
from standing.gateway.evidence.verification.run import Report, verify, verify_offline
from standing.ledger.chain import governance
from standing.ledger.chain.proofs import Header, ProofWrong, parse_header, prove, storage_slots
from tests.gateway.evidence_samples import EvidenceSample, evidence_sample, failing, unknown, write
from tests.gateway.faulty_ledger_node import proxied
from tests.gateway.gateway_rig import BICS, GUARDIAN, Rig, rig
from tests.timeouts import patient_ledger

_OFFLINE = [1, 2, 3, 4, 10, 12, 13]


def rpc(url: str, method: str, *params: Any) -> Any:
    """A node's answer, fetched without any of the code under test."""
    answer = httpx.post(url, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, timeout=30).json()
    assert "result" in answer, answer
    return answer["result"]


@pytest.fixture(scope="module", params=["devnet", pytest.param("anvil", marks=pytest.mark.npm)])
def proving_rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A rig on a chain that offers `eth_getProof`: the development chain, and a real node."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "devnet":
        with rig(folder) as made:
            yield made
        return
    try:
        process, url = anvil.start(folder)
    except anvil.AnvilMissing as error:
        pytest.skip(str(error))
    try:
        with rig(folder, chain_url=url) as made:
            yield made
    finally:
        process.stop()


@pytest.fixture(scope="module")
def shown(proving_rig: Rig) -> EvidenceSample:
    """A decision whose evidence file carries a storage proof."""
    proving_rig.heartbeat()
    made = evidence_sample(proving_rig, proving_rig.bound())
    path = f"/v1/decisions/{made.answer['transaction_id']}/evidence?proof=true"
    file = proving_rig.support("GET", path).json()
    assert file["no_proof_because"] is None
    assert file["evidence"] == made.answer["evidence"]
    return EvidenceSample(proving_rig, made.person, file, made.means)


@pytest.fixture(scope="module")
def header(shown: EvidenceSample) -> dict[str, Any]:
    """The block, fetched from a node by the verifier itself."""
    block: dict[str, Any] = rpc(shown.rig.chain_url, "eth_getBlockByNumber", hex(shown.claims["block_number"]), False)
    return block


def offline(shown: EvidenceSample, header: dict[str, Any], **changed: Any) -> Report:
    evidence = parse_evidence(json.dumps(shown.answer | changed).encode())
    return verify_offline(evidence, shown.means, header)


def test_a_decision_is_verified_with_nothing_but_a_header(shown: EvidenceSample, header: dict[str, Any]) -> None:
    report = offline(shown, header)
    assert [(line.number, line.verdict) for line in report.lines] == [(number, Verdict.HOLDS) for number in _OFFLINE]


def test_a_header_is_hashed_from_all_of_its_fields(shown: EvidenceSample, header: dict[str, Any]) -> None:
    for number in range(shown.rig.ledger.block_number() + 1):
        block = rpc(shown.rig.chain_url, "eth_getBlockByNumber", hex(number), False)
        assert "0x" + parse_header(block).hash.hex() == block["hash"]
    assert "0x" + parse_header(header | {"extraData": "0x01"}).hash.hex() != header["hash"]


def _proof(it: Rig, bank: str, binding: bytes) -> tuple[dict[str, Any], Header]:
    block = rpc(it.chain_url, "eth_getBlockByNumber", "latest", False)
    slots = ["0x" + slot.hex() for slot in storage_slots(bank, binding)]
    return rpc(it.chain_url, "eth_getProof", it.contract, slots, block["number"]), parse_header(block)


def test_a_proof_agrees_with_read_even_for_a_missing_record(proving_rig: Rig) -> None:
    person = proving_rig.bound(BICS[1])
    binding = bytes.fromhex(person.binding[2:])
    governance.execute(proving_rig.ledger, governance.suspend(BICS[1]), GUARDIAN)
    for bank, asked in ((BICS[1], binding), (BICS[1], b"\x11" * 32), (BICS[0], binding), ("NONECNB0", b"\x11" * 32)):
        proof, header = _proof(proving_rig, bank, asked)
        proved = prove(proof, header, contract=proving_rig.contract, bank=bank, binding=asked)
        reading = proving_rig.ledger.read([(bank, asked)], header.number)
        assert proved.record == reading.records[0], bank
        state = proving_rig.ledger.bank(bank, header.number)
        assert (proved.bank_publication, proved.bank_head) == (state.publication, state.head)
        assert proved.bank_signer == state.signer
    assert proving_rig.ledger.read([(BICS[1], binding)]).records[0].suspended


def _flip(text: str, at: int = -1) -> str:
    digits = list(text)
    digits[at] = "0" if digits[at] != "0" else "1"
    return "".join(digits)


def _change(path: list[Any], change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], None]:
    def apply(proof: dict[str, Any]) -> None:
        place: Any = proof
        for part in path[:-1]:
            place = place[part]
        place[path[-1]] = change(place[path[-1]])

    return apply


@pytest.mark.parametrize(
    "tamper",
    [
        _change(["accountProof", -1], _flip),
        _change(["accountProof", 0], _flip),
        _change(["accountProof"], lambda nodes: nodes[:-1]),
        _change(["accountProof"], lambda _: []),
        _change(["accountProof"], lambda _: None),
        _change(["accountProof"], lambda nodes: nodes * 40),
        _change(["accountProof", 0], lambda _: "0xzz"),
        _change(["accountProof", 0], lambda _: 5),
        _change(["storageProof", 0, "proof", -1], _flip),
        _change(["storageProof", 4, "proof", -1], _flip),
        _change(["storageProof", 1, "proof"], lambda nodes: nodes[:-1]),
        _change(["storageProof", 1, "proof"], lambda _: []),
        _change(["storageProof"], lambda entries: entries[:-1]),
        _change(["storageProof"], lambda _: "0x"),
        _change(["storageProof", 3, "key"], _flip),
        _change(["storageProof", 0, "key"], lambda _: None),
    ],
)
def test_a_tampered_proof_proves_nothing(
    shown: EvidenceSample, header: dict[str, Any], tamper: Callable[[dict[str, Any]], None]
) -> None:
    proof = copy.deepcopy(shown.answer["proof"])
    tamper(proof)
    assert failing(offline(shown, header, proof=proof)) == [4]


def test_a_value_stated_beside_the_proof_is_ignored(shown: EvidenceSample, header: dict[str, Any]) -> None:
    proof = copy.deepcopy(shown.answer["proof"])
    for entry in proof["storageProof"]:
        entry["value"] = "0x1"
    proof["storageHash"] = "0x" + "11" * 32
    assert offline(shown, header, proof=proof).verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    "changed",
    [
        {"stateRoot": "0x" + "11" * 32},
        {"number": "0x1"},
        {"timestamp": "0x1"},
        {"stateRoot": None},
        {"gasUsed": "many"},
        {"miner": 5},
    ],
)
def test_a_header_of_another_block_is_refused(
    shown: EvidenceSample, header: dict[str, Any], changed: dict[str, Any]
) -> None:
    report = offline(shown, header | changed)
    assert failing(report) == [3]
    assert [line.number for line in report.lines] == [1, 2, 3, 10, 12, 13]


@pytest.mark.parametrize(
    ("changed", "fails"),
    [
        ({"record__watermark_ms": 1}, [4, 12]),
        ({"record__publication": 1}, [4, 10, 12]),
        ({"record__tail": "0x" + "11" * 32}, [4, 10, 12]),
        ({"outcome": "decline"}, [12]),
        ({"block_hash": "0x" + "11" * 32}, [3]),
    ],
)
def test_a_lying_gateway_is_caught_offline_too(
    shown: EvidenceSample, header: dict[str, Any], changed: dict[str, Any], fails: list[int]
) -> None:
    lie = shown.resigned(**changed)
    assert failing(offline(shown, header, evidence=lie.answer["evidence"])) == fails


def test_offline_verification_without_a_proof_or_hash_is_unknown(shown: EvidenceSample, header: dict[str, Any]) -> None:
    assert unknown(offline(shown, header, proof=None)) == [4]
    without = shown.resigned(block_hash=None)
    assert unknown(offline(shown, header, evidence=without.answer["evidence"])) == [3]


def test_the_proof_in_the_evidence_replaces_state_that_the_node_has_pruned(shown: EvidenceSample) -> None:
    def pruned(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_call":
            return {"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32000, "message": "state is pruned"}}
        return answer

    with proxied(shown.rig.chain_url, pruned) as node:
        client = patient_ledger(node.url, shown.rig.contract)
        held = verify(shown.evidence, shown.means, client)
        assert held.verdict is Verdict.HOLDS, held.lines
        proof = copy.deepcopy(shown.answer["proof"])
        proof["storageProof"][0]["proof"][-1] = _flip(proof["storageProof"][0]["proof"][-1])
        forged = parse_evidence(json.dumps(shown.answer | {"proof": proof}).encode())
        assert failing(verify(forged, shown.means, client)) == [4]
        # A proof that is right, under a header other than the one that the gateway named when it decided.
        shown.rig.banks[BICS[0]].publish()
        newest = rpc(shown.rig.chain_url, "eth_blockNumber")
        slots = [entry["key"] for entry in shown.answer["proof"]["storageProof"]]
        elsewhere = {
            "block": rpc(shown.rig.chain_url, "eth_getBlockByNumber", newest, False),
            "proof": rpc(shown.rig.chain_url, "eth_getProof", shown.rig.contract, slots, newest),
        }
        forged = parse_evidence(json.dumps(shown.answer | elsewhere).encode())
        assert failing(verify(forged, shown.means, client)) == [4]
        bare = parse_evidence(json.dumps({"evidence": shown.answer["evidence"]}).encode())
        assert unknown(verify(bare, shown.means, client)) == [4]


def test_the_commands_add_a_proof_to_evidence_and_verify_it_offline(
    shown: EvidenceSample, header: dict[str, Any], tmp_path: Path
) -> None:
    runner = CliRunner()
    bare = write(tmp_path, "evidence.json", {"evidence": shown.answer["evidence"]})
    proved = tmp_path / "proved.json"
    assert shown.means.binding_key is not None
    made = runner.invoke(app, ["prove", str(bare), "--ledger", shown.rig.chain_url, "--output", str(proved)])
    assert made.exit_code == 0, made.output
    command = [
        "verify",
        str(proved),
        "--offline",
        "--header",
        str(write(tmp_path, "header.json", header)),
        "--contract",
        shown.rig.contract,
        "--gateway-key",
        json.dumps(dict(shown.means.gateway_key)),
        "--binding-key",
        shown.means.binding_key.hex(),
    ]
    held = runner.invoke(app, command)
    assert held.exit_code == 0, held.output
    assert [int(line.split()[0]) for line in held.stdout.splitlines()[:-1]] == _OFFLINE
    missing = runner.invoke(app, [part for part in command if "header" not in part])
    assert missing.exit_code == 1
    assert "header" in missing.stderr


@pytest.mark.parametrize("block", [{}, {"number": "0x1"}, {"parentHash": 5}, {"parentHash": "0xzz"}])
def test_a_malformed_header_is_refused(block: dict[str, Any]) -> None:
    with pytest.raises(ProofWrong):
        parse_header(block)


@pytest.mark.parametrize(
    "proof",
    [{}, {"accountProof": []}, {"accountProof": ["0x"]}, {"accountProof": "0x"}, {"accountProof": ["0xc0"] * 65}],
)
def test_a_malformed_proof_is_refused(proof: dict[str, Any]) -> None:
    with pytest.raises(ProofWrong):
        prove(
            proof,
            Header(1, 1, bytes(32), b"\x11" * 32),
            contract="0x" + "ab" * 20,
            bank="YUNXCNB0",
            binding=bytes(32),
        )
