"""Assigns the stories: the bound accounts, the users who bind them, and all accounts of both banks."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from generator import day_of_bank_one, day_of_bank_two
from generator.accounts import BANKS, Account, Accounts, Bank, fill, permissions_under
from generator.people import People
from generator.stories import Story

ACCOUNTS_PER_BANK = 500
STORIES = (
    day_of_bank_one.STORIES + day_of_bank_one.PLAIN,
    day_of_bank_two.STORIES + day_of_bank_two.PLAIN,
)

FULL_WIDTH = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})


@dataclass(frozen=True)
class Part:
    """One user with their account and story."""

    user_id: str
    bank: Bank
    account: Account
    story: Story


@dataclass(frozen=True)
class Cast:
    """All users and accounts at the start of the day."""

    parts: tuple[Part, ...]
    accounts: dict[str, list[Account]]
    """All accounts of a bank, by BIC, in the order of its file."""

    def of_holder(self, bic: str, account: Account) -> list[Account]:
        """The accounts that `account`'s holder has at a bank, itself included."""
        return [other for other in self.accounts[bic] if other.id_document == account.id_document]


def cast_day(rng: random.Random, people: People) -> Cast:
    """Open an account for every story, and all other accounts."""
    accounts = Accounts(rng)
    user_ids = [f"u-{number:03d}" for number in range(1, sum(map(len, STORIES)) + 1)]
    # Shuffled, so that a user's id does not reveal the story.
    rng.shuffle(user_ids)
    parts: list[Part] = []
    opened: dict[str, list[Account]] = {}
    for bank, stories in zip(BANKS, STORIES, strict=True):
        opened[bank.bic] = []
        for story in stories:
            holder = people.person(story.holder)
            account = _open_for(story, accounts.open(bank, holder))
            parts.append(Part(user_ids.pop(), bank, account, story))
            opened[bank.bic].append(account)
            if story.second_account:
                opened[bank.bic].append(accounts.open(bank, holder))
    all_accounts = {
        bank.bic: fill(bank, opened[bank.bic], ACCOUNTS_PER_BANK, people=people, accounts=accounts, rng=rng)
        for bank in BANKS
    }
    return Cast(tuple(sorted(parts, key=lambda part: part.user_id)), all_accounts)


def _open_for(story: Story, account: Account) -> Account:
    debit_allowed, credit_allowed = permissions_under(story.status)
    account = replace(
        account,
        status=story.status,
        debit_allowed=debit_allowed,
        credit_allowed=credit_allowed,
        currency=story.currency,
    )
    if story.limits is None:
        return account
    transaction_limit_minor, daily_limit_minor = story.limits
    return replace(account, transaction_limit_minor=transaction_limit_minor, daily_limit_minor=daily_limit_minor)


def _in_the_middle(space: str, text: str) -> str:
    return text[: len(text) // 2] + space + text[len(text) // 2 :]


def _local(phone: str, pattern: str) -> str:
    national = phone.removeprefix("+86")
    return pattern.format(national[:3], national[3:7], national[7:])


@dataclass(frozen=True)
class Variant:
    """A harmless way to type a field: its canonical form is the same, so the binding succeeds."""

    field: str
    typed: Callable[[str], str]
    fits: Callable[[str], bool] = bool


VARIANTS = (
    # First those that the fewest rows fit.
    Variant("id_document_number", str.lower, lambda number: number.endswith("X")),
    Variant("id_document_number", lambda number: number.translate(FULL_WIDTH), lambda number: number.endswith("X")),
    Variant("holder_name", lambda name: name.replace("·", "•"), lambda name: "·" in name),
    Variant("holder_name", lambda name: name.replace("·", "・"), lambda name: "·" in name),
    Variant("holder_name", lambda name: name.replace("·", " · "), lambda name: "·" in name),
    Variant("holder_name", str.upper, str.isascii),
    Variant("holder_name", lambda name: name.replace(" ", "  "), str.isascii),
    Variant("holder_name", lambda name: name.translate(FULL_WIDTH), str.isascii),
    Variant("holder_name", lambda name: _in_the_middle(" ", name), lambda name: len(name) == 2),
    Variant("holder_name", lambda name: _in_the_middle("\u3000", name), lambda name: len(name) == 2),  # CJK space
    Variant("id_document_number", str.lower, lambda number: number[0].isalpha()),
    Variant("id_document_number", lambda number: number.translate(FULL_WIDTH), str.isdecimal),
    Variant("id_document_number", lambda number: f"{number[:6]} {number[6:14]} {number[14:]}", str.isdecimal),
    Variant("phone", lambda phone: _local(phone, "{} {} {}")),
    Variant("phone", lambda phone: _local(phone, "{}{}{}")),
    Variant("phone", lambda phone: _local(phone, "{}-{}-{}")),
    Variant("phone", lambda phone: _local(phone, "0086 {} {} {}")),
    Variant("phone", lambda phone: _local(phone, "{}{}{}").translate(FULL_WIDTH)),
)

MISMATCHES = (("name",), ("id_document",), ("phone",), ("name", "phone"))


def user_rows(cast: Cast, people: People, rng: random.Random) -> list[dict[str, object]]:
    """The users in the order of their ids: those who match their account, then those whose binding must fail."""
    rows = [_row(part.user_id, part.bank.bic, part.account) for part in cast.parts]
    varied: set[int] = set()
    for variant in VARIANTS:
        fitting = [i for i, row in enumerate(rows) if i not in varied and variant.fits(str(row[variant.field]))]
        if not fitting:
            raise ValueError("no user is left for a variant: take another seed")
        index = rng.choice(fitting)
        varied.add(index)
        rows[index][variant.field] = variant.typed(str(rows[index][variant.field]))
    return rows + _mismatched_rows(cast, people, rng)


def _mismatched_rows(cast: Cast, people: People, rng: random.Random) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    bound_holders = {part.account.id_document for part in cast.parts}
    for number, mismatch in enumerate(MISMATCHES, start=len(cast.parts) + 1):
        bank = BANKS[number % len(BANKS)]
        account = rng.choice(
            [
                account
                for account in cast.accounts[bank.bic]
                if account.status == "active"
                and account.id_document_scheme == "NIDN"
                and account.id_document not in bound_holders
            ]
        )
        row = _row(f"u-{number:03d}", bank.bic, account)
        stranger = people.person("han")
        for field, wrong in (
            ("name", {"holder_name": stranger.name}),
            ("id_document", {"id_document_number": stranger.id_document_number}),
            ("phone", {"phone": stranger.phone}),
        ):
            if field in mismatch:
                row |= wrong
        rows.append(row | {"expect_mismatch": list(mismatch)})
    return rows


def _row(user_id: str, bic: str, account: Account) -> dict[str, object]:
    return {
        "user_id": user_id,
        "bank": bic,
        "number": account.number,
        "number_type": account.number_type,
        "holder_name": account.holder_name,
        "id_document_scheme": account.id_document_scheme,
        "id_document_country": account.id_document_country,
        "id_document_number": account.id_document_number,
        "phone": account.phone,
    }
