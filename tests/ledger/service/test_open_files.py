"""A service's limit of open files, and what it leaves to clients."""

import resource
import subprocess
import sys

import pytest

_PRINTED = (
    "import resource\n"
    "from standing.ledger.service import open_files\n"
    "open_files.raise_limit()\n"
    "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], open_files.backlog(), open_files.max_connections())"
)


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (1_024, 16_384, (8_192, 1_024, 6_144)),
        (256, 1_024, (1_024, 128, 768)),
        (8_193, 16_384, (8_193, 1_024, 6_145)),
        (20_000, 20_000, (20_000, 2_048, 15_904)),
    ],
    ids=["systemd's default", "little allowed", "enough", "an operator's choice"],
)
def test_the_limit_is_raised_where_it_is_low_and_clients_get_three_quarters(
    soft: int, hard: int, expected: tuple[int, int, int]
) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip(f"needs a hard limit of {hard} open files")
    limited = f"import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
    ran = subprocess.run([sys.executable, "-c", limited + _PRINTED], capture_output=True, text=True, check=True)
    assert tuple(map(int, ran.stdout.split())) == expected
