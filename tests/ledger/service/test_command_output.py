"""What a command prints cannot always be written."""

import subprocess
from pathlib import Path

import pytest

from processes import BIN

_FULL = Path("/dev/full")


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
