"""What commands say at their end, and their tables, in the language of the environment."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils import keccak, to_checksum_address
from typer.testing import CliRunner

from standing.gateway.cli import app as gateway
from standing.gateway.decisions.policy_try import DryRun, RuleDryRun
from standing.gateway.following.reconcile_report import BankFinding, DeadFinding, Drift, DriftFinding, Report
from standing.gateway.operations import commands, setup_commands
from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.chain.client import BankState
from standing.ledger.chain.contract import artifact, decode_rejection
from standing.ledger.service import commands as shared
from standing.ledger.service.command_language import errors, in_language
from standing.node.accounts.quarantine import Unstated
from standing.node.cli import app as node
from standing.node.feed.file_lines import LineProblem
from standing.node.feed.file_report import FileReport, MissingAccount
from standing.node.operations import commands as node_commands
from standing.node.operations import feed_tables, governance_commands
from standing.node.recovery.history import Findings
from tests.gateway.test_problem_language import text_of
from tests.ledger.service.command_screens import CODE, ENGLISH, calls, chinese_screen

_COMMANDS = re.compile(r"standing-(?:node|gateway) [^\n）]*|--[^\n]*")


def _english_in(text: str) -> list[str]:
    return ENGLISH.findall(_COMMANDS.sub("", text))


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    return chinese_screen(monkeypatch, shared, commands, setup_commands, governance_commands, node_commands)


def _told() -> Iterator[tuple[str, str]]:
    """Each sentence that a command tells, with a sample value in each placeholder."""
    for place, name, call in calls(CODE):
        if name == "tell" and isinstance(call.func, ast.Name):
            stated = call.args[0]
            either = [stated.body, stated.orelse] if isinstance(stated, ast.IfExp) else [stated]
            for each in either:
                text = text_of(each, None)
                assert text is not None, f"{place}: no sentence"
                yield place, text


def test_every_sentence_that_a_command_tells_has_a_chinese_translation() -> None:
    found = list(_told())
    assert len(found) > 40
    missing = [f"{place}: {text}" for place, text in found if _english_in(errors().of(text) or text)]
    assert not missing, "\n".join(["add to ledger/service/locales/zh/commands.toml:", *missing])


@pytest.mark.parametrize(
    ("app", "arguments"),
    [(node, ["--bic", "MYBKCNB0", "--platform", "mypay"]), (gateway, ["--platform", "mypay"])],
    ids=["node", "gateway"],
)
def test_init_guides_in_chinese_and_its_commands_stay_as_they_are(
    app: Any, arguments: list[str], tmp_path: Path
) -> None:
    done = CliRunner().invoke(app, ["init", str(tmp_path / "new"), *arguments], env={"LANGUAGE": "zh"})
    assert done.exit_code == 0, done.output
    assert _english_in(done.stdout.replace(str(tmp_path), "")) == [], done.stdout
    assert f"serve -c {tmp_path}/new/" in done.stdout
    english = CliRunner().invoke(app, ["init", str(tmp_path / "other"), *arguments], env={"LANGUAGE": "en"})
    assert "goes live:" in english.stdout
    assert len(english.stdout.splitlines()) == len(done.stdout.splitlines())


def test_the_report_on_a_feed_file_is_in_chinese(screen: StringIO) -> None:
    report = FileReport(
        file="full-20260101T000000Z.csv",
        outcome="rejected",
        kind="full",
        as_of_ms=1_767_225_600_000,
        **dict.fromkeys(("lines", "changes", "new_accounts", "attestations", "changed_since", "bad_lines"), 7),
        lines_without_account=7,
        unstated=7,
        missing=7,
        frozen_may_pay=7,
        unread_columns=["备注"],
        missing_accounts=[MissingAccount(number_masked="****7391", status="active", bindings=1)],
        problems=[LineProblem(line=5, field="effective_at_ms", problem="stated twice", allowed="each account once")],
    )
    feed_tables.show_report(report, shared.console)
    unstated = Unstated("9156000000000017", True, 1_767_225_600_000, ("status",), "core.csv, line 3", "stated twice")
    feed_tables.show_unstated([unstated], 1_234, shared.console)
    shown = screen.getvalue()
    assert "已拒收，未导入任何数据" in shown
    assert "重复" in shown
    assert "待修正的账户：1,234 个" in shown
    assert _english_in(shown.replace("core.csv, line 3", "")) == [], shown


def test_a_reconciliation_is_shown_in_chinese_with_the_users_way_out(screen: StringIO) -> None:
    report = Report(1, 7_391, "0x00", 1)
    report.banks = [
        BankFinding("YUNXCNB0", None, None, suspended=True, silent=True, watermark_went_back=True),
        BankFinding("HAIYCNS0001", 1_767_225_600_000, 1, suspended=False, silent=False, watermark_went_back=False),
    ]
    report.count("HAIYCNS0001", "well")
    report.dead = [DeadFinding("0x" + "11" * 32, "HAIYCNS0001", "u-1", "account_closed")]
    report.drift = [DriftFinding("0x" + "22" * 32, "HAIYCNS0001", Drift.NOT_FOLLOWED, 7, None)]
    report.checked, report.dead_count, report.drift_count = 2, 1, 1
    commands._show_report(report)
    shown = screen.getvalue()
    for text in (
        "区块 7391",
        "已暂停 更新中断 水位线回退",
        "正常: 1",
        "该账户已在银行销户。",
        "已核对 2，已失效 1，不一致 1",
    ):
        assert text in shown, shown
    assert "账本上为第 7 号发布，本网关尚无记录" in shown
    assert "该区块已不在链上" in shown
    assert _english_in(shown) == [], shown


def test_a_policy_that_is_tried_is_shown_in_chinese(screen: StringIO) -> None:
    ends = {"captured": 1, "voided": 2, "reserved": 3, "expired": 4, "none": 5}
    run = DryRun(20, {"first-day": RuleDryRun(15, {"CNY": 40_000}, ends, 1, 2)}, {})
    shared.console.print(setup_commands._tried(run))
    shown = screen.getvalue()
    for text in ("将限制", "20 笔中 15 笔", "已扣款 1, 已撤销 2, 已预留 3, 已过期 4, 无预留 5", "7 天内出现问题"):
        assert text in shown, shown
    assert _english_in(shown) == [], shown


_SIGNER = to_checksum_address("0x" + "11" * 20)


def test_what_a_recovery_would_do_is_shown_in_chinese(screen: StringIO) -> None:
    counts: dict[str, Any] = {field.name: 7 for field in fields(Findings)} | {"new_deployment": True}
    node_commands._report(Findings(**counts), confirm=False)
    shown = screen.getvalue()
    assert "本地未知、将结束的绑定" in shown
    assert "在同一命令后加上 --confirm。" in shown
    assert _english_in(shown) == [], shown


def test_a_banks_state_on_the_ledger_is_shown_in_chinese(screen: StringIO) -> None:
    admitted = BankState(_SIGNER, 7, 0, _SIGNER, False, b"\x01" * 32)
    governance_commands._show("YUNXCNB0", admitted)
    shown = screen.getvalue()
    for text in ("账本上的 YUNXCNB0", "签名地址", "管理地址", "最近摘要", "尚无"):
        assert text in shown, shown
    assert _english_in(shown) == [], shown


_SAMPLES: dict[str, Any] = {
    "bytes11": bic_to_bytes11("YUNXCNB0"),
    "bytes32": b"\x07" * 32,
    "address": "0x" + "11" * 20,
    "string": "x",
}


@pytest.mark.parametrize(
    "error", [each for each in artifact()["abi"] if each["type"] == "error"], ids=lambda e: e["name"]
)
def test_a_refusal_of_the_contract_names_the_bank_and_says_why(error: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    types = [argument["type"] for argument in error["inputs"]]
    signature = f"{error['name']}({','.join(types)})"
    data = keccak(text=signature)[:4] + encode(types, [_SAMPLES.get(kind, 7) for kind in types])
    refused = decode_rejection(data)
    assert ("YUNXCNB0" in str(refused)) is ("bytes11" in types)
    assert bic_to_bytes11("YUNXCNB0").hex() not in str(refused)
    monkeypatch.setenv("LANGUAGE", "zh")
    assert in_language(str(refused)).startswith(f"账本合约拒绝：{error['name']}(")
    assert _english_in(in_language(str(refused))) == []


def test_a_refusal_on_a_bank_that_is_none_shows_its_bytes() -> None:
    data = keccak(text="BankNotAdmitted(bytes11)")[:4] + encode(["bytes11"], [b"\xff" * 11])
    assert "0x" + "ff" * 11 in str(decode_rejection(data))
