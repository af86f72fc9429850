"""Every sentence exists in both languages, with the same values in it, and every word of an enumeration has one."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from fluent.syntax import FluentParser, ast
from fluent.syntax.visitor import Visitor

from standing.gateway.access.sessions import PEOPLE
from standing.gateway.accounts.health import Health
from standing.gateway.console.decision import CHECKS, LAST_CHECK
from standing.gateway.console.exposure import INTERVALS_MS
from standing.gateway.console.words import MissingSentence, Words, source
from standing.gateway.decisions.question import Kind
from standing.gateway.decisions.rules import Outcome, Reason
from standing.gateway.decisions.usage import State
from standing.gateway.evidence.verification.causes import Who
from standing.gateway.evidence.verification.lines import Verdict
from standing.gateway.following.reconcile_report import Drift
from standing.gateway.support.hops import HopState
from standing.ledger.attestations.terms import Status
from standing.ledger.service.languages import LANGUAGES, preferred

CONSOLE = Path(__file__).parents[3] / "gateway" / "console"
UTC = ZoneInfo("UTC")


class _Values(Visitor):
    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_VariableReference(self, node: ast.VariableReference) -> None:  # noqa: N802 - fluent.syntax's own name
        self.names.add(node.id.name)


def sentences(language: str) -> dict[str, set[str]]:
    """The sentences of a language, each with the values that it needs."""
    found: dict[str, set[str]] = {}
    for entry in FluentParser().parse(source(language)).body:  # type: ignore[arg-type]
        assert not isinstance(entry, ast.Junk), f"{language}.ftl: {entry.content}"
        if isinstance(entry, ast.Message):
            assert entry.id.name not in found, f"{language}.ftl: {entry.id.name} is there twice"
            values = _Values()
            values.visit(entry)
            found[entry.id.name] = values.names
    return found


def test_both_languages_have_the_same_sentences_with_the_same_values() -> None:
    assert sentences("en") == sentences("zh")


def test_no_chinese_sentence_is_left_in_english() -> None:
    latin = {"ISO 20022"}
    for line in source("zh").splitlines():
        name, _, text = line.partition(" = ")
        assert not name or text in latin or re.search(r"[\u4e00-\u9fff]", text), name


@pytest.mark.parametrize(
    ("family", "members"),
    [
        ("reason", Reason),
        ("reason", CHECKS),
        ("outcome", Outcome),
        ("health", Health),
        ("kind", Kind),
        ("drift", Drift),
        ("exposure", INTERVALS_MS),
        ("delivery", ["pending", "delivered", "given_up"]),
        ("hop", HopState),
        ("reservation", State),
        ("verdict", Verdict),
        ("line", Verdict),
        ("cause", Who),
        ("role", PEOPLE),
        ("status", [status.word for status in Status]),
        ("check", [str(number) for number in range(1, LAST_CHECK + 1)]),
        ("line", [str(number) for number in range(1, 14)]),
    ],
)
def test_every_word_of_an_enumeration_has_a_sentence(family: str, members: list[str]) -> None:
    missing = {f"{family}-{member}" for member in members} - set(sentences("en"))
    assert not missing


def test_what_templates_and_code_ask_for_exists_and_nothing_else_does() -> None:
    text = "".join(path.read_text() for path in [*CONSOLE.rglob("*.html"), *CONSOLE.glob("*.py")])
    asked = set(re.findall(r"""\b(?:w|words|self)\(\s*["']([a-z0-9_-]+)["'](?! ~)""", text))
    families = set(re.findall(r"""named\(\s*["']([a-z]+)["']""", text)) | {"check", "identity", "unit"}
    known = set(sentences("en"))
    assert asked <= known, asked - known
    unused = {name for name in known - asked if name.partition("-")[0] not in families}
    assert not unused


def test_a_missing_sentence_or_value_is_an_error_and_not_a_blank() -> None:
    words = Words("en", UTC)
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
def test_the_browsers_language_is_taken(header: str, language: str) -> None:
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
    assert Words("en", UTC).span(duration_ms) == text


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
    assert [Words(language, UTC).money(minor, currency) for language in LANGUAGES] == [text, text]
