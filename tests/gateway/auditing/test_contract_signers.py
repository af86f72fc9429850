"""A bank whose signer is a contract (ERC-1271): its answer needs the state of the publication's block."""

from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Wallet
from eth_typing import ChecksumAddress
from eth_utils import to_checksum_address

from standing.gateway.auditing.findings import Audit
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from tests.contracts.abi import ROOT, load_artifact
from tests.gateway.auditing.audits import audited
from tests.gateway.evidence_samples import evidence_sample, failing, unknown
from tests.gateway.faulty_ledger_node import proxied
from tests.gateway.gateway_rig import REGISTRAR, Rig, rig

_ARTIFACT = ROOT / "tests" / "contracts" / "solidity" / "artifacts" / "MultisigWallet.json"


class TwoOfThree:
    """Signs as the contract expects it: two of its owners, the lower address first."""

    def __init__(self, client: LedgerClient) -> None:
        owners = [LocalSigner(Wallet.create().key) for _ in range(3)]
        self._owners = sorted(owners, key=lambda each: each.address.lower())
        artifact, payer = load_artifact(_ARTIFACT), Wallet.from_key(REGISTRAR)
        contract = client.w3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
        made = contract.constructor([owner.address for owner in self._owners]).build_transaction(
            {
                "from": payer.address,
                "nonce": client.w3.eth.get_transaction_count(payer.address),
                "gasPrice": client.w3.eth.gas_price,
                "gas": 2_000_000,
                "chainId": client.domain.chain_id,
            }
        )
        sent = client.w3.eth.send_raw_transaction(payer.sign_transaction(made).raw_transaction)
        self.address: ChecksumAddress = to_checksum_address(
            client.w3.eth.wait_for_transaction_receipt(sent)["contractAddress"] or ""
        )

    def sign(self, digest: bytes) -> bytes:
        return b"".join(owner.sign(digest) for owner in self._owners[:2])


@pytest.fixture(scope="module")
def contract_signs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("contract_signs")
    with rig(folder) as made:
        person = made.bound()
        wallet = TwoOfThree(made.ledger)
        governance.execute(made.ledger, governance.rotate_signer(person.bank.bic, wallet.address), REGISTRAR)
        person.bank.signer = wallet  # type: ignore[assignment]
        person.bank.publish(bytes.fromhex(person.binding[2:]))
        yield made, evidence_sample(made, person), wallet


def _pruned(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    """A full node has the state of the newest block only."""
    if call["method"] == "eth_call" and call["params"][1] != "latest":
        error = {"code": -32000, "message": "missing trie node 11 (path ) state is not available"}
        return {"jsonrpc": "2.0", "id": call["id"], "error": error}
    return answer


def test_an_audit_by_a_pruned_node_counts_what_contracts_signed_as_not_checked(contract_signs: Any) -> None:
    it: Rig = contract_signs[0]
    whole: Audit = audited(it.chain_url, it.contract)
    assert (whole.findings, whole.counted.get("not checked: signature by a contract")) == ([], None)
    with proxied(it.chain_url, _pruned) as node:
        pruned = audited(node.url, it.contract)
    assert (pruned.findings, pruned.counted["not checked: signature by a contract"]) == ([], 1)
    assert pruned.counted["Published"] == whole.counted["Published"]


def test_evidence_of_a_contracts_signature_is_unknown_by_a_pruned_node_and_the_publication_still_holds(
    contract_signs: Any,
) -> None:
    it, shown, wallet = contract_signs
    assert failing(shown.verify()) == unknown(shown.verify()) == []
    with proxied(it.chain_url, _pruned) as node:
        report = shown.verify(LedgerClient(node.url, it.contract))
    assert (failing(report), unknown(report)) == ([], [4, 6, 8])
    assert wallet.address in next(line.text for line in report.lines if line.number == 6)
    assert [line.number for line in report.lines].count(5) == 1
