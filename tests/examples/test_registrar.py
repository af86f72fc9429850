"""The registrar as a 2-of-3 multisig: only a Safe can admit and reinstate banks."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from eth_account import Account as Wallet

import anvil
import registrar
from safe_multisig import Proposal, Safe, deploy, parse_proposal
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.devnet.chain import DEVNET_KEYS
from standing.ledger.errors import InvalidValue, LedgerRejected
from standing.node.publishing.keys import write_keystore

pytestmark = pytest.mark.npm  # Safe's contracts come from npm

BIC = "YUNXCNB0"
PAYS, GUARDIAN, *MEMBERS = DEVNET_KEYS[:5]
STRANGER = DEVNET_KEYS[5]
SIGNER, ADMIN, NEW_SIGNER = (Wallet.create().address for _ in range(3))


@dataclass(frozen=True)
class Consortium:
    """A ledger whose registrar is a Safe of three members, two of whom have to sign."""

    url: str
    safe: Safe

    @property
    def ledger(self) -> LedgerClient:
        return self.safe.ledger

    def admission(self, *members: bytes) -> Proposal:
        """A proposal to admit the bank, signed by these members."""
        proposal = self.safe.propose(governance.admit(BIC, SIGNER, ADMIN))
        for member in members:
            proposal = proposal.signed(member)
        return proposal


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A chain that simulates calls from a contract without funds, as production nodes do."""
    process, url = anvil.start(tmp_path)
    try:
        yield url
    finally:
        process.stop()


@pytest.fixture
def it(url: str) -> Consortium:
    safe = deploy(url, PAYS, [LocalSigner(member).address for member in MEMBERS], 2)
    contract = governance.deploy(
        url, PAYS, governor=LocalSigner(PAYS).address, registrar=safe, guardian=LocalSigner(GUARDIAN).address
    )
    return Consortium(url, Safe(url, contract, safe))


def test_two_of_three_members_admit_a_bank_and_reinstate_it(it: Consortium) -> None:
    it.safe.send(it.admission(MEMBERS[2], MEMBERS[0]), PAYS)
    assert it.ledger.bank(BIC).signer == SIGNER
    governance.execute(it.ledger, governance.suspend(BIC), GUARDIAN)
    assert it.ledger.bank(BIC).suspended
    again = it.safe.propose(governance.reinstate(BIC, NEW_SIGNER, ADMIN)).signed(MEMBERS[1]).signed(MEMBERS[0])
    it.safe.send(again, PAYS)
    state = it.ledger.bank(BIC)
    assert (state.suspended, state.signer) == (False, NEW_SIGNER)


def test_one_member_alone_cannot_admit_a_bank_through_the_safe_or_past_it(it: Consortium) -> None:
    one = it.admission(MEMBERS[0])
    with pytest.raises(InvalidValue, match="2 of 3"):
        it.safe.send(one, PAYS)
    it.safe.__dict__["threshold"] = 1  # even if the script does not count, the contract does
    with pytest.raises(LedgerRejected):
        it.safe.send(one, PAYS)
    with pytest.raises(LedgerRejected, match="AccessControlUnauthorizedAccount"):
        governance.execute(it.ledger, governance.admit(BIC, SIGNER, ADMIN), MEMBERS[0])
    assert not it.ledger.bank(BIC).admitted


def test_a_strangers_signature_does_not_count_as_a_members(it: Consortium) -> None:
    both = it.admission(MEMBERS[0], STRANGER)
    with pytest.raises(InvalidValue, match="are not owners"):
        it.safe.send(both, PAYS)
    it.safe.__dict__["owners"] = it.safe.owners | {LocalSigner(STRANGER).address}
    with pytest.raises(LedgerRejected):
        it.safe.send(both, PAYS)
    assert not it.ledger.bank(BIC).admitted


def test_a_proposal_is_executed_once_and_in_its_turn(it: Consortium) -> None:
    first = it.admission(*MEMBERS[:2])
    it.safe.send(first, PAYS)
    with pytest.raises(InvalidValue, match="nonce"):
        it.safe.send(first, PAYS)


def test_the_effect_of_a_proposal_is_read_from_the_signed_data(it: Consortium) -> None:
    """Neither the description nor the data can be changed once a member has signed."""
    signed = it.admission(*MEMBERS[:2])
    assert parse_proposal(signed.as_text()) == signed
    assert signed.step == governance.admit(BIC, SIGNER, ADMIN)
    other = governance.calldata(governance.admit("HAIYCNS0001", SIGNER, ADMIN))
    with pytest.raises(InvalidValue, match="on this proposal"):
        parse_proposal(replace(signed, data=other).as_text())
    document = json.loads(signed.as_text()) | {"does": "nothing much"}
    with pytest.raises(InvalidValue, match="nothing much"):
        parse_proposal(json.dumps(document))
    for harm in ({"data": "0x1234"}, {"nonce": "x"}, {"signatures": {"0x1": "0x"}}, {"safe": 1}):
        with pytest.raises(InvalidValue):
            parse_proposal(json.dumps(json.loads(signed.as_text()) | harm))
    with pytest.raises(InvalidValue, match="another Safe"):
        it.safe.check(replace(signed, chain_id=signed.chain_id + 1))


def test_a_step_that_the_ledger_would_refuse_is_not_even_proposed(it: Consortium) -> None:
    it.safe.send(it.admission(*MEMBERS[:2]), PAYS)
    with pytest.raises(LedgerRejected, match="BankAlreadyAdmitted"):
        it.admission()


@pytest.mark.parametrize(("count", "threshold"), [(3, 0), (3, 4), (0, 1), (21, 2)])
def test_a_safe_with_an_impossible_threshold_is_not_deployed(count: int, threshold: int) -> None:
    owners = [Wallet.create().address for _ in range(count)]
    with pytest.raises(InvalidValue, match="threshold"):
        deploy("http://127.0.0.1:9", PAYS, owners, threshold)


def test_the_script_goes_from_members_to_an_admitted_bank(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options: dict[bytes, tuple[str, ...]] = {}
    for name, key in zip(("pays", "a", "b", "c"), (PAYS, *MEMBERS), strict=True):
        (tmp_path / f"{name}-password").write_text("a password")
        write_keystore(tmp_path / name, tmp_path / f"{name}-password", key)
        options[key] = ("--keystore", f"{tmp_path / name}", "--password-file", f"{tmp_path / name}-password")
    owners = [part for key in MEMBERS for part in ("--owner", LocalSigner(key).address)]
    assert registrar.main(["make", *owners, "--ledger", url, *options[PAYS]]) == 0
    safe = capsys.readouterr().out.strip()
    pays = LocalSigner(PAYS).address
    contract = governance.deploy(url, PAYS, governor=pays, registrar=safe, guardian=pays)  # type: ignore[arg-type]
    file = str(tmp_path / "proposal.json")
    keys = ["--signer", SIGNER, "--admin", ADMIN]
    where = ["--ledger", url, "--contract", contract, "--safe", safe]
    assert registrar.main(["admit", BIC, *keys, *where, "--output", file]) == 0
    assert "2 of 3 owners" in capsys.readouterr().out
    assert registrar.main(["sign", file, *options[MEMBERS[0]]]) == 0
    assert registrar.main(["send", file, "--ledger", url, *options[PAYS]]) == 1
    printed = capsys.readouterr()
    assert f"signs admit({BIC}, {SIGNER}, {ADMIN}" in printed.out
    assert "2 of 3" in printed.err
    assert registrar.main(["sign", file, *options[MEMBERS[1]]]) == 0
    assert registrar.main(["send", file, "--ledger", url, *options[PAYS]]) == 0
    assert LedgerClient(url, contract).bank(BIC).signer == SIGNER
    assert registrar.main(["sign", str(tmp_path / "none.json"), *options[PAYS]]) == 1


def test_members_admit_a_bank_with_the_history_that_it_continues(
    it: Consortium, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a move to a new deployment. A bank is admitted once, so one admitted as new could never publish there."""
    head, file = "0x" + "ab" * 32, str(tmp_path / "proposal.json")
    keys = ["--signer", SIGNER, "--admin", ADMIN]
    where = ["--ledger", it.url, "--contract", it.ledger.address, "--safe", it.safe.address]
    assert registrar.main(["admit", BIC, *keys, *where, "--number", "7", "--head", "0xab", "--output", file]) == 1
    assert "head: not a digest" in capsys.readouterr().err
    assert registrar.main(["admit", BIC, *keys, *where, "--number", "7", "--head", head, "--output", file]) == 0
    assert f", 7, {head})" in capsys.readouterr().out
    proposal = parse_proposal(Path(file).read_text())
    it.safe.send(proposal.signed(MEMBERS[0]).signed(MEMBERS[1]), PAYS)
    state = it.ledger.bank(BIC)
    assert (state.publication, "0x" + state.head.hex()) == (7, head)
