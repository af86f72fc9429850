"""The commands' help and errors are in the language of the environment, or in English by default."""

import ast
import re
import tomllib
from collections.abc import Iterator
from gettext import gettext
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import typer
from typer import rich_utils
from typer.testing import CliRunner

from catalogue import FRAMEWORK, help_texts
from standing.gateway.cli import app as gateway
from standing.ledger.consortium.cli import app as network
from standing.ledger.service.command_language import errors, in_language, labels
from standing.ledger.service.diagnosis import State, database, examine
from standing.node.cli import app as node
from tests.gateway.test_problem_language import raised, text_of

_ROOT = Path(__file__).parents[3]
#: Errors that never end a command: those of the consoles and of OpenID Connect.
_NOT_COMMANDS = re.compile("/console/|migrations|access/(openid|id_token)")
#: Where a node states why it is not ready, or what needs attention.
_SELF_REPORTS = (
    "node/operations/feed_state.py",
    "node/operations/status.py",
    "node/publishing/publisher.py",
    "node/storage/leadership.py",
)
#: Models of files that people write.
_SETTINGS_FILES = re.compile("settings|policy|risk.py|profile|time_forms|consortium/plan|service/database")
#: Internal faults, which have no catalogue entry.
_FAULTS = {"LeadershipLost", "LedgerRejected", "MissingSentence", "Overtaken", "SignInNeeded", "_ChainChanged"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LANGUAGE": "", "LC_ALL": "", "LC_MESSAGES": "", "LANG": "zh_CN.UTF-8"}, "检查策略文件"),
        ({"LANGUAGE": "", "LC_ALL": "zh_CN.UTF-8", "LANG": "C"}, "检查策略文件"),
        ({"LANGUAGE": "zh_TW:en"}, "检查策略文件"),
        ({"LANGUAGE": "en"}, "Check a policy file"),
        ({"LANGUAGE": "", "LC_ALL": "", "LC_MESSAGES": "", "LANG": "C.UTF-8"}, "Check a policy file"),
        ({"LANGUAGE": "", "LC_ALL": "tlh", "LANG": "zh_CN.UTF-8"}, "Check a policy file"),
    ],
    ids=["LANG", "LC_ALL before LANG", "LANGUAGE", "English", "a server's C", "a language without a catalogue"],
)
def test_help_is_shown_in_the_language_of_the_environment(environment: dict[str, str], expected: str) -> None:
    for arguments in (["policy", "--help"], ["policy", "check", "--help"]):
        shown = CliRunner().invoke(gateway, arguments, env=environment)
        assert (shown.exit_code, expected in shown.output) == (0, True), shown.output


def test_every_sentence_of_every_command_has_a_chinese_translation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "en")
    sentences = help_texts()
    monkeypatch.setenv("LANGUAGE", "zh")
    english = [one for one in sentences if not any("\u4e00" <= character <= "\u9fff" for character in gettext(one))]
    assert (english, len(sentences) > 100) == ([], True)


def _refusals(command: Any, arguments: list[str]) -> Iterator[list[str]]:
    """Command lines that the framework refuses: every kind of mistake in each parameter of each command."""
    context = typer.Context(command)
    if hasattr(command, "list_commands"):
        yield [*arguments, "nonsense"]
        for name in command.list_commands(context):
            yield from _refusals(command.get_command(context, name), [*arguments, name])
        return
    yield [*arguments, "--nonsense"]
    yield [*arguments, *["no"] * 9]
    required = [parameter for parameter in command.params if parameter.required]
    if required:
        yield arguments
    for parameter in command.params:
        option = parameter.opts[-1]
        if not option.startswith("-"):
            continue
        if parameter.is_flag:
            yield [*arguments, f"{option}=yes"]
            continue
        yield [*arguments, option]
        if parameter.type.name not in {"str", "path", "file", "filename"}:
            yield [*arguments, option, "nonsense"]
        if "range" in parameter.type.name:
            yield [*arguments, option, "-99999999"]
        if len(option) > 5:
            yield [*arguments, option[:-1]]


@pytest.mark.parametrize("app", [gateway, node, network], ids=["gateway", "node", "network"])
def test_command_line_mistakes_are_reported_in_chinese(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", 500)  # a sentence in one line
    lines = list(_refusals(typer.main.get_command(app), []))
    assert len(lines) > (8 if app is network else 100)
    english = []
    for arguments in lines:
        refused = CliRunner().invoke(app, arguments, env={"LANGUAGE": "zh"})
        box = [line.strip("│ ") for line in refused.output.splitlines() if line.startswith("│")]
        if refused.exit_code != 2 or not box or not _is_chinese(box[0]):
            english.append((arguments, refused.exit_code, box))
    assert english == []


def _is_chinese(text: str) -> bool:
    return re.search("[\u4e00-\u9fff]", text) is not None and re.search("[a-z]{3,} [a-z]{2,} [a-z]{2,}", text) is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["policy", "chek"], "没有命令 'chek'，是否指 'check'？"),
        (["api-key", "new"], "缺少选项 '--name'。"),
        (["scorecard", "--period", "eon"], "'--period' 的值无效：'eon' 不在可选值之中：'day', 'week', 'month'。"),
        (["api-key", "new", "--name", "x", "--role", "king"], "--role 的值无效：允许：platform, support, admin"),
    ],
)
def test_a_refusal_names_the_mistake_and_what_is_allowed(
    arguments: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", 500)
    refused = CliRunner().invoke(gateway, arguments, env={"LANGUAGE": "zh"})
    assert (refused.exit_code, expected in refused.stderr) == (2, True), refused.stderr
    assert "Usage: " in refused.stderr


def _findings(file: Path) -> Iterator[tuple[str, str]]:
    """The findings that a file lets `doctor` report, with a number or a sample value in each placeholder."""
    for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        if call.func.id in {"well", "look", "wrong"} and len(call.args) == 2:
            what, text = call.args
            if isinstance(what, ast.Constant):
                assert what.value in labels(), f"{file.name}:{call.lineno}: {what.value!r}"
            if isinstance(text, ast.Constant):
                yield f"{file.name}:{call.lineno}", str(text.value)
            elif isinstance(text, ast.JoinedStr):
                parts = [str(part.value) if isinstance(part, ast.Constant) else "7" for part in text.values]
                yield f"{file.name}:{call.lineno}", "".join(parts)
            else:
                # From elsewhere: a reason given by the service, or an error, which is translated already.
                assert isinstance(text, ast.Name | ast.Call), f"{file.name}:{call.lineno}: no sentence"


def test_every_finding_of_doctor_has_a_chinese_translation() -> None:
    files_of_doctor = ("ledger/service/diagnosis.py", "gateway/operations/doctor.py", "node/operations/doctor.py")
    found = [one for name in files_of_doctor for one in _findings(_ROOT / name)]
    assert {state.value[0] for state in State} <= labels().keys()
    assert len(found) > 50
    missing = [f"{place}: {text}" for place, text in found if errors().of(text) is None]
    assert not missing, "\n".join(["add to ledger/service/locales/zh/commands.toml:", *missing])


def test_doctor_reports_in_the_language_of_the_environment(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none/at.all"

    def shown(language: str) -> list[str]:
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("LANGUAGE", language)
            with pytest.raises(typer.Exit):
                examine([("database", lambda: database(url, "standing.gateway.storage"))])
        return capsys.readouterr().out.splitlines()

    assert shown("en") == [f"wrong  database   {tmp_path}/none is not a folder that this user can write to"]
    assert shown("zh") == [f"错误   数据库     {tmp_path}/none 不是当前用户可写的文件夹"]


@pytest.mark.parametrize("app", [gateway, node], ids=["gateway", "node"])
def test_exit_codes_and_internal_faults_do_not_depend_on_the_language(app: typer.Typer) -> None:
    for language in ("en", "zh"):
        refused = CliRunner().invoke(app, ["nonsense"], env={"LANGUAGE": language})
        assert (refused.exit_code, "nonsense" in refused.output) == (2, True)
    assert len(set(FRAMEWORK)) == len(FRAMEWORK)


def test_every_error_of_a_command_has_a_chinese_translation() -> None:
    places = [file for package in ("gateway", "node", "ledger") for file in sorted((_ROOT / package).rglob("*.py"))]
    found = [
        one for file in places if not _NOT_COMMANDS.search(file.as_posix()) for one in raised(file, inside=_FAULTS)
    ]
    assert len(found) > 400
    missing = [f"{place}: {text}" for place, text in found if not _in_chinese(text)]
    assert not missing, "\n".join(["add to ledger/service/locales/zh/commands.toml:", *missing])


def test_every_problem_of_a_feed_file_has_a_chinese_translation() -> None:
    """`feed check` shows them. Some are made up before they are reported, as `problem` and `allowed`."""
    found = []
    for file in sorted((_ROOT / "node" / "feed").glob("*.py")):
        for each in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(each, ast.Call) and isinstance(each.func, ast.Name) and each.func.id == "LineProblem":
                texts = each.args[2:]
            elif isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) in {"problem", "allowed"}:
                texts = [each.value]
            else:
                continue
            found += [(f"{file.name}:{each.lineno}", text) for one in texts if (text := text_of(one, None)) is not None]
    assert len(found) > 40
    missing = [f"{place}: {text}" for place, text in found if not _in_chinese(text)]
    assert not missing, "\n".join(["add to ledger/service/locales/zh/commands.toml:", *missing])


def test_every_trouble_that_a_node_states_has_a_chinese_translation() -> None:
    """Shown by the console and by `status`. Not all of it is raised."""
    found = []
    for name in _SELF_REPORTS:
        for text in ast.walk(ast.parse((_ROOT / name).read_text(encoding="utf-8"))):
            if isinstance(text, ast.JoinedStr):
                parts = [str(part.value) if isinstance(part, ast.Constant) else "7" for part in text.values]
                found.append("".join(parts))
    sentences = [text for text in found if len(re.findall("[a-z]{2,}", text)) > 3]
    assert len(sentences) > 10
    assert [text for text in sentences if not _in_chinese(text)] == []


def test_every_error_about_a_settings_file_has_a_chinese_translation() -> None:
    """Those that validators of pydantic raise as a ValueError; the others are covered above."""
    places = [file for package in ("gateway", "node", "ledger") for file in sorted((_ROOT / package).rglob("*.py"))]
    missing, found = [], 0
    for file in places:
        if not _SETTINGS_FILES.search(file.as_posix()):
            continue
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            if call.func.id in {"ValueError", "Fault"} and (text := text_of(call.args[-1], None)) is not None:
                found += 1
                if not _in_chinese(text):
                    missing.append(f"{file.name}:{call.lineno}: {text}")
    assert found > 50
    assert not missing, "\n".join(["add to ledger/service/locales/zh/commands.toml:", *missing])


@pytest.mark.parametrize("name", ["policy", "banks", "platforms", "core", "follower", "webhooks"])
def test_the_name_of_a_setting_is_the_same_in_every_language(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words that `doctor` and `status` show in Chinese are names of settings too."""
    monkeypatch.setenv("LANGUAGE", "zh")
    assert in_language(f"{name}: Extra inputs are not permitted") == f"{name}：不允许的字段"
    assert in_language(f"{name}: Field required") == f"{name}：缺少字段"


def _in_chinese(text: str) -> bool:
    translated = errors().of(text)
    # Recognised as a whole, not merely as a field with some problem.
    plain = re.sub("`[^`]*`", "", translated or "")  # a command line is the same in every language
    return translated is not None and re.search("[a-z]{3,} [a-z]{2,} [a-z]{2,}", plain) is None


def test_no_sentence_appears_in_both_catalogues() -> None:
    folder = files("standing.ledger.service") / "locales" / "zh"
    problems, own = (
        tomllib.loads((folder / name).read_text(encoding="utf-8"))["sentences"]
        for name in ("problems.toml", "commands.toml")
    )
    assert not problems.keys() & own.keys()


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("zh", "listen_port：应为整数"),
        ("en", "listen_port: Input should be a valid integer"),
    ],
)
def test_a_wrong_setting_is_reported_in_the_language_of_the_environment(
    language: str, expected: str, tmp_path: Path
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("listen_port = 'high'\n")
    refused = CliRunner().invoke(gateway, ["serve", "--config", str(file)], env={"LANGUAGE": language})
    assert refused.exit_code == 1
    assert expected in refused.stderr
    assert refused.stderr.startswith(f"error: {file}")
    assert refused.stderr.count("\n") == 1


def test_an_existing_file_is_reported_in_chinese(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("x")
    refused = CliRunner().invoke(node, ["secret", "new", str(file)], env={"LANGUAGE": "zh"})
    assert (refused.exit_code, refused.stderr) == (1, f"error: {file} 已存在，不会覆盖\n")
