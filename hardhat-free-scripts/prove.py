"""Proves promises of the ledger contract by symbolic execution, with halmos.

halmos expects Foundry: it starts `forge build` and reads the result from `out/`. Here the project's own compiler
makes the same files, and a `forge` that does nothing replaces the build. The properties are stated in
`tests/contracts/solidity/proof/StatusLedgerProof.sol`. Then each check runs on contracts with the faults that it
must find, and has to refute them: a check that cannot fail proves nothing.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compile import CONTRACTS, FIXTURES, CompileError, collect_sources, install_npm_packages, run_solc

PROOF = FIXTURES / "proof" / "StatusLedgerProof.sol"
SOLVER_TIMEOUT_MS = 120_000
PROVED, REFUTED = 0, 1  # halmos' exit codes of a check
OUTPUTS = ["abi", "evm.bytecode", "evm.deployedBytecode", "evm.methodIdentifiers", "metadata", "storageLayout"]


def forge_artifact(contract: dict[str, Any], tree: dict[str, Any]) -> dict[str, Any]:
    """A contract of solc's standard JSON in the form that `forge build --ast` writes."""

    def code(part: dict[str, Any]) -> dict[str, Any]:
        return part | {"object": "0x" + part["object"]}

    return {
        "abi": contract["abi"],
        "bytecode": code(contract["evm"]["bytecode"]),
        "deployedBytecode": code(contract["evm"]["deployedBytecode"]),
        "methodIdentifiers": contract["evm"]["methodIdentifiers"],
        "metadata": json.loads(contract["metadata"]),
        "storageLayout": contract["storageLayout"],
        "ast": tree,
        "id": tree["id"],
    }


@dataclass(frozen=True, slots=True)
class Control:
    """A fault in the contract, and the check that has to find it."""

    check: str
    original: str
    fault: str


CONTROLS = [
    Control(
        "check_publish_needs_the_signers_signature",
        "if (!SignatureChecker.isValidSignatureNowCalldata(signer, digest, signature)) {",
        "if (signature.length != 65) {",
    ),
    Control(
        "check_publish_needs_the_signers_signature", "if (issuer.suspended) revert BankIsSuspended(bank); // 2", ""
    ),
    Control(
        "check_publish_needs_the_signers_signature",
        "calldatacopy(add(encoded, 0x20), attestation, 0x60)",
        "calldatacopy(add(encoded, 0x20), attestation, 0x40)",
    ),
    Control(
        "check_only_roles_and_the_admin_change_a_bank",
        "if (msg.sender != issuer.admin) revert NotBankAdmin(bank, msg.sender);",
        "",
    ),
    Control("check_only_roles_and_the_admin_change_a_bank", "onlyRole(GUARDIAN_ROLE)", ""),
    Control(
        "check_only_roles_and_the_admin_change_a_bank",
        "if (issuer.signer != address(0)) revert BankAlreadyAdmitted(bank);",
        "",
    ),
    Control("check_no_rollback", "if (number != issuer.publication + 1)", "if (number > issuer.publication + 1)"),
    Control("check_no_rollback", "shl(208, publication)", "shl(208, sub(publication, 1))"),
    Control("check_no_rollback", "if (watermarkMs < issuer.watermarkMs)", "if (watermarkMs + 1 < issuer.watermarkMs)"),
    Control("check_no_rollback", "if (watermarkMs > _latestMs())", "if (watermarkMs > _latestMs() + 1)"),
    Control("check_a_publication_writes_its_bindings_alone", "_store(_records[bank],", "_store(_records[bytes11(0)],"),
    Control("check_a_publication_writes_its_bindings_alone", "shr(48, tagAndHead)", "shr(49, tagAndHead)"),
]


def write_project(root: Path, control: Control | None = None) -> None:
    """Write halmos' whole input into `root`, for the unchanged contract or with a fault. Raises: CompileError."""
    sources = {path.name: path.read_text() for path in [*CONTRACTS.glob("*.sol"), PROOF]}
    if control is not None:
        if sources["StatusLedger.sol"].count(control.original) != 1:
            raise CompileError(f"the contract has not exactly one `{control.original}`: correct the list of controls")
        sources["StatusLedger.sol"] = sources["StatusLedger.sol"].replace(control.original, control.fault)
    output = run_solc(collect_sources(install_npm_packages(), sources), {"*": {"*": OUTPUTS, "": ["ast"]}})
    for path in sources:
        for name, contract in output["contracts"][path].items():
            folder = root / "out" / path
            folder.mkdir(parents=True, exist_ok=True)
            artifact = forge_artifact(contract, output["sources"][path]["ast"])
            (folder / f"{name}.json").write_text(json.dumps(artifact))
    forge = root / "bin" / "forge"
    forge.parent.mkdir()
    forge.write_text("#!/bin/sh\nexit 0\n")
    forge.chmod(0o755)


def find_halmos() -> str | None:
    """halmos beside this Python, or on the PATH; HALMOS in the environment takes precedence."""
    beside = Path(sys.executable).with_name("halmos")
    return os.environ.get("HALMOS") or (str(beside) if beside.exists() else shutil.which("halmos"))


def run_halmos(halmos: str, check: str, control: Control | None = None) -> dict[str, int]:
    """Exit code of each check whose name starts with `check`: 0 proved, 1 refuted, others undecided, of which the end
    of halmos' output is printed.

    Raises: CompileError.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_project(root, control)
        results = root / "results.json"
        command = [halmos, "--root", folder, "--contract", PROOF.stem, "--function", check]
        command += ["--solver-timeout-assertion", str(SOLVER_TIMEOUT_MS), "--json-output", str(results)]
        # halmos looks for its solver in the active virtual environment, which need not be its own, then on the PATH.
        paths = [str(root / "bin"), str(Path(halmos).parent), os.environ["PATH"]]
        environment = os.environ | {"PATH": os.pathsep.join(paths)}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if not results.exists():
            raise CompileError(f"halmos gave no results: {(ended.stdout + ended.stderr)[-2000:]}")
        tests = json.loads(results.read_text())["test_results"]
        codes = {test["name"].split("(")[0]: test["exitcode"] for group in tests.values() for test in group}
        if not {PROVED, REFUTED}.issuperset(codes.values()):
            print(f"undecided {codes}: {(ended.stdout + ended.stderr)[-2000:]}", file=sys.stderr)
        return codes


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="check_", help="only checks whose name starts with this")
    arguments = parser.parse_args()
    halmos = find_halmos()
    if halmos is None:
        print("prove: halmos is missing (pip install halmos)", file=sys.stderr)
        return 1
    good = True
    try:
        for name, code in run_halmos(halmos, arguments.only).items():
            good &= code == PROVED
            print(f"{'proved' if code == PROVED else 'NOT PROVED'}: {name}", flush=True)
        for control in CONTROLS:
            if control.check.startswith(arguments.only):
                found = run_halmos(halmos, control.check, control)[control.check] == REFUTED
                good &= found
                print(
                    f"{'fault found' if found else 'FAULT NOT FOUND'}: {control.check}: {control.original}", flush=True
                )
    except CompileError as error:
        print(f"prove: {error}", file=sys.stderr)
        return 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
