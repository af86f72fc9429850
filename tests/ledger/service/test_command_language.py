"""The commands' help is in the language of the environment, and English where that has none."""

from gettext import gettext

import pytest
import typer
from typer.testing import CliRunner

from catalogue import FRAMEWORK, help_texts
from standing.gateway.cli import app as gateway
from standing.node.cli import app as node


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
