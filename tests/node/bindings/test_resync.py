"""A binding's trail at the bank's node, and resyncs."""

from collections.abc import Mapping
from typing import Any

import httpx
from sqlalchemy import func, select

from standing.ledger.attestations.terms import Status
from standing.node.storage import schema
from tests.node.bindings.granted import bound
from tests.node.node_tools import (
    Staffed,
    account,
    status_on_ledger,
    terms_on_ledger,
    writes,
)
from tests.node.stepped_node import SteppedNode
from tests.world import ACCOUNT, PLATFORM, Bank, World, wait_until


def _wait_for_writes(bank: Bank, grant: Mapping[str, Any], count: int) -> None:
    wait_until(lambda: writes(bank, grant) == count)


def _resync(staffed: Staffed, grant: Mapping[str, Any], key: str | None = None) -> httpx.Response:
    bank = staffed.bank
    return bank.post(f"/v1/bindings/{grant['binding']}/resync", key or bank.platform_key)


def test_only_its_platform_and_the_operator_see_each_hop_of_a_bindings_trail(
    a_world: World, staffed: Staffed, bank: Bank
) -> None:
    bank.feed(account(1))
    grant = bound(staffed, account(1))
    frozen_ms = bank.change({"number": account(1)["number"], "status": "frozen"})
    path = f"/v1/bindings/{grant['binding']}/trail"
    frozen, granted = bank.get(path, bank.platform_key).json()["hops"]
    assert (frozen["entry_as_of_ms"], frozen["effective_at_ms"]) == (frozen_ms, frozen_ms)
    assert granted["entry_as_of_ms"] is None, "it came from the grant"
    hops = frozen["publication"]
    assert hops["number"] > granted["publication"]["number"]
    assert hops["signed_at_ms"] <= hops["submitted_at_ms"] <= hops["in_block_at_ms"]
    receipt = a_world.client.receipt(bytes.fromhex(hops["transaction_hash"][2:]))
    assert receipt is not None
    assert receipt["blockNumber"] == hops["block_number"]
    a_world.chain.down = True
    bank.feed({"number": account(1)["number"], "status": "lost"})
    newest = bank.get(path, staffed.operator_key).json()["hops"][0]
    assert newest["publication"] is None or newest["publication"]["in_block_at_ms"] is None
    a_world.chain.down = False
    assert bank.get(path, staffed.other_key).status_code == 404
    assert bank.get(path, bank.core_key).status_code == 403


def test_a_resync_publishes_the_present_terms_once_more(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = bound(staffed)
    before = terms_on_ledger(bank, grant)
    for count, key in ((2, None), (3, staffed.operator_key)):
        bank.wait_until_published()
        answer = _resync(staffed, grant, key)
        assert answer.status_code == 200, answer.text
        assert answer.json()["queued"]
        _wait_for_writes(bank, grant, count)
    assert terms_on_ledger(bank, grant) == before


def test_a_trail_states_when_a_resync_was_asked_for_and_not_only_when_its_terms_took_effect(
    a_world: World, staffed: Staffed, bank: Bank
) -> None:
    effective_ms = bank.feed(ACCOUNT)
    a_world.clock.advance(600_000)
    grant = bound(staffed)
    bank.wait_until_published()
    a_world.clock.advance(600_000)
    asked_ms = a_world.clock.now_ms()
    assert _resync(staffed, grant).json()["queued"]
    newest, first = bank.get(f"/v1/bindings/{grant['binding']}/trail", bank.platform_key).json()["hops"]
    assert newest["queued_at_ms"] >= asked_ms
    assert 600_000 <= first["queued_at_ms"] - effective_ms <= newest["queued_at_ms"] - 600_000 - effective_ms


def test_a_resync_of_an_ended_binding_publishes_the_end_again(site: SteppedNode) -> None:
    grant = site.bind_and_publish()
    binding = bytes.fromhex(grant.binding[2:])
    site.world.clock.advance(1_000)
    site.node.bindings.unbind(PLATFORM, binding)
    site.publish()
    ended = site.terms(grant)
    again = site.node.resync.resync(PLATFORM, binding)
    assert (again.queued, again.effective_at_ms) == (True, ended.effective_at_ms)
    site.publish()
    assert site.terms(grant) == ended
    assert ended.status is Status.UNBOUND


def test_a_resync_adds_nothing_while_the_newest_terms_wait_to_be_signed(
    a_world: World, staffed: Staffed, bank: Bank
) -> None:
    bank.feed(ACCOUNT)
    grant = bound(staffed)
    bank.wait_until_published()
    a_world.chain.down = True
    bank.feed({"number": ACCOUNT["number"], "status": "frozen"})
    rows = _outbox_rows(bank)
    assert not _resync(staffed, grant).json()["queued"]
    assert _outbox_rows(bank) == rows
    a_world.chain.down = False
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)


def test_a_resync_adds_nothing_while_the_newest_terms_are_signed_but_unmined(
    a_world: World, staffed: Staffed, bank: Bank
) -> None:
    bank.feed(ACCOUNT)
    grant = bound(staffed)
    bank.wait_until_published()
    a_world.chain.holding = True
    bank.feed({"number": ACCOUNT["number"], "status": "frozen"})
    wait_until(lambda: bank.get("/v1/status").json()["waiting"] == 0)
    assert bank.get("/v1/status").json()["in_flight"] >= 1
    rows = _outbox_rows(bank)
    assert not _resync(staffed, grant).json()["queued"]
    assert _outbox_rows(bank) == rows
    a_world.chain.release()
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    bank.wait_until_published()
    assert _resync(staffed, grant).json()["queued"]


def _outbox_rows(bank: Bank) -> int:
    with bank.node.database.read() as connection:
        return connection.execute(select(func.count()).select_from(schema.outbox)).scalar_one()
