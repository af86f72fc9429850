"""docs/TRY-IT.md: every command of the page, in one shell beside a running demo."""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.databases import new_database, on_postgresql
from tests.world import wait_until

_ROOT = Path(__file__).parents[2]
_PAGE = _ROOT / "docs" / "TRY-IT.md"
_DEMO_S = 600
_SHELL_S = 300


def commands(*, postgresql: bool) -> list[str]:
    """The lines of the page's shell blocks, in order; those that need PostgreSQL only if it is available."""
    blocks = re.findall(
        r"^```sh(| postgresql)\n(.*?)^```", _PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    assert [needs for needs, _ in blocks].count(" postgresql") == 1
    return [line for needs, block in blocks if postgresql or not needs for line in block.splitlines()]


def _shell(script: str, folder: Path) -> tuple[int, str, str]:
    """Run a script in a session of its own, and end whatever it has started. Returns: exit code and output."""
    said, complained = folder / "shell-said", folder / "shell-complained"
    environment = {"STANDING_TEST_DATABASE": new_database(folder, "pair")} if on_postgresql() else {}
    with (
        said.open("wb") as output,
        complained.open("wb") as errors,
        subprocess.Popen(
            ["bash", "-c", script],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            start_new_session=True,
            env={**os.environ, **environment},
        ) as shell,
    ):
        try:
            shell.wait(_SHELL_S)
        finally:
            with suppress(ProcessLookupError):  # it has left nothing behind
                os.killpg(shell.pid, signal.SIGKILL)
    return shell.returncode, said.read_text(), complained.read_text()


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
            lines = commands(postgresql=on_postgresql())
            script = "\n".join(["set -eu -o pipefail", f". {folder}/demo.env", *lines])
            code, done, complained = _shell(script, tmp_path)
            assert code == 0, (done[-3000:], complained[-3000:])
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(60)
    assert done.count("evidence       holds") == 2, done
    assert " unknown " not in done
    assert done.count('"outcome":"granted"') == (3 if on_postgresql() else 2), done
    assert f"{folder}/demo.env" in said.read_text()
    assert "webhook  binding." in said.read_text()
