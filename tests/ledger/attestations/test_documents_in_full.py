"""Documents with and without what their country lets people leave out, or write beside them."""

import pytest

from standing.ledger.attestations.documents import IdDocument, canonical_id_document
from standing.ledger.attestations.hints import document_hint


def _canonical(scheme: str, country: str, number: str) -> str:
    return canonical_id_document(IdDocument(scheme, country, number))


@pytest.mark.parametrize(
    ("scheme", "country", "book", "claim"),
    [
        # Tax numbers with the country's letters, and with the word for VAT.
        ("TXID", "DE", "DE 136,695 976", "136695976"),
        ("TXID", "AT", "ATU13585627", "U13585627"),
        ("TXID", "FR", "FR 40 303 265 045", "40303265045"),
        ("TXID", "ES", "ESB58378431", "B-58378431"),
        ("TXID", "GR", "EL 094259216", "94259216"),
        ("COID", "BE", "BE 0403.019.261", "403019261"),
        ("COID", "CH", "CHE-109.322.551 MWST", "109.322.551"),
        ("COID", "NO", "NO 995 525 828 MVA", "995525828"),
        # Zeros that a column of numbers left out.
        ("TXID", "IT", "IT00743110157", "743110157"),
        ("NIDN", "NL", "012345678", "12345678"),
        ("NIDN", "EC", "0912345678", "912345678"),
        ("NIDN", "GE", "01008012345", "1008012345"),
        ("NIDN", "PE", "00123456", "123456"),
        ("NIDN", "AR", "07.345.678", "7.345.678"),
        ("NIDN", "UY", "0.876.543-2", "8765432"),
        ("NIDN", "CL", "07.345.678-5", "7.345.678-5"),
        ("TXID", "CL", "07.345.678-K", "7345678-k"),
        ("SOSE", "RU", "001-234-567 89", "123456789"),
        ("TXID", "VN", "0100109106", "100109106"),
        ("TXID", "TH", "0105551234567", "105551234567"),
        ("TXID", "ID", "01.234.567.8-901.000", "0012345678901000"),
        ("TXID", "ID", "01.234.567.8-901.000", "12345678901000"),
        ("COID", "GB", "00445790", "445790"),
        ("COID", "CZ", "00123456", "123456"),
        ("COID", "TW", "03707901", "3707901"),
        ("COID", "FI", "0112038-9", "112038-9"),
        ("SREN", "FR", "005 520 135", "5520135"),
        # Letters and digits that the others determine.
        ("NIDN", "ES", "12345678Z", "12.345.678"),
        ("NIDN", "ES", "01234567L", "1234567-L"),
        ("NIDN", "ES", "X1234567L", "X-1234567"),
        ("NIDN", "ES", "X1234567L", "X-01234567-L"),
        ("NIDN", "HK", "A123456(3)", "A123456"),
        ("NIDN", "HK", "AB987654(3)", "AB987654"),
        # Sri Lanka, before and since 2016.
        ("NIDN", "LK", "853400937V", "198534000937"),
        ("NIDN", "LK", "85 340 0937 x", "1985 340 00937"),
        # How often a permit was issued.
        ("CCPT", "HK", "H1234567801", "H12345678"),
        ("CCPT", "CN", "M12345678 02", "m12345678"),
        ("CCPT", "TW", "1234567801(B)", "12345678"),
        ("ARNU", "CN", "1234567801(B)", "12345678"),
        # People over 100.
        ("NIDN", "SE", "18811218-9876", "811218+9876"),
        ("NIDN", "SE", "191412121234", "141212+1234"),
        ("NIDN", "SE", "20141212-1234", "141212-1234"),
        ("NIDN", "FI", "131052+308T", "131052＋308t"),
    ],
)
def test_what_may_be_left_out_makes_no_other_document(scheme: str, country: str, book: str, claim: str) -> None:
    assert _canonical(scheme, country, book) == _canonical(scheme, country, claim)


@pytest.mark.parametrize(
    "number", ["H12345678", "12345678", "911124198108030024", "810000199408230021", "CHN310078010123"]
)
def test_under_whichever_scheme_china_s_documents_of_visitors_are_stated_they_are_one(number: str) -> None:
    assert len({_canonical(scheme, "CN", number) for scheme in ("ARNU", "CCPT", "NIDN")}) == 1


@pytest.mark.parametrize(
    ("scheme", "number"),
    [("COID", "91330106MA27XL8T47"), ("COID", "12100000400000456C"), ("NIDN", "310101197606149886")],
)
def test_a_tax_number_of_china_is_the_credit_code_or_the_resident_number_that_it_repeats(
    scheme: str, number: str
) -> None:
    assert _canonical("TXID", "CN", number) == _canonical(scheme, "CN", number)


def test_other_tax_numbers_keep_their_scheme() -> None:
    assert _canonical("TXID", "CN", "330106000012345") == "txid:cn:330106000012345"  # 15 digits, until 2015
    assert _canonical("TXID", "TW", "310101197606149886") == "txid:tw:310101197606149886"


def test_other_documents_of_china_and_permits_of_elsewhere_keep_their_scheme() -> None:
    assert _canonical("CCPT", "CN", "E12345678") != _canonical("NIDN", "CN", "E12345678")
    assert _canonical("CCPT", "CN", "H12345678") != _canonical("CCPT", "HK", "H12345678")
    assert _canonical("DRLC", "CN", "310101197606149886") != _canonical("NIDN", "CN", "310101197606149886")


@pytest.mark.parametrize(
    ("scheme", "country", "one", "other"),
    [
        ("NIDN", "SE", "811218+9876", "811218-9876"),
        ("NIDN", "SE", "141212+1234", "20141212-1234"),
        ("NIDN", "FI", "131052+308T", "131052-308T"),
        ("TXID", "MX", "MXA850101AB1", "A850101AB1"),
        ("CCPT", "FR", "FR1234567", "1234567"),
        ("CCPT", "HK", "H1234567801", "H12345679"),
        ("CCPT", "CN", "G12345678", "12345678"),
        ("NIDN", "ES", "12345678Z", "12345679"),
        ("NIDN", "ES", "X1234567L", "X-11234567-L"),
        ("COID", "GB", "SC123456", "123456"),
        ("COID", "AU", "004028077", "49004028077"),
        ("NIDN", "HK", "A123456(3)", "A123456(4)"),
        ("NIDN", "LK", "853400937V", "853400947V"),
        ("NIDN", "LK", "853400937V", "198534000947"),
        ("NIDN", "LK", "853400937V", "200534000937"),
        ("NIDN", "CL", "7345678-K", "7345678-5"),
        ("NIDN", "PE", "1234567K", "01234567K"),
    ],
)
def test_documents_of_two_holders_stay_two(scheme: str, country: str, one: str, other: str) -> None:
    assert _canonical(scheme, country, one) != _canonical(scheme, country, other)


@pytest.mark.parametrize(
    ("scheme", "number"),
    [("NIDN", "USA310088100101"), ("COID", "MA27XL8T-4"), ("COID", "330106000012345")],
)
def test_older_numbers_in_china_do_not_look_mistyped(scheme: str, number: str) -> None:
    assert document_hint(IdDocument(scheme, "CN", number)) is None


def test_the_tax_number_of_a_brazilian_company_does_not_look_like_a_mistyped_one_of_a_person() -> None:
    assert document_hint(IdDocument("TXID", "BR", "11.222.333/0001-81")) is None
    assert document_hint(IdDocument("TXID", "BR", "390.533.447-0")) == "length"


def test_a_credit_code_without_its_last_character_looks_mistyped() -> None:
    assert document_hint(IdDocument("COID", "CN", "91330106MA27XL8T4")) == "length"
