"""How bindings end: by the platform, by the bank, by a replacement, with a closed or erased account."""

from pathlib import Path
from typing import Any

import pytest
import tomli_w
from sqlalchemy import func, select
from typer.testing import CliRunner

from standing.ledger.attestations.terms import Status
from standing.node.cli import app as command_line
from standing.node.storage import schema
from tests.node.bindings.granted import bound
from tests.node.node_tools import (
    Staffed,
    account,
    grant_of,
    settings_on_disk,
    status_on_ledger,
)
from tests.world import ACCOUNT, PLATFORM, Bank, World, wait_until


@pytest.mark.long
@pytest.mark.parametrize("side", ["platform", "bank"])
def test_bank_or_platform_can_end_one_binding_without_touching_others(staffed: Staffed, bank: Bank, side: str) -> None:
    bank.feed(ACCOUNT)
    grant = bound(staffed)
    other = bound(staffed, key=staffed.other_key)
    # The platform can end it without the core's involvement.
    bank.clock.advance(60_000)
    if side == "platform":
        assert staffed.delete(grant).status_code == 204
    else:
        bank.feed({"number": ACCOUNT["number"], "unbind": [PLATFORM]})
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)
    assert status_on_ledger(bank, other) == Status.ACTIVE
    bank.change({"number": ACCOUNT["number"], "status": "frozen"})
    assert status_on_ledger(bank, other) == Status.FROZEN
    assert status_on_ledger(bank, grant) == Status.UNBOUND
    # The account can be bound again, under another id.
    assert grant_of(staffed.bind(ACCOUNT))["binding"] != grant["binding"]


@pytest.mark.long
def test_a_replacement_binding_ends_the_old_one_in_the_same_step_and_is_made_once(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    old, others = bound(staffed), bound(staffed, key=staffed.other_key)
    assert staffed.bind(ACCOUNT).status_code == 409
    changed = {"request_id": "in-its-place", "replaces": old["binding"]}
    grant = grant_of(staffed.bind(ACCOUNT, **changed))
    wait_until(lambda: status_on_ledger(bank, old) == Status.UNBOUND)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
    assert status_on_ledger(bank, others) == Status.ACTIVE
    assert grant_of(staffed.bind(ACCOUNT, **changed)) == grant
    assert staffed.bind(ACCOUNT, request_id="in-its-place").status_code == 409


@pytest.mark.long
def test_a_refused_claim_ends_no_binding_that_it_would_replace(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    old = bound(staffed)
    answer = staffed.bind({**ACCOUNT, "holder_name": "Nobody"}, replaces=old["binding"])
    assert answer.json()["outcome"] == "refused"
    bank.heartbeat()
    assert status_on_ledger(bank, old) == Status.ACTIVE


@pytest.mark.long
def test_bindings_of_a_closed_account_read_as_closed_and_can_be_ended_or_reopened(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = bound(staffed)
    bank.change({"number": ACCOUNT["number"], "status": "closed"})
    assert status_on_ledger(bank, grant) == Status.CLOSED
    answer = staffed.bind(ACCOUNT, staffed.other_key).json()
    assert answer["outcome"] == "refused"
    assert answer["mismatches"][0]["problem"] == "the account is closed"
    bank.change({"number": ACCOUNT["number"], "status": "active"})
    assert status_on_ledger(bank, grant) == Status.ACTIVE
    bank.change({"number": ACCOUNT["number"], "status": "closed"})
    assert staffed.delete(grant).status_code == 204
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)


@pytest.mark.long
def test_an_account_is_erased_completely_and_only_once_nobody_relies_on_it(
    a_world: World, staffed: Staffed, tmp_path: Path
) -> None:
    bank = staffed.bank
    bank.feed(account(1), account(2))
    grant, other = (bound(staffed, account(index)) for index in (1, 2))
    config = tmp_path / "node.toml"
    config.write_text(tomli_w.dumps(settings_on_disk(bank, tmp_path)))

    def erase(number: str) -> Any:
        return CliRunner().invoke(command_line, ["account", "erase", "--config", str(config)], input=f"{number}\n")

    still_bound = erase(account(1)["number"])
    assert still_bound.exit_code == 1
    assert "have not ended" in still_bound.output
    a_world.chain.down = True
    staffed.delete(grant)
    assert "is not on the ledger yet" in erase(account(1)["number"]).output
    a_world.chain.down = False
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)
    bank.wait_until_published()
    erased = erase(account(1)["number"])
    assert "erased, with 1 bindings" in erased.output
    assert account(1)["number"] not in erased.output
    with bank.node.database.read() as connection:
        left = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (schema.accounts, schema.bindings, schema.outbox)
        }
    assert left == {"accounts": 1, "bindings": 1, "outbox": 1}
    assert staffed.bind(account(1)).json()["mismatches"][0]["field"] == "number"
    assert "no such account" in erase(account(1)["number"]).output
    bank.change({"number": account(2)["number"], "status": "frozen"})
    assert status_on_ledger(bank, other) == Status.FROZEN
