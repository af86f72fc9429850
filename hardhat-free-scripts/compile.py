"""Compile the ledger contract, and the contracts that its tests need, into their committed artifacts, by py-solc-x.

The compiler is a native solc of the pinned version that py-solc-x finds (on the PATH, or installed by it) or can
install; otherwise the npm package `solc` of the same version, passed to py-solc-x as its `solc_binary`.
OpenZeppelin's sources come from npm as well. With `--check` nothing is written: exit code 1 if an artifact differs
from what its source compiles to.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import solcx
from requests import RequestException
from solcx.exceptions import SolcError, SolcInstallationError, SolcNotInstalled

ROOT = Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
FIXTURES = ROOT / "tests" / "contracts" / "solidity"
SOLC_VERSION = json.loads((CONTRACTS / "package.json").read_text())["devDependencies"]["solc"]
SETTINGS: dict[str, Any] = {
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "viaIR": True,
    "evmVersion": "cancun",
    # No metadata hash: a changed comment must not change the bytecode that auditors compare.
    "metadata": {"bytecodeHash": "none"},
}


class CompileError(Exception):
    """The contract cannot be compiled here, or does not compile; the message says why."""


def install_npm_packages() -> Path:
    """`npm ci` in contracts/ unless the pinned packages are there already.

    Returns: the node_modules folder. Raises: CompileError where npm is missing or fails.
    """
    modules = CONTRACTS / "node_modules"
    wanted = json.loads((CONTRACTS / "package.json").read_text())["devDependencies"]
    present = {
        name: json.loads(manifest.read_text())["version"]
        for name in wanted
        if (manifest := modules / name / "package.json").exists()
    }
    if present != wanted:
        if shutil.which("npm") is None:
            raise CompileError("npm is missing: compiling the contract needs OpenZeppelin's sources (install Node.js)")
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=CONTRACTS, check=True)
    return modules


@cache
def find_solc(modules: Path) -> Path:
    """The compiler for py-solc-x, as described at the top. The environment's SOLC, if set, comes first."""
    if override := os.environ.get("SOLC"):
        return Path(override)
    on_path = shutil.which("solc")
    if on_path and str(solcx.wrapper.get_solc_version(on_path)) == SOLC_VERSION:
        return Path(on_path)
    try:
        return Path(solcx.install.get_executable(SOLC_VERSION))
    except SolcNotInstalled:
        pass  # not found: try to install it
    try:
        solcx.install_solc(SOLC_VERSION, show_progress=False)
        return Path(solcx.install.get_executable(SOLC_VERSION))
    except (RequestException, SolcInstallationError, SolcError, ValueError) as error:
        print(f"no native solc {SOLC_VERSION} ({type(error).__name__}), using the npm package", file=sys.stderr)
    os.environ["SOLCJS"] = str(modules / ".bin" / "solcjs")
    return Path(__file__).with_name("solcjs-from-file.sh")


def collect_sources(modules: Path, roots: dict[str, str]) -> dict[str, dict[str, str]]:
    """The standard-JSON `sources`: `roots` (name to text) and everything they import, from `modules`."""
    sources: dict[str, dict[str, str]] = {}
    waiting = list(roots.items())
    while waiting:
        name, text = waiting.pop()
        sources[name] = {"content": text}
        for imported in re.findall(r'^import[^"]*"([^"]+)";', text, flags=re.MULTILINE):
            path = os.path.normpath(os.path.join(os.path.dirname(name), imported)) if imported[0] == "." else imported
            if path not in sources and path not in roots:
                waiting.append((path, (modules / path).read_text()))
    return dict(sorted(sources.items()))


def run_solc(sources: dict[str, dict[str, str]], selection: dict[str, dict[str, list[str]]]) -> dict[str, Any]:
    """solc's standard-JSON output for `sources`; `selection` is its `outputSelection`.

    Raises: CompileError with solc's own messages.
    """
    settings = SETTINGS | {"outputSelection": selection}
    standard_input = {"language": "Solidity", "sources": sources, "settings": settings}
    try:
        compiled: dict[str, Any] = solcx.compile_standard(standard_input, solc_binary=find_solc(install_npm_packages()))
    except SolcError as error:
        raise CompileError(str(error)) from error
    return compiled


def compile_sources(roots: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Compile `roots` (file name to Solidity text) and return the artifact of each one's contract, by file name.

    A file's contract has the file's name; a file of interfaces alone has no artifact. Raises: CompileError.
    """
    sources = collect_sources(install_npm_packages(), roots)
    output = run_solc(sources, {"*": {"*": ["abi", "evm.bytecode.object"]}})
    artifacts = {}
    for path in roots:
        name = path.removesuffix(".sol")
        compiled = output["contracts"][path][name]
        if compiled["evm"]["bytecode"]["object"]:
            artifacts[path] = {
                "contractName": name,
                "compiler": {"solc": SOLC_VERSION, "settings": SETTINGS},
                "abi": compiled["abi"],
                "bytecode": "0x" + compiled["evm"]["bytecode"]["object"],
            }
    return artifacts


def write_or_check(path: Path, artifact: dict[str, Any], *, check: bool) -> bool:
    """Write the artifact, or with `check` only compare. Returns: whether the file matches what the source compiles
    to."""
    text = json.dumps(artifact, indent=1) + "\n"
    shown = path.relative_to(ROOT)
    if not check:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        print(f"wrote {shown}")
        return True
    if not path.exists() or path.read_text() != text:
        print(f"{shown} is not what the source compiles to: run `make compile`", file=sys.stderr)
        return False
    print(f"{shown} reproduced from source with solc {SOLC_VERSION}")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if an artifact is out of date")
    arguments = parser.parse_args()
    current = True
    try:
        for folder in (CONTRACTS, FIXTURES):
            artifacts = compile_sources({path.name: path.read_text() for path in sorted(folder.glob("*.sol"))})
            for artifact in artifacts.values():
                path = folder / "artifacts" / f"{artifact['contractName']}.json"
                current &= write_or_check(path, artifact, check=arguments.check)
    except (CompileError, subprocess.CalledProcessError) as error:
        print(f"compile: {error}", file=sys.stderr)
        return 1
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())
