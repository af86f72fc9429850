"""Static analysis of the ledger contract, with slither: every finding is fixed, or justified beside the code.

slither takes its input from a build tool. Here the project's own compiler makes the build file, in the form that
Hardhat writes. Findings inside OpenZeppelin are not ours to fix and are left out. Exit code 1 where a finding
remains.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from compile import CONTRACTS, SETTINGS, SOLC_VERSION, CompileError, collect_sources, install_npm_packages, run_solc

OUTPUTS = [
    "abi",
    "devdoc",
    "userdoc",
    "metadata",
    "evm.bytecode",
    "evm.deployedBytecode",
    "evm.methodIdentifiers",
]


def write_project(root: Path) -> None:
    """Write the sources and the build file into `root`. Raises: CompileError."""
    roots = {f"contracts/{path.name}": path.read_text() for path in CONTRACTS.glob("*.sol")}
    sources = collect_sources(install_npm_packages(), roots)
    output = run_solc(sources, {"*": {"*": OUTPUTS, "": ["ast"]}})
    for name, source in sources.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source["content"])
    given = {"language": "Solidity", "sources": sources, "settings": SETTINGS}
    info = {"id": "standing", "solcVersion": SOLC_VERSION, "input": given, "output": output}
    folder = root / "artifacts" / "build-info"
    folder.mkdir(parents=True)
    (folder / "standing.json").write_text(json.dumps(info))
    (root / "hardhat.config.js").write_text("module.exports = {};\n")


def main() -> int:
    beside = Path(sys.executable).with_name("slither")
    slither = os.environ.get("SLITHER") or (str(beside) if beside.exists() else shutil.which("slither"))
    if slither is None:
        print("analyse: slither is missing (pip install slither-analyzer)", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        try:
            write_project(Path(folder))
        except CompileError as error:
            print(f"analyse: {error}", file=sys.stderr)
            return 1
        command = [slither, ".", "--compile-force-framework", "hardhat", "--hardhat-ignore-compile", "--npx-disable"]
        command += ["--filter-paths", "@openzeppelin", "--exclude-dependencies", "--fail-low", *sys.argv[1:]]
        return 1 if subprocess.run(command, cwd=folder, check=False).returncode else 0


if __name__ == "__main__":
    sys.exit(main())
