"""What a command prints cannot always be written."""

import errno
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from processes import BIN
from standing.node.cli import app
from standing.node.operations import feed_commands

_FULL = Path("/dev/full")


def test_a_draft_of_which_only_the_first_lines_are_read_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by `standing-node feed learn FILE | head`."""

    def closed(_text: str) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(feed_commands, "print_file", closed)
    (file := tmp_path / "core.csv").write_text("账号,户名\n6217000010001230005,张三\n", encoding="utf-8")
    assert CliRunner().invoke(app, ["feed", "learn", str(file)]).stderr == ""


@pytest.mark.skipif(not _FULL.exists(), reason="needs a device that is always full")
@pytest.mark.long
@pytest.mark.parametrize("arguments", [["config", "example"], ["--version"], ["api-key", "new", "--name", "a"]])
@pytest.mark.parametrize("program", ["standing-gateway", "standing-node"])
def test_output_to_a_full_disk_ends_a_command_in_one_line(program: str, arguments: list[str]) -> None:
    role = ["--role", "support" if program == "standing-gateway" else "core"] if "api-key" in arguments else []
    with _FULL.open("wb") as full:
        ended = subprocess.run(
            [BIN / program, *arguments, *role], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    assert (ended.returncode, ended.stderr) == (1, "error: output: No space left on device\n")
