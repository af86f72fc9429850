"""Reconciliation of a rig and its findings."""

from typing import Any

from sqlalchemy import select

from standing.gateway.following.reconcile import BatchPace, Reconciler
from standing.gateway.following.reconcile_report import Report
from standing.gateway.ledger_reading.nodes import BlockRule
from standing.ledger.chain.client import LedgerClient
from tests.gateway.gateway_rig import Person, Rig


def reconciler(it: Rig, ledger: LedgerClient | None = None, **pace: Any) -> Reconciler:
    gateway = it.app.state.gateway
    return Reconciler(
        storage=gateway.storage,
        vault=gateway.reconciler._vault,
        banks=gateway.banks,
        ledger=ledger or it.ledger,
        policy=gateway.policy,
        clock=it.clock,
        rule=BlockRule(),
        pace=BatchPace(**({"pause_ms": 0} | pace)),
    )


def run(it: Rig, **pace: Any) -> Report:
    report = reconciler(it, **pace).run()
    assert report is not None
    return report


def rows(it: Rig, table: Any) -> list[Any]:
    with it.app.state.gateway.storage.read() as connection:
        return list(connection.execute(select(table)))


def change(it: Rig, *statements: Any) -> None:
    with it.app.state.gateway.storage.write() as connection:
        for statement in statements:
            connection.execute(statement)


def raw(person: Person) -> bytes:
    return bytes.fromhex(person.binding[2:])
