"""A soak test: random faults from a seed, on a network of validators under a steady load, followed by an audit.

A step is a pause, a fault, a hold and its repair. Faults are drawn from the seed, which is printed, so that a run
can be repeated; the exact timing of processes depends on the machine. The report comes with a picture of the
timeline: each bank's staleness as the gateways reported it, each decision that did not rest on an attestation, each
fault. Exit code 0 only where the auditor finds nothing and no decision contradicts a bank.
"""

import argparse
import random
import secrets
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from demo_day import wait_for
from soak_faults import Faults
from soak_report import InjectedFault, Soak, picture, report
from standing.gateway.auditing.decisions import audit_decisions
from standing.gateway.auditing.export import Exported
from standing.gateway.auditing.findings import Audit
from standing.gateway.auditing.ledger import audit_ledger
from standing.ledger.chain.client import LedgerClient
from standing.ledger.clock import SystemClock
from tests.network.consortium import BANKS, Consortium, consortium
from tests.network.faulty_consortium import own_store
from tests.network.hosts import hosts_in_use
from tests.network.load import Load, rests_on_attestation

_HOLDS_S = (2, 15)
_PAUSES_S = (3, 10)
_CLOCK = SystemClock()


def run(
    it: Consortium, load: Load, faults: Faults, chance: random.Random, minutes: float
) -> tuple[int, list[InjectedFault]]:
    """Inject fault after fault. Returns: when the run began, and the faults."""
    began_ms, rest, injected = _CLOCK.now_ms(), threading.Event(), []
    while _CLOCK.now_ms() - began_ms < minutes * 60_000:
        rest.wait(chance.uniform(*_PAUSES_S))
        fault = faults.draw(chance)
        from_ms = _CLOCK.now_ms() - began_ms
        fault.inject()
        rest.wait(chance.uniform(*_HOLDS_S))
        fault.repair()
        to_ms = _CLOCK.now_ms() - began_ms
        load.wait_until_well()
        well_ms = _CLOCK.now_ms() - began_ms
        it.network.wait_until_level()
        injected.append(InjectedFault(fault.name, from_ms, to_ms, well_ms))
        print(
            f"{from_ms / 1000:7.1f} s  {fault.name}, {(to_ms - from_ms) / 1000:.1f} s; well again after "
            f"{(well_ms - to_ms) / 1000:.1f} s",
            flush=True,
        )
    return began_ms, injected


def audited(it: Consortium, lines: list[Exported]) -> Audit:
    """Audit the ledger from its first block on, and every decision of an export."""
    audit, client = Audit(), LedgerClient(it.network.validators[2].url, it.net.contract)
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()) as bar:
        blocks, decisions = bar.add_task("blocks", total=None), bar.add_task("decisions", total=None)
        walked = audit_ledger(client, audit, lambda done, total: bar.update(blocks, completed=done, total=total))
        audit_decisions(
            lines,
            it.means(),
            walked,
            audit,
            lambda done, total: bar.update(decisions, completed=done, total=total),
        )
    return audit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--report", type=Path, help="a folder for soak.md and soak.png")
    stated = parser.parse_args()
    print(f"seed {stated.seed}", hosts_in_use(), sep="\n", flush=True)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="standing-soak-"))
        store = stack.enter_context(own_store())
        it = stack.enter_context(consortium(Path(folder), weather=True))
        for bic, name in BANKS:
            it.add_bank(bic, name)
        it.start_gateways()
        load = Load(it)
        try:
            load.bind()
            load.start()
            load.wait_until_well()
            chance = random.Random(stated.seed)  # noqa: S311 - a run that can be repeated
            began_ms, injected = run(it, load, Faults(it, store), chance, stated.minutes)
            wait_for(lambda: rests_on_attestation(load.decide(BANKS[0][0])), "a last decision")
            load.pause()
            asked = list(load.asked)  # decisions in progress may be missing from the export
            lines = it.export()
            it.network.wait_until_level()
            audit = audited(it, lines)
        finally:
            load.stop()
        soak = Soak(stated.seed, stated.minutes, began_ms, asked, load.changes, injected, audit, lines, load.wrong())
        text = report(soak)
        print(text)
        for found in audit.findings[:20]:
            print(f"{found.kind} {found.whose} {found.where}: {found.text}")
        for each in soak.wrong[:20]:
            print(f"contradicts the bank: {each}")
        if stated.report is not None:
            stated.report.mkdir(parents=True, exist_ok=True)
            (stated.report / "soak.md").write_text(text)
            picture(stated.report / "soak.png", soak)
        return 0 if soak.clean else 1


if __name__ == "__main__":
    sys.exit(main())
