"""Random histories of two ledgers with several banks, compared step by step with the Python model of the contract.

Steps are honest and hostile ones: publications with every field right or just wrong, keys of others and former keys,
other chain ids, the other ledger's messages, replays, and raw calldata cut, flipped and reordered. After every step the
outcome (event or error) and all state that can be read are compared. STANDING_FUZZ_EXAMPLES makes the run longer.
"""

import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from typing import Any, ClassVar

import pytest
from eth_typing import ChecksumAddress
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.publication import Domain, LocalSigner, Publication
from tests.contracts.abi import Event, Refusal
from tests.contracts.chain import Account, Chain, Outcome
from tests.contracts.drawn_steps import (
    ADMITTED_BICS,
    BICS,
    BINDINGS,
    DRAWN_KEYS,
    DRAWS,
    GOVERNANCE,
    ITEMS,
    KEYS,
    LEDGERS,
    Draw,
)
from tests.contracts.ledger import (
    AHEAD_ALLOWANCE_MS,
    NO_RECORD,
    ZERO_ADDRESS,
    ZERO_HASH,
    RecordState,
    StatusLedger,
    attestation,
    binding,
)
from tests.contracts.model import GOVERNOR_ROLE, GUARDIAN_ROLE, REGISTRAR_ROLE, Model, Refused, digest_of, parse_message

# Of both machines together: few in `make test-long`, more in `make fuzz`; CI runs both.
EXAMPLES = int(os.environ.get("STANDING_FUZZ_EXAMPLES", "8"))
STEPS = 40
MIN_STEPS = 20  # of a history, on average; Hypothesis makes some of them shorter than STEPS, the first above all
TIME_BOUNDS = {"WatermarkAhead", "WatermarkBackwards"}
# The events that the histories of each machine must include: a run without one proves nothing about it.
ENOUGH_TO_MEET_ALL = 120
TO_MEET = {f"{name} by 1 ms" for name in TIME_BOUNDS} | {
    "BankAdmitted",
    "Published",
    "UnexpectedNumber",
    "WrongSignature",
    "malformed",
    "malformed, and signed",
    "record replaced",
}


def _kind(refusal: Refusal) -> str:
    """The key under which a refusal is counted; a time that misses its bound by 1 ms has a key of its own."""
    given_and_bound = refusal.arguments[-2:]
    if refusal.name in TIME_BOUNDS and abs(given_and_bound[0] - given_and_bound[1]) == 1:
        return f"{refusal.name} by 1 ms"
    return refusal.name or "malformed"


@cache
def _two_ledgers() -> tuple[StatusLedger, StatusLedger]:
    chain = Chain()
    return StatusLedger.deploy(chain), StatusLedger.deploy(chain)


class LedgerMachine(RuleBasedStateMachine):
    """Two deployments on one chain, each with its model. Counts the results of its steps, by event or error."""

    seen: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self.ledgers = _two_ledgers()
        self.chain = self.ledgers[0].chain
        self._undo = ExitStack()
        self._undo.enter_context(self.chain.isolated())
        self.models = [self._model(ledger) for ledger in self.ledgers]
        self.sent: list[bytes] = []
        self.held: list[dict[tuple[bytes, bytes], RecordState]] = [{} for _ in self.ledgers]
        self.touched: set[int] = set()

    def teardown(self) -> None:
        try:
            for index in range(len(self.ledgers)):
                self._compare(index)
        finally:
            self._undo.close()

    def _model(self, ledger: StatusLedger) -> Model:
        held = ((GOVERNOR_ROLE, ledger.governor), (REGISTRAR_ROLE, ledger.registrar), (GUARDIAN_ROLE, ledger.guardian))
        return Model(ledger.domain, {(role, account.address.lower()) for role, account in held})

    # --- one step on chain and model

    def _step(self, index: int, model_step: Callable[[Model], Event | None], chain_step: Callable[[], Outcome]) -> None:
        ledger = self.ledgers[index]
        expected: Event | Refusal | None
        try:
            expected = model_step(self.models[index])
        except Refused as refused:
            expected = refused.refusal
        outcome = chain_step()
        if isinstance(expected, Refusal):
            assert ledger.refusal(outcome) == expected
            self.seen[_kind(expected)] += 1
        else:
            assert outcome.ok, f"the model allows, the contract refuses: {ledger.abi.refusal(outcome.output)}"
            assert outcome.events(ledger.abi) == ([] if expected is None else [expected])
            self.seen["accepted" if expected is None else expected.name] += 1
        self.touched.add(index)

    def _govern(self, index: int, account: Account, function: str, *arguments: Any) -> None:
        steps: dict[str, Callable[..., Event | None]] = {
            "admit": Model.admit,
            "suspend": Model.suspend,
            "reinstate": Model.reinstate,
            "rotateSigner": Model.rotate,
            "grantRole": Model.grant,
            "revokeRole": Model.revoke,
        }
        lowered = [item.lower() if isinstance(item, str) else item for item in arguments]
        self._step(
            index,
            lambda model: steps[function](model, account.address.lower(), *lowered),
            lambda: self.ledgers[index].transact(account, function, *arguments),
        )

    def _send(self, index: int, data: bytes) -> None:
        time_s = self.chain.next_time_s
        ledger = self.ledgers[index]
        self._step(
            index,
            lambda model: model.publish(data, time_s),
            lambda: self.chain.transact(ledger.submitter, ledger.address, data),
        )

    # --- governance

    @initialize(signers=st.tuples(DRAWN_KEYS, DRAWN_KEYS))
    def admit_two_banks(self, signers: tuple[int, int]) -> None:
        for index, ledger in enumerate(self.ledgers):
            for bic, key in zip(BICS, signers, strict=False):
                self._govern(index, ledger.registrar, "admit", bic_to_bytes11(bic), *self._named(key), 0, ZERO_HASH)

    def _named(self, key: int) -> tuple[ChecksumAddress, ChecksumAddress]:
        """A signer and the admin that goes with it."""
        return KEYS[key].address, self.chain.accounts[4 + key].address

    @rule(index=LEDGERS, action=GOVERNANCE)
    def govern(self, index: int, action: tuple[str, dict[str, Any]]) -> None:
        name, drawn = action
        steps: dict[str, Callable[..., None]] = {
            "admit": self._admit,
            "suspend": self._suspend,
            "reinstate": self._reinstate,
            "rotate": self._rotate,
            "move role": self._move_role,
        }
        steps[name](index, **drawn)

    def _admit(self, index: int, bic: str, key: int, role: str, zero: str | None, history: str) -> None:
        """Admission, usually continuing the other ledger's history."""
        ledger = self.ledgers[index]
        there = self.models[1 - index].bank(bic_to_bytes11(bic))
        number = {"own": there.publication, "number": 7}.get(history, 0)
        head = {"own": there.head, "head": b"\x07" * 32}.get(history, ZERO_HASH)
        signer, admin = self._named(key)
        keys = (ZERO_ADDRESS if zero == "signer" else signer, ZERO_ADDRESS if zero == "admin" else admin)
        bank = bytes(11) if zero == "bank" else bic_to_bytes11(bic)
        self._govern(index, getattr(ledger, role), "admit", bank, *keys, number, head)

    def _suspend(self, index: int, bic: str, role: str) -> None:
        self._govern(index, getattr(self.ledgers[index], role), "suspend", bic_to_bytes11(bic))

    def _reinstate(self, index: int, bic: str, key: int, role: str, zero: int | None) -> None:
        keys = [ZERO_ADDRESS if zero == n else address for n, address in enumerate(self._named(key))]
        suspended = [name for name, bank in self.models[index].banks.items() if bank.suspended]
        bank = suspended[0] if suspended else bic_to_bytes11(bic)
        self._govern(index, getattr(self.ledgers[index], role), "reinstate", bank, *keys)

    def _rotate(self, index: int, bic: str, key: int, who: str | int, zero: bool) -> None:
        bank = bic_to_bytes11(bic)
        admin = self.models[index].bank(bank).admin
        by_address = {account.address.lower(): account for account in self.chain.accounts}
        if isinstance(who, int):
            account = self.chain.accounts[who]
        elif who == "admin":
            account = by_address.get(admin, self.ledgers[index].submitter)
        else:
            account = self.ledgers[index].registrar
        self._govern(index, account, "rotateSigner", bank, ZERO_ADDRESS if zero else KEYS[key].address)

    def _move_role(self, index: int, function: str, role: bytes, to: str, by: str) -> None:
        ledger = self.ledgers[index]
        self._govern(index, getattr(ledger, by), function, role, getattr(ledger, to).address)

    # --- publications

    def _publication(self, index: int, bic: str, draw: Draw) -> bytes:
        """Calldata of a publication that is valid except for the flaws of `draw`."""
        state = self.models[index].bank(bic_to_bytes11(bic))
        latest_ms = self.chain.next_time_s * 1000 + AHEAD_ALLOWANCE_MS
        times = {
            "last": state.watermark_ms,
            "before last": max(0, state.watermark_ms - 1),
            "latest": latest_ms,
            "ahead": latest_ms + 1,
            "middle": (state.watermark_ms + latest_ms) // 2,
        }
        domain = self.models[index].domain
        if draw.domain == "other chain":
            domain = Domain(domain.chain_id + 1, domain.contract)
        if draw.domain == "other ledger":
            domain = self.models[1 - index].domain
        publication = Publication(
            domain=domain,
            bank=bic,
            number=min(max(1, state.publication + 1 + draw.number), 2**48 - 1),
            previous=state.head if draw.previous else b"\x01" * 32,
            watermark_ms=times[draw.watermark],
            attestations=tuple(attestation(number, version=len(self.sent)) for number in draw.items),
        )
        signature = self._sign(state.signer, draw.key, publication.digest)
        return self.ledgers[index].publish_calldata(publication, signature)

    def _sign(self, right: str, key: int | None, digest: bytes) -> bytes:
        by_address: dict[str, LocalSigner] = {key.address.lower(): key for key in KEYS}
        chosen = by_address.get(right, KEYS[0]) if key is None else KEYS[key]
        return chosen.sign(digest)

    @rule(index=LEDGERS, bic=ADMITTED_BICS, draw=DRAWS)
    def publish(self, index: int, bic: str, draw: Draw) -> None:
        data = self._publication(index, bic, draw)
        self.sent.append(data)
        self._send(index, data)

    @rule(index=LEDGERS, bic=ADMITTED_BICS, items=ITEMS, times=st.integers(1, 3))
    def publish_validly(self, index: int, bic: str, items: list[int], times: int) -> None:
        for _ in range(times):
            data = self._publication(index, bic, Draw(items=items))
            self.sent.append(data)
            self._send(index, data)

    @rule(
        index=LEDGERS, bic=ADMITTED_BICS, item=st.integers(0, BINDINGS - 1), bound=st.sampled_from(sorted(TIME_BOUNDS))
    )
    def publish_a_millisecond_out(self, index: int, bic: str, item: int, bound: str) -> None:
        """A publication with a single minimal fault: no check but the intended one may refuse it."""
        watermark = {"WatermarkBackwards": "before last", "WatermarkAhead": "ahead"}[bound]
        self._send(index, self._publication(index, bic, Draw(items=[item], watermark=watermark)))

    @rule(index=LEDGERS, bic=ADMITTED_BICS, items=ITEMS.filter(bool), at=st.integers(0, 2), bit=st.integers(0, 47))
    def publish_signed_dirt(self, index: int, bic: str, items: list[int], at: int, bit: int) -> None:
        """A valid publication except for one bit below an attestation's 26 bytes, which the bank signs unchanged."""
        state, domain = self.models[index].bank(bic_to_bytes11(bic)), self.models[index].domain
        data = bytearray(self._publication(index, bic, Draw(items=items)))
        end = 4 + 32 * (6 + 3 * (at % len(items)) + 2)  # of the attestation's second word; six come before the first
        data[end - 6 : end] = (1 << bit).to_bytes(6, "big")
        digest = digest_of(domain, parse_message(bytes(data)), state.head)
        signature_at = 4 + 32 * (6 + 3 * len(items) + 1)
        data[signature_at : signature_at + 65] = self._sign(state.signer, None, digest)
        before = self.seen["malformed"]
        self._send(index, bytes(data))
        self.seen["malformed, and signed"] += self.seen["malformed"] - before

    @rule(index=LEDGERS, which=st.integers(0, 30))
    def replay(self, index: int, which: int) -> None:
        """Anything ever sent, to either ledger."""
        if self.sent:
            self._send(index, self.sent[which % len(self.sent)])

    @rule(
        index=LEDGERS,
        bic=ADMITTED_BICS,
        items=ITEMS,
        damage=st.sampled_from(["flip", "cut", "swap", "append"]),
        at=st.integers(0, 2**16),
    )
    def publish_damaged(self, index: int, bic: str, items: list[int], damage: str, at: int) -> None:
        """A valid publication whose calldata is damaged on the way."""
        data = bytearray(self._publication(index, bic, Draw(items=items)))
        if damage == "flip":
            position = at % (len(data) * 8)
            data[position // 8] ^= 1 << position % 8
        elif damage == "cut":
            del data[at % len(data) :]
        elif damage == "append":
            data += bytes([at % 256]) * (1 + at % 40)
        else:
            words = (len(data) - 4) // 32
            one, two = (slice(4 + 32 * n, 36 + 32 * n) for n in (at % words, at // words % words))
            data[one], data[two] = data[two], data[one]
        self._send(index, bytes(data))

    @rule(seconds=st.sampled_from([1, 9, 10, 11, 3600]))
    def let_time_pass(self, seconds: int) -> None:
        self.chain.next_time_s += seconds
        self.seen["time"] += 1

    # --- comparison

    @invariant()
    def chain_is_as_the_model_says(self) -> None:
        while self.touched:
            self._compare(self.touched.pop())

    def _compare(self, index: int) -> None:
        ledger, model = self.ledgers[index], self.models[index]
        banks = [bic_to_bytes11(bic) for bic in BICS]
        for bank in banks:
            assert ledger.bank(bank) == model.bank(bank)
        queries = [(bank, binding(number)) for bank in banks for number in range(BINDINGS)]
        answer = ledger.read(queries)
        assert answer.records == [model.record(*query) for query in queries]
        self._check_no_rollback(index, queries, answer.records)
        assert (answer.block_number, answer.block_time_s) == self.chain.last_block

    def _check_no_rollback(self, index: int, queries: list[tuple[bytes, bytes]], records: list[RecordState]) -> None:
        """A record is unchanged, or of a later publication than before, whatever the model says."""
        for query, record in zip(queries, records, strict=True):
            before = self.held[index].get(query, NO_RECORD)
            if record[:3] != before[:3]:
                assert before.publication < record.publication <= self.ledgers[index].bank(query[0]).publication
                self.seen["record replaced"] += before.publication > 0
            self.held[index][query] = record


# Two machines, so that two processes share the work; each name has its own random numbers.
class FirstHistory(LedgerMachine):
    seen: ClassVar[Counter[str]] = Counter()


class SecondHistory(LedgerMachine):
    seen: ClassVar[Counter[str]] = Counter()


@pytest.mark.long
@pytest.mark.parametrize("machine", [FirstHistory, SecondHistory])
def test_contract_and_model_agree_after_every_step(machine: type[LedgerMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES // 2,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize="STANDING_FUZZ_EXAMPLES" not in os.environ,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    assert machine.seen.total() >= MIN_STEPS * EXAMPLES // 2
    if EXAMPLES >= ENOUGH_TO_MEET_ALL:
        assert not TO_MEET - set(machine.seen)
