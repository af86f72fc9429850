"""The gas cost of each operation of the ledger, compared with the committed snapshot `tests/contracts/gas.json`.

`--check` fails where a figure differs, `--write` updates the snapshot. The figures are exact: same code, same
inputs, same EVM. The floor of an update is what no contract with these promises could avoid: two cold writes to
non-zero storage, the calldata of its three words, and its share of one signature, sent (the transaction and 65
bytes) and checked (ecrecover). Not in the floor: the bank's own three slots, hashing, the event.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tests.contracts.chain import Chain, Outcome  # noqa: E402  # the path is set above
from tests.contracts.ledger import Issuer, StatusLedger, attestation, binding, signer  # noqa: E402

SNAPSHOT = ROOT / "tests" / "contracts" / "gas.json"
BATCHES = (1, 10, 100, 500)
READS = (1, 100, 500)
MAX_HEARTBEAT = 60_000
MAX_RATIO_OF_100 = 1.10

# The EVM's prices (EIP-2028, 2200, 2929).
COLD_WRITE = 5_000
TRANSACTION = 21_000
ECRECOVER = 3_000


def calldata_gas(data: bytes) -> int:
    """16 for each byte that is not zero, 4 for each that is."""
    return sum(16 if byte else 4 for byte in data)


class Meter:
    """One ledger with one bank, and the cost of operations there."""

    def __init__(self) -> None:
        self.chain = Chain()
        self.ledger = StatusLedger.deploy(self.chain)
        self.bank = Issuer("BKCHCNBJ", signer("gas"), self.chain.accounts[4])
        self.figures: dict[str, int] = {}

    def note(self, name: str, outcome: Outcome) -> None:
        assert outcome.ok, self.ledger.abi.refusal(outcome.output)
        self.figures[name] = outcome.gas_used

    def publish(self, name: str, first: int, count: int, version: int = 1) -> bytes:
        """Publish a batch for `count` bindings from `first` on. Returns: the words of its attestations."""
        items = [attestation(number, version) for number in range(first, first + count)]
        self.note(name, self.bank.publish(self.ledger, *items, watermark_ms=self.ledger.latest_ms))
        return b"".join(item.words for item in items)

    def measure(self) -> dict[str, int]:
        """All figures, by name, in gas."""
        ledger, bank = self.ledger, self.bank
        self.note("admit", bank.admit(ledger))
        self.publish("heartbeat, the first", 0, 0)
        self.publish("heartbeat", 0, 0)
        for count in BATCHES:
            self.publish(f"publish {count} new", 1000 * count, count)
            self.publish(f"publish {count} updates", 1000 * count, count, version=2)
        for count in READS:
            query = [(bank.bank, binding(500_000 + number % 500)) for number in range(count)]
            self.note(f"read {count}", self.chain.call(ledger.address, ledger.abi.call("read", query)))
        self.note("rotateSigner", ledger.transact(bank.admin, "rotateSigner", bank.bank, signer("new").address))
        self.note("suspend", ledger.transact(ledger.guardian, "suspend", bank.bank))
        keys = (bank.signer.address, bank.admin.address)
        self.note("reinstate", ledger.transact(ledger.registrar, "reinstate", bank.bank, *keys))
        return self.figures


def floor_of_update(count: int) -> dict[str, float]:
    """The floor of one update in a batch of `count`, and its parts, in gas."""
    items = [attestation(1000 * count + number, 2) for number in range(count)]
    words = sum(calldata_gas(item.words) for item in items) / count
    carried = TRANSACTION + ECRECOVER + calldata_gas(b"\xff" * 65)
    parts = {"two writes": 2.0 * COLD_WRITE, "calldata": words, "share of the signature": carried / count}
    return parts | {"floor": sum(parts.values())}


def ratio_of_update(figures: dict[str, int], count: int) -> float:
    """The cost of an update in a batch of `count`, as a multiple of its floor."""
    return figures[f"publish {count} updates"] / count / floor_of_update(count)["floor"]


def problems(figures: dict[str, int]) -> list[str]:
    """Figures beyond their bounds, or different from the snapshot."""
    found = []
    if figures["heartbeat"] > MAX_HEARTBEAT:
        found.append(f"a heartbeat costs {figures['heartbeat']}, more than {MAX_HEARTBEAT}")
    ratio = ratio_of_update(figures, 100)
    if ratio > MAX_RATIO_OF_100:
        found.append(f"an update in a batch of 100 costs {ratio:.3f} times its floor, more than {MAX_RATIO_OF_100}")
    committed: dict[str, int] = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.exists() else {}
    changed = [name for name in sorted(figures.keys() | committed.keys()) if figures.get(name) != committed.get(name)]
    return found + [f"{name}: {committed.get(name)} in the snapshot, {figures.get(name)} now" for name in changed]


def report(figures: dict[str, int]) -> None:
    """Print the figures and the floor."""
    for name, gas in figures.items():
        print(f"{name:24} {gas:>12,}")
    for count in BATCHES:
        parts: dict[str, Any] = floor_of_update(count)
        shown = " + ".join(f"{name} {value:,.0f}" for name, value in parts.items() if name != "floor")
        each = figures[f"publish {count} updates"] / count
        print(f"update, batch of {count}: {each:,.0f} = {ratio_of_update(figures, count):.3f} x ({shown})")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--check", action="store_true", help="exit 1 where a figure differs from the snapshot")
    group.add_argument("--write", action="store_true", help="refresh the snapshot")
    arguments = parser.parse_args()
    figures = Meter().measure()
    report(figures)
    if arguments.write:
        SNAPSHOT.write_text(json.dumps(figures, indent=1) + "\n")
        print(f"wrote {SNAPSHOT.relative_to(ROOT)}")
        return 0
    found = problems(figures)
    for problem in found:
        print(f"gas: {problem}", file=sys.stderr)
    if found:
        print("gas: if this is intended, run `gas.py --write` and commit the diff", file=sys.stderr)
    return 1 if arguments.check and found else 0


if __name__ == "__main__":
    sys.exit(main())
