"""Mutation testing of the ledger contract: would the tests notice if any single piece of it were wrong?

Each mutant (see `mutations.py`) is compiled with the project's own settings and runs the contract's tests until the
first failure. Prints the score and every surviving mutant. A mutant that no test can kill is listed in EQUIVALENT
with the reason; exit code 1 where a survivor is not listed, or a listed one did not survive.
"""

import argparse
import json
import multiprocessing
import os
import re
import resource
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import pytest  # noqa: E402  # the path is set above

from compile import (  # noqa: E402
    CONTRACTS,
    CompileError,
    collect_sources,
    compile_sources,
    find_solc,
    install_npm_packages,
    run_solc,
)
from mutations import Mutant, Mutator  # noqa: E402
from tests.contracts.abi import ARTIFACT_VARIABLE, ledger_artifact  # noqa: E402

CONTRACT = "StatusLedger.sol"
TESTS = ROOT / "tests" / "contracts"
#: In the order that finds faults soonest. Not included: gas (any change shows there) and tests that only compare
#: documents.
QUICK_TESTS = [
    "test_publish_checks.py",
    "test_governance.py",
    "test_records.py",
    "test_calldata.py",
    "test_signatures.py",
    "test_history.py",
]
#: By function, the tests about it: they run first.
OWN_TESTS = {
    "test_governance.py": ("admit", "reinstate", "rotateSigner", "suspend", "_admitted", "constructor", "getBank"),
    "test_records.py": ("read", "_store", "_latestMs"),
    "test_calldata.py": ("_digest", "_emitPublished"),
}
SLOW_TESTS = ["test_state_machine.py"]
HISTORIES = "40"
BATCH = 4
TEST_CPU_S = 180  # several times the duration of all tests

KILLED, SURVIVED = "killed", "survived"
HUNG = "killed by never ending"
INVALID, SAME = "not compiling", "compiling to the same bytecode"

#: Mutants that behave like the original, by name, with the reason.
_MEMORY_FROM_ZERO = (
    "the event's data then lies from address 0 on, or a few bytes after it, over what Solidity keeps there: nothing "
    "uses that any more, for no memory is allocated after the event. It stays as it is, because the next change could."
)
EQUIVALENT: dict[str, str] = {
    "_digest: statement dropped: `eventData := mload(0x40)` -> ``": _MEMORY_FROM_ZERO,
    "_digest: number: `0x40` -> `0x60`": _MEMORY_FROM_ZERO,
    "_digest: number: `0x40` -> `0x20`": _MEMORY_FROM_ZERO,
    "_digest: number: `5` -> `0x6`": (
        "the loop also hashes what follows the attestations in calldata, and nothing reads those hashes: only dearer, "
        "which test_gas.py finds and the mutation check leaves out."
    ),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    mutant: Mutant
    outcome: str


def find_mutants() -> list[Mutant]:
    """All mutants of the current contract."""
    roots = {path.name: path.read_text() for path in CONTRACTS.glob("*.sol")}
    output = run_solc(collect_sources(install_npm_packages(), roots), {"*": {"": ["ast"]}})
    return Mutator(roots[CONTRACT].encode(), output["sources"][CONTRACT]["ast"]).mutants()


def compile_mutants(mutants: list[Mutant]) -> list[str | None]:
    """The bytecode of each mutant, None where it does not compile; the whole batch in one run of the compiler."""
    source = (CONTRACTS / CONTRACT).read_bytes()
    interface = (CONTRACTS / "IStatusLedger.sol").read_text()
    files = {
        f"m{index}/{CONTRACT}": mutant.apply(source).replace('"./IStatusLedger.sol"', '"../IStatusLedger.sol"')
        for index, mutant in enumerate(mutants)
    }
    while files:
        sources = collect_sources(install_npm_packages(), {"IStatusLedger.sol": interface} | files)
        try:
            output = run_solc(sources, {"*": {"StatusLedger": ["evm.bytecode.object"]}})
        except CompileError as error:
            guilty = set(re.findall(r"m\d+/StatusLedger\.sol", str(error)))
            if not guilty:
                raise
            files = {name: text for name, text in files.items() if name not in guilty}
            continue
        return [
            "0x" + output["contracts"][name]["StatusLedger"]["evm"]["bytecode"]["object"] if name in files else None
            for name in (f"m{index}/{CONTRACT}" for index in range(len(mutants)))
        ]
    return [None] * len(mutants)


def _run_tests(files: list[str]) -> None:
    """End this process, a fork made for the purpose, with pytest's exit code for the contract's tests."""
    resource.setrlimit(resource.RLIMIT_CPU, (TEST_CPU_S, TEST_CPU_S))  # processor time: a busy machine must not decide
    arguments = [
        "-q",
        "-x",
        "-m",
        "not npm and not network",
        "-p",
        "no:cacheprovider",
        f"--confcutdir={TESTS}",
        *(str(TESTS / name) for name in files),
    ]
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        sys.exit(int(pytest.main(arguments)))


def _quick_tests(function: str) -> list[str]:
    """The quick tests, in the order that finds a fault in a function soonest."""
    return sorted(QUICK_TESTS, key=lambda name: function not in OWN_TESTS.get(name, ()))


def _test(bytecode: str, folder: Path, function: str = "") -> str:
    """The tests' verdict on a contract with a fault in a function."""
    path = folder / "artifact.json"
    path.write_text(json.dumps({"abi": ledger_artifact()["abi"], "bytecode": bytecode}))
    os.environ |= {ARTIFACT_VARIABLE: str(path), "STANDING_FUZZ_EXAMPLES": HISTORIES}
    try:
        for files in (_quick_tests(function), SLOW_TESTS):
            process = multiprocessing.get_context("fork").Process(target=_run_tests, args=(files,))
            process.start()
            process.join()
            if process.exitcode == pytest.ExitCode.TESTS_FAILED:
                return KILLED
            if process.exitcode in {-signal.SIGXCPU, -signal.SIGKILL}:
                return HUNG
            if process.exitcode != pytest.ExitCode.OK:
                raise RuntimeError(f"pytest ended with {process.exitcode}")
    finally:
        del os.environ[ARTIFACT_VARIABLE], os.environ["STANDING_FUZZ_EXAMPLES"]
    return SURVIVED


def judge(batch: tuple[list[Mutant], str]) -> list[Verdict]:
    """Compile a batch of mutants and test each; the batch comes with the original's bytecode."""
    mutants, original = batch
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        for mutant, bytecode in zip(mutants, compile_mutants(mutants), strict=True):
            if bytecode is None:
                outcome = INVALID
            elif bytecode == original:
                outcome = SAME
            else:
                outcome = _test(bytecode, Path(folder), mutant.name.partition(":")[0])
            verdicts.append(Verdict(mutant, outcome))
    return verdicts


def judge_all(mutants: list[Mutant], processes: int) -> Iterator[Verdict]:
    """Judge all mutants in `processes` processes, in no particular order."""
    roots = {path.name: path.read_text() for path in CONTRACTS.glob("*.sol")}
    original = compile_sources(roots)[CONTRACT]["bytecode"]
    batches = [(mutants[at : at + BATCH], original) for at in range(0, len(mutants), BATCH)]
    # Workers fork with everything imported, and fork again for each mutant's tests.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("fork")) as workers:
        for judged in as_completed([workers.submit(judge, batch) for batch in batches]):
            yield from judged.result()


def judge_with_progress(mutants: list[Mutant], processes: int, console: Console) -> list[Verdict]:
    """All verdicts, with a progress bar that names each survivor as it is found."""
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[left]}"),
    )
    verdicts = []
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("mutants", total=len(mutants), left="")
        survived = 0
        for verdict in judge_all(mutants, processes):
            verdicts.append(verdict)
            if verdict.outcome == SURVIVED:
                survived += 1
                progress.console.print(f"survived: line {verdict.mutant.line}, {verdict.mutant.name}", markup=False)
            progress.update(task, advance=1, left=f"{survived} survived")
            if not console.is_terminal and len(verdicts) % 20 == 0:
                console.print(f"{len(verdicts)} of {len(mutants)}, {survived} survived")
    return verdicts


def report(verdicts: list[Verdict], console: Console) -> bool:
    """Print the score and every problem. Returns: whether there is none."""
    tally = Counter(verdict.outcome for verdict in verdicts)
    survived = {verdict.mutant.name for verdict in verdicts if verdict.outcome == SURVIVED}
    judged = {verdict.mutant.name for verdict in verdicts}
    unexplained = sorted(survived - EQUIVALENT.keys())
    outdated = sorted((EQUIVALENT.keys() & judged) - survived)
    console.print(", ".join(f"{count} {outcome}" for outcome, count in sorted(tally.items())))
    for name in sorted(survived & EQUIVALENT.keys()):
        console.print(f"equivalent: {name}\n    {EQUIVALENT[name]}", markup=False)
    for name in unexplained:
        console.print(f"SURVIVED: {name}", markup=False)
    for name in outdated:
        console.print(f"listed as equivalent, but killed: {name}", markup=False)
    killed = tally[KILLED] + tally[HUNG]
    possible = killed + len(unexplained)
    console.print(f"score: {killed} of {possible} = {killed / max(1, possible):.1%}")
    return not unexplained and not outdated


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    parser.add_argument("--only", default="", help="only mutants whose name contains this text")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    console = Console()
    find_solc(install_npm_packages())
    mutants = [mutant for mutant in find_mutants() if arguments.only in mutant.name]
    if arguments.list:
        for mutant in mutants:
            print(f"line {mutant.line}: {mutant.name}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if _test(ledger_artifact()["bytecode"], Path(folder)) != SURVIVED:
            console.print("the unchanged contract fails its tests; there is nothing to mutate")
            return 1
    return 0 if report(judge_with_progress(mutants, arguments.processes, console), console) else 1


if __name__ == "__main__":
    sys.exit(main())
