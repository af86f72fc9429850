"""The commands' help and errors are in the language of the environment, and English where that has none."""

import re
import tomllib
from gettext import gettext
from importlib.resources import files
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from catalogue import FRAMEWORK, help_texts
from standing.gateway.cli import app as gateway
from standing.ledger.service.command_language import errors
from standing.node.cli import app as node
from tests.gateway.test_problem_language import raised

_ROOT = Path(__file__).parents[3]
#: What never ends a command: the consoles' own, and OpenID Connect's.
_NOT_COMMANDS = re.compile("/console/|migrations|access/(openid|id_token)")
#: Faults of our own, which no catalogue foresees.
_FAULTS = {"LeadershipLost", "LedgerRejected", "MissingSentence", "Overtaken", "SignInNeeded", "_ChainChanged"}


@pytest.mark.parametrize(
    ("environment", "said"),
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
def test_help_is_in_the_language_of_the_environment(environment: dict[str, str], said: str) -> None:
    for words in (["policy", "--help"], ["policy", "check", "--help"]):
        shown = CliRunner().invoke(gateway, words, env=environment)
        assert (shown.exit_code, said in shown.output) == (0, True), shown.output


def test_every_sentence_of_every_command_has_its_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "en")
    sentences = help_texts()
    monkeypatch.setenv("LANGUAGE", "zh")
    english = [one for one in sentences if not any("\u4e00" <= character <= "\u9fff" for character in gettext(one))]
    assert (english, len(sentences) > 100) == ([], True)


@pytest.mark.parametrize("app", [gateway, node], ids=["gateway", "node"])
def test_an_exit_code_and_a_fault_do_not_depend_on_the_language(app: typer.Typer) -> None:
    for language in ("en", "zh"):
        refused = CliRunner().invoke(app, ["nonsense"], env={"LANGUAGE": language})
        assert (refused.exit_code, "nonsense" in refused.output) == (2, True)
    assert len(set(FRAMEWORK)) == len(FRAMEWORK)


def test_every_error_that_a_command_may_end_with_has_its_chinese() -> None:
    places = [file for package in ("gateway", "node", "ledger") for file in sorted((_ROOT / package).rglob("*.py"))]
    found = [
        one for file in places if not _NOT_COMMANDS.search(file.as_posix()) for one in raised(file, inside=_FAULTS)
    ]
    assert len(found) > 400
    missing = [f"{place}: {text}" for place, text in found if not _in_chinese(text)]
    assert not missing, "\n".join(["add to ledger/service/locales/zh/commands.toml:", *missing])


def _in_chinese(text: str) -> bool:
    told = errors().of(text)
    # Recognised whole, and not only as some field with some problem.
    return told is not None and re.search("[a-z]{3,} [a-z]{2,} [a-z]{2,}", told) is None


def test_no_sentence_is_in_both_catalogues() -> None:
    folder = files("standing.ledger.service") / "locales" / "zh"
    problems, own = (
        tomllib.loads((folder / name).read_text(encoding="utf-8"))["sentences"]
        for name in ("problems.toml", "commands.toml")
    )
    assert not problems.keys() & own.keys()


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("zh", "listen_port：应为整数"),
        ("en", "listen_port: Input should be a valid integer"),
    ],
)
def test_a_wrong_setting_is_told_in_the_language_of_the_environment(language: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("listen_port = 'high'\n")
    refused = CliRunner().invoke(gateway, ["serve", "--config", str(file)], env={"LANGUAGE": language})
    assert refused.exit_code == 1
    assert said in refused.stderr
    assert refused.stderr.startswith(f"error: {file}")
    assert refused.stderr.count("\n") == 1


def test_a_file_that_is_there_is_told_in_chinese(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("x")
    refused = CliRunner().invoke(node, ["secret", "new", str(file)], env={"LANGUAGE": "zh"})
    assert (refused.exit_code, refused.stderr) == (1, f"error: {file} 已存在，不会覆盖\n")
