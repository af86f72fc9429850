"""Files that commands write or print are read again wherever they were made, also where the locale is not UTF-8."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

_CORE_FILE = "账号,户名,账户状态,币种\n11050137001000000771,王小云,正常,人民币\n"


def _run(*commands: Sequence[object], encoding: str) -> list[bytes]:
    """What each of these commands prints where standard output has this encoding. One process, as each takes seconds
    to start."""
    # A test machine may have no such locale, so a file opened with the locale's encoding is an error.
    start = (
        "import importlib, sys, warnings\n"
        "warnings.filterwarnings('error', category=EncodingWarning, module='standing')\n"
        "for sys.argv in COMMANDS:\n"
        "    program = importlib.import_module(f\"standing.{sys.argv[0].removeprefix('standing-')}.cli\")\n"
        "    try:\n"
        "        program.app()\n"
        "    except SystemExit as ended:\n"
        "        assert not ended.code, ended.code\n"
        "    print(end='\\0')\n"
    ).replace("COMMANDS", repr([[str(argument) for argument in command] for command in commands]))
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LANGUAGE": "en"}
    python = [sys.executable, "-X", "warn_default_encoding", "-c", start]
    *printed, after = subprocess.run(python, env=environment, check=True, capture_output=True).stdout.split(b"\0")
    assert (len(printed), after) == (len(commands), b"")
    return printed


@pytest.mark.parametrize("encoding", ["gbk", "latin-1"])
def test_settings_made_or_printed_in_another_locale_are_utf_8(tmp_path: Path, encoding: str) -> None:
    *examples, _, _ = _run(
        ["standing-node", "config", "example"],
        ["standing-gateway", "config", "example"],
        ["standing-node", "init", tmp_path / "node", "--bic", "YUNXCNB0"],
        ["standing-gateway", "init", tmp_path / "gateway", "--platform", "jinqiao-pay"],
        encoding=encoding,
    )
    assert all(tomllib.loads(example.decode()) for example in examples)
    for made in ("node/node.toml", "gateway/gateway.toml"):
        assert tomllib.loads((tmp_path / made).read_text(encoding="utf-8"))


@pytest.mark.parametrize("encoding", ["gbk", "latin-1"])
def test_a_profile_drafted_in_another_locale_is_utf_8(tmp_path: Path, encoding: str) -> None:
    (core := tmp_path / "core.csv").write_text(_CORE_FILE, encoding="gb18030")
    learn = ["standing-node", "feed", "learn", core]
    printed, _ = _run(learn, [*learn, "-o", tmp_path / "profile.toml"], encoding=encoding)
    written = tomllib.loads((tmp_path / "profile.toml").read_text(encoding="utf-8"))
    assert tomllib.loads(printed.decode()) == written
    assert written["profile"]["columns"]["holder_name"] == "户名"


def test_a_character_that_the_terminal_cannot_show_does_not_end_a_command(tmp_path: Path) -> None:
    assert rb"\u7801" in _run(["standing-node", "secret", "new", tmp_path / "密码"], encoding="ascii")[0]
