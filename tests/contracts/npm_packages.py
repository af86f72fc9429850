"""The npm packages of tests/contracts/npm: independent implementations that ours is compared with."""

import shutil
from pathlib import Path

from npm_run import NpmFailed, run_npm

FOLDER = Path(__file__).with_name("npm")


class NpmMissing(Exception):
    """The packages are missing and cannot be installed; the text says in one line what is missing."""


def install() -> Path:
    """The node_modules folder, installed from the committed lock file if it is missing. Raises: NpmMissing."""
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
