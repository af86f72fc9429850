"""One ledger with a history, for all of the auditor's tests that only read it."""

from collections.abc import Iterator

import pytest
from eth_account import Account as Wallet

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from tests.gateway.evidence_samples import catch_up
from tests.gateway.gateway_rig import GUARDIAN, REGISTRAR, Rig, rig


@pytest.fixture(scope="package")
def audited_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A ledger with every event of a bank's life, and a gateway with decisions of several kinds."""
    with rig(tmp_path_factory.mktemp("audited")) as made:
        person = made.bound(daily_limit_minor=3_000)
        bank = person.bank
        catch_up(made)
        for index, amount_minor in enumerate((1_000, 1_500, 400, 500)):
            answer = person.decide(amount_minor=amount_minor, transaction_id=f"t-{index}")
            if index == 0:
                made.platform("POST", "/v1/decisions/t-0/capture", json={"amount_minor": 700})
            assert answer["outcome"] == ("approve" if index < 3 else "decline"), answer
        bank.change(person.number, debit_allowed=False)
        person.decide(transaction_id="t-refused")
        new = LocalSigner(Wallet.create().key)
        governance.execute(made.ledger, governance.rotate_signer(bank.bic, new.address), REGISTRAR)
        bank.signer = new
        catch_up(made)
        bank.publish(bytes.fromhex(person.binding[2:]))
        governance.execute(made.ledger, governance.suspend(bank.bic), GUARDIAN)
        admin = LocalSigner(REGISTRAR).address
        governance.execute(made.ledger, governance.reinstate(bank.bic, new.address, admin), REGISTRAR)
        bank.publish()
        bank.publish()
        yield made
