"""A node killed by SIGKILL at each of its durable steps: nothing is lost, nothing is repeated, no number signed twice.

The node is a separate process, started by its real command; `node.fault_points` names the fault points.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text

from localnet import LocalBank, LocalNet
from processes import ProcessDied
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.client import Published
from standing.ledger.clock import SystemClock
from standing.ledger.service.serve import served
from standing.node.fault_points import FAULT_POINTS
from tests.databases import new_database
from tests.faulty_chain import Chain
from tests.timeouts import patient_ledger
from tests.world import ACCOUNT, CLAIM_FIELDS, GUARDIAN, PLATFORM, REGISTRAR, wait_until

pytestmark = pytest.mark.long

_PUBLISHER = {"heartbeat_ms": 3_600_000, "poll_ms": 5, "resend_after_ms": 1_000}


class Setting:
    """A chain in this process, a bank's node in another, and the bank's core and platform, played by the test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.chain = Chain(SystemClock())
        self.net = LocalNet(folder, PLATFORM, ledger_url=stack.enter_context(served(self.chain.app)))
        stack.callback(self.net.stop)
        registrar = LocalSigner(REGISTRAR).address
        self.net.contract = governance.deploy(
            self.net.ledger_url,
            REGISTRAR,
            governor=registrar,
            registrar=registrar,
            guardian=LocalSigner(GUARDIAN).address,
        )
        self.client = patient_ledger(self.net.ledger_url, self.net.contract)
        url = new_database(folder, "node")
        self.bank: LocalBank = self.net.add_bank("YUNXCNB0", "Yunxi", publisher=_PUBLISHER, database_url=url)
        self.last_ms = 0
        self.kills = 0

    def start(self, fault_point: str) -> None:
        """Start the node, to be killed at a point; if it dies before it answers, start it again."""
        try:
            self.net.start_bank(self.bank, {"STANDING_NODE_FAULT_POINT": fault_point})
        except ProcessDied:
            self.restart()

    def entry(self, *changes: dict[str, Any]) -> dict[str, Any]:
        """A feed entry of the current time."""
        self.last_ms = max(SystemClock().now_ms(), self.last_ms + 1)
        stated = [{"effective_at_ms": self.last_ms, **change} for change in changes]
        return {"as_of_ms": self.last_ms, "changes": stated}

    def post(self, path: str, key: str, body: dict[str, Any]) -> Any:
        answer = httpx.post(self.bank.url + path, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post_until_answered(self, path: str, key: str, body: dict[str, Any]) -> Any:
        """Request a lost answer again with the same content after a restart, as a careful client does."""
        try:
            return self.post(path, key, body)
        except httpx.TransportError:
            self.restart()
            return self.post(path, key, body)

    def until(self, look: Callable[[], Any]) -> None:
        """Wait for an answer of the node, across its death if it dies meanwhile."""
        try:
            wait_until(look)
        except httpx.TransportError:
            self.restart()
            wait_until(look)

    def unbind(self, binding: str) -> None:
        """End a binding, as a careful platform does: a lost answer is requested again."""
        headers = {"Authorization": f"Bearer {self.bank.platform_key}"}
        url = f"{self.bank.url}/v1/bindings/{binding}"
        try:
            answer = httpx.delete(url, headers=headers, timeout=20)
        except httpx.TransportError:
            self.restart()
            answer = httpx.delete(url, headers=headers, timeout=20)
        assert answer.status_code == 204, answer.text

    def idle(self) -> bool:
        """Whether nothing is waiting or pending."""
        headers = {"Authorization": f"Bearer {self.bank.core_key}"}
        status = httpx.get(f"{self.bank.url}/v1/status", headers=headers, timeout=20).json()
        return bool(status["waiting"] == 0 and status["in_flight"] == 0)

    def restart(self) -> None:
        """Check that the node died by SIGKILL, and start it again without a fault."""
        assert self.bank.process is not None
        assert self.bank.process.wait_for_end(20) == -signal.SIGKILL
        self.kills += 1
        self.net.start_bank(self.bank)

    def on_ledger(self, entry: dict[str, Any]) -> bool:
        headers = {"Authorization": f"Bearer {self.bank.core_key}"}
        answer = httpx.get(f"{self.bank.url}/v1/feed/{entry['as_of_ms']}", headers=headers, timeout=20)
        return bool(answer.json()["on_ledger"])

    def signed(self) -> dict[int, bytes]:
        """The digest of each publication number that was signed according to the node's store."""
        engine = create_engine(self.bank.settings["database_url"])
        with engine.begin() as connection:
            rows = connection.execute(text("SELECT number, digest FROM publications")).all()
        engine.dispose()
        return {row.number: row.digest for row in rows}

    def stated(self) -> list[int]:
        """The publication of each statement made by the node."""
        engine = create_engine(self.bank.settings["database_url"])
        with engine.begin() as connection:
            rows = connection.execute(text("SELECT publication FROM outbox ORDER BY id")).all()
        engine.dispose()
        return [row.publication for row in rows]

    def published(self) -> list[Published]:
        return self.client.published(0, self.client.block_number())


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    with ExitStack() as stack:
        yield Setting(tmp_path, stack)


_BINDING_REQUEST = {"request_id": "request-1", **{name: ACCOUNT[name] for name in CLAIM_FIELDS}}


def _ask_for_grant(setting: Setting) -> dict[str, Any]:
    grant: dict[str, Any] = setting.post("/v1/bindings", setting.bank.platform_key, _BINDING_REQUEST)["grant"]
    return grant


# In `make test-long`: each costs several seconds of starting, and test_faults.py reaches all within one process. The
# point after "submitted" has its own test below.
@pytest.mark.parametrize("point", FAULT_POINTS)
def test_a_node_killed_at_any_durable_step_publishes_each_change_exactly_once(setting: Setting, point: str) -> None:
    bank = setting.bank
    setting.start(point)
    setting.post_until_answered("/v1/feed", bank.core_key, setting.entry(dict(ACCOUNT)))
    answer = setting.post_until_answered("/v1/bindings", bank.platform_key, _BINDING_REQUEST)
    freeze = setting.entry({"number": ACCOUNT["number"], "status": "frozen"})
    setting.post_until_answered("/v1/feed", bank.core_key, freeze)
    setting.until(lambda: setting.on_ledger(freeze))
    setting.unbind(answer["grant"]["binding"])
    setting.until(setting.idle)
    assert setting.kills == 1, f"{point} was never reached"
    published = setting.published()
    numbers = [event.number for event in published]
    assert numbers == list(range(1, len(numbers) + 1))
    assert {event.number: event.digest for event in published} == setting.signed()
    # The binding's first state, the freeze and the end are each stated once, and nothing else. Two that were signed
    # together, since the node was away, share one record.
    stated = setting.stated()
    assert len(stated) == 3
    written = [(event.number, binding) for event in published for binding in event.bindings]
    assert written == [(number, bytes.fromhex(answer["grant"]["binding"][2:])) for number in sorted(set(stated))]
    assert setting.client.bank(bank.bic).watermark_ms == freeze["as_of_ms"]


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param(False, id="mined while the node is down"),
        pytest.param(True, id="lost by the network"),
    ],
)
def test_a_node_killed_before_its_transaction_is_mined_publishes_it_once(setting: Setting, lost: bool) -> None:
    bank, chain = setting.bank, setting.chain
    setting.net.start_bank(bank)
    first = setting.entry(dict(ACCOUNT))
    setting.post("/v1/feed", bank.core_key, first)
    wait_until(lambda: setting.client.bank(bank.bic).publication == 1)
    assert bank.process is not None
    bank.process.stop()

    chain.holding = True
    setting.net.start_bank(bank, {"STANDING_NODE_FAULT_POINT": "submitted"})
    # It may die before or after it answers, so the grant is requested again after the restart.
    with suppress(httpx.TransportError):
        _ask_for_grant(setting)
    assert bank.process.wait_for_end(20) == -signal.SIGKILL
    signed = setting.signed()
    assert set(signed) == {1, 2}
    assert setting.client.bank(bank.bic).publication == 1, "it is submitted but not mined yet"

    if lost:
        chain.lose()
    else:
        chain.release()
    setting.net.start_bank(bank)
    grant = _ask_for_grant(setting)
    freeze = setting.entry({"number": ACCOUNT["number"], "status": "frozen"})
    setting.post("/v1/feed", bank.core_key, freeze)
    wait_until(lambda: setting.on_ledger(freeze))
    published = setting.published()
    assert {event.number: event.digest for event in published} == setting.signed()
    assert {number: digest for number, digest in setting.signed().items() if number <= 2} == signed
    written = [binding for event in published for binding in event.bindings]
    assert written == [bytes.fromhex(grant["binding"][2:])] * 2


def test_a_ledger_ahead_of_a_restored_store_stops_publishing_and_says_so(setting: Setting, tmp_path: Path) -> None:
    bank = setting.bank
    setting.net.start_bank(bank)
    setting.post("/v1/feed", bank.core_key, setting.entry(dict(ACCOUNT)))
    wait_until(lambda: setting.client.bank(bank.bic).publication == 1)
    assert bank.process is not None
    bank.process.stop()
    bank.settings["database_url"] = new_database(tmp_path, "another")  # the store is lost and replaced by an empty one
    setting.net.start_bank(bank)
    setting.post("/v1/feed", bank.core_key, setting.entry(dict(ACCOUNT)))
    trouble = wait_until(lambda: httpx.get(bank.url + "/readyz").json()["reason"])
    assert "older than the ledger" in trouble
    assert "recovered" in trouble
    assert setting.signed() == {}, "nothing was signed on top of a history that the store does not know"
