"""Holders of every kind that a real book has, at both banks, and accounts with caps in both directions.

Unlike the drawn people they are fixed, so that each kind is in each book. Every number
is invented, valid in form only.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from stdnum import luhn
from stdnum.cn import ric, uscc

from generator.accounts import BANKS, NO_LIMIT, Account, Bank, Limit
from generator.casting import Cast, Part
from generator.stories import Story

Document = tuple[str, str, str]
"""Scheme, country, number."""

_TWO_ORDINARY = Story(("08:00-22:00 2 ordinary",))


@dataclass(frozen=True)
class Holder:
    """One account of a book, and the fields its user types differently. An empty field is not in the book."""

    kind: str
    name: str
    document: Document
    phone: str = ""
    story: Story = _TWO_ORDINARY
    typed: dict[str, object] = field(default_factory=dict)
    organisation: bool = False
    card: bool = False
    account_class: int | None = None
    limits: dict[str, Limit] = field(default_factory=dict)


def with_every_holder(everybody: Cast) -> tuple[Cast, list[dict[str, object]]]:
    """The cast with these accounts and their users added, and the users' rows. Their ids follow the others'."""
    parts = list(everybody.parts)
    accounts = {bic: list(rows) for bic, rows in everybody.accounts.items()}
    rows: list[dict[str, object]] = []
    first_id = len(parts) + 5  # after the four whose binding must fail
    for bank, holders in zip(BANKS, (tuple(_holders(0)), tuple(_holders(1))), strict=True):
        for holder in holders:
            account = _open(bank, holder, len(rows))
            part = Part(f"u-{first_id + len(rows):03d}", bank, account, holder.story)
            parts.append(part)
            accounts[bank.bic].append(account)
            rows.append(_row(part, holder))
    return Cast(tuple(parts), accounts), rows


def _open(bank: Bank, holder: Holder, index: int) -> Account:
    scheme, country, number = holder.document
    account = Account(
        number=_card_without_luhn(bank, index) if holder.card else _account_number(bank, index),
        number_type="card" if holder.card else "account",
        status="active",
        debit_allowed=True,
        credit_allowed=True,
        currency="CNY",
        transaction_limit_minor=NO_LIMIT,
        daily_limit_minor=NO_LIMIT,
        holder_name=holder.name,
        id_document_scheme=scheme,
        id_document_country=country,
        id_document_number=number,
        phone=holder.phone,
        holder_kind="organisation" if holder.organisation else "person",
        account_class=holder.account_class or "",
    )
    return replace(account, **holder.limits)  # type: ignore[arg-type]  # limits of the account's own fields


def _row(part: Part, holder: Holder) -> dict[str, object]:
    account = part.account
    typed = {
        "holder_name": account.holder_name,
        "id_document_scheme": account.id_document_scheme,
        "id_document_country": account.id_document_country,
        "id_document_number": account.id_document_number,
        "phone": account.phone,
        **holder.typed,
    }
    return {
        "user_id": part.user_id,
        "bank": part.bank.bic,
        "number": account.number,
        "number_type": account.number_type,
        **{name: value for name, value in typed.items() if value != ""},
        "kind": holder.kind,
    }


def _account_number(bank: Bank, index: int) -> str:
    return next(
        number
        for last in range(10)
        if not luhn.is_valid(
            number := f"{bank.account_prefix}5500{index:06d}{last}"
        )  # one in ten would pass for a card
    )


def _card_without_luhn(bank: Bank, index: int) -> str:
    body = f"{bank.card_prefix}88{index:010d}"
    return f"{body}{(int(luhn.calc_check_digit(body)) + 1) % 10}"


def _resident(region: str, born: str, order: str) -> str:
    body = f"{region}{born}{order}"
    return body + ric.calc_check_digit(body + "0")


def _credit_code(body: str) -> str:
    return body + uscc.calc_check_digit(body)


def _holders(at: int) -> Iterator[Holder]:
    """The holders of bank `at`, 0 or 1: the same kinds at both, no holder at two."""

    def chinese(number: str) -> Document:
        return "NIDN", "CN", number

    phone = f"+86138{at}550%04d"
    old = f"1101054912310{at}2"
    yield Holder(
        "resident number of an abolished county",
        ("宋清荷", "程思远")[at],
        chinese(_resident(("422201", "512301")[at], "19750506", "003")),
        phone % 1,
    )
    yield Holder(
        "resident number of 15 digits",
        ("胡建国", "潘桂芳")[at],
        chinese(old),
        phone % 2,
        typed={"id_document_number": _resident(old[:6], "19" + old[6:12], old[12:])},
    )
    for index, (region, place) in enumerate((("810000", "Hong Kong"), ("820000", "Macau"), ("830000", "Taiwan"))):
        yield Holder(
            f"residence permit, {place}",
            ("何嘉敏", "梁伟明", "林志豪", "黄诗雅", "蔡若云", "许家宁")[2 * index + at],
            chinese(_resident(region, "19940823", f"00{at + 1}")),
            phone % (3 + index),
        )
    yield Holder(
        "foreign permanent resident",
        ("Clara Whitfield", "Diego Pereira")[at],
        chinese(_resident(("911124", "931392")[at], "19810803", "002")),
        phone % 6,
    )
    yield Holder(
        "identity card of Hong Kong",
        ("陳大文", "李小玲")[at],
        ("NIDN", "HK", ("A123456(3)", "C668668(E)")[at]),
        "+8529123456" + str(at),
        typed={"id_document_number": ("a1234563", "C668668 E")[at]},
    )
    yield Holder(
        "passport in other letters", ("Анна Новак", "Пётр Орлов")[at], ("CCPT", "RU", f"65 № 123456{at}"), phone % 7
    )
    yield Holder(
        "national number of a foreign state",
        ("Kim Minjun", "Amara Okafor")[at],
        (("NIDN", "KR", "021013-3123456"), ("NIDN", "NG", "12345678901"))[at],
        phone % 8,
    )
    yield Holder(
        "ethnic name with another dot",
        ("买买提·吐尔逊", "阿依古丽•买买提")[at],
        chinese(_resident("653201", "19900315", f"00{at + 1}")),
        phone % 9,
        typed={"holder_name": ("买买提●吐尔逊", "阿依古丽-买买提")[at]},
    )
    yield Holder(
        "character of GBK's private use area",
        ("赵\ue863", "王\ue863")[at],
        chinese(_resident("310101", "19880420", f"01{at}")),
        phone % 10,
        typed={"holder_name": ("赵䶮", "王䶮")[at]},
    )
    yield Holder(
        "card without a Luhn digit",
        ("周若楠", "吴晓东")[at],
        chinese(_resident("330106", "19930711", f"02{at}")),
        phone % 11,
        typed={"as_written": True},
        card=True,
    )
    yield Holder(
        "phone of a newer range",
        ("徐一凡", "孙雨桐")[at],
        chinese(_resident("440103", "20010909", f"03{at}")),
        f"+8617412345{at}78",
        typed={"as_written": True},
    )
    yield from _merchants(at)
    yield from _capped(at, phone)


def _merchants(at: int) -> Iterator[Holder]:
    """Business accounts. The book holds the switchboard; the clerk who binds does not name it: a deposit settles it."""
    minute = f"{12 + 7 * at:02d}"
    yield Holder(
        "business account, by micro-deposit",
        ("杭州示例云栖科技有限公司", "厦门示例海屿商贸有限公司")[at],
        ("COID", "CN", _credit_code(("91330106MA27XL8T4", "91350203MA9YK3P2X")[at])),
        ("0571-88886666", "0592-88886666")[at],
        Story(
            (
                f"09:{minute}:13 withdrawal 1250000",
                f"12:{minute}:13 withdrawal 840050",
                f"17:{minute}:13 credit_forbidden",
                f"17:{minute}:43 withdrawal 660000 -> credit_not_allowed",
                f"18:{minute}:13 credit_allowed",
                f"18:{minute}:43 withdrawal 660000",
                f"20:{minute}:13 payment 35000",
            )
        ),
        typed={"phone": "", "by_deposit": True},
        organisation=True,
    )
    yield Holder(
        "business account without a phone in the book",
        ("北京示例书店", "Example Trading (Xiamen) Co., Ltd.")[at],
        ("COID", "CN", _credit_code(("92110105MA00AB1C2", "91350200MA2XN5R7K")[at])),
        "",
        Story((f"10:{minute}:17 withdrawal 98000", f"16:{minute}:17 withdrawal 215500")),
        typed={"holder_name": ("北京示例书店 ", "EXAMPLE TRADING XIAMEN CO LTD")[at]},
        organisation=True,
    )


def _capped(at: int, phone: str) -> Iterator[Holder]:
    """Class II and III: caps of a day and a year in both directions. A quick-payment agreement: caps of a month."""
    minute = f"{21 + 11 * at:02d}"
    yield Holder(
        "class II account",
        ("马文静", "郭子昂")[at],
        ("NIDN", "CN", _resident("210102", "19960612", f"04{at}")),
        phone % 12,
        Story(
            (
                f"08:{minute}:07 payment 250000",
                f"08:{minute}:17 payment 250000",
                f"08:{minute}:27 payment 250000",
                f"08:{minute}:37 payment rest+1 -> over_daily_limit",
                f"09:{minute}:07 withdrawal 700000",
                f"09:{minute}:37 withdrawal rest+1 -> over_daily_limit",
                f"10:{minute}:07 payment rest void",
                f"10:{minute}:37 payment rest",
                f"11:{minute}:07 payment 1 -> over_daily_limit",
                f"11:{minute}:37 withdrawal rest void",
                f"12:{minute}:37 withdrawal rest",
                f"13:{minute}:07 withdrawal 1 -> over_daily_limit",
                # Spent elsewhere: the bank's remaining year is less than this platform has used.
                f"17:{minute}:07 limit_lowered daily=none daily_credit=none yearly=1500000 yearly_credit=1200000",
                f"17:{minute}:27 payment 250000",
                f"17:{minute}:37 payment rest_of_year+1 -> over_yearly_limit",
                f"18:{minute}:07 withdrawal rest_of_year+1 -> over_yearly_limit",
                f"18:{minute}:37 payment rest_of_year",
                f"19:{minute}:07 withdrawal rest_of_year",
                f"20:{minute}:07 payment 1 -> over_yearly_limit",
                f"20:{minute}:37 withdrawal 1 -> over_yearly_limit",
            )
        ),
        account_class=2,
        limits=_caps(1_000_000, 20_000_000),
    )
    yield Holder(
        "class III account",
        ("丁一鸣", "许静怡")[at],
        ("NIDN", "CN", _resident("370102", "19990118", f"05{at}")),
        phone % 13,
        Story(
            (
                f"08:{minute}:11 withdrawal 200000",
                f"08:{minute}:41 withdrawal 1 -> over_daily_limit",
                f"09:{minute}:11 payment 200001 -> over_daily_limit",
                f"09:{minute}:41 payment 200000",
                f"12:{minute}:11 limit_lowered yearly=200000 yearly_credit=200000 daily=none daily_credit=none",
                f"12:{minute}:41 payment 1 -> over_yearly_limit",
                f"13:{minute}:11 withdrawal 1 -> over_yearly_limit",
                f"16:{minute}:11 limit_raised yearly=200001 yearly_credit=200001",
                f"16:{minute}:41 payment 1",
                f"17:{minute}:11 withdrawal 1",
            )
        ),
        account_class=3,
        limits=_caps(200_000, 5_000_000),
    )
    yield Holder(
        "quick payment with a month's cap",
        ("沈丹宁", "曾凯文")[at],
        ("NIDN", "CN", _resident("510104", "19920225", f"06{at}")),
        phone % 14,
        Story(
            (
                f"08:{minute}:23 payment 200000",
                f"09:{minute}:23 payment rest_of_month+1 -> over_monthly_limit",
                f"10:{minute}:23 payment rest_of_month",
                f"11:{minute}:23 payment 1 -> over_monthly_limit",
                f"12:{minute}:23 withdrawal 900000",
            )
        ),
        limits={"monthly_limit_minor": 400_000},
    )


def _caps(day: int, year: int) -> dict[str, Limit]:
    return {
        "daily_limit_minor": day,
        "daily_credit_limit_minor": day,
        "yearly_limit_minor": year,
        "yearly_credit_limit_minor": year,
    }
