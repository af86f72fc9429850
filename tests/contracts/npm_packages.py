"""The npm packages of tests/contracts/npm: other people's implementations that ours is held against."""

import shutil
import subprocess
from pathlib import Path

FOLDER = Path(__file__).with_name("npm")


class NpmMissing(Exception):
    """The packages are not there and cannot be installed; the text says in one line what is missing."""


def install() -> Path:
    """The node_modules folder, installed from the committed lock file where it is not there yet. Raises: NpmMissing."""
    modules = FOLDER / "node_modules"
    if (modules / "ethers" / "package.json").exists():
        return modules
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise NpmMissing(f"{program} is missing: ethers and EAS come from npm (install Node.js)")
    ended = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        raise NpmMissing(f"npm could not install the packages of tests/contracts/npm: {ended.stderr.strip()[-200:]}")
    return modules
