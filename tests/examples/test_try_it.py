"""docs/TRY-IT.md: every command, as it stands there, in one shell beside a running demo."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.world import wait_until

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs" / "TRY-IT.md"
_DEMO_S = 600
_SHELL_S = 180


def commands() -> list[str]:
    """The lines of the page's shell blocks, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", _PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.long
def test_every_command_of_the_page_works_beside_the_demo(tmp_path: Path) -> None:
    folder, said = tmp_path / "demo", tmp_path / "said"
    demo = [sys.executable, str(_ROOT / "hardhat-free-scripts" / "demo.py"), "--keep", str(folder)]
    with said.open("wb") as output, subprocess.Popen(demo, stdout=output, stderr=subprocess.STDOUT) as running:
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("tests.world._PATIENCE_S", _DEMO_S)
                wait_until(lambda: (folder / "demo.env").exists() or running.poll() is not None)
            assert running.poll() is None, said.read_text()
            script = "\n".join(["set -eu -o pipefail", f". {folder}/demo.env", *commands()])
            done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=_SHELL_S, check=False)
            assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(60)
    assert done.stdout.count("evidence       holds") == 2, done.stdout
    assert " unknown " not in done.stdout
    assert f"{folder}/demo.env" in said.read_text()
    assert "webhook  binding." in said.read_text()
