"""The invented day: the trace under examples/, played through the real HTTP interfaces.

Three parts: the banks' cores, which feed their nodes; the platform, which asks its gateway; and, for comparison, a
platform that answers from last night's snapshot, by the same decision function.
"""

import csv
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from demo_snapshot import Snapshot
from localnet import LocalBank, LocalNet
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.question import Kind, Question
from standing.gateway.decisions.rules import Outcome
from standing.ledger.attestations.binding_protocol import Claim
from standing.ledger.attestations.limits import LIMIT_FIELDS
from standing.ledger.attestations.money import currency_number
from standing.ledger.clock import Clock, SystemClock

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PLATFORM = "jinqiao-pay"
CLAIM_FIELDS = (*Claim.model_fields, "as_written")
_HEARTBEAT_S = 0.3
PATIENCE_S = 60.0
_MAX_STALENESS_MS = 8_000

#: The demo's policy: one bound on staleness for every amount, short enough to show a bank falling silent.
POLICY = {
    "freshness": [{"up_to_minor": "any", "max_staleness_ms": _MAX_STALENESS_MS}],
    "when_silent": "review",
    # Three times the default: chain, nodes and gateway share the cores of a laptop.
    "ledger_read_timeout_ms": 2_400,
}


class DayWentWrong(Exception):
    """The day cannot continue; the text says why."""


class EntryRefused(DayWentWrong):
    """A bank's node refused an entry of the feed."""


def wait_for(look: Callable[..., Any], what: str) -> None:
    """Wait until `look` is true. Raises: DayWentWrong after a minute."""
    waiting = Retrying(
        retry=retry_if_result(lambda seen: not seen),
        wait=wait_fixed(0.01),
        stop=stop_after_delay(PATIENCE_S),
        retry_error_callback=lambda _state: False,
    )
    if not waiting(look):
        raise DayWentWrong(f"waited {PATIENCE_S:.0f} s in vain for {what}")


def bank_time_zone(now: datetime) -> str:
    """The time zone of the invented banks: Shanghai; in the last half hour of its day Tokyo, an hour ahead.

    A daily limit resets at midnight in the bank's time zone, and the played day must not cross it.
    """
    shanghai = now.astimezone(ZoneInfo("Asia/Shanghai"))
    crosses = (shanghai + timedelta(minutes=30)).date() != shanghai.date()
    return "Asia/Tokyo" if crosses else "Asia/Shanghai"


def accounts_file(bic: str) -> Path:
    """A bank's accounts at the start of the day."""
    return EXAMPLES / f"accounts-{bic}.csv"


def load_accounts(bic: str) -> list[dict[str, Any]]:
    """A bank's accounts as feed changes, without times."""
    with accounts_file(bic).open(encoding="utf-8", newline="") as file:
        return [_typed(row) for row in csv.DictReader(file)]


def load_lines(name: str) -> list[dict[str, Any]]:
    """A JSON Lines file under examples/."""
    return [json.loads(line) for line in (EXAMPLES / name).read_text(encoding="utf-8").splitlines()]


def _typed(row: dict[str, str]) -> dict[str, Any]:
    typed: dict[str, Any] = {name: value for name, value in row.items() if value}
    for name in ("debit_allowed", "credit_allowed"):
        typed[name] = row[name] == "true"
    for name in (*LIMIT_FIELDS, "account_class"):
        if typed.get(name, "none") != "none":
            typed[name] = int(typed[name])
    return typed


class Core:
    """A bank's core: states changes, and heartbeats several times a second in between."""

    def __init__(self, bank: LocalBank, clock: Clock) -> None:
        self._bank = bank
        self._clock = clock
        self._http = httpx.Client(
            base_url=bank.url, headers={"Authorization": f"Bearer {bank.core_key}"}, timeout=PATIENCE_S
        )
        self._lock = threading.Lock()
        self._last_ms = 0
        self._silent = False
        self._kept_back: list[dict[str, Any]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._http.close()

    def state(self, changes: list[dict[str, Any]]) -> dict[str, Any] | None:
        """State changes that take effect now. Returns: the node's receipt; None where they are withheld in silence."""
        with self._lock:
            as_of_ms = max(self._clock.now_ms(), self._last_ms + 1)
            stated = [{"effective_at_ms": as_of_ms, **change} for change in changes]
            if self._silent:
                self._last_ms = as_of_ms
                self._kept_back += stated
                return None
            return self._send(as_of_ms, stated)

    def fall_silent(self) -> None:
        """Send nothing until `speak`."""
        with self._lock:
            self._silent = True

    def speak(self) -> None:
        """Resume, and report everything that happened in the meantime."""
        with self._lock:
            self._silent = False
            self._send(max(self._clock.now_ms(), self._last_ms + 1), self._kept_back)
            self._kept_back = []

    def connect_to(self, url: str) -> None:
        """Feed another of the bank's nodes from now on."""
        with self._lock:
            self._http.base_url = httpx.URL(url)

    def _send(self, as_of_ms: int, changes: list[dict[str, Any]]) -> dict[str, Any]:
        answer = self._http.post("/v1/feed", json={"as_of_ms": as_of_ms, "changes": changes})
        if answer.status_code != httpx.codes.OK:
            raise EntryRefused(f"{self._bank.bic}'s node refused a feed entry: {answer.text}")
        self._last_ms = as_of_ms
        receipt: dict[str, Any] = answer.json()
        return receipt

    def _beat(self) -> None:
        while not self._stop.wait(_HEARTBEAT_S):
            with self._lock:
                if self._silent:
                    continue
                as_of_ms = max(self._clock.now_ms(), self._last_ms + 1)
                try:
                    answer = self._http.post("/v1/feed", json={"as_of_ms": as_of_ms, "changes": []})
                except httpx.TransportError:
                    continue  # the node is down: the next heartbeat states it again
                if answer.status_code == httpx.codes.OK:
                    self._last_ms = as_of_ms
                # Otherwise somebody else feeds the core by hand (the curl commands), slightly ahead of us: wait for
                # that time.


def _differing(found: dict[str, Any]) -> list[str]:
    """The fields that do not match, from the answer to a claim: refused, or a micro-deposit is needed first."""
    if found.get("outcome") == "micro_deposit":
        return [match["field"] for match in found["matches"] if match["match"] == "no_match"]
    return [item["field"] for item in found.get("mismatches", [])]


@dataclass(frozen=True)
class Decided:
    """One transaction of the day: what was asked, expected and answered."""

    event: dict[str, Any]
    standing: str
    reason: str | None
    staleness_ms: int | None
    snapshot: str

    @property
    def as_expected(self) -> bool:
        expected = self.event["expect"]
        return (self.standing, self.reason) == (expected["outcome"], expected["reason"])


@dataclass
class Tally:
    """The results of the day."""

    decided: list[Decided] = field(default_factory=list)
    feed_to_decision_ms: list[int] = field(default_factory=list)
    changes: int = 0
    bindings_refused: int = 0
    bound_by_deposit: int = 0
    bound_kinds: Counter[str] = field(default_factory=Counter)

    def wrong(self, who: str, outcome: str) -> int:
        """How often `who` ("standing" or "snapshot") approved what the bank would refuse, or declined what it would
        accept."""
        right = {"approve": "refuse", "decline": "accept"}[outcome]
        return sum(1 for one in self.decided if getattr(one, who) == outcome and one.event["bank_would"] == right)

    def count(self, who: str, outcome: str) -> int:
        return sum(1 for one in self.decided if getattr(one, who) == outcome)

    @property
    def unexpected(self) -> list[Decided]:
        return [one for one in self.decided if not one.as_expected]

    def spread(self, values: list[int]) -> str:
        return f"median {median(values):.0f} ms, worst {max(values)} ms" if values else "none seen"

    @property
    def staleness_ms(self) -> list[int]:
        """The decisions that were not affected by a silent bank."""
        return [
            one.staleness_ms for one in self.decided if one.staleness_ms is not None and one.reason != "bank_silent"
        ]


class Day:
    """Plays the day on a running local network."""

    def __init__(self, net: LocalNet) -> None:
        self._net = net
        self._clock = SystemClock()
        self._gateway = httpx.Client(
            base_url=net.gateway_url, headers={"Authorization": f"Bearer {net.gateway_key}"}, timeout=PATIENCE_S
        )
        # Visitors of the demo's page play with a bank that is not part of the day.
        self.cores = {bic: Core(bank, self._clock) for bic, bank in net.banks.items() if accounts_file(bic).exists()}
        self.policy = Policy.model_validate(POLICY)
        self.users = {user["user_id"]: user for user in load_lines("users.jsonl")}
        self.trace = load_lines("trace.jsonl")
        self.bindings: dict[str, str] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self._bound_by_number: dict[str, str] = {}
        self.tally = Tally()

    def close(self) -> None:
        for core in self.cores.values():
            core.stop()
        self._gateway.close()

    def load(self, bic: str) -> int:
        """Have a core state all its accounts, and start its heartbeat. Returns: how many accounts."""
        accounts = load_accounts(bic)
        self.cores[bic].state(accounts)
        self.cores[bic].start()
        users = {user["number"]: user for user in self.users.values() if user["bank"] == bic}
        for account in accounts:
            user = users.get(account["number"])
            if user is not None:
                self.snapshots[user["user_id"]] = Snapshot.of({**account, "bank": bic}, user)
        return len(accounts)

    def bind_all(self) -> Iterator[str]:
        """Bind every user; those whose details do not match must get exactly those fields in the answer. Yields: user
        ids."""
        for user_id, user in self.users.items():
            claim = {name: user[name] for name in CLAIM_FIELDS if name in user}
            body = {"user_id": user_id, "bank": user["bank"], "request_id": f"bind-{user_id}", **claim}
            answer = self._gateway.post("/v1/bindings", json=body)
            found = answer.json()
            if found.get("outcome") == "micro_deposit" and user.get("by_deposit"):
                found = self._name_deposit(user, body["request_id"])
            mismatches = sorted(_differing(found))
            if mismatches != sorted(user.get("expect_mismatch", [])):
                raise DayWentWrong(f"binding {user_id}: expected {user.get('expect_mismatch', [])}, got {answer.text}")
            if mismatches:
                self.tally.bindings_refused += 1
            elif found.get("outcome") != "granted":
                raise DayWentWrong(f"binding {user_id}: expected to be granted, got {answer.text}")
            else:
                self.bindings[user_id] = found["binding"]
                self._bound_by_number[user["number"]] = found["binding"]
                if "kind" in user:
                    self.tally.bound_kinds[user["kind"]] += 1
            yield user_id
        for binding in self.bindings.values():
            wait_for(lambda found=binding: self._publication(found), "the first attestation of a binding")

    def _name_deposit(self, user: dict[str, Any], request_id: str) -> Any:
        """Read the deposit on the account, as its holder does, and submit its amount. Returns: the response."""
        orders: list[int] = []
        for path in (self._net.banks[user["bank"]].folder / "payouts").glob("payouts-*.jsonl"):
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            orders += [line["amount_minor"] for line in lines if line["number"] == user["number"]]
        if len(orders) != 1:
            raise DayWentWrong(f"binding {user['user_id']}: {len(orders)} deposits on the account, not one")
        named = {
            "bank": user["bank"],
            "user_id": user["user_id"],
            "request_id": request_id,
            "amount_minor": orders[0],
        }
        answer = self._gateway.post("/v1/bindings:confirm", json=named)
        if answer.json().get("outcome") != "granted":
            raise DayWentWrong(f"binding {user['user_id']} by deposit: {answer.text}")
        self.tally.bound_by_deposit += 1
        return answer.json()

    def play(self) -> Iterator[Decided | None]:
        """Play the trace. Yields: each transaction once it is decided, None for everything else."""
        for event in self.trace:
            if event["kind"] == "change":
                self._change(event)
                yield None
            elif event["kind"] == "silence":
                self._silence(event)
                yield None
            else:
                decided = self._transaction(event)
                self.tally.decided.append(decided)
                yield decided

    def _change(self, event: dict[str, Any]) -> None:
        """State a change at its bank, and wait until the gateway can see it; the time is measured."""
        bound = [number for change in event["changes"] if (number := change["number"]) in self._bound_by_number]
        self.tally.changes += 1
        seen = {number: self._publication(self._bound_by_number[number]) for number in bound}
        if self.cores[event["bank"]].state(event["changes"]) is None:
            return
        acknowledged_ms = self._clock.now_ms()
        for number in bound:
            binding, before = self._bound_by_number[number], seen[number]
            wait_for(lambda b=binding, s=before: self._publication(b) > s, f"change {event['seq']} on the ledger")
            self.tally.feed_to_decision_ms.append(self._clock.now_ms() - acknowledged_ms)

    def _silence(self, event: dict[str, Any]) -> None:
        core = self.cores[event["bank"]]
        if event["state"] == "begin":
            core.fall_silent()
            wait_for(lambda: self._staleness_ms(event["bank"]) > _MAX_STALENESS_MS, "the bank to be silent")
        else:
            core.speak()
            wait_for(lambda: self._staleness_ms(event["bank"]) < _MAX_STALENESS_MS / 2, "the bank to be back")

    def _transaction(self, event: dict[str, Any]) -> Decided:
        body = {
            "transaction_id": event["id"],
            "binding": self.bindings[event["user_id"]],
            "kind": event["transaction"],
            "amount_minor": event["amount_minor"],
            "currency": event["currency"],
        }
        answer = self._gateway.post("/v1/decisions", json=body)
        if answer.status_code != httpx.codes.OK:
            raise DayWentWrong(f"{event['id']}: {answer.text}")
        found = answer.json()
        payment = event["transaction"] == Kind.PAYMENT
        # A withdrawal counts once approved; only a payment is captured.
        if found["outcome"] == Outcome.APPROVE and (payment or event["then"] == "void"):
            settled = self._gateway.post(f"/v1/decisions/{event['id']}/{event['then']}")
            if settled.status_code != httpx.codes.OK:
                raise DayWentWrong(f"{event['id']}: {settled.text}")
        snapshot = self.snapshots[event["user_id"]]
        question = Question(Kind(event["transaction"]), event["amount_minor"], currency_number(event["currency"]))
        then = snapshot.decide(question, self.policy)
        # The bank counts what was really paid, so both platforms see the same usage of the limits.
        if found["outcome"] == Outcome.APPROVE and event["then"] == "capture":
            snapshot.used_minor[question.kind] += event["amount_minor"]
        return Decided(event, found["outcome"], found["reason"], found["staleness_ms"], then)

    def _publication(self, binding: str) -> int:
        """The publication that wrote the binding's record, as the gateway reads it now; 0 for none."""
        answer = self._gateway.get(f"/v1/bindings/{binding}")
        if answer.status_code != httpx.codes.OK:
            raise DayWentWrong(f"binding {binding}: {answer.text}")
        return int(answer.json()["publication"] or 0)

    def _staleness_ms(self, bic: str) -> int:
        banks = {bank["bic"]: bank for bank in self._gateway.get("/v1/banks").json()["banks"]}
        return int(banks[bic]["staleness_ms"])
