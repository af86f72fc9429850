"""The Chinese catalogue of problems: sentences are recognised, and no value in them is lost."""

import re
import tomllib
from importlib.resources import files

import pytest

from standing.ledger.service.problem_language import Sentences, chinese, localized

_NAMES = re.compile(r"\{(\w+)(?::d)?\}")


#: Written identically in both languages.
_ALIKE = {"JSON (RFC 8259)", "None"}


def _catalogue() -> dict[str, dict[str, str]]:
    file = files("standing.ledger.service") / "locales" / "zh" / "problems.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


def test_a_chinese_sentence_uses_only_placeholders_of_the_english_one() -> None:
    for english, other in _catalogue()["sentences"].items():
        assert set(_NAMES.findall(other)) <= set(_NAMES.findall(english)), english
        assert re.search(r"[\u4e00-\u9fff]", _NAMES.sub("", other)) or english in _ALIKE, english


def test_patterns_are_specific_enough_to_match_only_their_own_sentence() -> None:
    for english in _catalogue()["sentences"]:
        free = [found for found in _NAMES.finditer(english) if not found[0].endswith(":d}")]
        assert not free or len(_NAMES.sub("", english)) >= 9, english
    assert chinese().of("from here to there") is None
    assert chinese().of("1 to 500") == "1 到 500"


def test_every_sentence_is_recognised_as_itself() -> None:
    """No sentence is mistaken for a more general one."""
    for english, other in _catalogue()["sentences"].items():
        filled = _NAMES.sub(lambda found: str(len(found[1])), english)
        assert chinese().of(filled) == _NAMES.sub(lambda found: str(len(found[1])), other), english


def test_a_placeholder_may_hold_a_translated_sentence() -> None:
    translated = chinese().of(
        "the node of BKCHCNBJ says: the account is bound at this platform already; allowed: unbind it first"
    )
    assert translated == "BKCHCNBJ 的节点答复：该账户已在本平台绑定；请先解除绑定"


@pytest.mark.parametrize(
    ("english", "other"),
    [
        ("Input should be 'payment' or 'withdrawal'", "应为 'payment' 或 'withdrawal'"),
        ("Input should be 'a', 'b' or 'c'", "应为 'a'、'b' 或 'c'"),
        ("'approve' or 'decline'", "'approve' 或 'decline'"),
        ("Input should be 'none'", "应为 'none'"),
    ],
)
def test_the_words_between_choices_are_translated(english: str, other: str) -> None:
    assert chinese().of(english) == other


def test_the_more_specific_sentence_wins() -> None:
    sentences = Sentences({}, {"not {what}": "不是{what}", "not a {what}": "并非{what}", "not a bank": "不是银行"})
    assert sentences.of("not a bank") == "不是银行"
    assert sentences.of("not a bird") == "并非bird"
    assert sentences.of("not here") == "不是here"
    assert sentences.of("nothing") is None


@pytest.mark.parametrize("detail", ["a sentence that nobody has put into Chinese", "x" * 100_000])
def test_an_unknown_sentence_stays_in_english_and_the_header_says_so(detail: str) -> None:
    problem = {"type": "urn:standing:problem:not-found", "title": "Not found", "status": 404, "detail": detail}
    document, headers = localized(problem, "zh")
    assert (document["title"], document["detail"]) == ("未找到", detail)
    assert headers["Content-Language"] == "zh, en"
    assert localized(problem, "en") == (problem, {"Content-Language": "en", "Vary": "Accept-Language"})
