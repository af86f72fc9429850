"""Invented banks and their accounts, in the flat fields of the feed."""

import csv
import io
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

from stdnum import bic, luhn

from generator.people import People, Person

NO_LIMIT: Literal["none"] = "none"
Limit = int | Literal["none"]
"""Minor units of the account's currency; 0 allows nothing; `none`: the bank states no limit."""
LIMIT_PAIRS: tuple[tuple[Limit, Limit], ...] = (
    (NO_LIMIT, NO_LIMIT),
    (500_000, 2_000_000),
    (1_000_000, 5_000_000),
    (2_000_000, NO_LIMIT),
    (5_000_000, 20_000_000),
)
STATUSES = ("active",) * 88 + ("frozen",) * 4 + ("dormant",) * 4 + ("lost",) * 2 + ("closed",) * 2


@dataclass(frozen=True)
class Bank:
    """An invented bank."""

    bic: str
    """ISO 9362. A location code that ends in 0 is, by SWIFT's convention, a test BIC: no real bank can be hit."""
    name: str
    name_zh: str
    card_prefix: str
    """First digits of its card numbers. ISO/IEC 7812 leaves 9 to national use, and 156 is China: no scheme's range."""
    account_prefix: str


BANKS = (
    Bank(bic.validate("YUNXCNB0"), "Yunxi Bank (invented)", "云溪银行（虚构）", "915601", "7301"),
    Bank(bic.validate("HAIYCNS0001"), "Haiyu Commercial Bank (invented)", "海屿商业银行（虚构）", "915602", "8602"),
)


@dataclass(frozen=True)
class Account:
    """One account in the flat fields of the feed, in the order of the file's header."""

    number: str
    number_type: str
    """`card` or `account`."""
    status: str
    debit_allowed: bool
    credit_allowed: bool
    currency: str
    """ISO 4217, alphabetic."""
    transaction_limit_minor: Limit
    daily_limit_minor: Limit
    holder_name: str
    id_document_scheme: str
    id_document_country: str
    id_document_number: str
    phone: str
    """Empty: not in the bank's book."""
    holder_kind: str = "person"
    """`person` or `organisation`."""
    account_class: int | Literal[""] = ""
    """1 to 3; empty: not stated."""
    monthly_limit_minor: Limit = NO_LIMIT
    yearly_limit_minor: Limit = NO_LIMIT
    daily_credit_limit_minor: Limit = NO_LIMIT
    yearly_credit_limit_minor: Limit = NO_LIMIT

    @property
    def id_document(self) -> tuple[str, str, str]:
        """Scheme, country and number: a change of any of them is another document."""
        return self.id_document_scheme, self.id_document_country, self.id_document_number


def permissions_under(status: str) -> tuple[bool, bool]:
    """Whether these banks allow (debits, credits) on an account with this status."""
    return {"frozen": (False, False), "lost": (False, True), "closed": (False, False)}.get(status, (True, True))


class Accounts:
    """Opens accounts; no two share a number, not even across banks."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._numbers: set[str] = set()

    def open(self, bank: Bank, holder: Person, status: str = "active") -> Account:
        """Open an account with ordinary terms."""
        number_type = "card" if self._rng.random() < 0.85 else "account"
        debit_allowed, credit_allowed = permissions_under(status)
        transaction_limit_minor, daily_limit_minor = self._rng.choice(LIMIT_PAIRS)
        return Account(
            number=self._number(bank, number_type),
            number_type=number_type,
            status=status,
            debit_allowed=debit_allowed,
            credit_allowed=credit_allowed,
            currency=self._rng.choice(("CNY",) * 90 + ("USD",) * 6 + ("HKD",) * 4),
            transaction_limit_minor=transaction_limit_minor,
            daily_limit_minor=daily_limit_minor,
            holder_name=holder.name,
            id_document_scheme=holder.id_document_scheme,
            id_document_country=holder.id_document_country,
            id_document_number=holder.id_document_number,
            phone=holder.phone,
        )

    def _number(self, bank: Bank, number_type: str) -> str:
        while True:
            number = self._card_number(bank) if number_type == "card" else self._account_number(bank)
            if number not in self._numbers:
                self._numbers.add(number)
                return number

    def _digits(self, count: int) -> str:
        return "".join(self._rng.choice("0123456789") for _ in range(count))

    def _card_number(self, bank: Bank) -> str:
        length = self._rng.choice((16, 19, 19))
        body = bank.card_prefix + self._digits(length - len(bank.card_prefix) - 1)
        return luhn.validate(body + luhn.calc_check_digit(body))

    def _account_number(self, bank: Bank) -> str:
        while True:
            number = bank.account_prefix + self._digits(self._rng.randrange(12, 18) - len(bank.account_prefix))
            # One in ten would pass for a card.
            if not luhn.is_valid(number):
                return number


def fill(
    bank: Bank, bound: Sequence[Account], count: int, *, people: People, accounts: Accounts, rng: random.Random
) -> list[Account]:
    """All `count` accounts of a bank, in the order of its file: the bound ones among many unbound ones."""
    filled = list(bound)
    unbound_holders: list[Person] = []
    while len(filled) < count:
        # One in twenty already has an account here; a second one is opened in the same name.
        second = unbound_holders and rng.random() < 0.05
        holder = rng.choice(unbound_holders) if second else people.any_person()
        unbound_holders.append(holder)
        account = accounts.open(bank, holder, rng.choice(STATUSES))
        if account.status == "active" and rng.random() < 0.05:
            receives_only = rng.random() < 0.5
            account = replace(account, debit_allowed=not receives_only, credit_allowed=receives_only)
        filled.append(account)
    rng.shuffle(filled)
    return filled


def as_csv(accounts: Sequence[Account]) -> str:
    """The file of one bank: a header, then one account per line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Account)], lineterminator="\n")
    writer.writeheader()
    for account in accounts:
        row = asdict(account)
        writer.writerow({name: str(value).lower() if isinstance(value, bool) else value for name, value in row.items()})
    return text.getvalue()
