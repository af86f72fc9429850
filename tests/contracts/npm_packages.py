"""The npm packages of tests/contracts/npm: other people's implementations that ours is held against."""

import shutil
from pathlib import Path

from npm_run import NpmFailed, run_npm

FOLDER = Path(__file__).with_name("npm")


class NpmMissing(Exception):
    """The packages are not there and cannot be installed; the text says in one line what is missing."""


def install() -> Path:
    """The node_modules folder, installed from the committed lock file where it is not there yet. Raises: NpmMissing."""
    modules = FOLDER / "node_modules"
    if (modules / "ethers" / "package.json").exists():
        return modules
    if shutil.which("node") is None:
        raise NpmMissing("node is missing: ethers and EAS need it (install Node.js)")
    try:
        run_npm(FOLDER, "ci", packages="ethers and EAS")
    except NpmFailed as error:
        raise NpmMissing(str(error)) from error
    return modules
