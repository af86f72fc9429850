"""A consortium whose processes, stores and clocks can fail: the environment of `test_process_faults`."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_utils import keccak

from tests.gateway.faulty_ledger_node import NodeProxy, proxied
from tests.network.clocks import MovedClock
from tests.network.consortium import BANKS, Consortium, consortium
from tests.network.load import Load
from tests.timeouts import patient_ledger
from with_postgres import PostgresMissing, Server, server


class DroppingNode:
    """A node that accepts transactions and drops the next `left` of them."""

    def __init__(self, proxy: NodeProxy) -> None:
        self.proxy, self.left, self.dropped = proxy, 0, 0
        proxy.instead = self._instead

    def _instead(self, call: dict[str, Any]) -> dict[str, Any] | None:
        if call["method"] != "eth_sendRawTransaction" or not self.left:
            return None
        self.left -= 1
        self.dropped += 1
        accepted = "0x" + keccak(hexstr=call["params"][0]).hex()
        return {"jsonrpc": "2.0", "id": call["id"], "result": accepted}


@dataclass
class Place:
    """The consortium with the faults that can be injected here. `store` is None where there is no PostgreSQL."""

    it: Consortium
    load: Load
    store: Server | None
    dropping: DroppingNode
    liar: NodeProxy
    bank_clock: MovedClock
    gateway_clock: MovedClock

    @property
    def several(self) -> bool:
        """Whether there are two gateways."""
        return len(self.it.gateways) > 1

    def published(self, bic: str) -> int:
        """The number of a bank's newest publication."""
        return patient_ledger(self.it.network.observer.url, self.it.net.contract).bank(bic).publication


@contextmanager
def own_store() -> Iterator[Server | None]:
    """A PostgreSQL for this consortium alone, which can be stopped and started again; None where there is none."""
    with ExitStack() as stack:
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        environment.delenv("STANDING_TEST_DATABASE", raising=False)
        store = None
        with suppress(PostgresMissing):
            store = stack.enter_context(server())
            environment.setenv("STANDING_TEST_DATABASE", store.url)
        yield store


@contextmanager
def placed(folder: Path) -> Iterator[Place]:
    """A consortium under load. Everything it started is ended on exit."""
    with ExitStack() as stack:
        store = stack.enter_context(own_store())
        it = stack.enter_context(consortium(folder / "network"))
        own, second = it.network.validators[0], it.network.validators[2]
        dropping = stack.enter_context(proxied(own.url))
        clocks = MovedClock(folder / "bank-clock"), MovedClock(folder / "gateway-clock")
        it.add_bank(
            *BANKS[0],
            environment=clocks[0].environment,
            # It polls less often than others, since each poll goes through this process.
            publisher={"heartbeat_ms": 500, "poll_ms": 100, "resend_after_ms": 3_000},
            ledger_urls=[dropping.url, second.url],
        )
        it.add_bank(*BANKS[1])
        it.start_gateways(environment=clocks[1].environment)
        load = Load(it)
        load.bind()
        load.start()
        stack.callback(load.stop)
        liar = stack.enter_context(proxied(it.network.observer.url))
        yield Place(it, load, store, DroppingNode(dropping), liar, *clocks)
