"""The cost of scoring for decisions: the gateway while a run scores its bindings, compared with one that scores
nothing.

A served gateway makes one run a day; here runs follow one another, so decisions always compete with a run.
The ledger is the development chain, without new blocks. Rounds of both are interleaved.
"""

import asyncio
import tempfile
from contextlib import ExitStack
from pathlib import Path

import httpx

from bench.bank import bind_users, start_bank
from bench.cores import beside_server
from bench.decide import requests, serving
from bench.figures import Figure, Ratio, rate_ratio
from bench.http_load import drive
from localnet import LocalNet

AIM = 0.97
_BINDINGS = 200
_CONNECTIONS = 64
_WARM_S = 1.0
_ROUND_S = 3.0
_KINDS = {"ledger": "scoring off", "scored": "scoring on, run after run"}


@beside_server()
def measured(folder: Path, rounds: int) -> tuple[list[Figure], Ratio]:
    """The rates of both, and their ratio."""
    figures = {
        kind: Figure("warning", f"deciding, {_CONNECTIONS} connections", name, ours=kind == "scored")
        for kind, name in _KINDS.items()
    }
    with ExitStack() as stack:
        net = LocalNet(folder, "jinqiao-pay")
        stack.callback(net.stop)
        net.start_ledger()
        bindings = bind_users(net, start_bank(net), _BINDINGS)
        for _ in range(rounds):
            for kind, figure in figures.items():
                with serving(net, kind, folder) as (url, _process):
                    make = requests(url, net.gateway_key, bindings)
                    asyncio.run(drive(url, make, connections=_CONNECTIONS, for_s=_WARM_S))
                    load = asyncio.run(drive(url, make, connections=_CONNECTIONS, for_s=_ROUND_S))
                    if set(load.statuses) != {200}:
                        raise RuntimeError(f"not every answer is 200: {load.statuses}")
                    figure.rates.append(load.rate)
                    figure.latencies_ms += load.latencies_ms
                    if kind == "scored" and not httpx.get(url + "/scoring").json():
                        raise RuntimeError("scoring has ended")
    ratio = rate_ratio("warning: decisions with scoring on / off", figures["scored"], figures["ledger"], AIM)
    return list(figures.values()), ratio


def main() -> None:
    """Print the figures only."""
    with tempfile.TemporaryDirectory() as folder:
        figures, ratio = measured(Path(folder), 5)
    for figure in figures:
        print(figure.as_json())
    print(ratio.name, round(ratio.value, 3), "met" if ratio.met else "missed")


if __name__ == "__main__":
    main()
