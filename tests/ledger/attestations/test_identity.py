"""Canonical forms: two spellings of one thing are equal, two different things are not."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from standing.ledger.attestations import names, phones
from standing.ledger.attestations.han import HAN_EQUIVALENTS
from standing.ledger.attestations.identity import (
    IdDocument,
    Identity,
    canonical_id_document,
    canonical_name,
    canonical_number,
    canonical_phone,
)
from standing.ledger.errors import InvalidValue


@pytest.mark.parametrize(
    "spellings",
    [
        ("阿依古丽·买买提", "阿依古丽•买买提", "阿依古丽・买买提", "阿依古丽 买买提", "阿依古丽.买买提"),
        ("JOHN SMITH", "John  Smith", "ｊｏｈｎ　ｓｍｉｔｈ", "John\tSmith"),
        ("Straße", "STRASSE"),
        ("José", "Jose\u0301"),
        (
            "买买提·吐尔逊",
            "买买提●吐尔逊",
            "买买提-吐尔逊",
            "买买提*吐尔逊",
            "买买提吐尔逊",
            "买买提∙吐尔逊",
            "买买提—吐尔逊",
        ),
        ("张三", "张三\u200b", "\ufeff张三", "张\u200d三", "张三\u0000\u0000", "张三\ufe00"),
        ("赵䶮", "赵\ue863"),
        ("黄晓", "\u2ee9晓"),
        ("Sean O'Brien", "Sean O\u2019Brien", "Sean O\u02bcBrien", "SEAN OBRIEN"),
        ("Jean-Luc Moreau", "Jean Luc Moreau", "Jean\u2011Luc Moreau"),
        ("Zhang Wei", "ZHANG, WEI"),
        ("محمد", "محـمد", "مـحـمـد"),
        ("买买提吐尔逊", "买买提\u318d吐尔逊"),
        ("李〇", "李○", "李◯"),
        ("欧阳？", "欧阳?", "欧阳 ?", "欧阳﹖"),
        ("Sean O'Brien", "Sean O?Brien?"),
        ("İBRAHİM YILDIZ", "İbrahim Yıldız", "IBRAHIM YILDIZ"),
    ],
)
def test_all_spellings_of_a_name_have_one_canonical_form(spellings: tuple[str, ...]) -> None:
    assert len({canonical_name(name) for name in spellings}) == 1


@pytest.mark.parametrize(("private", "target"), [("\ue863", 0x4DAE), ("\ue816", 0x20087), ("\ue864", 0x9FBB)])
def test_a_private_use_character_of_gbk_maps_to_its_unicode_character(private: str, target: int) -> None:
    assert canonical_name(private) == chr(target)


def test_no_canonical_character_of_the_tables_is_itself_a_variant() -> None:
    assert not set(HAN_EQUIVALENTS.values()) & set(HAN_EQUIVALENTS)
    assert len(HAN_EQUIVALENTS) > 80 + 90


@pytest.mark.parametrize(
    "number",
    [
        pytest.param("422201198003050024", id="an abolished county"),
        pytest.param("512301197505060030", id="a county that moved to another province"),
        pytest.param("132853197606141350", id="a prefecture that has become a city"),
        pytest.param("810000199408230021", id="a permit of a Hong Kong resident"),
        pytest.param("911124198108030024", id="a foreigner's permanent residence"),
    ],
)
def test_genuine_resident_numbers_are_accepted(number: str) -> None:
    assert canonical_id_document(IdDocument("NIDN", "CN", number)) == f"nidn:cn:{number}"


def test_a_phone_in_a_range_unknown_to_the_library_is_accepted() -> None:
    assert canonical_phone("174 1234 5678") == "+8617412345678"


def test_a_15_digit_resident_number_equals_its_18_digit_form() -> None:
    old, new = "110105491231002", "11010519491231002X"
    assert canonical_id_document(IdDocument("NIDN", "CN", old)) == canonical_id_document(IdDocument("NIDN", "CN", new))


def test_invisible_characters_and_dashes_in_pasted_numbers_are_ignored() -> None:
    typed = canonical_number("4111111111111111", "card")
    pasted = ("4111\u20111111–1111—1111", "\u200b4111 1111\u00a01111 1111\ufeff", "\u202d4111111111111111\u202c")
    assert {canonical_number(number, "card") for number in pasted} == {typed}


def test_different_names_stay_different() -> None:
    assert len({canonical_name(name) for name in ("张伟", "张炜", "章伟", "Zhang Wei")}) == 4


@pytest.mark.parametrize("base", ["赵", "欧阳娜", "買\ue000", "\U00020087"])
def test_a_lost_character_of_a_name_does_not_vanish(base: str) -> None:
    lost = ("", "\ufffd", "?", "??", "□", "〓", "〇", "\ufffd\ufffd")
    for written in ([base + each for each in lost], [each + base for each in lost]):
        assert len({canonical_name(name) for name in written}) == len(lost)
    assert canonical_name(f"Zhao \ufffd {base}") != canonical_name(f"Zhao {base}")
    # A rotated name keeps it, too.
    assert names.words_of(f"{base}? 伟\ufffd李□○") == [f"{base}?", "伟\ufffd李□〇"]


@pytest.mark.parametrize("name", ["\ufffd\ufffd", "□□", "〓", "?", "？？", "\ufffd?"])
def test_a_name_of_only_lost_characters_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match="no letters in it"):
        canonical_name(name)


def test_a_hangul_dot_separates_words_and_a_stretched_letter_does_not() -> None:
    assert names.words_of("买买提\u318d吐尔逊") == ["买买提", "吐尔逊"]
    assert names.words_of("محـمد علي") == ["محمد", "علي"]


def test_a_name_of_only_han_characters_is_already_canonical() -> None:
    """Everything that `folded` takes a short cut for, alone and combined, must match the full normalisation."""
    characters = "".join(map(chr, range(0x4E00, 0xA000)))
    assert names._HAN.fullmatch(characters)
    assert not any(names._HAN.fullmatch(chr(point)) for point in (0x4DFF, 0xA000, *HAN_EQUIVALENTS))
    assert names._folded_once(characters) == characters
    assert all(names._folded_once(each) == each for each in characters)


@given(st.text(min_size=1, max_size=140))
def test_canonicalising_a_name_twice_changes_nothing(name: str) -> None:
    try:
        canonical = canonical_name(name)
    except InvalidValue:
        return
    if len(canonical) <= 140:
        assert canonical_name(canonical) == canonical


@pytest.mark.parametrize(
    "name",
    ["i" + "\u0307" * 139, "\u0e4d" * 70 + "\u0e48" * 70, "\u0e4d\u0327" * 34 + "\u0e4b" + "\ufdfa" * 71],
    ids=["dots", "rings and tones", "letters that stand for many"],
)
def test_no_name_takes_a_step_of_canonicalising_for_each_of_its_characters(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a step for each, one name of 140 characters kept a gateway from every other request for a quarter of a
    second."""
    steps = []
    once = names._folded_once

    def counted(text: str) -> str:
        steps.append(text)
        return once(text)

    monkeypatch.setattr(names, "_folded_once", counted)
    canonical_name(name)
    assert len(steps) <= 4


@pytest.mark.parametrize("name", ["", "   ", "···", "\u200b", "x" * 141])
def test_text_that_is_not_a_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidValue, match="holder_name"):
        canonical_name(name)


@pytest.mark.parametrize(
    "number",
    ["11010519491231002X", "11010519491231002x", "110105 19491231 002X", "１１０１０５１９４９１２３１００２Ｘ"],
)
def test_all_spellings_of_a_resident_number_have_one_canonical_form(number: str) -> None:
    assert canonical_id_document(IdDocument("NIDN", "CN", number)) == "nidn:cn:11010519491231002x"


def test_the_same_number_in_two_countries_or_schemes_is_two_documents() -> None:
    documents = {
        canonical_id_document(IdDocument(scheme, country, "E12345678"))
        for scheme, country in (("CCPT", "DE"), ("CCPT", "FR"))
    }
    assert len(documents) == 2


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (IdDocument("NIDN", "", "11010519491231002X"), "id_document_country"),
        (IdDocument("NIDN", "CHN", "11010519491231002X"), "id_document_country"),
        (IdDocument("PASS", "DE", "E12345678"), "id_document_scheme"),
        (IdDocument("CCPT", "DE", "1" * 36), "id_document_number"),
        (IdDocument("CCPT", "DE", "-"), "id_document_number"),
    ],
)
def test_a_malformed_document_is_refused_without_showing_its_number(document: IdDocument, field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        canonical_id_document(document)
    assert caught.value.field == field
    assert document.number not in str(caught.value) or len(document.number) < 3


@pytest.mark.parametrize("phone", ["+8613800138000", "+86 138 0013 8000", "138 0013 8000", "１３８００１３８０００"])
def test_all_spellings_of_a_phone_have_one_canonical_form(phone: str) -> None:
    assert canonical_phone(phone) == "+8613800138000"


@pytest.mark.parametrize(
    ("phone", "spellings"),
    [
        ("+85291234567", ["852-91234567", "85291234567", "(852) 9123 4567", "00852 9123 4567", "+86 852 9123 4567"]),
        ("+85366123456", ["853-6612 3456", "85366123456"]),
        ("+886912345678", ["886-912-345678", "886912345678", "886-0912345678", "+886 (0)912 345 678"]),
        ("+886223456789", ["886-2-2345-6789", "886 (02) 2345 6789", "+886 2 2345 6789"]),
    ],
)
def test_a_phone_of_hong_kong_macau_or_taiwan_needs_no_plus(phone: str, spellings: list[str]) -> None:
    assert {canonical_phone(each) for each in spellings} == {phone}


@pytest.mark.parametrize("code", ["852", "853", "886"])
def test_no_chinese_number_is_taken_for_one_of_a_neighbour(code: str) -> None:
    """A number that phonenumbers knows as Chinese stays one, whatever it begins with."""
    for rest in range(0, 100_000_000, 99_991):
        for written in (f"0{code}{rest:07d}"[:11], f"{code}{rest:08d}"):
            parsed = phonenumbers.parse(written, "CN")
            if phonenumbers.is_valid_number(parsed):
                assert canonical_phone(written) == phonenumbers.format_number(
                    parsed, phonenumbers.PhoneNumberFormat.E164
                )


@pytest.mark.parametrize("between", ["\n", "\r\n", "\t"])
def test_of_two_phones_on_two_lines_of_a_field_the_first_mobile_number_counts(between: str) -> None:
    assert canonical_phone(f"010-88889999{between}13912345678") == "+8613912345678"
    assert canonical_phone(f"13912345678{between}13812345678") == "+8613912345678"


@pytest.mark.parametrize("phone", ["phone", "", "---", "1" * 65])
def test_text_that_is_not_a_phone_is_refused(phone: str) -> None:
    with pytest.raises(InvalidValue, match="phone"):
        canonical_phone(phone)


@pytest.mark.parametrize(
    ("number", "number_type", "right"),
    [
        ("6222 0200 0000 0000", "card", True),
        ("9156026831789191", "card", True),
        ("9156 0268 3178 9191", "card", True),
        ("9156026831789192", "card", True),
        ("6.22E+18", "account", False),
        ("6,22E+18", "card", False),
        ("622E+16", "account", False),
        ("73-01083300015", "account", True),
        ("DE89370400440532013000", "account", True),
        ("12", "account", False),
        ("1" * 65, "account", False),
    ],
)
def test_account_numbers_with_any_check_digit_are_accepted_but_not_ones_rounded_by_a_spreadsheet(
    number: str, number_type: str, right: bool
) -> None:
    if right:
        assert canonical_number(number, number_type).isalnum()
    else:
        with pytest.raises(InvalidValue, match="number"):
            canonical_number(number, number_type)


_SCHEMES_AND_COUNTRIES = [("NIDN", "CN"), ("CCPT", "DE"), ("COID", "CN"), ("LEI", "")]


@given(st.text(max_size=35), st.sampled_from(_SCHEMES_AND_COUNTRIES))
def test_canonicalising_a_document_twice_changes_nothing(number: str, of: tuple[str, str]) -> None:
    try:
        canonical = canonical_id_document(IdDocument(*of, number))
    except InvalidValue:
        return
    scheme, country, held = canonical.upper().split(":", 2)
    if len(held) <= 35:
        assert canonical_id_document(IdDocument(scheme, country, held)) == canonical


@given(st.one_of(st.text(max_size=64), st.from_regex(r"(\+|00)?[0-9 ()-]{3,20}", fullmatch=True)))
def test_canonicalising_a_phone_twice_changes_nothing(phone: str) -> None:
    try:
        canonical = canonical_phone(phone)
    except InvalidValue:
        return
    assert canonical_phone(canonical) == canonical


@given(st.text(max_size=64))
def test_canonicalising_an_account_number_twice_changes_nothing(number: str) -> None:
    try:
        canonical = canonical_number(number, "account")
    except InvalidValue:
        return
    assert canonical_number(canonical, "account") == canonical


@given(st.text(alphabet=st.characters(categories=["Lo"], min_codepoint=0x4E00, max_codepoint=0x9FFF), max_size=20))
def test_every_variant_in_the_tables_matches_its_character_inside_any_name(name: str) -> None:
    for written, target in HAN_EQUIVALENTS.items():
        assert canonical_name(name + chr(written)) == canonical_name(name + chr(target))


def test_a_banks_private_use_character_is_not_confused_with_a_later_unicode_character() -> None:
    assert len({canonical_name(name) for name in ("王", "王\ue000", "王\ue001", "王\U000323b0")}) == 4


def test_an_identity_never_shows_itself() -> None:
    identity = Identity("张伟", "nidn:cn:11010519491231002x", "+8613800138000")
    assert "张伟" not in f"{identity!r} {identity}"


@pytest.mark.parametrize("prefix", sorted(phones._VIETNAM_2018))
def test_an_old_plan_vietnamese_mobile_number_maps_to_the_current_plan(prefix: str) -> None:
    """phonenumbers knows the current plan: the old form is no longer a valid number, the new one is a mobile number."""
    for rest in ("1234567", "9876543", "5050505"):
        old = phonenumbers.parse(f"+84{prefix}{rest}")
        new = phonenumbers.parse(canonical_phone(f"+84 {prefix} {rest}"))
        assert not phonenumbers.is_valid_number(old)
        assert phonenumbers.number_type(new) == phonenumbers.PhoneNumberType.MOBILE
        assert str(new.national_number).endswith(rest)


@pytest.mark.parametrize("first", [f"{number:02d}" for number in range(100)])
def test_an_eight_digit_ivorian_number_maps_to_the_current_plan(first: str) -> None:
    """phonenumbers knows every mobile number of the new plan, and Orange's fixed numbers (27) that are in use."""
    for rest in range(0, 1_000_000, 10_007):
        old = f"{first}{rest:06d}"
        new = canonical_phone(f"+225 {old}")
        if first[0] in "23":
            orange = f"+22527{old}"
            assert not phonenumbers.is_valid_number(phonenumbers.parse(orange)) or new == orange
        else:
            assert phonenumbers.number_type(phonenumbers.parse(new)) == phonenumbers.PhoneNumberType.MOBILE
            assert new[4:6] in {"01", "05", "07"}
        assert new.endswith(old)


@pytest.mark.parametrize("before", ["", "+86"])
def test_chinese_mobile_numbers_canonicalise_as_the_phone_library_parses_them(before: str) -> None:
    """Each range of mobile numbers and its neighbours, parsed with and without a country code."""
    for range_of in range(1_000, 2_000):
        phone = f"{before}{range_of}3800138"
        parsed = phonenumbers.parse(phone, "CN")
        again = phonenumbers.parse(f"+{parsed.country_code}{phonenumbers.national_significant_number(parsed)}", "CN")
        expected = f"+{again.country_code}{phonenumbers.national_significant_number(again)}"
        assert canonical_phone(phone) == expected, phone


@pytest.mark.parametrize(
    ("scheme", "country", "written", "whole"),
    [
        ("NIDN", "IL", "39221234", "039221234"),
        ("NIDN", "IR", "12345678", "0012345678"),
        ("NIDN", "PL", "210412345", "00210412345"),
        ("NIDN", "VN", "1085012345", "001085012345"),
        ("SOSE", "US", "1-23-4567", "001234567"),
        ("NIDN", "SE", "19811228-9874", "8112289874"),
    ],
)
def test_leading_zeros_that_a_column_of_numbers_left_out_do_not_make_another_document(
    scheme: str, country: str, written: str, whole: str
) -> None:
    canonical = canonical_id_document(IdDocument(scheme, country, written))
    assert canonical == f"{scheme}:{country}:{whole}".casefold()
    assert canonical_id_document(IdDocument(scheme, country, whole)) == canonical


@pytest.mark.parametrize(
    ("scheme", "country", "number"),
    [("NIDN", "VN", "123456789"), ("CCPT", "IL", "39221234"), ("NIDN", "IL", "1234"), ("NIDN", "FR", "12345678")],
)
def test_a_number_that_may_be_whole_gets_no_zeros(scheme: str, country: str, number: str) -> None:
    assert canonical_id_document(IdDocument(scheme, country, number)) == f"{scheme}:{country}:{number}".casefold()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+54 9 11 2345-6789", "+54 9 11 2345-6780"),
        ("+54 9 11 2345-6789", "+54 11 9234-5678"),
        ("+57 1 2345678", "+57 604 2345678"),
        ("+56 2 2345678", "+56 32 2345678"),
        ("+39 347 1234567", "+39 0347 123456"),
        ("0571-88888888转123", "0571-88888889转123"),
    ],
)
def test_phones_of_two_holders_stay_two_in_the_plans_of_today(one: str, other: str) -> None:
    assert canonical_phone(one) != canonical_phone(other)
