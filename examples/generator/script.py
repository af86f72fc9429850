"""Turns the lines of the stories into steps, and all stories into one day in chronological order."""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from generator import day_of_bank_one, day_of_bank_two
from generator.accounts import BANKS, NO_LIMIT, Account, Bank
from generator.casting import Cast, Part
from generator.stories import SILENCE, SILENCE_MARGINS
from generator.truth import Kind

OPTIONS = {"in", "void", "debit_only", "late", "back"}
OPTIONS |= {"transaction", "daily", "monthly", "yearly", "daily_credit", "yearly_credit"}
BACKGROUND = (day_of_bank_one.BACKGROUND, day_of_bank_two.BACKGROUND)


@dataclass(frozen=True)
class TransactionStep:
    """A user's transaction, its amount not yet computed."""

    at: str
    part: Part
    kind: Kind
    amount: str
    currency: str
    void: bool
    meant: str
    """The author's intent: `approve` or a reason."""


@dataclass(frozen=True)
class ChangeStep:
    """A change of one or more accounts at their bank."""

    at: str
    bank: Bank
    accounts: tuple[Account, ...]
    what: str
    options: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SilenceStep:
    """A bank stops publishing, or starts again."""

    at: str
    bank: Bank
    state: str


Step = TransactionStep | ChangeStep | SilenceStep


def whole_day(everybody: Cast, rng: random.Random) -> list[Step]:
    """All steps of the day, at most one per second, in chronological order."""
    steps: list[Step] = [SilenceStep(at, BANKS[1], state) for at, state in zip(SILENCE, ("begin", "end"), strict=True)]
    ordinary: list[tuple[Part, str]] = []
    for part in everybody.parts:
        for line in part.story.steps:
            if line.endswith(" ordinary"):
                ordinary.append((part, line))
            else:
                steps.append(_step(everybody, part, line))
    steps += _background_steps(everybody, rng)
    taken = {step.at for step in steps}
    if shared := [at for at, count in Counter(step.at for step in steps).items() if count > 1]:
        raise ValueError(f"two steps of the stories share a second, their order would be left to chance: {shared}")
    for part, line in ordinary:
        steps += _ordinary_steps(part, line, taken, rng)
    return sorted(steps, key=lambda step: step.at)


def _step(everybody: Cast, part: Part, text: str) -> Step:
    line = _read(text)
    if line.what not in {"payment", "withdrawal"}:
        return _change_step(everybody, part.bank, [part.account], line)
    return TransactionStep(
        at=line.at,
        part=part,
        kind=cast(Kind, line.what),
        amount=line.amount,
        currency=line.options.get("in", part.account.currency),
        void="void" in line.options,
        meant=line.meant,
    )


class _Line(NamedTuple):
    at: str
    what: str
    amount: str
    options: dict[str, str]
    """By name; those without `=value` have an empty value."""
    meant: str


def _read(text: str) -> _Line:
    action, _, meant = text.partition(" -> ")
    at, what, *words = action.split()
    amounts = [word for word in words if word[0].isdecimal() or word.startswith(("limit", "rest"))]
    options = dict(word.partition("=")[::2] for word in words if word not in amounts)
    if len(amounts) > 1 or not options.keys() <= OPTIONS:
        raise ValueError(f"not a step: {text}")
    return _Line(at, what, amounts[0] if amounts else "ordinary", options, meant or "approve")


def _change_step(everybody: Cast, bank: Bank, accounts: Sequence[Account], line: _Line) -> ChangeStep:
    if line.what in {"name_changed", "phone_changed", "id_document_changed"}:
        # A person has one name, document and phone: the bank changes them on all of the person's accounts.
        accounts = everybody.of_holder(bank.bic, accounts[0])
    return ChangeStep(line.at, bank, tuple(accounts), line.what, line.options)


def _background_steps(everybody: Cast, rng: random.Random) -> Iterator[ChangeStep]:
    bound_holders = {part.account.id_document for part in everybody.parts}
    for bank, background in zip(BANKS, BACKGROUND, strict=True):
        idle = [
            account
            for account in everybody.accounts[bank.bic]
            if account.id_document not in bound_holders and _is_ordinary(account)
        ]
        # No account twice, so that no change depends on another.
        rng.shuffle(idle)
        for each in background:
            accounts = [idle.pop() for _ in range(each.accounts)]
            yield _change_step(everybody, bank, accounts, _read(each.step))


def _is_ordinary(account: Account) -> bool:
    limited = NO_LIMIT not in {account.transaction_limit_minor, account.daily_limit_minor}
    return account.status == "active" and account.debit_allowed and account.credit_allowed and limited


def _ordinary_steps(part: Part, line: str, taken: set[str], rng: random.Random) -> Iterator[TransactionStep]:
    match = re.fullmatch(r"(\d\d:\d\d)-(\d\d:\d\d) (\d+) ordinary", line)
    if match is None:
        raise ValueError(f"not a step: {line}")
    begin, end, count = match.groups()
    for _ in range(int(count)):
        at = _free_second(part.bank, _seconds(begin), _seconds(end), taken, rng)
        taken.add(at)
        yield TransactionStep(
            at=at,
            part=part,
            kind="payment" if rng.random() < 0.8 else "withdrawal",
            amount="ordinary",
            currency=part.account.currency,
            void=rng.random() < 0.06,
            meant="bank_silent" if part.bank == BANKS[1] and SILENCE[0] <= at < SILENCE[1] else "approve",
        )


def _free_second(bank: Bank, begin: int, end: int, taken: set[str], rng: random.Random) -> str:
    while True:
        second = rng.randrange(begin, end)
        at = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        in_margin = bank == BANKS[1] and any(first <= at < last for first, last in SILENCE_MARGINS)
        if at not in taken and not in_margin:
            return at


def _seconds(time_of_day: str) -> int:
    hours, minutes = time_of_day.split(":")
    return int(hours) * 3600 + int(minutes) * 60
