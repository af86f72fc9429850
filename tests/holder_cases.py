"""Holders and numbers as in real books, for tests of both sides: the bank's feed and the claim."""

from dataclasses import dataclass
from typing import Any

#: The fields of a feed entry or a claim.
Fields = dict[str, Any]


def document(scheme: str, country: str | None, number: str) -> Fields:
    """The fields of a document; without a country for worldwide numbers."""
    country_field = {} if country is None else {"id_document_country": country}
    return {"id_document_scheme": scheme, "id_document_number": number, **country_field}


#: Documents that both sides accept as written: (name, fields, the hint on the claim before the bank is asked).
DOCUMENTS: list[tuple[str, Fields, str | None]] = [
    ("abolished-county", document("NIDN", "CN", "422201198003050024"), None),
    ("county-of-another-province", document("NIDN", "CN", "512301197505060030"), None),
    ("permit-of-hong-kong", document("NIDN", "CN", "810000199408230021"), None),
    ("foreign-permanent-resident", document("NIDN", "CN", "911124198108030024"), None),
    ("wrong-check-digit-in-the-book", document("NIDN", "CN", "110105194912310021"), "check_digit"),
    ("credit-code", document("COID", "CN", "91330106MA27XL8T47"), None),
    ("credit-code-mistyped-in-the-book", document("COID", "CN", "91330106MA27XL8T4X"), "check_digit"),
    ("hong-kong-card", document("NIDN", "HK", "A123456(3)"), None),
    ("german-licence", document("DRLC", "DE", "B072RRE2I55"), None),
    ("us-social-security", document("SOSE", "US", "078-05-1120"), None),
    ("alien-registration", document("ARNU", "JP", "AB12345678CD"), None),
    ("brazilian-tax-number", document("TXID", "BR", "390.533.447-05"), None),
    ("korean-number-of-after-2020", document("NIDN", "KR", "021013-3123456"), None),
    ("indonesian-number-of-a-new-province", document("NIDN", "ID", "9604011505850001"), None),
    ("south-african-number", document("NIDN", "ZA", "7503305044188"), None),
    ("country-of-no-list", document("NIDN", "XK", "1234567890"), None),
    ("lei", document("LEI", None, "5493001KJTIIGC8Y1R12"), None),
    ("duns", document("DUNS", None, "150483782"), None),
    ("passport-in-other-letters", document("CCPT", "RU", "65 № 1234567"), None),
]

#: Two ways to write one document: one in the book, the other in the claim.
ONE_DOCUMENT: list[tuple[str, Fields, Fields]] = [
    ("fifteen-digits", document("NIDN", "CN", "110105491231002"), document("NIDN", "CN", "11010519491231002X")),
    ("brackets", document("NIDN", "HK", "A123456(3)"), document("NIDN", "HK", "a1234563")),
    (
        "invisible",
        document("COID", "CN", "91330106MA27XL8T47"),
        document("COID", "CN", "9133\u20110106\u200bMA27XL8T47 "),
    ),
    ("greek-letters", document("NIDN", "GR", "ΑΚ 123456"), document("NIDN", "GR", "AK123456")),
    ("cyrillic-letters", document("CCPT", "BY", "МР1234567"), document("CCPT", "BY", "mp1234567")),
    ("number-sign", document("CCPT", "RU", "65 № 1234567"), document("CCPT", "RU", "65 1234567")),
    ("lost-zero", document("NIDN", "IL", "39221234"), document("NIDN", "IL", "03922123-4")),
    ("lost-zeros", document("NIDN", "VN", "1085012345"), document("NIDN", "VN", "001085012345")),
    ("swedish-century", document("NIDN", "SE", "19811228-9874"), document("NIDN", "SE", "811228-9874")),
    ("small-letters", document("CCPT", "DE", "C01X00T47"), document("ccpt", "de", "c01x00t47")),
]

#: A name in the book and in a claim, and the result: match, close or no_match.
NAMES: list[tuple[str, str, str]] = [
    ("买买提·吐尔逊", "买买提●吐尔逊", "match"),
    ("买买提·吐尔逊", "买买提-吐尔逊", "match"),
    ("买买提·吐尔逊", "买买提*吐尔逊", "match"),
    ("买买提·吐尔逊", "买买提吐尔逊", "match"),
    ("买买提·吐尔逊", "买买提\ua78f吐尔逊", "match"),
    ("张三", "张三\u200b", "match"),
    ("张三", "\u202a张三\u202c", "match"),
    ("赵䶮", "赵\ue863", "match"),
    ("黄晓", "\u2ee9晓", "match"),
    ("Sean O'Brien", "Sean O\u2019Brien", "match"),
    ("Sean O'Brien", "Sean O´Brien", "match"),
    ("Sean O'Brien", "Sean O\u02bcBrien", "match"),
    ("Jean-Luc Moreau", "Jean Luc Moreau", "match"),
    ("Jean-Luc Moreau", "Jean\u2011Luc Moreau", "match"),
    ("Zhang Wei", "ZHANG, WEI", "match"),
    ("İBRAHİM YILDIZ", "İbrahim Yıldız", "match"),
    ("ナカ゛タ", "ナガタ", "match"),
    ("ﾅｶﾞﾀ", "ナガタ", "match"),
    ("ハ゜ク", "パク", "match"),
    ("น้ำฝน", "น\u0e4d\u0e49าฝน", "match"),
    ("แก้ว", "เเก้ว", "match"),
    ("ນ້ຳ", "ນ\u0ecd\u0ec9າ", "match"),
    ("മോഹൻ", "മോഹന\u0d4d\u200d", "match"),
    ("শরৎ", "শরত\u09cd\u200d", "match"),
    ("ஸ்ரீதர்", "ஶ்ரீதர்", "match"),
    ("Zhang Wei", "Wei Zhang", "close"),
    ("García López, José", "José García López", "close"),
    ("Juan Carlos García López", "GARCIA LOPEZ, JUAN CARLOS", "close"),
    ("Jan Peter van der Berg", "van der Berg, Jan Peter", "close"),
    ("Smith-Jones, Anna-Maria", "Anna-Maria Smith-Jones", "close"),
    ("Nguyễn Thị Minh Khai", "Minh Khai Nguyen Thi", "close"),
    ("محمد بن سلمان", "مُحَمَّد بن سلمان", "close"),
    ("José García", "Jose Garcia", "close"),
    ("Søren Kjærgård", "Soren Kjaergard", "close"),
    ("Jürgen Müller", "Juergen Mueller", "close"),
    ("MUELLER, JUERGEN", "Jürgen Müller", "close"),
    ("Bjørn Ødegård", "Bjoern Oedegaard", "close"),
    ("Đorđe Đokić", "Djordje Djokic", "close"),
    ("علی کریمی", "علي كريمي", "close"),
    ("مصطفى", "مصطفي", "close"),
    ("فاطمة", "فاطمه", "close"),
    ("ｵｵﾀﾆ ｼﾖｳﾍｲ", "オオタニ ショウヘイ", "close"),
    ("ﾕ-ｺ ﾀﾛ-", "ユーコ タロー", "close"),
    ("ヤマダ タロウ", "やまだ たろう", "close"),
    ("高橋", "髙橋", "close"),
    ("吉田", "𠮷田", "close"),
    ("山崎", "山﨑", "close"),
    ("渡辺", "渡邊", "close"),
    ("渡辺", "渡邉", "close"),
    ("渡边", "渡辺", "close"),
    ("斎藤", "齋藤", "close"),
    ("広沢", "廣澤", "close"),
    ("浜田", "濱田", "close"),
    ("籠原", "笼原", "close"),
    ("佐々木", "佐佐木", "close"),
    ("佐佐木", "佐々木", "close"),
    ("株式会社トヨタ", "㈱トヨタ", "close"),
    ("Іван Петренко", "Iван Петренко", "close"),
    ("Қайрат Нұрлан", "Кайрат Нурлан", "close"),
    ("Ґалаґан", "Галаган", "close"),
    ("Юлія Коваленко", "Юлия Коваленко", "close"),
    ("Ғани Әбішев", "Гани Абишев", "close"),
    ("फ़िरोज़ ख़ान", "फिरोज खान", "close"),
    ("李英姬", "李英姫", "close"),
    ("Núria Gascó Pla", "Nuria Gascó i Pla", "close"),
    ("Elnur Əliyev", "Elnur Aliyev", "close"),
    ("ሠራዊት", "ሰራዊት", "close"),
    ("ኃይሉ", "ሀይሉ", "close"),
    ("Գևորգ", "ԳԵՎՈՐԳ", "close"),
    ("Johnson & Johnson", "Johnson and Johnson", "close"),
    ("Johnson and Johnson", "Johnson & Johnson", "close"),
    ("José Ortega Gasset", "José Ortega y Gasset", "close"),
    ("陈小华", "陳小華", "close"),
    ("卫诗雅", "衞詩雅", "close"),
    ("衛詩雅", "衞詩雅", "close"),
    ("Christopher Nguyen", "Christoper Nguyen", "close"),
    ("Christopher Nguyen", "Chrsitopher Nguyen", "close"),
    ("张伟", "王伟", "no_match"),
    ("محمد علي", "محمود علي", "no_match"),
    ("กิตติ", "กัตติ", "no_match"),
    ("བསོད་ནམས", "བསད་ནམས", "no_match"),
    ("कुमार", "कमार", "no_match"),
    ("たかだ", "たかた", "no_match"),
    ("ナカ゛タ", "ナカタ", "no_match"),
    ("ナカ゛タ", "タナカ", "no_match"),
    ("あ゛", "あ", "no_match"),
    ("沈芸", "沈艺", "no_match"),
    ("李予", "李豫", "no_match"),
    ("มานี", "น้ำนี", "no_match"),
    ("മോഹൻ", "മോഹൽ", "no_match"),
    ("ሀና", "ሄና", "no_match"),
    ("Тамара Кротова", "Тамара Коротова", "no_match"),
    ("Thoan", "Y Thoan", "no_match"),
    ("王⿰马马", "王马马", "no_match"),
    ("王⿰马马", "王⿱马马", "no_match"),
    ("张伟", "章伟", "no_match"),
    ("张伟", "张伟伟", "no_match"),
    ("Li Na", "Li Ma", "no_match"),
    ("Zhang Wei", "张伟", "no_match"),
    ("Shop 12 Limited", "Shop 13 Limited", "no_match"),
    ("Alpha Fund II LP", "Alpha Fund III LP", "no_match"),
    ("Alpha Fund III LP", "Alpha Fund II LP", "no_match"),
    ("Alpha Fund IV LP", "Alpha Fund V LP", "no_match"),
    ("Robert Brown III", "Robert Brown II", "no_match"),
    ("王\ue000", "王", "no_match"),
    ("Christopher Nguyen", "Kristoffer Nguyen", "no_match"),
]

#: One phone as written in the book and in the claim, and the hint on the claim before the bank is asked.
PHONES: list[tuple[str, str, str | None]] = [
    ("17412345678", "+86 174 1234 5678", "unknown_range"),
    ("0571-88888888", "+8657188888888", None),
    ("0571-88888888转123", "0571 8888 8888", None),
    ("+52 1 55 1234 5678", "+52 55 1234 5678", None),
    ("+225 07123456", "+225 07 07 12 34 56", None),
    ("+225 20212223", "+225 27 20 21 22 23", None),
    ("+229 97123456", "+229 01 97 12 34 56", None),
    ("+55 11 8765-4321", "+55 11 98765-4321", None),
    ("+84 168 123 4567", "+84 38 123 4567", None),
    ("+54 9 11 2345-6789", "+54 11 15-2345-6789", None),
    ("+54 9 341 512 3456", "+54 341 512 3456", None),
    ("+57 1 2345678", "+57 601 2345678", None),
    ("+56 2 2345678", "+56 2 22345678", None),
    ("+593 9 123 4567", "+593 99 123 4567", None),
    ("+237 71 23 45 67", "+237 6 71 23 45 67", None),
    ("+48 (0)600 123 456", "+48 600 123 456", None),
    ("+351 0912 345 678", "+351 912 345 678", None),
    ("+39 669812345", "+39 06 69812345", None),
    ("138 0013 8000（备用 139 0013 9000）", "13800138000", None),
    ("13800138000 或 13900139000", "13800138000", None),
    ("13800138000/13900139000", "13800138000", None),
    ("\u202a+86 138 0013 8000\u202c", "0086 138 0013 8000", None),
]

#: Numbers in the book and in a claim, with their type and hint.
NUMBERS: list[tuple[str, str, str, str | None]] = [
    ("6222020200112345678", "6222 0202 0011 2345 678", "card", "check_digit"),
    ("9156026831789191", "9156\u20110268\u20113178\u20119191", "card", None),
    ("11050137001000000123", "11050137001000000123", "account", None),
    ("NL91ABNA0417164300", "nl91 abna 0417 1643 00", "account", None),
    ("DE89370400440532013000", "IBAN: DE89 3704 0044 0532 0130 00", "account", None),
]


@dataclass(frozen=True, slots=True)
class Holder:
    """A holder in a book, and in a matching claim."""

    what: str
    book: Fields
    claim: Fields


def _holders() -> list[Holder]:
    named: Fields = {"holder_name": "欧阳文静", "phone": "+8613800138000"} | document(
        "NIDN", "CN", "11010519491231002X"
    )
    found = [Holder(what, named | stated, named | stated) for what, stated, _ in DOCUMENTS]
    found += [Holder(f"one-document-{what}", named | book, named | claim) for what, book, claim in ONE_DOCUMENT]
    found += [
        Holder(f"name-{index}", named | {"holder_name": book}, named | {"holder_name": claim})
        for index, (book, claim, match) in enumerate(NAMES)
        if match == "match"
    ]
    found += [
        Holder(f"phone-{index}", named | {"phone": book}, named | {"phone": claim})
        for index, (book, claim, _) in enumerate(PHONES)
    ]
    found += [
        Holder(f"number-{index}", named | {"number": book, "number_type": kind}, named | {"number": claim})
        for index, (book, claim, kind, _) in enumerate(NUMBERS)
    ]
    company: Fields = {"holder_name": "杭州示例科技有限公司", "holder_kind": "organisation"}
    code = document("COID", "CN", "91330106MA27XL8T47")
    found += [
        Holder("no-phone-in-the-book", company | code, company | code),
        Holder("no-phone-in-the-book-one-claimed", company | code, company | code | {"phone": "0571-88888888"}),
        Holder("no-document-in-the-book", company | {"phone": "0571-88888888"}, company | {"phone": "0571-88888888"}),
        Holder("padded-columns", {name: f"{value}   " for name, value in named.items()}, named),
        Holder("marks-for-nothing", named | {"phone": "-"}, named),
    ]
    return found


HOLDERS = _holders()
