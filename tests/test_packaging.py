"""An install puts one name into site-packages, and its commands do not break through other packages on the path."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout; its build leaves nothing behind in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        origin, copy = _ROOT / name, source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_symlink():
            copy.symlink_to(origin.readlink())
        elif origin.is_file():
            copy.write_bytes(origin.read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True, timeout=300)
    return next(folder.glob("*.whl"))


@pytest.mark.long
def test_an_install_puts_standing_and_nothing_else_into_site_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"standing"}
    assert {name.split("/")[1] for name in names if name.startswith("standing/")} == {"ledger", "node", "gateway"}
    assert {"standing/ledger/chain/StatusLedger.json", "standing/gateway/following/templates/reconcile.html"} <= set(
        names
    )


@pytest.mark.long
@pytest.mark.parametrize("service", ["node", "gateway"])
def test_a_companys_own_package_of_the_same_name_does_not_break_the_command(
    wheel: Path, tmp_path: Path, service: str
) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    for name in ("ledger", "node", "gateway", "contracts"):
        (tmp_path / "company" / name).mkdir(parents=True)
        (tmp_path / "company" / name / "__init__.py").write_text("raise ImportError('the company's own')\n")
    run = f"from standing.{service}.cli import app; app()"
    path = os.pathsep.join([str(tmp_path / "company"), str(tmp_path / "installed")])
    shown = subprocess.run(
        [sys.executable, "-P", "-c", run, "config", "example"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert shown.returncode == 0, shown.stderr
    assert "ledger_contract" in shown.stdout


def test_help_is_shown_without_importing_heavy_libraries() -> None:
    heavy = ["web3", "sqlalchemy", "fastapi", "eth_account", "pydantic", "cryptography"]
    for service in ("node", "gateway"):
        program = (
            f"import sys; from standing.{service}.cli import app\n"
            "try: app(['--help'])\n"
            f"except SystemExit: print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
        )
        shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
        assert shown.stderr.strip() == "[]"
        assert "serve" in shown.stdout
