"""Sentences of both consoles: missing translations, unused entries, times, durations and amounts."""

import re
from zoneinfo import ZoneInfo

import pytest

from standing.ledger.service.console.words import SHARED, MissingSentence, Words, source
from standing.ledger.service.languages import LANGUAGES, preferred
from tests.console_words import PACKAGES, asked_for, sentences

UTC = ZoneInfo("UTC")
#: Families of message ids that templates assemble.
_TOGETHER = {"check", "identity", "unit", "error"}


@pytest.mark.parametrize("package", PACKAGES)
def test_both_languages_have_the_same_sentences_with_the_same_values(package: str) -> None:
    assert sentences(package, "en") == sentences(package, "zh")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_chinese_sentence_is_left_in_english(package: str) -> None:
    latin = {"ISO 20022", "{ $label }：{ $value }"}
    for line in source(package, "zh").splitlines():
        name, _, text = line.partition(" = ")
        assert not name or text in latin or re.search(r"[\u4e00-\u9fff]", text), name


@pytest.mark.parametrize("package", PACKAGES)
def test_the_catalogue_holds_exactly_what_templates_and_code_use(package: str) -> None:
    asked, families = asked_for(package)
    own = set(sentences(package, "en"))
    if package == SHARED:
        # Each console supplies some sentences that the shared pages use, such as who may sign in.
        consoles = [each for each in PACKAGES if each != SHARED]
        assert all(asked <= own | set(sentences(each, "en")) for each in consoles), asked - own
        asked |= set().union(*(asked_for(each)[0] for each in consoles))
    else:
        assert own.isdisjoint(sentences(SHARED, "en"))
        assert asked <= own | set(sentences(SHARED, "en")), asked - own
        asked |= asked_for(SHARED)[0]
        families |= asked_for(SHARED)[1]
    unused = {name for name in own - asked if name.partition("-")[0] not in families | _TOGETHER}
    assert not unused


def test_a_missing_sentence_or_value_is_an_error_and_not_a_blank() -> None:
    words = Words("standing.gateway.console", "en", UTC)
    with pytest.raises(MissingSentence):
        words("no-such-sentence")
    with pytest.raises(MissingSentence):
        words("hold-until")


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("de, en;q=0.5", "en"),
        ("", "en"),
        ("fr", "en"),
        ("ZH-hant", "zh"),
        ("zhx", "en"),
        ("en;q=0.5, zh;q=0.8", "zh"),
        ("zh;q=0, en;q=0.1", "en"),
        ("zh;q=nan", "en"),
        ("zh;q=0.٣", "en"),
    ],
)
def test_pages_use_the_browsers_language(header: str, language: str) -> None:
    assert preferred(header) == language


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1.0 s"),
        (9_999, "9.9 s"),
        (10_000, "10 s"),
        (61_000, "1 min 1 s"),
        (3_600_000, "1 h"),
        (3_661_000, "1 h 1 min"),
        (90_000_000, "1 d 1 h"),
        (-2_000, "−2.0 s"),
    ],
)
def test_durations_are_written_in_at_most_two_units(duration_ms: int, text: str) -> None:
    assert Words(SHARED, "en", UTC).span(duration_ms) == text


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "2026-01-31 23:30:05 UTC"),
        ("Asia/Shanghai", "2026-02-01 07:30:05 UTC+8"),
        ("Asia/Kolkata", "2026-02-01 05:00:05 UTC+5:30"),
        ("America/New_York", "2026-01-31 18:30:05 UTC−5"),
    ],
)
def test_a_time_always_names_its_zone(zone: str, text: str) -> None:
    for language in LANGUAGES:
        words = Words(SHARED, language, UTC)
        assert words.time(1_769_902_205_000, ZoneInfo(zone)) == text
        assert words.clock(1_769_902_205_000, ZoneInfo(zone)) == text.split(" ")[1]
        assert words.time(None) == words.clock(None) == "–"


def test_a_clock_beside_the_time_of_another_day_has_its_date() -> None:
    words, shanghai = Words(SHARED, "en", UTC), ZoneInfo("Asia/Shanghai")
    midnight_ms = 1_769_875_200_000  # 2026-02-01 in Shanghai, still the day before in UTC
    assert words.clock(midnight_ms + 1_000, shanghai, beside_ms=midnight_ms) == "00:00:01"
    assert words.clock(midnight_ms + 1_000, shanghai, beside_ms=midnight_ms - 1_000) == "2026-02-01 00:00:01"
    assert words.clock(midnight_ms + 1_000, beside_ms=midnight_ms - 1_000) == "16:00:01"
    assert words.clock(None, shanghai, beside_ms=midnight_ms) == "–"


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (123_456, "CNY", "1,234.56 CNY"),
        (5, "CNY", "0.05 CNY"),
        (1_234, "JPY", "1,234 JPY"),
        (1_234, "KWD", "1.234 KWD"),
    ],
)
def test_amounts_have_their_currencys_digits(minor: int, currency: str, text: str) -> None:
    assert [Words(SHARED, language, UTC).money(minor, currency) for language in LANGUAGES] == [text, text]


@pytest.mark.parametrize("currency", ["BGN", "DEM", "XAU"])
def test_an_amount_whose_decimals_are_not_known_is_said_to_be_in_minor_units(currency: str) -> None:
    shown = [Words(SHARED, language, UTC).money(123_456, currency) for language in LANGUAGES]
    assert shown == [f"123,456 {currency} (minor units)", f"123,456 {currency}（最小货币单位）"]
