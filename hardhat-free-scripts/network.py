"""A consortium on this machine: four validators and an observer, two banks' nodes, two gateways on one PostgreSQL.

Plays the demo's day on it, then stays up until Ctrl-C. With --once it exits when done: exit code 0 only if every
decision matches the day's ground truth.
"""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from demo import console, play, summary
from demo_day import Day
from tests.network.consortium import BANKS, Consortium, consortium
from tests.network.hosts import hosts_in_use


def show(it: Consortium) -> None:
    """Print the address of every part."""
    console.print(hosts_in_use(), highlight=False, soft_wrap=True)
    for node in it.network.nodes:
        console.print(f"ledger   {node.url}   {node.name}", highlight=False)
    console.print(f"contract {it.net.contract}", highlight=False)
    for bank in it.net.banks.values():
        console.print(f"bank     {bank.url}/docs   {bank.bic} {bank.name}", highlight=False)
    for url in it.gateways:
        console.print(f"gateway  {url}/docs   platform key {it.net.gateway_key}", highlight=False, soft_wrap=True)
    console.print(
        f"\nstanding-gateway audit-ledger --ledger {it.network.validators[2].url} --contract {it.net.contract}",
        highlight=False,
        soft_wrap=True,
    )


def run(folder: Path, once: bool) -> int:
    """Everything, from the first node to the last."""
    with consortium(folder) as it:
        for bic, name in BANKS:
            it.add_bank(bic, name)
        it.start_gateways()
        show(it)
        day = Day(it.net)
        try:
            for bic in day.cores:
                day.load(bic)
            list(day.bind_all())
            play(day)
            console.print(summary(day.tally))
            if not once:
                console.rule("It stays up until Ctrl-C")
                show(it)
                signal.pause()
        finally:
            day.close()
        return 1 if day.tally.unexpected else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="exit when done; the exit code shows whether all went well")
    stated = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="standing-network-") as folder:
            return run(Path(folder), stated.once)
    except KeyboardInterrupt:
        console.print("Every process that was started has ended.")
        return 0


if __name__ == "__main__":
    sys.exit(main())
