"""The demo's promises to a newcomer: the lines it prints do what it says, and Ctrl-C leaves nothing behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from demo import lines_to_paste
from localnet import LocalBank, LocalNet
from standing.ledger.clock import SystemClock
from tests.world import ACCOUNT, PLATFORM, Bank, Platform, World, wait_until

_DEMO = Path(__file__).parents[2] / "hardhat-free-scripts" / "demo.py"
_PATIENCE_S = 60


def _shell(world: World, bank: Bank, platform: Platform, binding: str) -> subprocess.Popen[str]:
    """A shell that all three lines were pasted into at once."""
    net = LocalNet(world.folder, PLATFORM, gateway_url=platform.url, gateway_key=platform.key)
    local = LocalBank(bank.bic, "", bank.folder, bank.url, bank.core_key, bank.platform_key, {})
    lines = [line for _, line in lines_to_paste(net, local, str(ACCOUNT["number"]), binding)]
    # The shell's clock is the machine's.
    world.clock.advance(SystemClock().now_ms() - world.clock.now_ms())
    return subprocess.Popen(["sh", "-c", "; echo; ".join(lines)], stdout=subprocess.PIPE, text=True)


@pytest.mark.long
def test_the_three_lines_pasted_at_once_freeze_the_account_and_the_payment_is_declined_however_slow_the_ledger(
    a_world: World,
) -> None:
    bank = a_world.start_bank()
    bank.change(ACCOUNT)
    platform = a_world.start_platform()
    binding = platform.bind(bank.bic)
    a_world.chain.holding = True
    with _shell(a_world, bank, platform, binding) as shell:
        with pytest.raises(subprocess.TimeoutExpired):
            shell.wait(2)  # no block comes, so the first line has not ended
        a_world.chain.release()
        out, _ = shell.communicate(timeout=_PATIENCE_S)
    receipt, decision, again = (json.loads(line) for line in out.splitlines())
    assert receipt["changes"] == 1
    assert (decision["outcome"], decision["reason"]) == ("decline", "account_frozen")
    assert again == decision


def _children(pid: int) -> set[int]:
    """The processes that a process has started and that have not ended."""
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


@pytest.mark.long
@pytest.mark.parametrize("ending", ["INT", "HUP"])
def test_the_demo_ends_every_process_it_started(tmp_path: Path, ending: str) -> None:
    """Also if Ctrl-C is pressed repeatedly, and if a script started it in the background."""
    demo = [sys.executable, str(_DEMO), "--once", "--keep", str(tmp_path / "demo")]
    shell = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *demo]
    with subprocess.Popen(shell, stdout=subprocess.PIPE, text=True) as running:
        wait_until(lambda: any(log.stat().st_size for log in tmp_path.glob("demo/node-*.log")))
        started = _children(running.pid)
        assert len(started) >= 2
        subprocess.run(["kill", f"-{ending}", str(running.pid)], check=True)
        while running.poll() is None:
            subprocess.run(["kill", f"-{ending}", str(running.pid)], check=False, capture_output=True)
        out, _ = running.communicate(timeout=_PATIENCE_S)
    assert "Ending every process" in out
    assert running.returncode == 130, "an interrupted run proves nothing"
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
