"""Invented people: a name, an identity document and a mobile phone, each valid in form."""

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import phonenumbers
from stdnum.cn import ric

PersonKind = Literal["han", "dotted", "foreign"]
KINDS_AT_A_BANK: tuple[PersonKind, ...] = ("han",) * 92 + ("dotted",) * 4 + ("foreign",) * 4

SURNAMES: tuple[str, ...] = (
    *"王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶余潘杜夏钟汪田任姜范方石姚谭廖邹熊",
    *("欧阳", "上官", "司徒", "诸葛", "慕容", "尉迟"),
)
GIVEN_CHARACTERS = (
    "安柏晨初丹恩芳歌浩嘉珂兰敏宁佩琪然姗涛婉晓雅泽芷博川冬帆国航建凯磊明楠平清荣思桐文祥宇哲昕悦静海云书亦若舒景怀松"
)
DOTTED_GIVEN = ("阿依古丽", "热依汗", "古丽娜尔", "玛依拉", "努尔兰", "艾力", "吐尔洪", "阿曼古丽", "帕提曼", "叶尔江")
DOTTED_FATHER = ("买买提", "艾合买提", "吐尔逊", "库尔班", "阿不都拉", "哈布丁", "依明", "沙比尔")
LATIN_GIVEN = (
    *("Anna", "Lukas", "Mariam", "Pedro", "Ingrid", "Haruka"),
    *("Minjun", "Olivia", "Rahul", "Camille", "Thuy", "Sofia"),
)
LATIN_FAMILY = (
    *("Brandt", "Okafor", "Tanaka", "Moreau", "Lindqvist"),
    *("Pereira", "Sharma", "Novak", "Whitfield", "Nguyen"),
)
PASSPORT_COUNTRIES = ("DE", "FR", "GB", "JP", "KR", "SG", "BR", "IN", "VN", "SE")

# python-stdnum knows when a region code was issued. These lists are valid for every birth year drawn below.
REGIONS_OF_ALL_YEARS = (
    *("110101", "110105", "110106", "110108", "120101"),
    *("120103", "310101", "310104", "310105", "310110"),
)
REGIONS_SINCE_1984 = (
    *("130102", "150102", "210102", "220102", "230102", "320102", "330102", "330106", "350102", "360102", "370102"),
    *("410105", "420106", "440103", "440104", "450102", "520102", "530102", "610102", "610103", "620102", "630102"),
)
REGIONS_OF_DOTTED_NAMES = ("650102", "650103", "652901", "653201")  # Ürümqi, Aksu and Hotan; issued since 1983

MOBILE_PREFIXES = ("130", "131", "133", "135", "136", "137", "138", "139", "150", "151", "153", "155", "158", "159")


@dataclass(frozen=True)
class Person:
    """One account holder, as a bank knows them."""

    name: str
    id_document_scheme: str
    """`NIDN` for a resident number, `CCPT` for a passport (ISO 20022)."""
    id_document_country: str
    """ISO 3166-1 alpha-2."""
    id_document_number: str
    phone: str
    """E.164."""


class People:
    """Draws people; no two share a document or a phone."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._drawn: set[str] = set()

    def person(self, kind: PersonKind) -> Person:
        """Draw a new person with data of their own."""
        if kind == "foreign":
            name = f"{self._rng.choice(LATIN_GIVEN)} {self._rng.choice(LATIN_FAMILY)}"
            country = self._rng.choice(PASSPORT_COUNTRIES)
            return Person(name, "CCPT", country, self.passport_number(), self.phone())
        return Person(self._chinese_name(kind), "NIDN", "CN", self.resident_number(kind), self.phone())

    def any_person(self) -> Person:
        """Draw a new person from the mix of a bank in China."""
        return self.person(self._rng.choice(KINDS_AT_A_BANK))

    def resident_number(self, kind: PersonKind = "han") -> str:
        """Draw an 18-character resident number (GB 11643) of somebody born from 1950 to 2004."""
        return self._fresh(self._resident_numbers(kind))

    def corrected_resident_number(self, wrong: str) -> str:
        """Draw the number that the bank should have had: same place and birth date, another order code."""
        return self._fresh(self._resident_numbers_from(wrong[:14]))

    def passport_number(self) -> str:
        """Draw 6 to 9 upper-case letters and digits."""
        return self._fresh(self._passport_numbers())

    def phone(self) -> str:
        """Draw a mobile number of mainland China, E.164."""
        return self._fresh(self._phones())

    def _fresh(self, candidates: Iterator[str]) -> str:
        value = next(value for value in candidates if value not in self._drawn)
        self._drawn.add(value)
        return value

    def _chinese_name(self, kind: PersonKind) -> str:
        if kind == "dotted":
            return f"{self._rng.choice(DOTTED_GIVEN)}·{self._rng.choice(DOTTED_FATHER)}"
        return self._rng.choice(SURNAMES) + "".join(self._rng.sample(GIVEN_CHARACTERS, self._rng.choice((1, 2, 2))))

    def _resident_numbers(self, kind: PersonKind) -> Iterator[str]:
        while True:
            earliest = dt.date(1984 if kind == "dotted" else 1950, 1, 1)
            born = earliest + dt.timedelta(self._rng.randrange((dt.date(2005, 1, 1) - earliest).days))
            regions = _regions(kind, born.year)
            yield next(self._resident_numbers_from(f"{self._rng.choice(regions)}{born:%Y%m%d}"))

    def _resident_numbers_from(self, region_and_birth_date: str) -> Iterator[str]:
        while True:
            body = f"{region_and_birth_date}{self._rng.randrange(1, 1000):03d}"
            yield ric.validate(body + ric.calc_check_digit(body + "0"))

    def _passport_numbers(self) -> Iterator[str]:
        while True:
            letters = "".join(self._rng.choice("CFGHJKLMNPRTVWXYZ") for _ in range(self._rng.choice((1, 2))))
            yield letters + "".join(self._rng.choice("0123456789") for _ in range(self._rng.choice((5, 6, 7))))

    def _phones(self) -> Iterator[str]:
        while True:
            phone = f"+86{self._rng.choice(MOBILE_PREFIXES)}{self._rng.randrange(10**8):08d}"
            if not phonenumbers.is_valid_number(phonenumbers.parse(phone)):
                raise ValueError(f"the prefix of {phone} is no longer one of mobile phones")
            yield phone


def _regions(kind: PersonKind, birth_year: int) -> tuple[str, ...]:
    if kind == "dotted":
        return REGIONS_OF_DOTTED_NAMES
    return REGIONS_OF_ALL_YEARS + (REGIONS_SINCE_1984 if birth_year >= 1984 else ())
