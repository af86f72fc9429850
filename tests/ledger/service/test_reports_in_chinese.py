"""Reports of commands for auditors and operators, in the language of the environment: no sentence stays in English."""

import ast
import re
from dataclasses import asdict
from io import StringIO
from typing import Any

import pytest

from standing.gateway.auditing import commands as auditing
from standing.gateway.auditing.findings import Audit, Kind
from standing.gateway.evidence.verification import commands as verification
from standing.gateway.evidence.verification.lines import CHECKS, Lines, Verdict
from standing.gateway.evidence.verification.run import Report
from standing.gateway.operations import scorecard_command, scoring_commands
from standing.gateway.warning.hours import LedgerFigures
from standing.gateway.warning.risk_facts import FEATURES
from standing.gateway.warning.schemas import ScoringDocument
from standing.gateway.warning.verdict import Pace, verdict
from standing.ledger.clock import HOUR_MS
from standing.ledger.service import commands as shared
from standing.ledger.service.command_language import errors, labels
from tests.gateway.test_problem_language import text_of
from tests.ledger.service.command_screens import CODE, ENGLISH, ROOT, calls, chinese_screen

_AUDITOR = [ROOT / "gateway" / "auditing" / name for name in ("ledger.py", "decisions.py")]


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    return chinese_screen(monkeypatch, shared, auditing, verification, scorecard_command, scoring_commands)


def test_no_command_prints_or_asks_an_english_sentence_that_is_not_translated() -> None:
    """`tell`, `label` and `in_language` translate; what is printed or asked without them holds no words."""
    found = []
    for place, name, call in calls(CODE):
        if name not in {"print", "say", "prompt", "confirm", "progress_bar", "add_task"} or not call.args:
            continue
        text = text_of(call.args[0], None) or ""
        if name == "progress_bar":
            assert text in labels(), f"{place}: {text}"
        elif ENGLISH.search(re.sub("standing-(?:node|gateway) .*", "", text)):
            found.append(f"{place}: {text}")
    assert found == []


def test_every_sentence_that_is_looked_up_is_in_the_catalogue() -> None:
    looked_up = 0
    for place, name, call in calls(CODE):
        text = text_of(call.args[0], None) if name == "in_language" else None
        if text is not None and re.search("[a-z]{3}", text):
            looked_up += 1
            assert errors().of(text) is not None, f"{place}: {text}"
        # The evidence's rules have a method of this name.
        if name == "label" and isinstance(call.func, ast.Name) and isinstance(call.args[0], ast.Constant):
            looked_up += 1
            assert call.args[0].value in labels(), f"{place}: {call.args[0].value!r}"
    assert looked_up > 20


def test_every_finding_of_the_auditor_has_a_chinese_translation() -> None:
    # Texts that are put together before: the lines of a verification, a cause and an error have tests of their own.
    found = []
    for place, name, call in calls(_AUDITOR):
        if name in {"found", "_found"} and (text := text_of(call.args[-1], None)) is not None:
            found.append((place, text))
    assert len(found) > 12
    assert [each for each in found if errors().of(each[1]) is None] == []


def test_every_line_of_a_verification_has_a_chinese_translation() -> None:
    files = sorted((ROOT / "gateway" / "evidence").rglob("*.py"))
    found = [
        (place, text)
        for place, name, call in calls(files)
        if name in {"holds", "fails", "unknown"} and len(call.args) == 2
        # Those that begin with a text put together before are recognised by the whole.
        if (text := text_of(call.args[1], None)) is not None
        and re.match("(?!7 (?:holds|differs)|7; |repeating it gives the same|the block is of 7, after)", text)
        and re.search("[a-z]{3}", text)
    ]
    assert len(found) > 40
    assert [each for each in found if ENGLISH.search(errors().of(each[1]) or each[1])] == []


def test_every_count_of_the_auditor_has_a_chinese_label() -> None:
    events = {"Published", "BankAdmitted", "BankSuspended", "BankReinstated", "SignerRotated"}
    counted = [text_of(call.args[0], None) for _, name, call in calls(_AUDITOR) if name == "count"]
    stated = {text for text in counted if text is not None and text != "not checked: 7"}
    assert len(stated) > 4
    unchecked = {f"not checked: {check}" for check in CHECKS.values()}
    assert (events | stated | unchecked | set(Kind) | set(CHECKS.values())) - labels().keys() == set()


def test_an_audit_is_reported_in_chinese(screen: StringIO) -> None:
    audit = Audit({"Published": 7, "not checked: terms": 3, "account days added up": 1})
    audit.found(Kind.NUMBER, "YUNXCNB0", "block 7", "publication 9 after 7")
    audit.found(Kind.EVIDENCE, "mypay", "a decision", "record: publication 7 in block 9 holds the record")
    auditing._show(audit, 391, as_json=False)
    auditing._show(Audit(), 391, as_json=False)
    shown = screen.getvalue()
    for text in (
        "       7 发布\n       3 未检查：证明内容",
        "发布序号 YUNXCNB0 区块 7: 第 7 号发布之后是第 9 号",
        "证据 mypay 某笔决策: 记录: 区块 9 中的第 7 号发布含有该记录",
        "截至区块 391：发现 2 个问题",
        "截至区块 391：未发现问题",
    ):
        assert text in shown, shown
    assert ENGLISH.findall(shown) == [], shown


def test_a_long_audit_says_in_chinese_how_many_findings_are_left_out(screen: StringIO) -> None:
    audit = Audit()
    for number in range(53):
        audit.found(Kind.TWICE, "mypay", f"block {number}", "decided a second time")
    auditing._show(audit, 391, as_json=False)
    assert screen.getvalue().count("同一交易重复决策") == 50
    assert "另有 3 个" in screen.getvalue()


def test_a_verification_is_shown_in_chinese_in_straight_columns(screen: StringIO) -> None:
    lines = Lines()
    lines.holds(3, "publication 7 in block 9 holds the record")
    lines.fails(12, "publication 7 in block 9 holds the record")
    lines.unknown(6, "publication 7 in block 9 holds the record")
    verification._show(Report(tuple(lines.all), Verdict.FAILS), as_json=False)
    shown = screen.getvalue().splitlines()
    assert shown[0] == " 3 区块           有效     区块 9 中的第 7 号发布含有该记录"
    assert shown[1].startswith("12 交易决策       无效     ")
    assert shown[2].startswith(" 6 银行签名       未知     ")
    assert shown[3].rstrip() == "   证据           无效"


@pytest.mark.parametrize("learned", [None, 1_767_225_600_000])
def test_the_scoring_is_shown_in_chinese(screen: StringIO, learned: int | None) -> None:
    model = {"in_use": learned is not None, "learned": 7, "failures": 3, "needed": 2_000, "needed_failures": 50}
    weights = {"intercept": 0.5, "weights": dict.fromkeys(FEATURES, 0.25), "learned_at_ms": learned}
    last = {"began_at_ms": 1_767_225_600_000, "ended_at_ms": learned, "counts": {"scored": 4, "checked_up": 1}}
    document: dict[str, Any] = {
        "every_minutes": 1_440 if learned else None,
        "asked_at_ms": learned,
        "last": last,
        "warn_per_mille": 300,
        **dict.fromkeys(("at_risk", "waiting", "left_out"), 7),
        "model": model | weights,
    }
    for each in (document, document | {"last": None, "model": None}):
        scoring_commands._print(ScoringDocument.model_validate(each), as_json=False)
    shown = screen.getvalue()
    wanted = [
        "7 个绑定；达到 300‰ 时预警",
        "7 个，结果尚未揭晓",
        "评分 7 / 2000，其中交易失败 3 / 50",
        "属于另一版本",
        "尚无",
    ]
    wanted += ["每 1440 分钟", "已评分：4, 月度体检：1"] if learned else ["仅按请求", "尚未结束", "按规则预警"]
    for text in wanted:
        assert text in shown, shown
    assert ENGLISH.findall(shown) == [], shown


def test_score_cards_are_shown_in_chinese(screen: StringIO) -> None:
    figures = LedgerFigures(HOUR_MS, 7, 3, 5, 400, 2_000, 3_000, 300_000, 0, 0, 0, 0)
    found = verdict(figures)
    assert found is not None
    stated = {"word": found.word.value, "why": asdict(found.why)}
    cards = [{"bank": "YUNXCNB0", "ledger": asdict(figures), "verdict": each} for each in (stated, None)]
    shared.console.print(scorecard_command._table(cards))
    shown = screen.getvalue()
    for text in ("评价", "跟踪时长", "稳定", "暂无结论", "延迟不超过 2 秒"):
        assert text in shown, shown
    assert set(Pace) <= labels().keys()
    assert ENGLISH.findall(shown) == [], shown
