"""A steady load on a consortium that also knows the truth: what each bank stated, when, and what was decided.

One account of each bank is frozen and unfrozen in turn, the cores send a heartbeat every third of a second, and the
platform asks for payments throughout. Afterwards `Load.wrong` compares every decision with what the bank had stated:
an approval is right if the account was active at some moment between the bank's watermark, on which the decision
rests, and the decision itself; likewise a decline for a freeze.
"""

import secrets
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx

from demo_day import CLAIM_FIELDS, Core, EntryRefused, load_accounts, load_lines, wait_for
from standing.ledger.clock import SystemClock
from tests.network.consortium import Consortium

_FREEZE = {"status": "frozen", "debit_allowed": False, "credit_allowed": False}
_FREE = {"status": "active", "debit_allowed": True, "credit_allowed": True}
_BETWEEN_CHANGES_S = 1.0
_BETWEEN_DECISIONS_S = 0.25
_ANSWER_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One decision as the platform saw it. `status` 0: no gateway answered."""

    bank: str
    gateway: str
    status: int
    outcome: str
    reason: str | None
    staleness_ms: int | None
    decided_at_ms: int
    took_ms: int
    answer: dict[str, Any]


@dataclass(slots=True)
class Account:
    """The bank account under load. `states`: since when it was active, or was not. `unsure`: periods in which a
    change was on its way to the bank's node, so that either answer is right."""

    bank: str
    number: str
    binding: str
    states: list[tuple[int, bool]]
    unsure: list[tuple[int, int]]

    def was(self, active: bool, from_ms: int, to_ms: int) -> bool:
        """Whether it was active (or was not) at any moment of a period, both ends included, or may have been."""
        if any(began_ms <= to_ms and ended_ms >= from_ms for began_ms, ended_ms in tuple(self.unsure)):
            return True
        for index, (since_ms, is_active) in enumerate(self.states):
            ends_ms = self.states[index + 1][0] if index + 1 < len(self.states) else to_ms + 1
            if is_active is active and since_ms <= to_ms and ends_ms > from_ms:
                return True
        return False


class Load:
    """Runs from `start` to `stop`. A change that a node refuses is stated again until it is accepted."""

    def __init__(self, it: Consortium) -> None:
        self._it = it
        self._clock = SystemClock()
        self._cores = {bic: Core(bank, self._clock) for bic, bank in it.net.banks.items()}
        self._stopped = threading.Event()
        self._running = threading.Event()
        self._running.set()
        self._changing = {bic: threading.Lock() for bic in it.net.banks}
        self._threads: list[threading.Thread] = []
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {it.net.gateway_key}"}, timeout=httpx.Timeout(_ANSWER_TIMEOUT_S)
        )
        self.accounts: dict[str, Account] = {}
        self.asked: list[Asked] = []
        self.changes = 0

    # Before

    def bind(self) -> None:
        """Load every bank's accounts, and bind the first user whose account can pay."""
        users = load_lines("users.jsonl")
        for bic, core in self._cores.items():
            accounts = {each["number"]: each for each in load_accounts(bic)}
            core.state(list(accounts.values()))
            user = next(
                each
                for each in users
                if each["bank"] == bic
                and not each.get("expect_mismatch")
                and accounts[each["number"]]["status"] == "active"
                and accounts[each["number"]]["currency"] == "CNY"
                and accounts[each["number"]]["debit_allowed"]
            )
            body = {"user_id": user["user_id"], "bank": bic, "request_id": f"load-{bic}"}
            body |= {name: user[name] for name in CLAIM_FIELDS if name in user}
            answer = self._http.post(f"{self._it.net.gateway_url}/v1/bindings", json=body)
            assert answer.is_success, answer.text
            binding = answer.json()["binding"]
            self.accounts[bic] = Account(bic, user["number"], binding, [(0, True)], [])
            wait_for(lambda: self.decide(bic).outcome == "approve", f"a first approval, {bic}")  # noqa: B023

    def start(self) -> None:
        for bic, core in self._cores.items():
            core.start()
            self._threads.append(threading.Thread(target=self._change, args=(bic,)))
        for url in self._it.gateways:
            self._threads.append(threading.Thread(target=self._pay, args=(url,)))
        for thread in self._threads:
            thread.start()

    def connect_core_to(self, bic: str, url: str) -> None:
        """Direct a bank's core to another node."""
        self._cores[bic].connect_to(url)

    def pause(self) -> None:
        """Pause payments and changes until `resume`; the cores keep sending heartbeats."""
        self._running.clear()
        for changing in self._changing.values():
            with changing:  # a change in progress is accepted first
                pass

    def resume(self) -> None:
        self._running.set()

    def stop(self) -> None:
        self._running.set()
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        for core in self._cores.values():
            core.stop()
        self._http.close()

    # Meanwhile

    def decide(self, bic: str, gateway: str | None = None) -> Asked:
        """Ask for a small payment, and void it where it is approved."""
        url = gateway or self._it.net.gateway_url
        account, began_s = self.accounts[bic], time.monotonic()
        name = f"load-{secrets.token_hex(8)}"
        body = {"transaction_id": name, "binding": account.binding, "kind": "payment", "amount_minor": 1}
        try:
            answer = self._http.post(f"{url}/v1/decisions", json=body | {"currency": "CNY"})
        except httpx.TransportError:
            return Asked(bic, url, 0, "", None, None, self._clock.now_ms(), _ms_since(began_s), {})
        took_ms = _ms_since(began_s)
        if answer.status_code != httpx.codes.OK:
            return Asked(bic, url, answer.status_code, "", None, None, self._clock.now_ms(), took_ms, {})
        found = answer.json()
        return Asked(
            bic,
            url,
            answer.status_code,
            found["outcome"],
            found["reason"],
            found["staleness_ms"],
            found["decided_at_ms"],
            took_ms,
            found,
        )

    def ask_again(self, asked: Asked, gateway: str) -> dict[str, Any]:
        """The answer to the same transaction, from another gateway process."""
        found = self._http.get(f"{gateway}/v1/decisions/{asked.answer['transaction_id']}")
        assert found.is_success, found.text
        answer: dict[str, Any] = found.json()
        return answer

    def _pay(self, url: str) -> None:
        while not self._stopped.wait(_BETWEEN_DECISIONS_S):
            self._running.wait()
            for bic in self.accounts:
                self.asked.append(self.decide(bic, url))

    def _change(self, bic: str) -> None:
        account, active = self.accounts[bic], True
        while not self._stopped.wait(_BETWEEN_CHANGES_S):
            self._running.wait()
            with self._changing[bic]:
                if not self._running.is_set():
                    continue
                active = not active
                if self._set(account, active):
                    self.changes += 1

    def _set(self, account: Account, active: bool) -> bool:
        """Unfreeze or freeze an account. Returns: whether the node accepted it before the load ended."""
        began_ms = self._clock.now_ms()
        if not self._state(account.bank, account.number, _FREE if active else _FREEZE):
            return False
        ended_ms = self._clock.now_ms()
        account.unsure.append((began_ms, ended_ms))
        account.states.append((ended_ms, active))
        return True

    def _state(self, bic: str, number: str, what: dict[str, Any]) -> bool:
        """State a change until the node accepts it. Returns: whether it did before the load ended."""
        while not self._stopped.is_set():
            try:
                self._cores[bic].state([{"number": number, **what}])
            except (httpx.TransportError, EntryRefused):
                self._stopped.wait(_BETWEEN_DECISIONS_S)  # its node or store is down, or its clock is wrong
                continue
            return True
        return False

    # Afterwards

    def mark(self) -> int:
        """A position in the list of requests, for `since`."""
        return len(self.asked)

    def since(self, mark: int, bic: str | None = None) -> list[Asked]:
        return [each for each in self.asked[mark:] if bic is None or each.bank == bic]

    def decisions(self, mark: int, more: int, bic: str | None = None, gateway: str | None = None) -> list[Asked]:
        """The decisions since `mark`, of one bank or gateway where named, once there are `more` of each bank."""

        def found(bank: str) -> list[Asked]:
            return [each for each in self.since(mark, bank) if gateway in {None, each.gateway}]

        banks = [bic] if bic else list(self.accounts)
        for bank in banks:
            wait_for(lambda b=bank: len(found(b)) >= more, f"{more} decisions of {bank}")
        return [each for bank in banks for each in found(bank)]

    def wait_until_well(self, bics: tuple[str, ...] = ()) -> None:
        """Wait until each gateway decides on a payment of each bank by what the bank has stated since now.

        An older statement may be within the policy's bound at this moment, and beyond it at the next.
        """
        began_ms = self._clock.now_ms()

        def is_well(bic: str, url: str) -> bool:
            asked = self.decide(bic, url)
            return rests_on_attestation(asked) and asked.answer["watermark_ms"] >= began_ms

        for url in self._it.gateways:
            for bic in bics or tuple(self.accounts):
                wait_for(lambda b=bic, u=url: is_well(b, u), f"{bic} to be usable again")

    def wait_until_free(self, bic: str) -> None:
        """While paused: make a bank's account active, and wait until each gateway approves by a later watermark.

        Before, an approval may rest on the state before the last freeze, which is still on its way.
        """
        account = self.accounts[bic]
        assert self._set(account, active=True)
        active_ms, _ = account.states[-1]

        def is_free(url: str) -> bool:
            asked = self.decide(bic, url)
            return asked.outcome == "approve" and asked.answer["watermark_ms"] >= active_ms

        for url in self._it.gateways:
            wait_for(lambda u=url: is_free(u), f"{bic} to be free")

    def wrong(self, asked: list[Asked] | None = None) -> list[Asked]:
        """Every decision, of the whole run or of those given, that is not supported by what the bank stated as of the
        watermark or later."""
        return [each for each in (self.asked if asked is None else asked) if not self._is_supported(each)]

    def _is_supported(self, each: Asked) -> bool:
        if not rests_on_attestation(each):
            return True
        assert each.staleness_ms is not None
        watermark_ms = each.decided_at_ms - each.staleness_ms
        return self.accounts[each.bank].was(
            each.outcome == "approve", watermark_ms, max(each.decided_at_ms, watermark_ms)
        )

    @staticmethod
    def reasons(asked: list[Asked]) -> Counter[str]:
        """How often each reason was given; "approve" for none, "none answered" for no answer."""
        return Counter(
            "none answered" if not each.status else each.reason or each.outcome or str(each.status) for each in asked
        )


def rests_on_attestation(asked: Asked) -> bool:
    """Whether a decision rests on the account's attestation."""
    return asked.outcome == "approve" or asked.reason in {"account_frozen", "debit_not_allowed"}


def amiss(asked: list[Asked]) -> list[Asked]:
    """The decisions that do not rest on an attestation."""
    return [each for each in asked if not rests_on_attestation(each)]


def _ms_since(began_s: float) -> int:
    return round((time.monotonic() - began_s) * 1000)
