"""Plays the day on the banks' books, and records each event with the correct decision at that moment."""

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from generator.accounts import NO_LIMIT, Limit
from generator.casting import Cast
from generator.people import GIVEN_CHARACTERS, LATIN_FAMILY, People
from generator.script import ChangeStep, SilenceStep, Step, TransactionStep
from generator.stories import PLATFORM_ID
from generator.truth import APPROVE, Kind, Situation, Transaction, Verdict, day_limit, decide, year_limit

FIELDS_AFTER: dict[str, dict[str, Any]] = {
    "unfrozen": {"status": "active", "debit_allowed": True, "credit_allowed": True},
    "lost": {"status": "lost", "debit_allowed": False, "credit_allowed": True},
    "closed": {"status": "closed", "debit_allowed": False, "credit_allowed": False},
    "dormant": {"status": "dormant"},
    "debit_forbidden": {"debit_allowed": False},
    "credit_forbidden": {"credit_allowed": False},
    "credit_allowed": {"credit_allowed": True},
}
"""The account's fields after a change that has no options."""


@dataclass
class Score:
    """The errors of a platform that decides by the day's first snapshot, and the number of each reason."""

    verdicts: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    snapshot_wrong_approvals: int = 0
    """Approved by the snapshot, refused by the bank."""
    snapshot_wrong_declines: int = 0
    """Declined by the snapshot, though the bank would accept."""


class Day:
    """The banks' books as they change, and the events so far."""

    def __init__(self, everybody: Cast, people: People, rng: random.Random) -> None:
        self._people = people
        self._rng = rng
        self._at_binding = {account.number: account for accounts in everybody.accounts.values() for account in accounts}
        self._now = dict(self._at_binding)
        self._unbound: set[str] = set()
        self._used_minor: Counter[tuple[str, Kind]] = Counter()
        self._silent: set[str] = set()
        self._transactions = 0
        self.score = Score()

    def play(self, steps: list[Step]) -> list[dict[str, object]]:
        """The events of the day, in order."""
        events: list[dict[str, object]] = []
        for seq, step in enumerate(steps, start=1):
            event: dict[str, object] = {"seq": seq, "at": step.at}
            if isinstance(step, TransactionStep):
                event |= self._transaction(step)
            elif isinstance(step, ChangeStep):
                event |= self._change(step)
            else:
                event |= self._silence(step)
            events.append(event)
        return events

    def _silence(self, step: SilenceStep) -> dict[str, object]:
        if step.state == "begin":
            self._silent.add(step.bank.bic)
        else:
            self._silent.remove(step.bank.bic)
        return {"kind": "silence", "bank": step.bank.bic, "state": step.state}

    # Transactions

    def _transaction(self, step: TransactionStep) -> dict[str, object]:
        number = step.part.account.number
        silent = step.part.bank.bic in self._silent
        to_the_bank = Situation(
            transaction=Transaction(step.kind, self._amount_minor(step), step.currency),
            now=self._now[number],
            at_binding=self._at_binding[number],
            used_minor=self._used_minor[number, step.kind],
            unbound=number in self._unbound,
        )
        of_bank = decide(to_the_bank)
        expected = decide(to_the_bank._replace(silent=silent))
        if (expected.reason or "approve") != step.meant:
            raise ValueError(f"{step.at} {step.part.user_id}: meant {step.meant}, the model says {expected}")
        self._keep_score(to_the_bank, expected, of_bank)
        amount_minor = to_the_bank.transaction.amount_minor
        if expected == APPROVE and not step.void:
            self._used_minor[number, step.kind] += amount_minor
        self._transactions += 1
        return {
            "kind": "transaction",
            "id": f"t-{self._transactions:04d}",
            "user_id": step.part.user_id,
            "transaction": step.kind,
            "amount_minor": amount_minor,
            "currency": step.currency,
            "then": "void" if step.void else "capture",
            "bank_would": "accept" if of_bank == APPROVE else "refuse",
            "expect": expected._asdict(),
        }

    def _keep_score(self, to_the_bank: Situation, expected: Verdict, of_bank: Verdict) -> None:
        self.score.verdicts[expected.reason or "approve"] += 1
        # The usage is the day's own in both: only the knowledge of the account differs.
        snapshot = decide(to_the_bank._replace(now=to_the_bank.at_binding, unbound=False))
        self.score.snapshot_wrong_approvals += snapshot == APPROVE and of_bank != APPROVE
        self.score.snapshot_wrong_declines += snapshot != APPROVE and of_bank == APPROVE

    def _amount_minor(self, step: TransactionStep) -> int:
        number = step.part.account.number
        if step.amount.isdecimal():
            return int(step.amount)
        if step.amount == "ordinary":
            whole = self._rng.random() < 0.4 or step.kind == "withdrawal"
            return self._rng.randrange(5, 300) * 100 if whole else self._rng.randrange(500, 30_000)
        base, _, more = step.amount.partition("+")
        if base == "limit":
            limit = _stated(self._now[number].transaction_limit_minor)
        else:
            account = self._now[number]
            limits = {
                "rest": day_limit(account, step.kind),
                "rest_of_month": account.monthly_limit_minor,
                "rest_of_year": year_limit(account, step.kind),
            }
            limit = _stated(limits[base]) - self._used_minor[number, step.kind]
        return limit + int(more or 0)

    # Changes

    def _change(self, step: ChangeStep) -> dict[str, object]:
        self.score.changes[step.what] += 1
        if step.what == "unbound":
            changes = [self._unbind(account.number) for account in step.accounts]
        else:
            wanted = self._wanted_fields(step)
            changes = [self._update(account.number, wanted) for account in step.accounts]
        event: dict[str, object] = {"kind": "change", "what": step.what, "bank": step.bank.bic, "changes": changes}
        if "late" in step.options:
            if step.bank.bic not in self._silent:
                raise ValueError(f"{step.at} {step.what}: late, but the bank is not silent")
            event["delivered"] = "after_silence"
        return event

    def _unbind(self, number: str) -> dict[str, object]:
        self._unbound.add(number)
        return {"number": number, "unbind": [PLATFORM_ID]}

    def _update(self, number: str, wanted: dict[str, Any]) -> dict[str, object]:
        before = self._now[number]
        changed = {name: value for name, value in wanted.items() if getattr(before, name) != value}
        if not changed:
            raise ValueError(f"{number}: the change changes nothing")
        self._now[number] = replace(before, **changed)
        return {"number": number} | changed

    def _wanted_fields(self, step: ChangeStep) -> dict[str, Any]:
        """The fields after the change; those that already have the value are left out of the event."""
        if step.what == "frozen":
            return {"status": "frozen", "debit_allowed": False, "credit_allowed": "debit_only" in step.options}
        if step.what in {"limit_lowered", "limit_raised"}:
            return {
                f"{which}_limit_minor": NO_LIMIT if limit == NO_LIMIT else int(limit)
                for which, limit in step.options.items()
            }
        return FIELDS_AFTER.get(step.what) or self._wanted_identity(step)

    def _wanted_identity(self, step: ChangeStep) -> dict[str, Any]:
        before = self._at_binding[step.accounts[0].number]
        match step.what:
            case "name_changed":
                return {"holder_name": self._new_name(before.holder_name)}
            case "phone_changed":
                return {"phone": before.phone if "back" in step.options else self._people.phone()}
            case "id_document_changed" if before.id_document_scheme == "CCPT":
                return {"id_document_number": self._people.passport_number()}
            case "id_document_changed":
                return {"id_document_number": self._people.corrected_resident_number(before.id_document_number)}
            case _:
                raise ValueError(f"{step.at}: no such change: {step.what}")

    def _new_name(self, name: str) -> str:
        """Another family name for a foreigner, who may have married; another last character for everybody else."""
        if name.isascii():
            given, family = name.split()
            return f"{given} {self._rng.choice([other for other in LATIN_FAMILY if other != family])}"
        return name[:-1] + self._rng.choice([other for other in GIVEN_CHARACTERS if other != name[-1]])


def _stated(limit: Limit) -> int:
    if limit == NO_LIMIT:
        raise ValueError("the story needs a limit, and the account states none")
    return limit
