"""Files that commands write or print are read again wherever they were made, also where the locale is not UTF-8."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from standing.ledger.service.settings import SettingsError, write_private

_CORE_FILE = "账号,户名,账户状态,币种\n11050137001000000771,王小云,正常,人民币\n"


def _run(program: str, *arguments: object, encoding: str) -> bytes:
    """What a command prints where standard output has this encoding."""
    # A test machine may have no such locale, so a file opened with the locale's encoding is an error.
    start = (
        "import warnings, sys\n"
        "warnings.filterwarnings('error', category=EncodingWarning, module='standing')\n"
        f"sys.argv = {[program, *map(str, arguments)]!r}\n"
        f"from standing.{program.removeprefix('standing-')}.cli import app\n"
        "app()\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "LANGUAGE": "en"}
    python = [sys.executable, "-X", "warn_default_encoding", "-c", start]
    return subprocess.run(python, env=environment, check=True, capture_output=True).stdout


@pytest.mark.parametrize("encoding", ["gbk", "latin-1"])
def test_settings_made_or_printed_in_another_locale_are_utf_8(tmp_path: Path, encoding: str) -> None:
    for program, option, name, file in (
        ("standing-node", "--bic", "YUNXCNB0", "node.toml"),
        ("standing-gateway", "--platform", "jinqiao-pay", "gateway.toml"),
    ):
        tomllib.loads(_run(program, "config", "example", encoding=encoding).decode())
        _run(program, "init", tmp_path / program, option, name, encoding=encoding)
        tomllib.loads((tmp_path / program / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("encoding", ["gbk", "latin-1"])
def test_a_profile_drafted_in_another_locale_is_utf_8(tmp_path: Path, encoding: str) -> None:
    (core := tmp_path / "core.csv").write_text(_CORE_FILE, encoding="gb18030")
    printed = tomllib.loads(_run("standing-node", "feed", "learn", core, encoding=encoding).decode())
    _run("standing-node", "feed", "learn", core, "-o", tmp_path / "profile.toml", encoding=encoding)
    written = tomllib.loads((tmp_path / "profile.toml").read_text(encoding="utf-8"))
    assert printed == written
    assert written["profile"]["columns"]["holder_name"] == "户名"


def test_a_character_that_the_terminal_cannot_show_does_not_end_a_command(tmp_path: Path) -> None:
    assert rb"\u7801" in _run("standing-node", "secret", "new", tmp_path / "密码", encoding="ascii")


def test_a_secret_that_could_not_be_written_whole_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(SettingsError, match="No space left"):
        write_private(tmp_path / "secret", "ab")
    assert list(tmp_path.iterdir()) == []
