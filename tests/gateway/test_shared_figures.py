"""The files in which the workers of one gateway count: a full disk under them ends no worker."""

import subprocess
import sys
from pathlib import Path

import pytest

_A_WORKER = """
import resource, sys
from pathlib import Path
from standing.gateway import metrics

if sys.argv[2:] == ["full"]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
metrics.share(Path(sys.argv[1]))
metrics.reserve()
meters = metrics.Meters()
meters.committed([("decline", "account_frozen")])
print(meters.outcomes["decline"])
"""


def _worker(folder: Path, *arguments: str) -> tuple[str, str]:
    """What a worker that counts in `folder` prints, and what it logs."""
    command = [sys.executable, "-c", _A_WORKER, str(folder), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return ended.stdout.strip(), ended.stderr + ended.stdout


def test_a_worker_writes_only_where_the_disk_has_been_reserved(tmp_path: Path) -> None:
    # A write to a hole of a mapped file, when the disk is full, ends the process by SIGBUS.
    assert _worker(tmp_path)[0] == "1"
    files = list(tmp_path.iterdir())
    assert {file.name.partition("_")[0] for file in files} == {"counter", "histogram"}
    assert all(file.stat().st_blocks * 512 >= file.stat().st_size for file in files)


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of files")
def test_a_worker_that_finds_the_disk_full_serves_and_does_not_count(tmp_path: Path) -> None:
    printed, said = _worker(tmp_path, "full")
    assert printed.endswith("0")
    assert "figures_not_counted" in said
    assert list(tmp_path.iterdir()) == []
