"""Packages from npm: pinned by their lock files, and installed without running their scripts."""

import shutil
import subprocess
from pathlib import Path


class NpmFailed(Exception):
    """npm is missing or failed; the text says in one line what is missing."""


def run_npm(folder: Path, *arguments: str, packages: str) -> None:
    """Run npm in a folder. `packages`: the name used in the error. Raises: NpmFailed."""
    if shutil.which("npm") is None:
        raise NpmFailed(f"npm is missing: {packages} come from npm (install Node.js)")
    command = ["npm", *arguments, "--no-audit", "--no-fund", "--ignore-scripts"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise NpmFailed(f"npm could not install {packages}: {ended.stderr.strip()[-200:]}")
