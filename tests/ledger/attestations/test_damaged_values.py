"""Values that a spreadsheet, a mask or a conversion has damaged never become another value, or two become one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standing.ledger.attestations.documents import IdDocument, canonical_id_document
from standing.ledger.attestations.hints import document_hint
from standing.ledger.attestations.numbers import canonical_number
from standing.ledger.attestations.phones import canonical_phone, is_masked_phone
from standing.ledger.errors import InvalidValue


def _resident(number: str) -> str:
    return canonical_id_document(IdDocument("NIDN", "CN", number))


@pytest.mark.parametrize(
    "number",
    [
        "6222020200112345.0",
        "6222020200112345.00",
        "6222020200112345,0",
        "6222 0202 0011 2345.0",
        "'6222020200112345.0",
        '="6222020200112345.0"',
        "6,222,020,200,112,345.00",
        "6.222.020.200.112.345,00",
        "６２２２０２０２００１１２３４５．０",
        "1234,56",
        "'6.22202E+15",
    ],
)
def test_an_account_number_that_a_spreadsheet_took_for_an_amount_is_refused(number: str) -> None:
    with pytest.raises(InvalidValue, match="by a spreadsheet") as caught:
        canonical_number(number, "account")
    assert number not in str(caught.value)


@pytest.mark.parametrize(
    "number",
    [
        "622202*****2345",
        "622202＊＊＊2345",
        "6222 02** **** 2345",
        "622202######2345",
        "6222#2345",
        "622202??????2345",
        "62220202001123?5",
        "622202XXXXXX2345",
        "XXXXXXXX2345",
        "xxxx-2345",
        "622202XXXX",
        "SBXXXXXX45",
        "622202xxxxxx2345",
        "6222 02xx xxxx 2345",
        "622202××××2345",
        "622202●●●●2345",
        "622202••••2345",
        "622202...2345",
        "622202…2345",
        "622202____2345",
        "622202------2345",
        "6222 02–––––– 2345",
        "62220202\ufffd0112345",
        "62220202□0112345",
        "****2345",
    ],
)
def test_a_masked_account_number_is_refused(number: str) -> None:
    with pytest.raises(InvalidValue, match="masked") as caught:
        canonical_number(number, "card")
    assert number not in str(caught.value)


@pytest.mark.parametrize("word", ["NULL", "(null)", "None", "#VALUE!", "TOTAL", "Account No", "undefined", "\\NULL"])
def test_a_word_in_place_of_an_account_number_is_no_number(word: str) -> None:
    with pytest.raises(InvalidValue, match="no digit in it"):
        canonical_number(word, "account")


@pytest.mark.parametrize("code", [0xD800, 0xDBFF, 0xDC80, 0xDCFF, 0xDFFF])
@pytest.mark.parametrize("number", ["62220202{}0112345", "62220202 0112345{}", "{}622202020112345", "6222-0202{}345"])
def test_an_account_number_with_a_bad_byte_is_not_the_number_without_it(number: str, code: int) -> None:
    with pytest.raises(InvalidValue, match="lost characters"):
        canonical_number(number.format(chr(code)), "card")


@pytest.mark.parametrize(
    ("number", "canonical"),
    [
        ("73-01083300015", "7301083300015"),
        ("1234.56.78903", "12345678903"),
        ("12.34.56.78", "12345678"),
        ("6,222,020,200,112,345", "6222020200112345"),
        ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("12XX34567", "12XX34567"),
        ("#6222020200112345", "6222020200112345"),
        ("6222_0202_0011_2345", "6222020200112345"),
        ("6222020200112345/01", "622202020011234501"),
    ],
)
def test_separators_in_account_numbers_are_no_masks(number: str, canonical: str) -> None:
    assert canonical_number(number, "account") == canonical


@pytest.mark.parametrize(
    "number",
    ["11010519491231002" + sign for sign in "Xx×✕✖╳*＊ХхΧχⅩ"] + ["110105 19491231 002 ×"],
)
def test_all_signs_for_the_last_character_of_a_resident_number_are_an_x(number: str) -> None:
    assert _resident(number) == "nidn:cn:11010519491231002x"
    assert document_hint(IdDocument("NIDN", "CN", number)) is None


def test_letters_that_look_like_an_x_are_one_in_any_document_and_signs_are_none() -> None:
    cyrillic, latin = (canonical_id_document(IdDocument("NIDN", "RU", f"11010519491231002{each}")) for each in "ХX")
    assert cyrillic == latin
    for sign in "×*":
        with pytest.raises(InvalidValue, match="masked"):
            _resident(f"1101051949123100{sign}")


def test_letters_that_look_different_stay_apart_in_documents() -> None:
    written = (
        "Г123456",
        "Γ123456",
        "T123456",
        "Б123456",
        "6123456",
        "З123456",
        "3123456",
        "Σ123456",
        "Е123456",
        "Ё123456",
    )
    assert len({canonical_id_document(IdDocument("CCPT", "BG", each)) for each in written}) == len(written)


@pytest.mark.parametrize(
    "number",
    [
        "110105********002X",
        "110105xxxxxxxx0021",
        "1101051949123100**",
        "11010519491231?021",
        "11010519491231\ufffd021",
        "XXXX XXXX 1234",
        "SXXXX567D",
        "110105--------002X",
        "xxx-xx-1234",
        "ABXXXXXX4F",
        "11010519XXXXXXXXXX",
    ],
)
def test_a_masked_document_is_refused(number: str) -> None:
    with pytest.raises(InvalidValue, match="id_document_number: masked") as caught:
        _resident(number)
    assert number not in str(caught.value)


@pytest.mark.parametrize("number", ["1.10105E+17", "1.10105e17", "1,10105E+17", "11E+16", " 1.10105E+17 "])
def test_a_document_or_phone_that_a_spreadsheet_has_rounded_is_refused(number: str) -> None:
    with pytest.raises(InvalidValue, match="id_document_number: rounded by a spreadsheet"):
        _resident(number)
    with pytest.raises(InvalidValue, match="phone: rounded by a spreadsheet"):
        canonical_phone(number)


def test_decimals_that_a_program_added_to_a_document_or_phone_are_ignored() -> None:
    assert _resident("110105194912310022.0") == _resident("110105194912310022")
    assert canonical_phone("13800138000.0") == canonical_phone("8613800138000.0") == "+8613800138000"
    # Below ten digits a point may be a separator.
    assert canonical_id_document(IdDocument("CCPT", "FR", "123456.0")) == "ccpt:fr:1234560"


@pytest.mark.parametrize("number", ["12E34567", "07XX12345", "XAXX010101000", "VECJ880326XXX", "2A.123"])
def test_letters_of_a_document_are_neither_a_mask_nor_an_exponent(number: str) -> None:
    assert canonical_id_document(IdDocument("CCPT", "FR", number)).endswith(number.replace(".", "").lower())


@pytest.mark.parametrize(
    "phone",
    [
        "08613800138000",
        "086-13800138000",
        "086 138 0013 8000",
        "+86 86 13800138000",
        "+86-086-13800138000",
        "0086 86 13800138000",
        "86 86 86 138 0013 8000",
        "8613800138000",
        "+86 (0)138 0013 8000",
    ],
)
def test_a_country_code_before_a_mobile_number_counts_once_however_it_is_written(phone: str) -> None:
    assert canonical_phone(phone) == "+8613800138000"


@pytest.mark.parametrize(
    "phone",
    [
        "0571-88888888-123",
        "0571-88888888 - 1",
        "(0571)88888888-8001",
        "057188888888-123456",
        "+86-571-88888888-123",
        "+86 (0571) 8888 8888-123",
        "0086-571-88888888–123",
        "0571-88888888转123",
        "0571-88888888 ext. 123",
        "0571-88888888x123",
        "0571-88888888#123",
    ],
)
def test_the_extension_of_a_landline_is_ignored_however_it_is_written(phone: str) -> None:
    assert canonical_phone(phone) == "+8657188888888"


@pytest.mark.parametrize(
    "phone",
    [
        "13800138000/13900139000",
        "13800138000、13900139000",
        "13800138000，13900139000",
        "13800138000 13900139000",
        "+8613800138000/+8613900139000",
        "0571-88888888/13800138000",
    ],
)
def test_of_several_numbers_in_one_field_the_first_mobile_number_is_the_phone(phone: str) -> None:
    assert canonical_phone(phone) == "+8613800138000"


@pytest.mark.parametrize(
    ("phone", "canonical"),
    [
        ("0571-8888-8888", "+8657188888888"),
        ("0571-8888888-8", "+8657188888888"),
        ("010-8888-8888", "+861088888888"),
        ("138-0013-8000", "+8613800138000"),
        ("86-138-0013-8000", "+8613800138000"),
        ("+1 650-253-0000", "+16502530000"),
    ],
)
def test_the_last_group_of_a_number_is_no_extension(phone: str, canonical: str) -> None:
    assert canonical_phone(phone) == canonical


@pytest.mark.parametrize(
    "phone",
    [
        "138****8000",
        "138 **** 8000",
        "138＊＊＊＊8000",
        "138xxxx8000",
        "138XXXX8000",
        "138####8000",
        "138××××8000",
        "138••••8000",
        "138●●●●8000",
        "138...8000",
        "138????8000",
        "1380013800x",
        "138001380x0",
        "*******8000",
        "0571-****8888",
        "138----8000",
        "138————8000",
    ],
)
def test_a_masked_phone_is_no_phone(phone: str) -> None:
    assert is_masked_phone(phone)
    with pytest.raises(InvalidValue, match="phone: masked"):
        canonical_phone(phone)


@pytest.mark.parametrize(
    ("phone", "canonical"),
    [
        ("+1 650 253 0000 x123", "+16502530000"),
        ("+1 650 253 0000 ext. 123", "+16502530000"),
        ("+1 650 253 0000 #123", "+16502530000"),
        ("174 1234 5678 x12", "+8617412345678"),
        ("#13800138000", "+8613800138000"),
    ],
)
def test_signs_before_an_extension_are_no_mask(phone: str, canonical: str) -> None:
    assert not is_masked_phone(phone)
    assert canonical_phone(phone) == canonical


@given(st.text(alphabet="0123456789", min_size=6, max_size=18), st.sampled_from("*xX#?●"), st.data())
def test_two_numbers_that_one_mask_hides_are_never_equal_to_anything(
    digits: str, sign: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(1, len(digits) - 5))
    masked = digits[:start] + sign * 4 + digits[start + 4 :]
    with pytest.raises(InvalidValue):
        canonical_number(masked, "card")
    with pytest.raises(InvalidValue):
        _resident(masked)
    with pytest.raises(InvalidValue):
        canonical_phone(masked)
